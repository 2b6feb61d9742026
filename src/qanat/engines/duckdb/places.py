"""The place of each row in the order of its table, where files do not tell it.

Rows of one file are in their order, and files are in the order in which they were added. That is
lost where an epoch spreads its rows over the files of partitions, and where compaction sorts them.
So files of such tables have two columns more, which the table has not: together they are one
number (`PLACE`) that grows from row to row, and from epoch to epoch. In it is the moment of the
epoch, and the number of the row. The lower bits are apart, as DuckDB writes a column of few
different values with as many bits as it needs: both take 1.5 bytes of a row, one column took 4.

Only what keeps the first (or last) of several rows asks for places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.model.work import Output, TableBatch
from qanat.text import literal, quote

PLACE = "__qanat_place"
"""The place of a row, as queries carry it."""
_HIGH, _LOW = "__qanat_place_high", "__qanat_place_low"
_LOW_BITS = 10
_ROW_BITS = 22
"""For the number of a row: that of the four millionth needs the next millisecond of the epoch,
which takes longer than that."""
_SINCE_MS = 1_577_836_800_000
"""The year 2020, so that the milliseconds of the next decades fit into the other 41 bits."""
_NUMBER = "__qanat_number"


class Placed(Enum):
    """Whether rows of a table are to tell their places."""

    NO = "no"
    IF_TOLD = "if a file has them"
    ALWAYS = "always"


def first_of(moment_ms: int) -> int:
    """The number that is below the places of all rows of an epoch, or of a file, of a moment.

    >>> first_of(1_577_836_800_001)
    4194304
    """
    return min(max(moment_ms - _SINCE_MS, 0), (1 << 41) - 1) << _ROW_BITS


def placed_of(output: Output) -> Placed:
    """Whether rows of a table that are written again tell their places."""
    return Placed.IF_TOLD if output.placed_ms is None else Placed.ALWAYS


def of_table(
    con: DuckDBPyConnection,
    name: str,
    batch: TableBatch,
    have: Collection[str],
    file: str,
    placed: Placed,
) -> str | None:
    """SQL of the place of a row of a table `f`; None if the order of files is that of the rows.

    Args:
        have: the columns that the files have.
        file: SQL of the 1-based number of the row's file in the batch.
    """
    told = _HIGH in have
    if not batch.moments or placed is Placed.NO or (placed is Placed.IF_TOLD and not told):
        return None
    firsts = [first_of(batch.moments.get(path, 0)) for path in batch.files]
    own = f"{firsts[0]}::BIGINT"
    if len(firsts) > 1:
        variable = f"qanat_places_{name}"
        con.execute(f"SET VARIABLE {quote(variable)} = CAST(? AS BIGINT[])", [firsts])
        own = f"getvariable({literal(variable)})[{file}]"
    own = f"{own} + f.file_row_number"
    if not told:
        return own
    return f"coalesce(f.{_HIGH} * {1 << _LOW_BITS} + f.{_LOW}, {own})"


def stored(select: str) -> str:
    """SELECT text of rows with their places as files have them.

    Args:
        select: SELECT text of rows with `PLACE`.
    """
    high = f"{PLACE} >> {_LOW_BITS} AS {_HIGH}"
    low = f"({PLACE} & {(1 << _LOW_BITS) - 1})::SMALLINT AS {_LOW}"
    return f"SELECT * EXCLUDE ({PLACE}), {high}, {low} FROM ({select})"


def numbered(select: str, moment_ms: int) -> str:
    """SELECT text of new rows with places in the order in which they come."""
    place = f"{first_of(moment_ms)} + row_number() OVER () AS {PLACE}"
    return stored(f"SELECT *, {place} FROM ({select})")


def order_of(hidden: Sequence[str], alias: str = "") -> str:
    """SQL by which rows of a result are in the order of their tables; empty if they are already.

    Args:
        hidden: the columns that tell where they come from.
    """
    owner = f"{alias}." if alias else ""
    return f"{owner}{PLACE}, {owner}{RID}" if {PLACE, RID} <= set(hidden) else ""


def number_of(hidden: Sequence[str], alias: str) -> str:
    """SQL of the number by which rows of a result are in the order of their tables.

    To compare one is half the CPU of comparing a row of two.
    """
    rid = f"{alias}.{RID}"
    return f"{alias}.{PLACE}::HUGEINT * {1 << 63} + {rid}" if PLACE in hidden else rid


def in_places(select: str) -> str:
    """SELECT text of rows in the order of their places; those of one place keep their order."""
    number = f"SELECT *, row_number() OVER () AS {_NUMBER} FROM ({select})"
    return f"SELECT * EXCLUDE ({_NUMBER}) FROM ({number}) ORDER BY {PLACE}, {_NUMBER}"
