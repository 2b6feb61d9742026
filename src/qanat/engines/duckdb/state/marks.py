"""How far the streams of a flow have come in event time, and the watermark that follows.

Each stream, and each partition of one that has several, has its newest event time in the state,
and when it last brought a row. Only rows of recorded ranges move them; and which streams are idle
depends on when the epoch was intended, which the ledger has. So an epoch that is computed again
comes to the same watermark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.state.kind import GONE, Moment
from qanat.errors import QueryError
from qanat.frozen import Frozen
from qanat.model.name import same
from qanat.model.schema import STRING, Field, Primitive, Schema
from qanat.model.stateful import Watermark
from qanat.model.work import FilesBatch, StateWork, Work
from qanat.text import literal, quote

EPOCH, STREAM = "_epoch", "_stream"
"""Columns of each row of a state: the epoch that wrote it; NULL, unless the row is a mark."""
_PARTITION, _NEWEST, _AT = "_partition", "_newest", "_at"
_LONG = Primitive("long")
OWN = Schema(
    (
        Field(EPOCH, _LONG),
        Field(GONE, Primitive("boolean"), comment="true if this row of the state is removed"),
        Field(STREAM, STRING, comment="of a mark: the stream; empty for the watermark"),
        Field(_PARTITION, STRING, comment="of a mark: the partition of the stream"),
        Field(_NEWEST, _LONG, comment="of a mark: event time in microseconds since 1970"),
        Field(_AT, _LONG, comment="of a mark: when the stream last brought a row"),
    )
)
"""The columns of a state's table before those of its operator."""


class Mark(Frozen):
    """How far a stream, or a partition of it, has come.

    Args:
        newest: event time, microseconds since 1970 (UTC); None before it has had one.
        at_us: when the epoch that last brought a row was intended, microseconds since 1970 (UTC).
    """

    newest: int | None
    at_us: int


Marks: TypeAlias = Mapping[tuple[str, str], Mark]
"""By stream (`Watermark.read`) and partition."""

WATERMARK = ("", "")
"""The key of the watermark itself."""


def marks_in(con: DuckDBPyConnection, stored: str | None) -> dict[tuple[str, str], Mark]:
    """The newest marks among the rows of a state; none if there is no state."""
    if stored is None:
        return {}
    newest = f"max_by(struct_pack(n := {_NEWEST}, a := {_AT}), {EPOCH})"
    found = con.execute(
        f"SELECT {STREAM}, {_PARTITION}, {newest} FROM ({stored}) WHERE {STREAM} IS NOT NULL "
        f"GROUP BY ALL"
    ).fetchall()
    return {(stream, part): Mark(m["n"], m["a"]) for stream, part, m in found}


_TIMES = ("date", "timestamp", "timestamp with time zone", "timestamp_s", "timestamp_ms",
          "timestamp_ns")  # fmt: skip


def check_times(con: DuckDBPyConnection, bindings: Bindings, work: Work) -> None:
    """Refuse watermarks of columns that have no times; a column that is missing is told elsewhere.

    Raises:
        QueryError: a column has another type.
    """
    for read in work.query.reads:
        time = read.event_time
        if time is None or read.name not in bindings.bound:
            continue
        given = con.sql(f"SELECT * FROM ({bindings.bound[read.name].plain}) LIMIT 0")
        for column, type_ in zip(given.columns, given.types, strict=True):
            if same(column, time.column) and str(type_).lower() not in _TIMES:
                raise QueryError(
                    f"the watermark is of {column}, which is a {type_} and no time",
                    location=time.location,
                    wanted="a column of type TIMESTAMP or DATE",
                    hint="make it one in a TEMPORARY VIEW over the stream, and read that:"
                    " CAST(… AS TIMESTAMP)",
                )


def moved(con: DuckDBPyConnection, bindings: Bindings, work: Work, before: Marks) -> Marks:
    """The marks after the new rows of an epoch; its inputs are bound."""
    state = work.state
    after = dict(before)
    for watermark in state.stateful.watermarks if state is not None else ():
        for partition, newest in _newest(con, bindings, work, watermark):
            key = watermark.read, partition
            known = after.get(key)
            at_us = state.at_us if state is not None else 0
            if newest is None:
                after.setdefault(key, Mark(None, at_us))
            elif known is None or known.newest is None or known.newest < newest:
                after[key] = Mark(newest, at_us)
            else:
                after[key] = Mark(known.newest, at_us)
    return after


def _newest(
    con: DuckDBPyConnection, bindings: Bindings, work: Work, watermark: Watermark
) -> Iterator[tuple[str, int | None]]:
    """The partitions of a stream, each with the newest event time of its new rows."""
    batch, bound = work.inputs[watermark.read], bindings.bound[watermark.read]
    partitions: tuple[str, ...] = ("",)
    if isinstance(batch, FilesBatch) and batch.partitions:
        partitions = batch.partitions
    for partition in partitions:
        rows = bound.plain
        if partition:
            rows = f"SELECT * FROM ({bound.full}) WHERE {FILE} = {literal(partition)}"
        name = quote(watermark.read)
        query = f"WITH {name} AS ({rows}) FROM (\n{watermark.newest}\n)"
        row = con.execute(query).fetchone()
        yield partition, row[0] if row else None


def moment(epoch: int, state: StateWork, before: Marks, after: Marks) -> Moment:
    """When an epoch is, in event time."""
    known = before.get(WATERMARK)
    then = None if known is None else known.newest
    now = _watermark(state, after)
    # It never goes back: a stream that was idle may come again with older rows.
    reached = [each for each in (then, now) if each is not None]
    return Moment(epoch, then, max(reached, default=None))


def _watermark(state: StateWork, marks: Marks) -> int | None:
    """The earliest of the streams that are not idle; None if one of them has had no event time."""
    reached: list[int] = []
    for watermark in state.stateful.watermarks:
        own = [m for (stream, _), m in marks.items() if stream == watermark.read]
        active = [m for m in own if not is_idle(m, state.at_us, state.idle_us)]
        if any(m.newest is None for m in active):
            return None
        newest = (m.newest for m in active if m.newest is not None)
        if (earliest := min(newest, default=None)) is not None:
            reached.append(earliest - watermark.delay_us)
    return min(reached, default=None)


def is_idle(mark: Mark, at_us: int, idle_us: int | None) -> bool:
    """True if a stream has brought no row for so long that it does not hold the watermark.

    >>> is_idle(Mark(0, at_us=10), at_us=30, idle_us=15), is_idle(Mark(0, 10), 30, None)
    (True, False)
    """
    return idle_us is not None and at_us - mark.at_us > idle_us


def as_rows(marks: Marks, now: Moment, at_us: int) -> Iterator[str]:
    """SELECT texts of the marks, and of the watermark, as rows of a state."""
    every = {**marks, WATERMARK: Mark(now.after, at_us)}
    for (stream, partition), mark in every.items():
        newest = "NULL" if mark.newest is None else str(mark.newest)
        yield (
            f"SELECT {literal(stream)} AS {STREAM}, {literal(partition)} AS {_PARTITION}, "
            f"{newest}::BIGINT AS {_NEWEST}, {mark.at_us}::BIGINT AS {_AT}"
        )
