"""Arrow batches as staged Parquet files, with statistics, synced to disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qanat.disk import explained, sync
from qanat.model.schema import DataType, Decimal, Primitive, Schema
from qanat.model.staged import ColumnStatistics, DataFile, StagedTable
from qanat.model.work import Output
from tests.conformance.datafusion_engine.columns import arrow_schema

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"

Values = tuple[str | None, ...]


def write(batches: Iterable[pa.RecordBatch], schema: Schema, output: Output) -> StagedTable:
    """Write batches, whose columns are `schema`, into new files of `output`, durably.

    There is no file for an empty result, and none is left behind on an error.
    """
    files: dict[Values, _File] = {}
    try:
        with explained("write to", output.folder):
            for batch in batches:
                # DataFusion says of some columns that they are never NULL; tables do not.
                plain = batch.cast(arrow_schema(schema))
                for values, part in _parts(plain, output.partition_by):
                    if values not in files:
                        files[values] = _File.open(values, len(files), schema, output)
                    files[values].append(part)
            staged = tuple([f.close() for f in files.values()])
            _sync(output.folder, [output.folder / f.path for f in staged])
    except BaseException:
        for each in files.values():
            each.writer.close()
        discard(output)
        raise
    return StagedTable(schema, staged)


def discard(output: Output) -> None:
    """Remove whatever this attempt has staged."""
    for path in output.folder.rglob(f"{output.prefix}*"):
        path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Column:
    """Statistics of one column, batch by batch."""

    nulls: int = 0
    low: Any = None
    high: Any = None
    known: bool = True

    def add(self, values: pa.Array) -> None:
        self.nulls += values.null_count
        if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
            self.known = False  # NaN is greater than any bound to some readers, and than none
        try:
            found = pc.min_max(values).as_py()
        except (OverflowError, ValueError):
            self.known = False  # a year that Python's dates do not have
            return
        if found["min"] is not None:
            self.low = found["min"] if self.low is None else min(self.low, found["min"])
            self.high = found["max"] if self.high is None else max(self.high, found["max"])

    def statistics(self) -> ColumnStatistics:
        return ColumnStatistics(self.nulls, *((self.low, self.high) if self.known else ()))


@dataclass(slots=True)
class _File:
    """One Parquet file in the making."""

    path: str
    full: Path
    writer: pq.ParquetWriter
    values: dict[str, str | None]
    columns: dict[str, _Column]
    rows: int = field(default=0)

    @staticmethod
    def open(values: Values, number: int, schema: Schema, output: Output) -> _File:
        keys = dict(zip(output.partition_by, values, strict=True))
        stored = Schema(tuple(f for f in schema.fields if f.name not in keys))
        folder = "".join(f"{_folder(name, value)}/" for name, value in keys.items())
        path = f"{folder}{output.prefix}-{number}.parquet"
        full = output.folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        arrow = arrow_schema(stored)
        # PyArrow's bounds leave NaN out, and its readers take them for bounds of all values.
        described = [f.name for f in arrow if not pa.types.is_floating(f.type)]
        writer = pq.ParquetWriter(full, arrow, compression="zstd", write_statistics=described)
        ordered = {f.name: _Column() for f in stored.fields if _has_order(f.type)}
        return _File(path, full, writer, keys, ordered)

    def append(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for name, column in self.columns.items():
            column.add(batch.column(name))
        self.writer.write_batch(batch.select(self.writer.schema.names))

    def close(self) -> DataFile:
        self.writer.close()
        statistics = {name: column.statistics() for name, column in self.columns.items()}
        size = self.full.stat().st_size
        return DataFile(self.path, size, self.rows, self.values, statistics)


def _has_order(type_: DataType) -> bool:
    return isinstance(type_, Decimal) or (
        isinstance(type_, Primitive) and type_ != Primitive("binary")
    )


def _parts(
    batch: pa.RecordBatch, partition_by: tuple[str, ...]
) -> Iterator[tuple[Values, pa.RecordBatch]]:
    """The rows of each partition; nothing for a batch without rows."""
    if not partition_by or not batch.num_rows:
        yield from [((), batch)] * bool(batch.num_rows)
        return
    texts = [batch.column(c).cast(pa.string()).to_pylist() for c in partition_by]
    rows: dict[Values, list[int]] = {}
    for number, values in enumerate(zip(*texts, strict=True)):
        rows.setdefault(values, []).append(number)
    for values, numbers in rows.items():
        yield values, batch.take(pa.array(numbers))


def _folder(name: str, value: str | None) -> str:
    text = NULL_FOLDER if value is None else quote(value, safe="")
    if value == NULL_FOLDER:
        text = f"%5F{value[1:]}"  # the text of that name, not NULL
    return f"{quote(name, safe='')}={text}"


def _sync(folder: Path, files: list[Path]) -> None:
    """After this a power loss keeps the files, their names and those of their folders."""
    folders = {p for f in files for p in f.parents if p == folder or folder in p.parents}
    for path in (*files, *sorted(folders, reverse=True)):
        sync(path)
