"""Find the rows of a small batch that break conditions on single rows, by one statement.

Of a thousand rows, planning a statement takes longer than looking at all rows. So one statement
brings everything that is to be known, also the conditions of each row that breaks one; and each
condition and filter stands in it once, under a name, as binding them is most of the work.
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
"""Rows that break a condition; of more, lists of Python's take too much memory."""
_HOLDS, _ABOUT = "__qanat_holds_", "__qanat_about_"


class Glance(Frozen):
    """What one look at a small batch finds.

    Args:
        total: rows of the batch.
        about: how many each expectation is about.
        broken: rows that break a condition: identifier, and the numbers of the expectations.
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
        """Make a temporary table of all that break a condition: identifier and masks."""
        self._create(con, table, self.broken)

    def remove(self, con: DuckDBPyConnection, table: str) -> tuple[int, int]:
        """Make a temporary table of those that do not go into the dataset's.

        Returns:
            How many go to quarantine, and how many are dropped; without any there is no table.
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

    Returns:
        None if a condition cannot be computed (only the passes of `Splitter` tell which), or if
        the rows that break one are too many: a join makes many rows of few.
    """
    filters = list(dict.fromkeys(filter(None, map(about, expectations))))
    named = {sql: f"{_ABOUT}{n}" for n, sql in enumerate(filters)}
    conditions = {
        n: holds(e, named.get(about(e)))
        for n, e in enumerate(expectations)
        if isinstance(e.rule, Predicate)
    }
    rows = f"({relation}) AS r"
    if named:
        asked = ", ".join(f"coalesce({sql}, false) AS {name}" for sql, name in named.items())
        rows = f"(SELECT *, {asked} FROM {rows}) AS r"
    each = ", ".join(
        (RID, *named.values(), *(f"{sql} AS {_HOLDS}{n}" for n, sql in conditions.items()))
    )
    kept = " AND ".join(f"{_HOLDS}{n}" for n in conditions) or "true"
    counts = "".join(f", count(*) FILTER ({name})" for name in named.values())
    values = ", ".join((RID, *(f"{_HOLDS}{n}" for n in conditions)))
    broken = f"arg_min(row({values}), {RID}, {_MOST + 1}) FILTER (({kept}) IS NOT TRUE)"
    try:
        ((total, *found, listed),) = con.execute(
            f"SELECT count(*){counts}, {broken} FROM (SELECT {each} FROM {rows})"
        ).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return None
    if len(listed or ()) > _MOST:
        return None
    of = dict(zip(filters, found, strict=True))
    return Glance(
        expectations,
        total,
        [of.get(about(e), total) for e in expectations],
        [
            (rid, [n for n, kept in zip(conditions, outcomes, strict=True) if not kept])
            for rid, *outcomes in listed or ()
        ],
    )
