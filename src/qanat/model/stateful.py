"""What a query over streams keeps from one epoch to the next.

A streaming table's query sees only new rows. One that combines rows of several epochs (an
aggregate, a join of two streams, DISTINCT) is taken apart into three: what is computed row by row
before (`StatefulInput`), one operator that has a state (`Stateful`, of which each kind is a
subclass), and what is computed row by row of its result. All SQL here is in the engine's dialect.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from qanat.frozen import Frozen
from qanat.model.name import fold
from qanat.model.query import SqlQuery

GROUP, LEAVES = "__qanat_group", "__qanat_leaves"
"""Columns of a result that is published as changes. `GROUP`: text that tells the result rows of
one group from those of another. `LEAVES`: true if the group has no result row any more; then all
other columns are NULL."""

RESULT = "__qanat_result"
"""The relation of an operator's result rows, which `Stateful.result` reads."""

OUTPUT_MODE = "qanat.output_mode"
"""The table property that says when windows with a watermark are published."""


class OutputMode(StrEnum):
    """When a window's result row is published, in the words of Spark."""

    APPEND = "append"
    """Once, when the watermark has passed its end."""
    UPDATE = "update"
    """In each epoch that changes it: it replaces the row of before."""

    @staticmethod
    def parse(text: str) -> OutputMode:
        """The mode of that name, in any case.

        Raises:
            ValueError: there is none.

        >>> str(OutputMode.parse("Update"))
        'update'
        """
        return OutputMode(fold(text))


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
        result: SELECT text over `RESULT`, and perhaps other reads of the author's query: what is
            computed row by row of the operator's result. Empty: that as it is.
        named: SELECT text whose columns have the names for which `result` has places.
    """

    inputs: tuple[StatefulInput, ...]
    watermarks: tuple[Watermark, ...] = ()
    changes: bool = False
    result: str = ""
    named: str = ""

    @property
    def label(self) -> str:
        """What people call it, in messages and in `qanat show --state`."""
        raise NotImplementedError

    @property
    def compatible(self) -> Iterator[str]:
        """What must stay the same, line by line, so that a state can be read by a later query."""
        raise NotImplementedError


class Window(Frozen):
    """Spans of event time that a row falls into; all in microseconds.

    Args:
        width: of a window; of a session, how long no row comes before it ends.
        slide: from one window's start to the next one's: less than `width` if they overlap.
        offset: of the start of windows from 1970-01-01 (UTC).
        session: True if windows grow by the rows that they have.
    """

    width: int
    slide: int
    offset: int = 0
    session: bool = False


class GroupKey(Frozen):
    """A value by which rows are grouped.

    Args:
        column: of the input; with a window, the event time that falls into it.
        text: as the author wrote it, in one normal form.
        window: that is the key, instead of the value itself.
        ends: SQL over `column`: the moment at which a group of that value is complete, as a
            timestamp; empty: it says nothing about time.
    """

    column: str
    text: str
    window: Window | None = None
    ends: str = ""


class Aggregate(Frozen):
    """A call of an aggregate function.

    Args:
        call: the call over columns of the input.
        text: as the author wrote it, in one normal form.
        columns: of the input, that it reads, in order.
        arguments: how many of the first of them are all of its arguments; None if it also has
            others, or an order, or only counts values that differ.
        distinct: True if it only counts values that differ, in any order.
    """

    call: str
    text: str
    columns: tuple[str, ...]
    arguments: int | None
    distinct: bool = False


class Grouping(Stateful):
    """Rows that are aggregated by groups.

    A result row has the columns of the keys (a window as a struct of start and end), the values
    of the aggregates, `value_0` and so on, and `GROUP`.

    Args:
        keys: none: all rows are one group.
    """

    keys: tuple[GroupKey, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()

    @property
    def label(self) -> str:
        """What people call it, in messages and in `qanat show --state`."""
        for key in self.keys:
            if key.window is not None:
                kind = "session" if key.window.session else "window"
                return f"{kind} aggregate"
        return "aggregate" if self.changes else "window aggregate"

    @property
    def compatible(self) -> Iterator[str]:
        """What must stay the same, line by line, so that a state can be read by a later query."""
        for key in self.keys:
            yield f"group by {key.text}"
        for each in self.aggregates:
            yield f"aggregate {each.text}"


class Deduplication(Stateful):
    """Rows of which the first one of each key counts.

    Args:
        keys: columns of the input; none: all of them.
        time: its column with the event time (microseconds since 1970), if keys are forgotten.
        kept_us: how long after that they are, in event time.
    """

    keys: tuple[str, ...] = ()
    time: str = ""
    kept_us: int = 0

    @property
    def label(self) -> str:
        """What people call it, in messages and in `qanat show --state`."""
        return "DISTINCT"

    @property
    def compatible(self) -> Iterator[str]:
        """What must stay the same, line by line, so that a state can be read by a later query."""
        yield f"distinct on {self.inputs[0].query.sql}"


class JoinSide(Frozen):
    """One of two streams that are joined.

    Args:
        kept: True if a row that matches none is a result row, too.
        alias: as the condition calls it.
        time: the column of its input with the event time (microseconds since 1970); empty if it
            has no watermark.
        needed: how much later than a row of it one of the other side may be that matches it, in
            microseconds; None: any time.
    """

    kept: bool
    alias: str
    time: str = ""
    needed: int | None = None


class Joining(Stateful):
    """Two streams that are joined.

    Args:
        equal: columns that both inputs have and that are equal in rows that match.
        condition: SQL that is true of rows that match, by the aliases of the sides.
        sides: left and right.
        semi: True if a row of the left side is a result row once, if it matches any.
        anti: True if it is one if it matches none.

    A result row has a row of each side as a struct; unmatched, that of the other has NULLs.
    """

    equal: tuple[str, ...] = ()
    condition: str = ""
    sides: tuple[JoinSide, ...] = ()
    semi: bool = False
    anti: bool = False

    @property
    def label(self) -> str:
        """What people call it, in messages and in `qanat show --state`."""
        return "join of two streams"

    @property
    def compatible(self) -> Iterator[str]:
        """What must stay the same, line by line, so that a state can be read by a later query."""
        yield from (f"input {each.query.sql}" for each in self.inputs)
        yield f"on {self.condition}"
        yield f"sides {self.sides}"
