"""The results of `qanat.run`, which also print as text and show themselves in notebooks.

Each is what the function below returns, with the same fields: an `Update` is an `UpdateResult`.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qanat.model import comparison, profile, upkeep as model
from qanat.model.backtest import Backtest
from qanat.model.metrics import Metrics
from qanat.model.name import Named
from qanat.model.profile import ColumnProfile
from qanat.model.record import Pause
from qanat.model.staged import Counts
from qanat.model.suggestion import DatasetSuggestions
from qanat.model.unit_test import UnitResult
from qanat.run import account, keeping, results, watching
from qanat.run.checked import RuleCheck
from qanat.run.decide import UpdatePlan
from qanat.run.overview import DatasetSummary
from qanat.run.results import (
    HistoryEntry,
    QuarantineSummary,
    ReplayResult,
    UpdateEvents,
)

if TYPE_CHECKING:
    from qanat.model.schedule import DueRun
    from qanat.run.scheduled import Scheduled

Shown = TypeVar("Shown")


def shown(kind: type[Shown], value: Any) -> Shown:
    """A dataclass as its own subclass that can show itself."""
    return kind(**{f.name: getattr(value, f.name) for f in fields(value)})


def report(module: str) -> Any:
    """A module of `qanat.report`, imported when something is shown: a script shows nothing."""
    return import_module(f"qanat.report.{module}")


class Update(results.UpdateResult):
    """What an update did.

    `status` is `succeeded` or `failed`; `failed` has the datasets that failed, each with its
    `error`; `update["silver"]` is the result of one dataset.
    """

    def __getitem__(self, dataset: str) -> Any:
        """The result of one dataset, by its name.

        Raises:
            KeyError: the update did not take it.
        """
        return Named((d.dataset, d) for d in self.datasets)[dataset]

    @property
    def counts(self) -> Counts:
        """Rows of all datasets together."""
        return sum((d.counts for d in self.datasets), Counts())

    def __str__(self) -> str:
        return str(report("update").update_text(self))

    def _repr_html_(self) -> str:
        return str(report("update").update_html(self))


class Plan(UpdatePlan):
    """What an update would do, and why; `blocked` if something stands in the way of a dataset."""

    @property
    def blocked(self) -> bool:
        """True if something stands in the way of a dataset."""
        return bool(report("plan").blocked(self))

    def __str__(self) -> str:
        return str(report("plan").plan_text(self))

    def _repr_html_(self) -> str:
        return str(report("plan").plan_html(self))


class Validation(results.Validation):
    """All that is wrong with a project; `valid` if nothing is."""

    @property
    def valid(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems)) or str(
            report("validation").validation_text(self)
        )

    def _repr_html_(self) -> str:
        return str(report("validation").validation_html(self))


class Events(UpdateEvents):
    """What one update told, in its order."""

    def __str__(self) -> str:
        return str(report("events").events_text(self))

    def _repr_html_(self) -> str:
        return str(report("events").events_html(self))


class Lineage(results.Lineage):
    """What a table or a column is made from: trees (`roots`), also as `nodes` and `edges`."""

    def __str__(self) -> str:
        return str(report("lineage").lineage_text(self))

    def _repr_html_(self) -> str:
        return str(report("lineage").lineage_html(self))


class Overview(tuple[DatasetSummary, ...]):
    """The tables and sinks of a project, one line each."""

    def __str__(self) -> str:
        return str(report("overview").overview_text(self))

    def _repr_html_(self) -> str:
        return str(report("overview").overview_html(self))


class FirstRows(results.FirstRows):
    """The first rows of a table, and what is known of it."""

    def __str__(self) -> str:
        return str(report("table").table_text(self))

    def _repr_html_(self) -> str:
        return str(report("table").table_html(self))


class Profile(profile.Profile):
    """The columns of a table, of files or of a query, described; `profile["amount"]` is one."""

    @property
    def rows(self) -> int:
        """How many rows were described."""
        return self.profiled.rows

    @property
    def columns(self) -> tuple[ColumnProfile, ...]:
        """What is known of each column."""
        return self.profiled.columns

    def __getitem__(self, column: str) -> ColumnProfile:
        """What is known of one column.

        Raises:
            KeyError: there is no such column.
        """
        return self.profiled[column]

    def html(self) -> str:
        """A page of its own with plots, without scripts, which loads nothing."""
        return str(report("profile.page").profile_page(self))

    def __str__(self) -> str:
        return str(report("profile.text").profile_text(self))

    def _repr_html_(self) -> str:
        return str(report("profile.text").profile_html(self))


class Profiles(tuple[Profile, ...]):
    """The profiles that updates have kept of a dataset, newest first."""

    def __str__(self) -> str:
        return str(report("profile.history").profiles_text(self))

    def _repr_html_(self) -> str:
        return str(report("profile.history").profiles_html(self))


class History(tuple[HistoryEntry, ...]):
    """Past updates, newest first, each with its epochs."""

    def __str__(self) -> str:
        return str(report("history").history_text(self))

    def _repr_html_(self) -> str:
        return str(report("history").history_html(self))


class MetricsHistory(tuple[Metrics, ...]):
    """What updates have brought into a dataset, newest first."""

    def __str__(self) -> str:
        return str(report("metrics").metrics_text(self))

    def _repr_html_(self) -> str:
        return str(report("metrics").metrics_html(self))


class Anomalies(watching.Anomalies):
    """What was out of the ordinary in past updates, newest first."""

    def __str__(self) -> str:
        return str(report("anomalies").anomalies_text(self))

    def _repr_html_(self) -> str:
        return str(report("anomalies").anomalies_html(self))


class Diff(comparison.Diff):
    """What two tables have that the other has not; `differences` has counts and samples."""

    @property
    def same(self) -> bool:
        """True if both have the same rows and columns."""
        return self.differences.same

    def __str__(self) -> str:
        return str(report("diff").diff_text(self))

    def _repr_html_(self) -> str:
        return str(report("diff").diff_html(self))


class Report(account.UpdateAccount):
    """One update, and what surrounds it."""

    def html(self) -> str:
        """A page of its own, without scripts, which loads nothing."""
        return str(report("account").account_page(self))


class Checks(tuple[RuleCheck, ...]):
    """Expectations against stored rows, and in `units` the unit tests of transformations."""

    units: tuple[UnitResult, ...] = ()

    @property
    def passed(self) -> bool:
        """False if an expectation other than `warn` is violated, or a unit test fails."""
        return all(u.passed for u in self.units) and not report("checks").broken(self)

    def __str__(self) -> str:
        return str(report("checks").checks_text(self))

    def _repr_html_(self) -> str:
        return str(report("checks").checks_html(self))


class Backtests(tuple[Backtest, ...]):
    """What checks would have done with the past updates of datasets."""

    def __str__(self) -> str:
        return str(report("backtest").backtests_text(self))

    def _repr_html_(self) -> str:
        return str(report("backtest").backtests_html(self))


class Suggestions(tuple[DatasetSuggestions, ...]):
    """Checks that the tables of datasets suggest; `diff` is the change to the project."""

    @property
    def diff(self) -> str:
        """The changes to all files, as `git apply` and `patch -p1` understand them."""
        return "".join(each.edit.diff for each in self if each.edit)

    def __str__(self) -> str:
        return str(report("suggest").suggestions_text(self))

    def _repr_html_(self) -> str:
        return str(report("suggest").suggestions_html(self))


class State(keeping.DatasetState):
    """What the flows of a dataset keep from one epoch to the next."""

    def __str__(self) -> str:
        return str(report("state").state_text(self))

    def _repr_html_(self) -> str:
        return str(report("state").state_html(self))


class Summaries(tuple[QuarantineSummary, ...]):
    """How many rows each dataset has in quarantine, by rule."""

    def __str__(self) -> str:
        return str(report("quarantine").summary_text(self))

    def _repr_html_(self) -> str:
        return str(report("quarantine").summary_html(self))


class Replays(tuple[ReplayResult, ...]):
    """What a replay did with each quarantine."""

    def __str__(self) -> str:
        return str(report("quarantine").replay_text(self))

    def _repr_html_(self) -> str:
        return str(report("quarantine").replay_html(self))


class Paused(tuple[Pause, ...]):
    """The datasets that no update works on for now, each with `dataset`, `since`, `reason`."""

    def __str__(self) -> str:
        return str(report("pauses").pauses_text(self))

    def _repr_html_(self) -> str:
        return str(report("pauses").pauses_html(self))


class Schedules(tuple["Scheduled", ...]):
    """The schedules of a spec, each with `schedule`, `next`, `last`, `paused`, `reason`."""

    def __str__(self) -> str:
        return str(report("schedules").schedules_text(self))

    def _repr_html_(self) -> str:
        return str(report("schedules").schedules_html(self))


class DueRuns(tuple["DueRun", ...]):
    """Due runs of schedules, each with `schedule`, `due`, `state`, `attempt`, `error` and more."""

    def __str__(self) -> str:
        return str(report("schedules").runs_text(self))

    def _repr_html_(self) -> str:
        return str(report("schedules").runs_html(self))


class Renaming(results.MoveResult):
    """What got another name, or was dropped."""

    def __str__(self) -> str:
        return str(report("move").move_text(self))

    def _repr_html_(self) -> str:
        return str(report("move").move_html(self))


class Promotion(results.PromotionResult):
    """What became this environment's, or would."""

    def __str__(self) -> str:
        return str(report("promotion").promotion_text(self))

    def _repr_html_(self) -> str:
        return str(report("promotion").promotion_html(self))


class Maintenance(model.Upkeep):
    """What maintenance did with each table, or would do."""

    def __str__(self) -> str:
        return str(report("upkeep").maintenance_text(self))

    def _repr_html_(self) -> str:
        return str(report("upkeep").maintenance_html(self))


class QuarantinedRows(results.FirstRows):
    """Rows in quarantine, with the rules that they broke."""

    def _paths(self) -> tuple[Path, Path]:
        # <root>/<storage>/tables/<dataset>__quarantine; sources elsewhere are shown in full.
        tables = Path(self.folder).parent
        return tables, tables.parent.parent

    def __str__(self) -> str:
        return str(report("quarantine").rows_text(self, *self._paths()))

    def _repr_html_(self) -> str:
        return str(report("quarantine").rows_html(self, *self._paths()))
