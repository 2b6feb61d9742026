"""An opened project, and everything that can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Self

from qanat.declare.files import library_files
from qanat.ports.observer import Observer
from qanat.project.continuous import Continuous
from qanat.project.pages import keep_page
from qanat.project.quality import Quality
from qanat.project.relation import Query
from qanat.project.schedules import Scheduler
from qanat.project.selecting import Names, selection
from qanat.project.shown import (
    Events,
    History,
    Lineage,
    Overview,
    Plan,
    Promotion,
    Replays,
    State,
    Summaries,
    Update,
    Validation,
    shown,
)
from qanat.project.stamps import Stamps, stamps_of
from qanat.project.table import Quarantine, Table
from qanat.project.upkeep import Upkeep, run_module
from qanat.run.manifest import Manifest, manifest
from qanat.run.session import Session

_FRESH = 1.0
"""Seconds for which declarations of Python files count without running the files again."""


class Project(Continuous, Scheduler, Quality, Upkeep):
    """A project with one environment's settings. `qanat.open` makes it.

    Where datasets are selected, a name may be a glob; `+name` adds all upstream, `name+` all
    downstream. The project is one of this thread: threads open one each.
    """

    def __init__(self, path: Path, environment: str | None = None) -> None:
        self._path = path
        self._environment = environment
        self._opened: Session | None = Session.open(path, environment)
        self._stamped: Stamps | None = stamps_of(self._opened)
        self._read_at = monotonic()

    @property
    def session(self) -> Session:
        """The opened project and its adapters as they are, for `qanat.cli`."""
        if self._opened is None:
            self._opened = self._reopened()
            self._stamped = stamps_of(self._opened)
            self._read_at = monotonic()
        return self._opened

    def _current(self) -> Session:
        """The session, after a look whether files of the project have changed since the last."""
        # A program opens a project for one call: it need not read the same files twice.
        up_to_date = self._stamped is not None and self._stamped == stamps_of(self.session)
        # What a Python file declares may change without the file: it may import or read others.
        if up_to_date and monotonic() - self._read_at > _FRESH:
            up_to_date = not any(f.suffix == ".py" for f in library_files(self.session.project))
        self._stamped = None
        if not up_to_date and self._opened is not None:
            self._take_up(self._reopened())
        return self.session.look_again()

    def _reopened(self) -> Session:
        return Session.open(self._path, self._environment)

    def _take_up(self, reopened: Session) -> None:
        """Go on with what the project's files declare now."""
        if self._opened is not None and reopened.project == self._opened.project:
            # Connections, engine and caches go on; only what is declared is new.
            self._opened.declare(reopened.analysis, reopened.problems)
        else:
            self.close()
            self._opened = reopened

    @property
    def name(self) -> str:
        """As the spec says."""
        return self.session.project.name

    @property
    def environment(self) -> str:
        """The environment whose settings are used."""
        return self.session.project.environment

    @property
    def root(self) -> Path:
        """The folder of the spec."""
        return self.session.project.root

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of all datasets, each after what it reads."""
        return self._current().graph.order

    def validate(self) -> Validation:
        """Check the whole project without running it: names, columns, types, functions, rules.

        >>> project.validate().valid
        True
        """
        return shown(Validation, run_module("validate").validate(self._current()))

    def plan(
        self,
        select: Names = (),
        *,
        refresh: Names = (),
        full_refresh: Names | bool = False,
        read_again: Names = (),
        only: bool = False,
        accept_loss: bool = False,
        replace: Names = (),
    ) -> Plan:
        """What `run` with the same arguments would do, and why; nothing is touched.

        Raises:
            ProblemsError, SelectionError, ResetError, RowsLostError: as `run`.

        >>> plan = project.plan("silver_orders")
        >>> plan.datasets[0].reason, plan.blocked
        ('nothing new', False)
        """
        chosen = selection(select, refresh, full_refresh, read_again, only, accept_loss, replace)
        return shown(Plan, run_module("plan").plan(self._current(), chosen))

    def run(
        self,
        select: Names = (),
        *,
        refresh: Names = (),
        full_refresh: Names | bool = False,
        read_again: Names = (),
        only: bool = False,
        accept_loss: bool = False,
        replace: Names = (),
        wait: float | bool = False,
        origin: str | None = None,
        observers: Sequence[Observer] = (),
    ) -> Update:
        """Bring datasets up to date: read what is new, check it, publish it.

        A dataset that fails stops only what reads it: look at `status` and `failed`.

        Args:
            select: only these; default: all.
            refresh: these even if nothing changed.
            full_refresh: these from the start, in place of what is there, and with them what
                has read them as a stream; True for all.
            read_again: add to these what they would read from its start beside what they have
                read under another name, as other rows.
            only: leave out what has read them as a stream.
            accept_loss: even if rows are lost because the files that they came from are gone.
            replace: files that have come back with new content: their rows take the place of
                those that were read of them before.
            wait: seconds to wait for other updates of these datasets; True: as long as it takes.
            origin: what starts it, such as a task of an orchestrator, for the history; default:
                a person.
            observers: get every event as it happens.

        Raises:
            ProblemsError: the declarations are wrong; nothing was run.
            SelectionError: a name matches nothing, or no flow has read a file.
            ResetError: a dataset that would start over is protected by the table property
                `pipelines.reset.allowed = false`.
            RowsLostError: a full refresh would lose rows.
            UpdateRunningError: another update works on one of the datasets.

        >>> update = project.run()
        >>> update.status, update["silver_orders"].status
        ('succeeded', 'unchanged')
        """
        chosen = selection(select, refresh, full_refresh, read_again, only, accept_loss, replace)
        update = run_module("update").update
        done = update(self._current(), chosen, observers, wait, origin)
        keep_page(self.session, done.id, observers)
        return shown(Update, done)

    def table(self, name: str, version: int | None = None) -> Table:
        """A stored table: a dataset's, or `<dataset>__quarantine`.

        Args:
            version: as it was then; default: the newest, each time that it is read.

        Raises:
            DatasetNotFoundError: no such dataset is declared; names the nearest.
            TableNotFoundError: it has no table (yet), or no such version.

        >>> len(project.table("silver_orders"))
        5
        """
        return Table(self._current, name, version)

    def query(self, sql: str) -> Query:
        """A query over the stored tables (`<dataset>__quarantine` too), in the project's dialect.

        `VERSION AS OF 3` behind a name reads the table as it was then.

        Raises:
            DeclarationError: it is no query, or does not fit the tables; says where in it.

        >>> project.query("SELECT count(*) AS n FROM silver_orders VERSION AS OF 0").rows()
        [(5,)]
        """
        query = run_module("query").query
        return Query(sql, lambda limit: query(self._current(), sql, limit))

    def state(self, name: str) -> State:
        """What the flows of a dataset keep from one epoch to the next.

        Raises:
            DatasetNotFoundError: no such dataset; names the nearest.
            TableNotFoundError: they keep nothing, or have never run.

        >>> project.state("silver_orders")
        Traceback (most recent call last):
        ...
        qanat.errors.adapter.TableNotFoundError: ...silver_orders keeps no state...
        """
        return shown(State, run_module("keeping").state(self._current(), name))

    def quarantine(self, name: str) -> Quarantine:
        """The quarantine of a dataset: its rows, and their replay.

        Raises:
            DatasetNotFoundError: no such dataset is declared; names the nearest.

        >>> len(project.quarantine("silver_orders"))
        3
        """
        return Quarantine(self._current, name, self.replay)

    def overview(self) -> Overview:
        """The tables, materialized views and sinks, in the order in which an update takes them.

        Raises:
            ProblemsError: the declarations are wrong.

        >>> [(each.dataset, each.rows) for each in project.overview()][0]
        ('bronze_orders', 9)
        """
        return Overview(run_module("overview").overview(self._current()))

    def quarantines(self) -> Summaries:
        """How many rows each dataset has in quarantine, by rule; only datasets that have some.

        >>> [(each.dataset, each.rows) for each in project.quarantines()]
        [('silver_orders', 3)]
        """
        return Summaries(run_module("quarantine").summary(self._current()))

    def replay(
        self,
        dataset: str | None = None,
        observers: Sequence[Observer] = (),
        wait: float | bool = False,
    ) -> Replays:
        """Check quarantined rows against the rules as they are now; move those that pass, once.

        Args:
            dataset: only its quarantine; default: those of all streaming tables.

        Raises:
            DatasetNotFoundError: no such dataset is declared.
            PlanError: it is no streaming table.
            UpdateRunningError: an update works on one of the datasets.

        >>> [(each.examined, each.replayed) for each in project.replay()]
        [(3, 0)]
        """
        return Replays(run_module("quarantine").replay(self._current(), dataset, observers, wait))

    def promote(
        self,
        *datasets: str,
        origin: str,
        only: bool = False,
        accept_loss: bool = False,
        dry_run: bool = False,
        wait: float | bool = False,
        observers: Sequence[Observer] = (),
    ) -> Promotion:
        """Make tables that another environment has computed this one's, each in one commit.

        Rows are checked by the rules first; the next `run` goes on where the other one stopped.

        Args:
            origin: the environment that has computed them.
            only: leave alone what has read them as a stream here; it has to start over.
            accept_loss: even if rows are lost because the files that they came from are gone.
            dry_run: look at everything but the rules, and write nothing.

        Raises:
            PromotionError, RereadError, NotAppendOnlyError: the other has computed something else
                than this environment would have; says the way out.
            ResetError, RowsLostError: rows that are here may not be replaced, or would be lost.
            ExpectationFailedError: a row violates a `fail` rule; nothing of that is visible.
            UpdateRunningError: an update works on one of the datasets, here or there.

        Example:

            with qanat.open("shop", "prod") as project:
                print(project.promote("revenue", origin="dev"))
        """
        module = run_module("promote")
        asked = module.Promotion(datasets, origin, only, accept_loss)
        return shown(Promotion, module.promote(self._current(), asked, observers, wait, dry_run))

    def history(self, dataset: str | None = None, limit: int = 20) -> History:
        """The newest updates with their epochs; with a dataset: only those that worked on it.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> str(project.history("silver_orders")[-1].update.status)
        'succeeded'
        """
        return History(run_module("look").history(self._current(), dataset, limit=limit))

    def events(self, update: str = "last", dataset: str | None = None) -> Events:
        """What an update told, in its order: starts, ends, rows, broken rules, errors, warnings.

        Args:
            update: its identifier, as `history` gives it; default: the newest.
            dataset: only the events about this one.

        Raises:
            UpdateNotFoundError: there is no such update.
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> print(project.events(dataset="silver_orders"))  # doctest: +ELLIPSIS
        2...
        """
        return shown(Events, run_module("look").update_events(self._current(), update, dataset))

    def manifest(self, select: Names = ()) -> Manifest:
        """What an orchestrator needs to know: the datasets, what they read, and their rules.

        Args:
            select: only these; default: all.

        Raises:
            ProblemsError: the declarations are wrong.
            SelectionError: a name matches nothing.

        >>> [(each.dataset, each.reads) for each in project.manifest().datasets][2]
        ('silver_orders', ('bronze_orders', 'customers'))
        """
        return manifest(self._current(), selection(select).select)

    def lineage(self, target: str | None = None) -> Lineage:
        """What `table` or `table.column` is made from; without a target: every table.

        Raises:
            DatasetNotFoundError: no such dataset is declared.
            ColumnNotFoundError: the table has no such column.

        >>> print(project.lineage("silver_orders"))  # doctest: +ELLIPSIS
        silver_orders (streaming table)
        ├─ bronze_orders (streaming table)
        ...
        """
        return shown(Lineage, run_module("lineage").lineage(self._current(), target))

    def close(self) -> None:
        """Close what was opened; whatever is called next opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Project({self.name!r}, environment={self.environment!r}, root={str(self.root)!r})"
