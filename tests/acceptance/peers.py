"""Runs the facts of other tools' tests: events in epochs, or one snapshot after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.acceptance.projects import Shop

Row = tuple[Any, ...]

_FUNCTION = """
import datetime

COLUMNS = {columns!r}
SNAPSHOTS = {snapshots!r}


def give(latest):
    later = [(version, rows) for version, rows in SNAPSHOTS if latest is None or version > latest]
    if not later:
        return None
    version, rows = later[0]
    names = COLUMNS.split()
    return [dict(zip(names, row, strict=True)) for row in rows], version


dp.create_streaming_table("history")
dp.create_auto_cdc_from_snapshot_flow("history", give, {keys!r}, 2{more})
"""


def merged(
    shop: Shop,
    epochs: Sequence[Sequence[str]],
    target: str,
    columns: str = "name,id,value,at,op",
    kept: str = "op, at",
) -> list[Row]:
    """The rows of a table after epochs of events, each a line of CSV.

    Args:
        target: the clauses of AUTO CDC that differ.
        kept: columns that the table does not have.
    """
    shop.sql(
        "CREATE STREAMING TABLE t FLOW AUTO CDC\n"
        "  FROM STREAM read_files('data/*.csv',\n"
        "    schema => 'name VARCHAR, id BIGINT, value VARCHAR, at BIGINT')\n"
        f"  APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at COLUMNS * EXCEPT ({kept}) {target};\n"
    )
    for number, events in enumerate(epochs):
        lines = "\n".join((columns, *events))
        shop.file(f"data/{number}.csv", f"{lines}\n")
        shop.run()
    return shop.rows("t")


def snapshotted(
    shop: Shop,
    columns: str,
    snapshots: Sequence[tuple[Any, Sequence[Row]]],
    keys: Sequence[str] = ("id",),
    more: str = "",
) -> list[Row]:
    """The rows of a history after snapshots, each with its version; the bounds come last.

    Args:
        columns: their names, with spaces in between.
        more: other arguments of the flow, with a comma in front.
    """
    shop.python(
        _FUNCTION.format(columns=columns, snapshots=list(snapshots), keys=list(keys), more=more)
    )
    assert shop.run()["history"].epochs == len(snapshots)
    return shop.rows("history")
