"""Find the rows of a small batch that break conditions on single rows, by one statement.

With a thousand rows, DuckDB takes longer to plan a statement than to read the rows. So one
statement returns all that is needed: how many rows each filter is about, and for each row that
breaks a condition, which ones. Every condition and filter stands in it once, under a name, because
binding them is most of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.masks import Masks
from qanat.engines.duckdb.rules import about, holds
from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate

_MOST = 10_000
"""Rows that break a condition, at most: they come as Python lists, which take memory."""
_HOLDS, _ABOUT = "__qanat_holds_", "__qanat_about_"


class Glance(Frozen):
    """What one look at a small batch finds.

    Args:
        total: rows of the batch.
        about: for each expectation, how many rows it is about (those that pass its WHERE).
        broken: for each row that breaks a condition, its identifier and the indexes of the
            expectations that it breaks.
    """

    expectations: Sequence[Expectation]
    total: int
    about: Sequence[int]
    broken: Sequence[tuple[int, Sequence[int]]]

    @property
    def violations(self) -> list[int]:
        """How many rows break each expectation."""
        counts = [0] * len(self.expectations)
        for _, numbers in self.broken:
            for number in numbers:
                counts[number] += 1
        return counts

    def remember(self, con: DuckDBPyConnection, table: str) -> None:
        """Make a temporary table of all rows that break a condition: identifier and masks."""
        self._create(con, table, self.broken)

    def remove(self, con: DuckDBPyConnection, table: str) -> tuple[int, int]:
        """Make a temporary table of the rows that are not written to the dataset's table.

        A row that one rule drops and another one quarantines goes to quarantine.

        Returns:
            How many go to quarantine, and how many are dropped. If both are 0, no table is made.
        """
        drop, quarantine = (
            {n for n, e in enumerate(self.expectations) if e.action is action}
            for action in (Action.DROP, Action.QUARANTINE)
        )
        removed = [row for row in self.broken if not (drop | quarantine).isdisjoint(row[1])]
        waiting = [not quarantine.isdisjoint(numbers) for _, numbers in removed]
        if removed:
            self._create(con, table, removed, quarantined=waiting)
        return sum(waiting), len(removed) - sum(waiting)

    def _create(
        self,
        con: DuckDBPyConnection,
        table: str,
        rows: Sequence[tuple[int, Sequence[int]]],
        **flags: Sequence[bool],
    ) -> None:
        masks = Masks(self.expectations)
        columns: dict[str, Sequence[int]] = {RID: [rid for rid, _ in rows]}
        for place, name in enumerate(masks.names):
            columns[name] = [
                sum(masks.bit(n) for n in numbers if masks.column(n) == place)
                for _, numbers in rows
            ]
        parts = [f"unnest(?::BIGINT[]) AS {name}" for name in columns]
        parts += [f"unnest(?::BOOLEAN[]) AS {name}" for name in flags]
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {', '.join(parts)}",
            [*columns.values(), *flags.values()],
        )


def glance(
    con: DuckDBPyConnection, relation: str, expectations: Sequence[Expectation]
) -> Glance | None:
    """Look once at all rows of a relation.

    The statement has three levels: filters are computed and named in the innermost, conditions
    (which use the filters' names) in the middle, and both are counted in the outermost.

    Returns:
        None if a condition cannot be computed (`Splitter`, which tries one after the other, finds
        out which), or if more than 10,000 rows break one, as a join makes many rows of few.
    """
    filters = list(dict.fromkeys(filter(None, map(about, expectations))))
    names = {sql: f"{_ABOUT}{n}" for n, sql in enumerate(filters)}
    conditions = {
        n: holds(e, names.get(about(e)))
        for n, e in enumerate(expectations)
        if isinstance(e.rule, Predicate)
    }
    rows = f"({relation}) AS r"
    if names:
        asked = ", ".join(f"coalesce({sql}, false) AS {name}" for sql, name in names.items())
        rows = f"(SELECT *, {asked} FROM {rows}) AS r"
    computed = ", ".join(
        (RID, *names.values(), *(f"{sql} AS {_HOLDS}{n}" for n, sql in conditions.items()))
    )
    all_hold = " AND ".join(f"{_HOLDS}{n}" for n in conditions) or "true"
    counts = "".join(f", count(*) FILTER ({name})" for name in names.values())
    values = ", ".join((RID, *(f"{_HOLDS}{n}" for n in conditions)))
    # One more than the limit tells that there are too many.
    broken = f"arg_min(row({values}), {RID}, {_MOST + 1}) FILTER (({all_hold}) IS NOT TRUE)"
    try:
        ((total, *found, listed),) = con.execute(
            f"SELECT count(*){counts}, {broken} FROM (SELECT {computed} FROM {rows})"
        ).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return None
    if len(listed or ()) > _MOST:
        return None
    passed = dict(zip(filters, found, strict=True))
    return Glance(
        expectations,
        total,
        [passed.get(about(e), total) for e in expectations],
        [
            (rid, [n for n, held in zip(conditions, outcomes, strict=True) if not held])
            for rid, *outcomes in listed or ()
        ],
    )
