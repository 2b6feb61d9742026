"""The heads of CSV files: how each is written and its columns, read from its first kilobytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from qanat.engines.duckdb.files.bound import expected
from qanat.engines.duckdb.files.dialect import Dialect, name_columns
from qanat.engines.duckdb.files.records import (
    CR,
    LF,
    RecordReader,
    chunks_of,
    first_end,
    line_end,
    open_bytes,
    outside_quotes,
    readable,
    split_lines,
)
from qanat.engines.duckdb.files.salvage import Manner
from qanat.engines.duckdb.files.sniff import Sniffer
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.work import FilesBatch, LocalFile

_PREFIX = 65536


class Head(Frozen):
    """The beginning of one file.

    Args:
        index: the file's index in its batch.
        local: the file's local path.
        names: the names of its columns; unique, also without regard to case.
        manner: how it is written.
        odd: True if DuckDB would misread the file: lines that end with CR alone, or a header that
            is not on the first line.
    """

    index: int
    local: str
    names: tuple[str, ...]
    manner: Manner
    odd: bool

    @property
    def skip(self) -> int:
        """The number of lines before the first row."""
        return self.manner.dialect.skip + self.manner.dialect.header


def read_heads(batch: FilesBatch, sniffer: Sniffer, partitions: Sequence[str]) -> list[Head]:
    """The heads of all files that are there and have at least one record or a header.

    Args:
        batch: the batch with the files.
        sniffer: tells how they are written.
        partitions: the columns that come from folder names.

    Raises:
        OSError: a file cannot be opened or decompressed.
    """
    folders = Names(partitions)
    known = [name for name in expected(batch).names if name not in folders]
    cache: dict[tuple[bytes, ...], tuple[str, ...]] = {}
    heads = []
    for index, file in enumerate(batch.files):
        head = _read(index, file, sniffer, known, cache) if file.local else None
        if head is not None:
            heads.append(head)
    return heads


def _read(
    index: int, file: LocalFile, sniffer: Sniffer, known: Sequence[str],
    cache: dict[tuple[bytes, ...], tuple[str, ...]],
) -> Head | None:  # fmt: skip
    with open_bytes(file.local, sniffer.base.compression) as source:
        prefix = bytes(source.read(_PREFIX))
        if not prefix:
            return None
        whole = len(prefix) < _PREFIX
        dialect = sniffer.dialect(file.local, prefix, whole)
        quote = dialect.quote.encode()
        # What is behind an open quote may be a value that goes on behind the prefix.
        before = prefix if whole else outside_quotes(prefix, quote)
        before = before if whole or not quote else before.partition(quote)[0]
        end = first_end([before], quote)
        if not whole and end != LF:
            end = line_end(file.local, dialect.compression, quote)
        end = end or LF
        # A column may be called what means NULL in a row.
        reader = RecordReader(replace(dialect, nulls=()), None, end)
        lines = split_lines(chain([prefix], chunks_of(source)), end)
        record = next(reader.read(lines), None)
    if record is None:
        return None
    cells = (
        tuple(record.raw.split(dialect.delimiter.encode()))
        if record.fields is None
        else tuple(cell for cell in record.fields if cell is not None)
    )
    odd = end == CR or record.line != dialect.skip + 1 or _skips_records(prefix, dialect)
    if not dialect.header:
        names = tuple(known[: len(cells)])
        names = name_columns([*names, *(f"column{i}" for i in range(len(names), len(cells)))])
        return Head(index, file.local, names, Manner(dialect, end), odd)
    odd = odd or b"\n" in record.raw or record.fields is None
    if cells not in cache:
        cache[cells] = name_columns([readable(c) for c in cells])
    return Head(index, file.local, cache[cells], Manner(dialect, end, record.line), odd)


def _skips_records(prefix: bytes, dialect: Dialect) -> bool:
    """True if DuckDB would skip more than lines: it skips records, which may go on in quotes."""
    lines = prefix.split(LF, dialect.skip)
    skipped = LF.join(lines[: dialect.skip])
    return len(lines) <= dialect.skip or any(
        mark and mark.encode() in skipped for mark in (dialect.quote, dialect.comment)
    )
