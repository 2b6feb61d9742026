"""What becomes of rows that others replace by equal columns: `KEYS`, and dbt's strategies.

Rows with the same values in these columns are a group: those of a key, or of a partition. The
newest epoch that has rows of a group says which ones it has. An epoch that reads what is new is
newer than all before it, whatever its clock says. Rows that come back from quarantine are as old
as the epoch that put them there, so that they replace no row that has come since; a hidden column
of the table's files says from which epoch a row is.
"""

from __future__ import annotations

from abc import abstractmethod

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Taken, Target
from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in, count_of, make
from qanat.engines.duckdb.types import Fitted, fit
from qanat.errors import ColumnNotFoundError, InvariantError, nearest
from qanat.model.keyed import Keyed, Strategy
from qanat.model.name import Names
from qanat.model.schema import STRING, Field, Primitive, Struct
from qanat.model.work import Merge, Work
from qanat.text import literal, quote

_LONG = Primitive("long")
_EPOCH = Struct((Field("at", _LONG), Field("flow", STRING), Field("epoch", _LONG)))
"""Of which epoch a row is: when its update began (microseconds since 1970, UTC), flow, number."""

_NEW, _GROUPS, _ROWS, _STATE = (f"__qanat_{name}" for name in ("new", "groups", "rows", "state"))
"""Names of temporary tables: new rows; the groups that they are of; rows of the table in these; by
group, whether rows that come back from quarantine take the place of those."""
_TAKEN = "__qanat_taken"
_LAST, _NUMBER, _REPLACES, _BESIDE = (
    f"__qanat_{name}" for name in ("last", "number", "replaces", "beside")
)


class ByKeys(Becoming[Keyed]):
    """Rows that replace those of their group."""

    _fitted: Fitted | None = None
    _returns = False

    @property
    def dated(self) -> bool:
        """True if rows that come back from quarantine have to say of which epoch they are."""
        return True

    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have changed it."""
        work = self.work
        relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        given = dict(zip(relation.columns, relation.types, strict=True))
        self._returns = given.pop(SEQUENCE, None) is not None
        known = Names(given)
        for name in self.changes.by:
            if name not in known:
                raise ColumnNotFoundError(
                    f"{work.dataset} has the key {name!r}, which its query does not give",
                    location=work.query.location,
                    wanted=", ".join(given),
                    nearest=nearest(name, list(given)),
                )
        types = self.widened([select])
        fitted = fit(
            list(given), list(given.values()), self.merge.target, work.query, work.dataset, types
        )
        self._fitted = fitted
        return Target.of(fitted, self._by, Field(SEQUENCE, _EPOCH))

    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`, from rows of a SELECT; `target` has been asked.

        Args:
            stored: SELECT text of all rows of the table, with their places; None: it has none.
            given: what the SELECT was made from.
        """
        del given
        by, columns = columns_in(self._by), columns_in(self._known.schema.names, "r")
        self._take(select)
        newest = f"max({SEQUENCE}) AS {_LAST}"
        if stored is not None or self._returns:
            make(self.con, _GROUPS, f"SELECT {by}, {newest} FROM {_NEW} GROUP BY ALL")
        make(self.con, _ROWS, self._touched(stored))
        replaced = ""
        if self._returns:
            make(self.con, _STATE, self._state())
            newer = f"(FROM {_STATE} WHERE {_REPLACES})"
            replaced = f"SEMI JOIN {newer} AS t ON {self._same('r', 't')}"
        make(self.con, GONE, f"SELECT {columns}, r.{RID} FROM {_ROWS} AS r {replaced}")
        # Of a first load, which may be large, there is no second copy.
        kind = "VIEW" if stored is None else "TABLE"
        make(self.con, FRESH, self._fresh(stored is not None), kind)
        return Taken(count_of(self.con, _NEW), self._late())

    @abstractmethod
    def _fresh(self, stored: bool) -> str:
        """SELECT text of `FRESH`; `stored` is False if the table has no rows."""

    @abstractmethod
    def _counts(self) -> str:
        """SQL that is true if a new row `n` counts that is of a group `t`."""

    # -- parts -----------------------------------------------------------------------------

    @property
    def _known(self) -> Fitted:
        if self._fitted is None:
            raise InvariantError("rows become others before their columns are known")
        return self._fitted

    @property
    def _by(self) -> tuple[str, ...]:
        """The columns that tell groups apart, as the table spells them."""
        found = (self._known.schema.get(n) for n in self.changes.by)
        return tuple(f.name for f in found if f is not None)

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self._known.schema.names, SEQUENCE)

    def _same(self, one: str, other: str) -> str:
        """SQL that is true if two rows are of one group."""
        parts = (f"{one}.{quote(n)} IS NOT DISTINCT FROM {other}.{quote(n)}" for n in self._by)
        return f"({' AND '.join(parts)})"

    def _take(self, select: str) -> None:
        """Take the rows of a SELECT, numbered in their order."""
        work = self.work
        # DuckDB numbers rows in their order, which `Work.ordered` has it keep.
        numbered = f"SELECT *, row_number() OVER () AS {_NUMBER} FROM ({select})"
        columns = f"{self._known.projection}, {_NUMBER}"
        if self._returns:
            make(self.con, _NEW, f"SELECT {columns}, {SEQUENCE} FROM ({numbered})")
            return
        # All of one epoch: kept with each row, that would take a third of the memory.
        at, flow = f"{work.at_ns // 1000}::BIGINT", literal(work.flow)
        now = f"at := {at}, flow := {flow}, epoch := {work.epoch}::BIGINT"
        make(self.con, _TAKEN, f"SELECT {columns} FROM ({numbered})")
        make(self.con, _NEW, f"SELECT *, struct_pack({now}) AS {SEQUENCE} FROM {_TAKEN}", "VIEW")

    def _touched(self, stored: str | None) -> str:
        """SELECT text of the rows of the table that are of the groups of new ones."""
        if stored is None:
            columns = f"{columns_in(self._columns)}, NULL::BIGINT AS {RID}"
            return f"SELECT {columns} FROM {_NEW} WHERE false"
        columns = f"{columns_in(self._columns, 'r')}, r.{RID}"
        touched = f"SEMI JOIN {_GROUPS} AS t ON {self._same('r', 't')}"
        return f"SELECT {columns} FROM ({stored}) AS r {touched}"

    def _state(self) -> str:
        """SELECT text of groups, and whether new rows replace those of the table, or join them."""
        mine, theirs = f"g.{_LAST}", f"s.{_LAST}"
        # Numbers of two flows say nothing about which of their epochs came first.
        same_flow = f"{mine}.at = {theirs}.at AND {mine}.flow = {theirs}.flow"
        newer = (
            f"({theirs} IS NULL OR {mine}.at > {theirs}.at "
            f"OR ({same_flow} AND {mine}.epoch > {theirs}.epoch))"
        )
        beside = f"coalesce({mine} = {theirs}, false)"
        by = columns_in(self._by)
        there = f"SELECT {by}, max({SEQUENCE}) AS {_LAST} FROM {_ROWS} GROUP BY ALL"
        return (
            f"SELECT g.*, {newer} AS {_REPLACES}, {beside} AS {_BESIDE} "
            f"FROM {_GROUPS} AS g LEFT JOIN ({there}) AS s ON {self._same('g', 's')}"
        )

    def _late(self) -> int:
        """How many new rows do not count, because others of their group are newer."""
        if not self._returns:
            return 0
        return count_of(self.con, _NEW) - count_of(self.con, f"{_NEW} AS n {self._counting}")

    @property
    def _counting(self) -> str:
        """A join that leaves the new rows `n` that count; none if all of them do."""
        if not self._returns:
            return ""
        return f"SEMI JOIN {_STATE} AS t ON {self._same('n', 't')} AND {self._counts()}"


class _LastOfKey(ByKeys):
    """`merge`: one row for each key, the last one."""

    def _fresh(self, stored: bool) -> str:
        by = columns_in(self._by)
        last = ""
        twice = f"SELECT 1 FROM {_NEW} GROUP BY {by} HAVING count(*) > 1 LIMIT 1"
        if self.con.execute(twice).fetchone() is not None:
            last = f" WHERE n.{_NUMBER} IN (SELECT max({_NUMBER}) FROM {_NEW} GROUP BY {by})"
        # Another tool may have written several rows of a key: the new one replaces the first.
        first = f"SELECT {by}, min({RID}) AS {RID} FROM {_ROWS} GROUP BY {by}"
        join = f"LEFT JOIN ({first}) AS o ON {self._same('n', 'o')} " if stored else ""
        place = f"o.{RID}" if stored else f"NULL::BIGINT AS {RID}"
        columns = columns_in(self._columns, "n")
        lacks = self._known.lacks if stored else ()
        if lacks:
            # What the query does not give stays as it is.
            join += f"LEFT JOIN {_ROWS} AS w ON w.{RID} = o.{RID} "
            columns = ", ".join(
                f"{'w' if name in lacks else 'n'}.{quote(name)}" for name in self._columns
            )
        return f"SELECT {columns}, {place} FROM {_NEW} AS n {join}{self._counting}{last}"

    def _counts(self) -> str:
        return f"t.{_REPLACES}"


class _AllOfGroup(ByKeys):
    """`delete+insert` and `insert_overwrite`: all rows of the newest epoch of a group."""

    def _fresh(self, stored: bool) -> str:
        del stored  # rows that go and rows that come are no pairs
        columns = f"{columns_in(self._columns, 'n')}, NULL::BIGINT AS {RID}"
        return f"SELECT {columns} FROM {_NEW} AS n {self._counting}"

    def _counts(self) -> str:
        return f"n.{SEQUENCE} = t.{_LAST} AND (t.{_REPLACES} OR t.{_BESIDE})"


def by_keys(
    con: DuckDBPyConnection, bindings: Bindings, work: Work, merge: Merge, changes: Keyed
) -> ByKeys:
    """What becomes of rows by a strategy."""
    kind = _LastOfKey if changes.strategy is Strategy.MERGE else _AllOfGroup
    return kind(con, bindings, work, merge, changes)
