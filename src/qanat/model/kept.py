"""What a flow keeps from one epoch to the next, as people see it."""

from __future__ import annotations

from qanat.frozen import Frozen


class StreamMark(Frozen):
    """How far a stream has come in event time.

    Args:
        stream: by `Read.name`.
        partition: of the stream; empty if it has only one.
        newest_us: the newest event time of its rows, microseconds since 1970 (UTC); None: no row
            has had one.
        at_us: when it last brought a row, microseconds since 1970 (UTC).
    """

    stream: str
    partition: str
    newest_us: int | None
    at_us: int


class KeptRows(Frozen):
    """The rows of a state.

    Args:
        keys: how many there are; the table may have several rows of one, of which the last counts.
        watermark_us: microseconds since 1970 (UTC); None as long as it is not known.
        next_us: the watermark at which the first of them is due, such as the end of the oldest
            open window; None if none is.
    """

    keys: int
    watermark_us: int | None
    next_us: int | None
    marks: tuple[StreamMark, ...]
