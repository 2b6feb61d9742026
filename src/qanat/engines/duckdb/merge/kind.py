"""What the merge of an epoch asks of each kind of changes: what becomes of the rows it touches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Self, TypeVar

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.inputs import Bindings, file_name
from qanat.engines.duckdb.types import Conversion, Fitted, columns_of
from qanat.engines.duckdb.widening import Widening
from qanat.frozen import Frozen
from qanat.model.changes import Changes
from qanat.model.name import Named, Names
from qanat.model.schema import DataType, Field, Schema
from qanat.model.work import Merge, TableBatch, Work
from qanat.planning.fit import redeclared

C = TypeVar("C", bound=Changes)

FRESH, GONE = "__qanat_fresh", "__qanat_gone"
"""Relations that a kind makes. `FRESH`: rows that are not in the table yet, in the columns of its
files (`Target.stored`), with the place (`RID`) of the row that each replaces; NULL: none. `GONE`:
all rows that are not there afterwards, in the columns of the table, with their places."""


class Target(Frozen):
    """The columns of a table after an epoch.

    Args:
        schema: as readers see them.
        stored: those of its files: perhaps with hidden ones.
        sorted_by: of many new rows at once, those by which they are sorted. Files lie next to each
            other by the first of them.
        casts: the conversions of values on their way into the table.
        lacks: columns of the table that the query does not give.
        hidden: those of its files that readers do not see, as they are before the epoch.
        widens: whether columns that it has get wider types.
    """

    schema: Schema
    stored: Schema
    sorted_by: tuple[str, ...]
    casts: tuple[Conversion, ...] = ()
    lacks: tuple[str, ...] = ()
    hidden: tuple[Field, ...] = ()
    widens: bool = False

    @classmethod
    def of(cls, fitted: Fitted, sorted_by: tuple[str, ...], hidden: Field) -> Self:
        """The columns that a query has been fitted to, with a hidden one in the files."""
        return cls(
            fitted.schema,
            Schema((*fitted.schema.fields, hidden)),
            sorted_by,
            fitted.casts,
            fitted.lacks,
            (hidden,),
            fitted.widens,
        )


class Taken(Frozen):
    """How many rows an epoch brought, and how many of them came too late to count.

    Args:
        notes: what to tell of it.
    """

    rows: int
    late: int = 0
    notes: tuple[str, ...] = ()


class Given(Frozen):
    """What the rows of an epoch were made from.

    Args:
        select: SELECT text of the rows of the query, before rules took some away.
        lost: how many rows there would be besides, had they been parsed and computed.
        groups: SELECT text of the groups (`stateful.GROUP`) whose earlier rows go; None: rows are
            of no group.
    """

    select: str
    lost: int
    groups: str | None = None


class Becoming(ABC, Generic[C]):
    """What becomes of the rows of one table by the rows of one epoch.

    Args:
        bindings: of the epoch; what is stored is bound there.
        changes: what the rows of the epoch mean.
    """

    def __init__(
        self, con: DuckDBPyConnection, bindings: Bindings, work: Work, merge: Merge, changes: C
    ) -> None:
        self.con, self.bindings, self.work, self.merge = con, bindings, work, merge
        self.changes = changes

    @abstractmethod
    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have changed it."""

    @abstractmethod
    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`, from rows of a SELECT; `target` has been asked.

        Args:
            stored: SELECT text of all rows of the table, with their places; None: it has none.
            given: what the SELECT was made from.
        """

    def untold(self) -> tuple[str, Schema] | None:
        """SELECT text and columns of what later epochs need and rows do not tell.

        None if there is nothing, and has never been.
        """
        return None

    @property
    def may_widen(self) -> bool:
        """True if columns of the table may get wider types."""
        target = self.merge.target
        plain = target.stored is not None and isinstance(target.stored.batch, TableBatch)
        return plain and (self._by_rows or bool(redeclared(target.schema, target.declared)))

    @property
    def _by_rows(self) -> bool:
        """True if they may get them by the rows of the epoch."""
        work = self.work
        return work.widens and (work.unchanged or self.bindings.widened)

    def widened(
        self,
        selects: Sequence[str],
        columns: Schema | None = None,
        there: str | None = None,
        ordering: Names | None = None,
    ) -> Named[DataType]:
        """The types that columns of the table get, so that it takes the rows of SELECTs.

        Args:
            columns: that the table has; None: as readers see them.
            there, ordering: see `Widening.types`.
        """
        if not self.may_widen:
            return Named()
        target = self.merge.target
        if columns is not None:
            target = replace(target, schema=columns)
        parts = []
        for select in selects if self._by_rows else ():
            relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
            parts.append((columns_of(relation.columns, relation.types), select))
        widening = Widening(self.con, self.bindings, file_name(self.work.dataset), target)
        return widening.types(parts, there, ordering)

    @property
    def dated(self) -> bool:
        """True if rows that come back from quarantine have to say of which epoch they are."""
        return False
