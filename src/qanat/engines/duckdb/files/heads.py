"""The heads of CSV files: each file's columns, read from its first kilobytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from qanat.engines.duckdb.files.bound import expected
from qanat.engines.duckdb.files.dialect import Dialect, compression_of, name_columns
from qanat.engines.duckdb.files.records import (
    RecordReader,
    lines,
    open_bytes,
    readable,
    split_lines,
    text_of,
)
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.work import FilesBatch, LocalFile

_PREFIX = 65536
_SNIFFED = 20480
"""Rows that DuckDB's sniffer looks at."""
_SNIFFED_BYTES = 4 * 1024 * 1024
_UNUSUAL = (b";", b"\t", b"|", b'"', b"'")
_ELSE = bytes(set(range(256)) - set(b",\n"))


class Head(Frozen):
    """The beginning of one file.

    Args:
        index: the file's index in its batch.
        local: the file's local path.
        names: the names of its columns; unique, also without regard to case.
        skip: the number of physical lines before the first row.
        odd: True if DuckDB would misread the file: mixed line ends, or a header that is not on
            the first line.
    """

    index: int
    local: str
    names: tuple[str, ...]
    skip: int
    odd: bool


def sample_text(batch: FilesBatch, options: Mapping[str, Any]) -> tuple[str | None, str]:
    """The path and beginning of the first file with content; (None, "") if all are empty."""
    skip = int(options.get("skip", 0))
    for file in batch.files:
        if file.size == 0:
            continue
        with open_bytes(file.local, compression_of(options)) as source:
            text = text_of(lines(source))
        text = "".join(text.splitlines(keepends=True)[skip:])
        if text.strip():
            return file.local, text
    return None, ""


def only_commas(options: Mapping[str, Any], local: str) -> bool:
    """True if a file is written so that the sniffer can find nothing but the standard dialect.

    It tries a hundred dialects on so many rows that reading a small file takes it longer than
    all else. There is no other to find where every row has the same number of commas, and none
    has a quote or another separator. Only types tell whether the first row is a header.
    """
    asked = {"delimiter", "quote", "comment"} & set(options) or "header" not in options
    if asked:
        return False
    last = int(options.get("skip", 0)) + _SNIFFED
    with open_bytes(local, compression_of(options)) as source:
        head = bytes(source.read(_SNIFFED_BYTES))
    rows = head.split(b"\n", last)
    if len(rows) > last or len(head) == _SNIFFED_BYTES:
        head = head[: len(head) - len(rows.pop())]
    if any(c in head for c in _UNUSUAL):
        return False
    skipped = last - _SNIFFED
    # Without all else, rows of the same number of commas are the same. The last one may be empty.
    alike = set(head.translate(None, _ELSE).removesuffix(b"\n").split(b"\n"))
    if not skipped and b"" not in alike:
        return len(alike) == 1
    found = {row.count(b",") for row in rows[skipped:] if row}
    return len(found) == 1 and 0 not in found


def read_heads(batch: FilesBatch, dialect: Dialect, partitions: Sequence[str]) -> list[Head]:
    """The heads of all files that have at least one record or a header.

    Args:
        batch: the batch with the files.
        dialect: how they are written.
        partitions: the columns that come from folder names.

    Raises:
        OSError: a file cannot be opened or decompressed.
    """
    folders = Names(partitions)
    known = [name for name in expected(batch).names if name not in folders]
    cache: dict[tuple[bytes, ...], tuple[str, ...]] = {}
    heads = []
    for index, file in enumerate(batch.files):
        head = _read(index, file, dialect, known, cache)
        if head is not None:
            heads.append(head)
    return heads


def _read(
    index: int, file: LocalFile, dialect: Dialect, known: Sequence[str],
    cache: dict[tuple[bytes, ...], tuple[str, ...]],
) -> Head | None:  # fmt: skip
    with open_bytes(file.local, dialect.compression) as source:
        prefix = bytes(source.read(_PREFIX))
        if not prefix:
            return None
        reader = RecordReader(dialect, None)
        whole = chain([prefix], iter(lambda: bytes(source.read(_PREFIX)), b""))
        record = next(reader.read(split_lines(whole)), None)
    feeds, both = prefix.count(b"\n"), prefix.count(b"\r\n")
    # A CR at the end of the prefix may belong to a CR LF that the prefix cuts in two.
    alone = prefix.count(b"\r") - both - (len(prefix) == _PREFIX and prefix.endswith(b"\r"))
    odd = 0 < both < feeds or (alone > 0 and feeds > 0)
    if record is None:
        return None
    cells = record.fields if record.fields is not None else tuple(
        record.raw.split(dialect.delimiter.encode())
    )  # fmt: skip
    if not dialect.header:
        names = tuple(known[: len(cells)])
        names = name_columns([*names, *(f"column{i}" for i in range(len(names), len(cells)))])
        odd = odd or record.line != dialect.skip + 1
        return Head(index, file.local, names, dialect.skip, odd)
    odd = odd or record.line != dialect.skip + 1 or b"\n" in record.raw or record.fields is None
    if cells not in cache:
        cache[cells] = name_columns([readable(c) for c in cells])
    return Head(index, file.local, cache[cells], dialect.skip + 1, odd)
