"""The rows of a query that no dataset declares, taken as they are computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
from datafusion import DataFrame, SessionContext, SQLOptions

from qanat.model.query import SqlQuery
from tests.conformance.datafusion_engine.columns import schema_of
from tests.conformance.datafusion_engine.faults import explained

_ONLY_QUERIES = (
    SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
)


class DataFusionReading:
    """One query over bound inputs (see `qanat.ports.engine.Reading`)."""

    def __init__(self, session: SessionContext, query: SqlQuery, limit: int | None) -> None:
        self._query = query
        with explained(query):
            frame = session.sql_with_options(query.sql, _ONLY_QUERIES)
            self._frame = frame if limit is None else frame.limit(limit)
            self.schema = schema_of(self._frame)

    def chunks(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows as Python values, a batch at a time."""
        with explained(self._query):
            for each in self._frame.execute_stream():
                columns = [
                    c.to_pylist(maps_as_pydicts="strict") for c in each.to_pyarrow().columns
                ]
                yield list(zip(*columns, strict=True))

    @contextmanager
    def arrow(self) -> Iterator[DataFrame]:
        """The rows as an object with `__arrow_c_stream__`."""
        with explained(self._query):
            yield self._frame

    def write(self, path: Path) -> int:
        """Write the rows to one Parquet file, which appears when it is whole; how many."""
        temporary = path.with_name(f"{uuid4().hex}.tmp")
        rows = 0
        try:
            with explained(self._query):
                stream = self._frame.execute_stream()
                with pq.ParquetWriter(temporary, self._frame.schema()) as writer:
                    for each in stream:
                        batch = each.to_pyarrow()
                        writer.write_batch(batch)
                        rows += batch.num_rows
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        return rows
