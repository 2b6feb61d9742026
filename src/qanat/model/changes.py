"""What an author declares of rows that are changes: `AUTO CDC`, as Lakeflow understands it.

A flow with `AutoCdc` gives events: each inserts or updates the row of its key, deletes it, or
empties the table. Which event comes after which says their sequence alone, never the order in
which they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.name import fold
from qanat.model.schema import STRING, Field, Primitive
from qanat.secret import masked

START_AT, END_AT = "__START_AT", "__END_AT"
"""The columns of SCD type 2 that tell from which sequence on a version holds, and up to which."""

CHANGE_TYPE = "_change_type"
COMMIT_VERSION, COMMIT_TIME = "_commit_version", "_commit_timestamp"
CHANGE_FIELDS = (
    Field(CHANGE_TYPE, STRING),
    Field(COMMIT_VERSION, Primitive("long")),
    Field(COMMIT_TIME, Primitive("timestamp")),
)
"""What a row of a table's changes has after the columns of the table."""
INSERT, DELETE = "insert", "delete"
UPDATE_BEFORE, UPDATE_AFTER = "update_preimage", "update_postimage"
"""What became of a row, as `_change_type` says it: of one that was updated, before and after."""

RETENTION = "pipelines.cdc.tombstoneGCThresholdInSeconds"
"""The table property that says how long events are kept which rows of the table do not tell."""
CHANGE_FEED = "delta.enableChangeDataFeed"
"""The table property that says whether readers of changes are told what merges did."""

_RETENTION_SECONDS = 2 * 24 * 3600


def parse_retention(text: str | None) -> int:
    """Seconds for which such events are kept; two days if nothing is said, as in Lakeflow.

    Raises:
        ValueError: the text is no number of seconds.

    >>> parse_retention(None), parse_retention("3600")
    (172800, 3600)
    """
    if text is None:
        return _RETENTION_SECONDS
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"no number of seconds: {text}")
    return int(text)


class Expression(Frozen):
    """A value that is computed from one row.

    Args:
        sql: the expression, in `dialect`.
        written: what the author wrote, if that was in another dialect.
        location: where that stands; None if it is not known. It makes no other expression.
    """

    sql: str
    dialect: str
    written: str | None = None
    location: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return masked(self.sql if self.written is None else self.written)


class ScdType(StrEnum):
    """How changes are kept (slowly changing dimensions)."""

    ONE = "1"
    """One row for each key, as it is now."""
    TWO = "2"
    """A row for each version of a key, with `__START_AT` and `__END_AT`."""


class Chosen(Frozen):
    """Some of the columns that a query gives.

    Args:
        names: the columns.
        all_but: True for all others instead (`* EXCEPT (…)`).
        hidden: columns that a star does not mean, whether they are there or not; a name that ends
            in `*` stands for all that begin so.

    >>> Chosen(("op", "ts"), all_but=True).among(["id", "Op", "name", "ts"])
    ['id', 'name']
    >>> Chosen(("ID",)).among(["id", "name"])
    ['id']
    >>> Chosen((), all_but=True, hidden=("__op", "__source_*")).among(["id", "__source_lsn"])
    ['id']
    >>> str(Chosen(("op", "ts"), all_but=True)), str(Chosen(("id",))), str(EVERY)
    ('* EXCEPT (op, ts)', '(id)', '*')
    """

    names: tuple[str, ...]
    all_but: bool = False
    hidden: tuple[str, ...] = ()

    def __str__(self) -> str:
        listed = f"({', '.join(self.names)})"
        if self.all_but:
            return f"* EXCEPT {listed}" if self.names else "*"
        return listed

    def among(self, columns: Sequence[str]) -> list[str]:
        """Those of some columns that are chosen, in their order."""
        named = {fold(n) for n in self.names}
        chosen = [c for c in columns if (fold(c) in named) is not self.all_but]
        return [c for c in chosen if not self._hides(fold(c))] if self.hidden else chosen

    def _hides(self, column: str) -> bool:
        exact = {n for n in self.hidden if not n.endswith("*")}
        return column in exact or any(column.startswith(n[:-1]) for n in {*self.hidden} - exact)


EVERY = Chosen((), all_but=True)
"""All columns."""


class AutoCdc(Frozen):
    """How the rows of a flow change its target.

    Args:
        keys: columns of the query that identify a row of the target.
        sequence: values that say in which order the events of a key happened; several are
            compared one after the other.
        deletes: an event for which this is true deletes the row of its key.
        truncates: an event for which this is true empties the target (SCD type 1 only).
        columns: which columns of the query the target has.
        keeps: columns in which NULL leaves the value as it was (`IGNORE NULL UPDATES`); None:
            there are none.
        scd: how changes are kept.
        tracked: columns of the target whose change makes a new version (SCD type 2); a change of
            others is written into the version that there is.
    """

    keys: tuple[str, ...]
    sequence: tuple[Expression, ...]
    deletes: Expression | None = None
    truncates: Expression | None = None
    columns: Chosen = EVERY
    keeps: Chosen | None = None
    scd: ScdType = ScdType.ONE
    tracked: Chosen = EVERY
