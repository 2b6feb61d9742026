"""A project as Luigi tasks: one for each dataset, complete when the ledger says so.

A dataset is complete if there is nothing to do for it and for all that it reads, or if it was
brought up to date since the time that the parameter `since` names. What an update counts is the
status message of the task, on the page of the central scheduler.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from ctypes import c_bool
from datetime import UTC, datetime
from multiprocessing import Value
from pathlib import Path
from typing import Any

from luigi import (
    BoolParameter,
    DateSecondParameter,
    DictParameter,
    ListParameter,
    OptionalFloatParameter,
    OptionalParameter,
    Parameter,
    Target,
    Task as LuigiTask,
)

from qanat.errors import DeclarationError
from qanat.orchestrate.manifest import read_manifest
from qanat.orchestrate.program import Qanat, called
from qanat.orchestrate.tasks import Task, tasks

_LOGGER = logging.getLogger("luigi-interface")
_IDLE = ("skip", "none")
_RECENT = "1000"
"""Updates among which those since a time are looked for."""


def now() -> datetime:
    """The next full second, UTC: no update that began earlier counts as one since then."""
    return datetime.fromtimestamp(math.ceil(time.time()), UTC).replace(tzinfo=None)


class DatasetTarget(Target):
    """A dataset that is up to date.

    Args:
        caller: the project.
        dataset: its name.
        since: an update that began later is enough.
        anew: whether only such an update is enough.
    """

    def __init__(self, caller: Qanat, dataset: str, since: datetime, anew: bool = False) -> None:
        self.caller, self.dataset, self.since, self.anew = caller, dataset, since, anew

    def exists(self) -> bool:
        """True if there is nothing to do for it, or it was done since."""
        # What had nothing to do when the run began stays complete, whatever arrives meanwhile.
        if not self.anew and self.dataset in _idle(self.caller, self.since):
            return True
        done = self._done()
        if self.dataset in done or self.anew:
            return self.dataset in done
        if not done:
            return False  # Nothing has moved since it was found to have something to do.
        # An update that found nothing new is in no ledger.
        return all(step in _IDLE or name in done for name, step in self._steps().items())

    def _done(self) -> set[str]:
        """The datasets that have committed something since."""
        document = self.caller.ask("history", "--limit", _RECENT, "--output", "json")
        since = self.since.replace(tzinfo=UTC)
        return {
            epoch["dataset"]
            for update in document["updates"]
            for epoch in update["epochs"]
            if epoch["status"] == "committed" and datetime.fromisoformat(epoch["started"]) >= since
        }

    def _steps(self) -> dict[str, str]:
        """What an update would do with it, and with all that it reads."""
        return _planned(self.caller, "--select", f"+{self.dataset}")


_KNOWN: dict[str, frozenset[str]] = {}
"""By project and time, what was complete when this process first asked."""


def _idle(caller: Qanat, since: datetime) -> frozenset[str]:
    """The datasets for which, and for whose inputs, there was nothing to do."""
    key = f"{caller} {since}"
    if key not in _KNOWN:
        steps = _planned(caller)
        idle: set[str] = set()
        for each in read_manifest(caller).datasets:
            if steps.get(each.dataset) in _IDLE and idle.issuperset(each.reads):
                idle.add(each.dataset)
        _KNOWN[key] = frozenset(idle)
    return _KNOWN[key]


def _planned(caller: Qanat, *options: str) -> dict[str, str]:
    document = caller.ask("plan", *options, "--output", "json")
    return {each["dataset"]: each["step"] for each in document["datasets"]}


class UpdateTask(LuigiTask):
    """Brings datasets of a project up to date: `qanat run` in a process of its own.

    Args:
        project: folder of the project.
        name: of a dataset, a group or the project, as `granularity` says.
        environment: of the spec.
        since: a dataset is complete if it was brought up to date since (UTC).
        select: datasets that the tasks are about; none: all.
        refresh, full_refresh: update even if nothing has changed; process everything again.
        qanat: the program, such as `["/opt/qanat/bin/qanat"]`.
        variables: environment variables for updates.
        wait: seconds to wait for other updates of the datasets; default: as long as it takes.
    """

    project = Parameter()
    name = Parameter()
    environment = OptionalParameter(default=None)
    granularity = Parameter(default="dataset", significant=False)
    since = DateSecondParameter(default=now())
    select = ListParameter(default=[], significant=False)
    refresh = BoolParameter(default=False)
    full_refresh = BoolParameter(default=False)
    qanat = ListParameter(default=[], significant=False)
    variables = DictParameter(default={}, significant=False)
    wait = OptionalFloatParameter(default=None, significant=False)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Luigi runs each try in a fork of its own, and knows no error that forbids another one.
        self._hopeless = Value(c_bool, False, lock=False)
        # A refresh that finds nothing new is in no ledger.
        self._succeeded = Value(c_bool, False, lock=False)

    @property
    def caller(self) -> Qanat:
        """How the project's updates are started."""
        variables = {k: str(v) for k, v in self.variables.items()}
        return Qanat(self.project, self.environment, tuple(self.qanat), variables, self.wait)

    def requires(self) -> list[UpdateTask]:
        """The tasks of what its datasets read."""
        return [self.clone(name=name) for name in self._task().after]

    def output(self) -> list[DatasetTarget]:
        """Its datasets, up to date."""
        anew = self.refresh or self.full_refresh
        names = self._task().select
        return [DatasetTarget(self.caller, name, self.since, anew) for name in names]

    def complete(self) -> bool:
        """True if this process has run it with success, or its output is up to date."""
        return bool(self._succeeded.value) or bool(super().complete())

    def run(self) -> None:
        """Run the update.

        Raises:
            QanatError: data or the update failed, or an author must change something.
        """
        if self._hopeless.value:
            raise DeclarationError("an author must change something first; see the first try")
        outcome = self.caller.run(
            self._task().select,
            _LOGGER.log,
            origin=f"luigi {self.task_id}",
            refresh=self.refresh,
            full_refresh=self.full_refresh,
        )
        self.set_status_message("\n".join(map(_line, outcome.numbers.items())))
        if outcome.error is not None:
            hopeless = outcome.error.exit_code == DeclarationError.exit_code
            self._hopeless.value = c_bool(hopeless)
            raise outcome.error
        self._succeeded.value = c_bool(True)

    def _task(self) -> Task:
        found = read_manifest(self.caller, list(self.select))
        return next(t for t in tasks(found, self.granularity) if t.identifier == self.name)


def _line(entry: tuple[str, Mapping[str, Any]]) -> str:
    """One dataset's numbers as people read them."""
    name, numbers = entry
    told = (f"{k}={v}" for k, v in numbers.items() if v and k not in ("status", "violations"))
    rules = (f"{rule}: {n} violations" for rule, n in numbers["violations"].items() if n)
    return f"{name}: {numbers['status']} " + " ".join([*told, *rules])


def pipeline_tasks(
    path: str | Path,
    *,
    environment: str | None = None,
    granularity: str = "dataset",
    select: Sequence[str] = (),
    qanat: str | Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    wait: float | None = None,
    since: datetime | None = None,
    refresh: bool = False,
    full_refresh: bool = False,
) -> list[UpdateTask]:
    """A project as tasks: those that no other waits for, which require all others.

    Args:
        path: folder of the project.
        environment: of the spec.
        granularity: a task for each `dataset`, for each `group`, or one for the `project`.
        select: only these datasets, as `qanat run --select` has them.
        qanat: the program, such as `/opt/qanat/bin/qanat`; default: this interpreter's Qanat, or
            that of the PATH.
        variables: environment variables for updates.
        wait: seconds to wait for other updates of the datasets; default: as long as it takes.
        since: UTC; a dataset that was brought up to date since is complete. Default: now.
        refresh, full_refresh: update even if nothing has changed; process everything again.

    Raises:
        QanatError: the project is wrong.

    Example:

        import luigi
        from qanat.orchestrate.luigi import pipeline_tasks

        luigi.build(pipeline_tasks("/srv/shop"), workers=4)
    """
    caller = Qanat(str(path), environment, called(qanat), dict(variables or {}), wait)
    planned = tasks(read_manifest(caller, select), granularity)
    moment = since or now()
    inner = {name for task in planned for name in task.after}
    return [
        UpdateTask(
            project=str(path),
            name=task.identifier,
            environment=environment,
            granularity=granularity,
            since=moment,
            select=list(select),
            refresh=refresh,
            full_refresh=full_refresh,
            qanat=list(caller.command),
            variables=dict(caller.variables),
            wait=wait,
        )
        for task in planned
        if task.identifier not in inner
    ]
