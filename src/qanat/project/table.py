"""The tables of a project, and their quarantines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from qanat.frozen import Frozen
from qanat.model.record import EpochStatus
from qanat.model.schema import Field
from qanat.ports.observer import Observer
from qanat.project.relation import Query, Relation
from qanat.project.shown import (
    FirstRows,
    History,
    Lineage,
    Profile,
    QuarantinedRows,
    Replays,
    shown,
)
from qanat.run.results import DiscardResult
from qanat.run.session import Session
from qanat.run.stored import Stored, stored

Opened = Callable[[], Session]
"""Gives the opened project as it is now."""


class TableVersion(Frozen):
    """One version of a table.

    Args:
        at: when it was committed; None where the ledger does not know it.
        update: the update that did it.
        written: rows that it wrote.
        replaces: it took the place of all rows instead of adding to them.
    """

    version: int
    at: datetime | None = None
    update: str | None = None
    written: int | None = None
    replaces: bool | None = None


class Table(Relation):
    """A stored table of a project, as it is now or at one version.

    Args:
        version: None for the newest each time it is read.
    """

    def __init__(self, session: Opened, name: str, version: int | None = None) -> None:
        super().__init__(partial(_read, session, name, version))
        self._session = session
        self._version = version
        self.name = name
        table = self._stored()
        self.name, self.kind = table.name, table.kind

    def _stored(self) -> Stored:
        return stored(self._session(), self.name, self._version)

    @property
    def version(self) -> int:
        """The version that is read."""
        return self._stored().snapshot.version

    @property
    def columns(self) -> tuple[Field, ...]:
        """The columns, each with `name`, `type`, `nullable` and `comment`."""
        return self._stored().snapshot.schema.fields

    @property
    def comment(self) -> str | None:
        """What its author says of it."""
        return self._stored().snapshot.comment

    def __len__(self) -> int:
        """How many rows it has."""
        known = self._stored().snapshot.rows
        return (
            known if known is not None else int(self.sql("SELECT count(*) FROM self").rows()[0][0])
        )

    def versions(self) -> tuple[TableVersion, ...]:
        """All versions, oldest first, with what the ledger knows of them.

        >>> [(each.version, each.written) for each in project.table("silver_orders").versions()]
        [(0, 5)]
        """
        session = self._session()
        newest = session.readable(self.name).version
        epochs = {
            e.version: e
            for e in session.recorded.epochs(dataset=self.name, limit=1_000_000)
            if e.version is not None and e.status is EpochStatus.COMMITTED
        }
        return tuple(_version(number, epochs.get(number)) for number in range((newest or 0) + 1))

    def sql(self, query: str) -> Query:
        """Ask this table, which the query calls `self`.

        Args:
            query: in the project's dialect; it may read the project's other tables too.

        Raises:
            DeclarationError: it does not fit the tables; says where.

        >>> project.table("silver_orders").sql("SELECT max(amount) AS top FROM self").rows()
        [(Decimal('720.00'),)]
        """
        return Query(query, partial(_ask, self._session, self._stored, query))

    def show(self, limit: int = 20, where: str | None = None) -> FirstRows:
        """The first rows, and what is known of the table.

        Args:
            where: only rows for which this condition, in the project's dialect, is true.

        >>> print(project.table("customers").show(1))  # doctest: +ELLIPSIS
        customers: materialized view, version 0, 4 rows, 1 file, ...
        """
        show = import_module("qanat.run.look").show
        session = self._session()
        return shown(
            FirstRows, show(session, self.name, limit=limit, where=where, version=self._version)
        )

    def profile(self, columns: Sequence[str] = (), where: str | None = None) -> Profile:
        """Describe its columns (see `Project.profile`).

        Args:
            columns: only these, in this order; default: all.
            where: only rows for which this condition, in the project's dialect, is true.

        >>> project.table("silver_orders").profile(["amount"]).columns[0].high
        Decimal('720.00')
        """
        run = import_module("qanat.run.profile").profile
        return shown(Profile, run(self._session(), self.name, columns, where, self._version))

    def history(self, limit: int = 20) -> History:
        """The newest updates that worked on it.

        >>> len(project.table("silver_orders").history()) > 0
        True
        """
        return History(import_module("qanat.run.look").history(self._session(), self.name, limit))

    def lineage(self) -> Lineage:
        """What it is made from.

        >>> project.table("silver_orders").lineage().roots[0].name
        'silver_orders'
        """
        lineage = import_module("qanat.run.lineage").lineage(self._session(), self.name)
        return shown(Lineage, lineage)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, version={self.version})"

    def __str__(self) -> str:
        return str(self.show())

    def _repr_html_(self) -> str:
        return self.show()._repr_html_()


class Quarantine:
    """The rows of a dataset that broke a rule with the action `quarantine`."""

    def __init__(self, session: Opened, name: str, replay: Callable[..., Replays]) -> None:
        self._session = session
        self._replay = replay
        self.name = name
        self._first(1, None, False)  # raises DatasetNotFoundError now, not at the first use

    @property
    def table(self) -> Table:
        """The same rows as a table, to be read as a data frame or asked by SQL.

        Raises:
            TableNotFoundError: no row was ever put there.

        >>> project.quarantine("silver_orders").table.name
        'silver_orders__quarantine'
        """
        return Table(self._session, f"{self.name}__quarantine")

    def rows(self, limit: int = 20, rule: str | None = None) -> QuarantinedRows:
        """The first rows, with the rules that they broke and where they came from.

        Args:
            rule: only rows that broke this one.

        >>> len(project.quarantine("silver_orders").rows(rule="positive_amount").rows)
        1
        """
        return self._first(limit, rule, True)

    def _first(self, limit: int, rule: str | None, origins: bool) -> QuarantinedRows:
        rows = import_module("qanat.run.quarantine").rows
        return shown(QuarantinedRows, rows(self._session(), self.name, limit, rule, origins))

    def traced(self, where: str | None = None, rule: str | None = None) -> Query:
        """All rows, each with where it comes from, also through tables, as a query.

        The column `_quarantine_origin` tells file and line, the tables that the row came
        `through`, of how many rows that are `alike` it may be any, and in `note` why no more is
        known. `rows` has it for the rows that it gives.

        Args:
            where: only rows for which this condition, in the project's dialect, is true.
            rule: only rows that broke this one.

        Raises:
            TableNotFoundError: no row was ever put there.

        >>> project.quarantine("silver_orders").traced().columns[-1].name
        '_quarantine_origin'
        """
        session, export = self._session(), import_module("qanat.run.export").QuarantineExport
        return Query("", export(session, self.name, where, rule).read)

    def replay(self, observers: Sequence[Observer] = ()) -> Replays:
        """Check the rows against the rules as they are now; move those that pass, once.

        Raises:
            PlanError: it is the quarantine of no streaming table.
            UpdateRunningError: an update is running.

        >>> [each.remaining for each in project.quarantine("silver_orders").replay()]
        [3]
        """
        return self._replay(self.name, observers)

    def discard(
        self,
        rule: str | None = None,
        where: str | None = None,
        observers: Sequence[Observer] = (),
        wait: float | bool = False,
    ) -> DiscardResult:
        """Throw rows away, for good; the history keeps how many.

        Args:
            rule: only rows that broke this one.
            where: only rows for which this condition, in the project's dialect, is true.

        Raises:
            PlanError: it is the quarantine of no streaming table.
            UpdateRunningError: an update works on the dataset.

        >>> project.quarantine("silver_orders").discard(where="amount = 0").discarded
        0
        """
        session, discard = self._session(), import_module("qanat.run.discard").discard
        done: DiscardResult = discard(session, self.name, rule, where, observers, wait)
        return done

    def __len__(self) -> int:
        """How many rows it has."""
        return self._first(1, None, False).total or 0

    def __repr__(self) -> str:
        return f"Quarantine({self.name!r})"

    def __str__(self) -> str:
        return str(self.rows())

    def _repr_html_(self) -> str:
        return self.rows()._repr_html_()


def _version(number: int, epoch: Any) -> TableVersion:
    if epoch is None:
        return TableVersion(number)
    return TableVersion(
        number,
        datetime.fromtimestamp(epoch.ended or epoch.started, UTC),
        epoch.update,
        epoch.counts.written if epoch.counts else None,
        epoch.replaces,
    )


def _read(session: Opened, name: str, version: int | None, limit: int | None) -> Any:
    opened = session()
    table = stored(opened, name, version)
    query = import_module("qanat.run.query").query
    return query(opened, "SELECT * FROM self", limit, table)


def _ask(session: Opened, table: Callable[[], Stored], query: str, limit: int | None) -> Any:
    return import_module("qanat.run.query").query(session(), query, limit, table())
