"""What becomes of rows that are the results of groups: those of touched groups are replaced.

Which group a row is of, a hidden column of the table's files says: no column of the result needs
to tell. A group may have no row any more, as where HAVING does not hold or a rule has taken it.
"""

from __future__ import annotations

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Taken, Target
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, make
from qanat.engines.duckdb.types import Fitted, fit
from qanat.errors import InvariantError
from qanat.model.results import Results
from qanat.model.schema import STRING, Field
from qanat.model.stateful import GROUP
from qanat.text import quote

_NEW, _GROUPS = "__qanat_new", "__qanat_groups"


class ByGroups(Becoming[Results]):
    """Rows that replace those of their group."""

    _fitted: Fitted | None = None

    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have changed it."""
        work = self.work
        relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        given = dict(zip(relation.columns, relation.types, strict=True))
        given.pop(GROUP, None)
        types = self.widened([f"SELECT {columns_in(given)} FROM ({select})"])
        self._fitted = fitted = fit(
            list(given), list(given.values()), self.merge.target, work.query, work.dataset, types
        )
        return Target.of(fitted, (GROUP,), Field(GROUP, STRING))

    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`, from rows of a SELECT; `target` has been asked.

        Args:
            stored: SELECT text of all rows of the table, with their places; None: it has none.
            given: what the SELECT was made from.
        """
        fitted = self._fitted
        if fitted is None or given.groups is None:
            raise InvariantError("results of groups come without their groups")
        make(self.con, _NEW, f"SELECT {fitted.projection}, {GROUP} FROM ({select})")
        rows = count_of(self.con, _NEW)
        columns = columns_in(fitted.schema.names, "r")
        there = f"SELECT {columns}, r.{RID}, r.{GROUP} FROM ({stored}) AS r"
        if stored is None:
            there = f"SELECT {columns}, NULL::BIGINT AS {RID}, r.{GROUP} FROM {_NEW} AS r LIMIT 0"
            make(self.con, GONE, there)
        else:
            make(self.con, _GROUPS, given.groups)
            make(self.con, GONE, f"{there} SEMI JOIN {_GROUPS} AS t ON r.{GROUP} = t.{GROUP}")
        self._leave_what_is_same(fitted.schema.names)
        new = f"SELECT *, row_number() OVER (PARTITION BY {GROUP}) AS nth FROM {_NEW}"
        nth = f"row_number() OVER (PARTITION BY {GROUP} ORDER BY {RID}) AS nth"
        old = f"SELECT {RID}, {GROUP}, {nth}"
        make(
            self.con,
            FRESH,
            f"SELECT {columns_in((*fitted.schema.names, GROUP), 'n')}, o.{RID} FROM ({new}) AS n "
            f"LEFT JOIN ({old} FROM {GONE}) AS o ON n.{GROUP} = o.{GROUP} AND n.nth = o.nth",
        )
        return Taken(rows)

    def _leave_what_is_same(self, names: tuple[str, ...]) -> None:
        """Leave out rows of which the table has an equal one: they are no change."""
        by = columns_in((GROUP, *names))
        for table in (_NEW, GONE):
            number = f"row_number() OVER (PARTITION BY {by}) AS same"
            make(self.con, f"{table}_n", f"SELECT *, {number} FROM {table}")
        every = ("same", GROUP, *names)
        same = " AND ".join(f"n.{quote(c)} IS NOT DISTINCT FROM o.{quote(c)}" for c in every)
        for table, other in ((_NEW, GONE), (GONE, _NEW)):
            rest = f"FROM {table}_n AS n ANTI JOIN {other}_n AS o ON {same}"
            make(self.con, table, f"SELECT n.* EXCLUDE (same) {rest}")
