"""Compare the rows of two tables by keys, for the rule `SAME ROWS AS`."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.rule import SameRows
from qanat.text import quote


class Differences(Frozen):
    """How many keys differ: only in the table, only in the other, and with other values."""

    here: int
    there: int
    changed: int

    @property
    def any(self) -> bool:
        """True if the rows are not the same."""
        return bool(self.here or self.there or self.changed)

    @property
    def text(self) -> str:
        """The numbers, as a message has them.

        >>> Differences(1, 0, 2).text
        '1 only here, 0 only there, 2 with other values'
        """
        return f"{self.here} only here, {self.there} only there, {self.changed} with other values"


def differences(con: DuckDBPyConnection, mine: str, other: str, rule: SameRows) -> Differences:
    """How the rows of a table differ from those of another one.

    Args:
        mine, other: SELECT texts.
    """
    names = con.sql(f"SELECT * FROM ({mine}) LIMIT 0").columns
    theirs = Names(con.sql(f"SELECT * FROM ({other}) LIMIT 0").columns)
    keys = Names(rule.keys)
    compared = rule.columns or tuple(n for n in names if n in theirs and n not in keys)
    by = " AND ".join(f"a.{quote(k)} IS NOT DISTINCT FROM b.{quote(k)}" for k in rule.keys)
    changed = " OR ".join(f"a.{quote(c)} IS DISTINCT FROM b.{quote(c)}" for c in compared)
    ((here, there, both),) = con.execute(
        f"SELECT count(*) FILTER (b.there IS NULL), count(*) FILTER (a.here IS NULL), "
        f"count(*) FILTER (a.here AND b.there AND ({changed or 'false'})) "
        f"FROM (SELECT *, true AS here FROM ({mine})) AS a "
        f"FULL JOIN (SELECT *, true AS there FROM ({other})) AS b ON {by}"
    ).fetchall()
    return Differences(here, there, both)
