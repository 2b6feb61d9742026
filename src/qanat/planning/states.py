"""What stands in the way of the state that a query over streams needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qanat.errors import FlowError, QanatError
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.query import Query, Read, SqlQuery
from qanat.model.stateful import OUTPUT_MODE, OutputMode
from qanat.planning.eventtime import stateful_of
from qanat.planning.stateful import first_stateful


def mode_of(target: Dataset) -> OutputMode | None:
    """When results of a dataset are published, if its author says so."""
    written = target.table_property(OUTPUT_MODE)
    return None if written is None else OutputMode.parse(written)


def problems_of_state(
    query: Query, target: Dataset, streams: Callable[[Read], bool]
) -> Iterator[QanatError]:
    """The first construct over a stream that would need rows of earlier epochs, and gets none.

    Args:
        target: what the query feeds; a temporary view keeps no state.
        streams: tells whether an input is a stream.
    """
    if not isinstance(query, SqlQuery):
        return
    streamed = frozenset(r.name for r in query.reads if streams(r))
    if target.kind is not DatasetKind.TEMPORARY_VIEW:
        try:
            stateful_of(query, streamed, mode_of(target))
        except QanatError as problem:
            yield problem
        return
    found = first_stateful(query, streamed)
    if found is not None:
        # These two are mostly there to keep one row of each key, which a table does by itself.
        one = found.name in ("QUALIFY", "DISTINCT")
        also = "; of rows with one key KEYS (…) keeps the last, EXPECT UNIQUE (…) the first"
        yield FlowError(
            f"{found.name} over a stream in {target.name}: an update would see only its new rows",
            location=found.location,
            hint="compute it in a MATERIALIZED VIEW over the streaming table" + also * one,
        )
