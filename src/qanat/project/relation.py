"""What has rows and columns: read as Arrow, Polars or pandas, or asked by SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qanat.errors import needing
from qanat.model.schema import Field
from qanat.ports.engine import Reading
from qanat.run.results import QueryRows

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

SHOWN = 20
"""Rows that a notebook shows."""

Reader = Callable[[int | None], AbstractContextManager[Reading]]
"""Reads the rows of a relation, or as many as given of them; each call reads them anew."""


class Relation:
    """Rows and columns that are computed, or read, when they are asked for."""

    def __init__(self, read: Reader) -> None:
        self._read = read

    @property
    def columns(self) -> tuple[Field, ...]:
        """The columns, each with `name` and `type`.

        >>> [str(c) for c in project.query("SELECT 1 AS id, 'x' AS name").columns]
        ['id int', 'name string']
        """
        with self._read(0) as reading:
            return reading.schema.fields

    def arrow(self) -> pyarrow.Table:
        """All rows as a `pyarrow.Table`.

        >>> project.table("silver_orders").arrow().num_rows
        5
        """
        package = _package("pyarrow", "arrow")
        with self._read(None) as reading, reading.arrow() as stream:
            return package.RecordBatchReader.from_stream(stream).read_all()

    def polars(self) -> polars.DataFrame:
        """All rows as a `polars.DataFrame`.

        Raises:
            MissingExtraError: Polars is not installed.

        >>> project.table("silver_orders").polars().height
        5
        """
        package = _package("polars", "polars")
        with self._read(None) as reading, reading.arrow() as stream:
            frame: polars.DataFrame = package.DataFrame(stream)
            return frame

    def pandas(self) -> pandas.DataFrame:
        """All rows as a `pandas.DataFrame` with Arrow types (`pandas.ArrowDtype`).

        Decimals, dates, maps and NULL stay what they are; NumPy's types have no place for them.
        `arrow().to_pandas()` gives a frame with those.

        Raises:
            MissingExtraError: pandas is not installed.

        >>> len(project.table("silver_orders").pandas())
        5
        """
        package = _package("pandas", "pandas")
        frame: pandas.DataFrame = self.arrow().to_pandas(types_mapper=package.ArrowDtype)
        return frame

    def chunks(self, limit: int | None = None) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows as Python values, some thousand at a time, never all in memory.

        Args:
            limit: so many rows at most.

        >>> sum(len(chunk) for chunk in project.table("silver_orders").chunks())
        5
        """
        with self._read(limit) as reading:
            yield from reading.chunks()

    def rows(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows as Python values.

        Args:
            limit: so many at most.

        >>> project.query("SELECT order_id FROM silver_orders ORDER BY 1").rows(2)
        [(1,), (2,)]
        """
        return [row for chunk in self.chunks(limit) for row in chunk]

    def write_parquet(self, path: str | Path, limit: int | None = None) -> int:
        """Write the rows to one Parquet file, never all in memory.

        Args:
            limit: so many rows at most.

        Returns:
            How many rows there were.

        >>> project.table("silver_orders").write_parquet(project.root / "orders.parquet")
        5
        """
        with self._read(limit) as reading:
            return reading.write(Path(path))

    def head(self, limit: int | None = SHOWN) -> QueryRows:
        """The first rows with their columns; `complete` tells whether there are more.

        Args:
            limit: None for all.

        >>> project.table("silver_orders").head(2).complete
        False
        """
        # One more than wanted tells whether there are more.
        with self._read(None if limit is None else limit + 1) as reading:
            rows = [row for chunk in reading.chunks() for row in chunk]
            return QueryRows(reading.schema, rows[:limit], limit is None or len(rows) <= limit)


class Query(Relation):
    """A query over the project's tables; it is computed each time that its rows are taken.

    Args:
        text: as it was written.
    """

    def __init__(self, text: str, read: Reader) -> None:
        super().__init__(read)
        self.text = text
        # Raise for a mistake in the query here, and not where its rows are taken.
        with read(0):
            pass

    def __repr__(self) -> str:
        return f"Query({self.text!r})"

    def __str__(self) -> str:
        return str(import_module("qanat.report.table").query_text(self.head()))

    def _repr_html_(self) -> str:
        return str(import_module("qanat.report.table").rows_html(self.head()))


def _package(name: str, extra: str) -> Any:
    with needing("this", extra):
        return import_module(name)
