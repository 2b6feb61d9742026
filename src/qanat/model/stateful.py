"""What a query over streams keeps from one epoch to the next.

A streaming table's query sees only new rows. One that combines rows of several epochs (an
aggregate, a join of two streams, DISTINCT) is taken apart into three: what is computed row by row
before (`StatefulInput`), one operator that has a state (`Stateful`, of which each kind is a
subclass), and what is computed row by row of its result. All SQL here is in the engine's dialect.
"""

from __future__ import annotations

from collections.abc import Iterator

from qanat.frozen import Frozen
from qanat.model.query import SqlQuery

GROUP, LEAVES = "__qanat_group", "__qanat_leaves"
"""Columns of a result that is published as changes. `GROUP`: text that tells the result rows of
one group from those of another. `LEAVES`: true if the group has no result row any more; then all
other columns are NULL."""


class Watermark(Frozen):
    """How long rows of one stream may come too late.

    After an epoch, the watermark of a stream is the newest event time that any of its rows has
    had, less the delay; it never goes back. The watermark of a query is the earliest of those of
    its streams, and not known before each of them has had a row with an event time.

    Args:
        read: the stream, by `Read.name`.
        newest: SELECT text over `read`: the newest event time of its rows, as microseconds since
            1970 (UTC); NULL if no row has one.
        delay_us: the delay, in microseconds.
        column: the event time as people write it.
    """

    read: str
    newest: str
    delay_us: int
    column: str


class StatefulInput(Frozen):
    """Rows that go into an operator with a state.

    Args:
        name: by which the operator knows them; unique in it.
        query: computes them row by row; its reads are some of those of the author's query.
    """

    name: str
    query: SqlQuery


class Stateful(Frozen):
    """An operator that keeps rows from one epoch to the next.

    Args:
        inputs: the rows that go into it.
        watermarks: of the streams that have one.
        changes: True if result rows replace those of earlier epochs (see `GROUP`); False if they
            are added to the table.
    """

    inputs: tuple[StatefulInput, ...]
    watermarks: tuple[Watermark, ...] = ()
    changes: bool = False

    @property
    def label(self) -> str:
        """What people call it, in messages and in `qanat show --state`."""
        raise NotImplementedError

    @property
    def compatible(self) -> Iterator[str]:
        """What must stay the same, line by line, so that a state can be read by a later query."""
        raise NotImplementedError
