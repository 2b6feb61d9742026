"""Rows that could not be parsed, parsed again with today's options and columns.

A quarantine keeps the text of such a row. It is read by the careful readers, as if the rest of its
file were not there: other rows of the file are in the table already, so that no text may run into
the next line. How a CSV file is written and the order of its columns are told by its head. Rows of
Parquet files are read from there again: no text keeps all of their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, TypeAlias

import duckdb

from qanat.engines.duckdb.files import prepared
from qanat.engines.duckdb.files.bound import BoundFiles, FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.records import (
    LF,
    NOT_UTF_8,
    RAW_LIMIT,
    Record,
    RecordReader,
    chunks_of,
    open_bytes,
    split_lines,
)
from qanat.engines.duckdb.files.salvage import Manner, Salvage, copied
from qanat.frozen import Frozen
from qanat.model.work import FilesBatch

GONE = "its file is gone or has changed since, so that the order of its columns is not known"
NOT_THERE = "its file is gone or has changed since: the row itself is there alone"
CUT = f"only its first {RAW_LIMIT} bytes are kept"

_FORMATS = {
    "csv": ("qanat.engines.duckdb.files.csv", "bind_csv_again"),
    "json": ("qanat.engines.duckdb.files.json", "bind_json_again"),
    "ndjson": ("qanat.engines.duckdb.files.json", "bind_json_again"),
    "parquet": ("qanat.engines.duckdb.files.parquet", "bind_parquet_again"),
    "payloads": ("qanat.engines.duckdb.files.payloads", "bind_payloads_again"),
}


class KeptText(Frozen):
    """The text of a row, as a quarantine has kept it.

    Args:
        number: of the row in the quarantine, which tells it from all others there.
        line: 1-based, in its file.
        raw: the text; None if only its beginning was kept.
        error: why it could not be parsed.
    """

    number: int
    line: int
    raw: str | None
    error: str


Kept: TypeAlias = Mapping[int, Sequence[KeptText]]
"""By the file's index in its batch."""


def bind_again(
    con: duckdb.DuckDBPyConnection,
    name: str,
    batch: FilesBatch,
    rows: Iterable[tuple[int, str, int, str | None, str]],
    scratch: Path,
) -> BoundFiles:
    """Parse rows of files again.

    Args:
        con, name, batch, scratch: as for `bind_files`, which also tells what is raised.
        rows: of each text its number, the path of its file, its line, itself, and the reason (see
            `KeptText`). Those of other files are left out.

    Returns:
        Of each row `__qanat_row`, and of each malformed one `row`, is the `number` of its text.
    """
    places = {file.path: index for index, file in enumerate(batch.files)}
    kept: dict[int, list[KeptText]] = {}
    for number, path, line, raw, error in rows:
        if path in places:
            kept.setdefault(places[path], []).append(KeptText(number, line, raw, error))
    module, function = _FORMATS[batch.format]
    bind = getattr(import_module(module), function)
    bound: BoundFiles = bind(*prepared(con, name, batch, scratch), scratch, kept)
    return bound


class KeptSalvage(Salvage):
    """Copies the texts of rows instead of files.

    Args:
        kept: the texts.
        manners: by file, how it is written; without those that are not there any more.
    """

    def __init__(
        self, table: FileTable, scratch: Path, dialect: Dialect, kept: Kept,
        manners: Mapping[int, Manner],
    ) -> None:  # fmt: skip
        super().__init__(table, scratch, dialect, manners)
        self._kept, self._files = kept, table.files
        for index in kept.keys() - manners.keys():
            for text in kept[index]:
                self.malformed(index, text.number, (text.raw or "").encode(), GONE)

    def _append(self, index: int, width: int, out: IO[bytes]) -> int:
        good = 0
        manner = self._manners[index]
        texts = self._kept.get(index, ())
        originals = self._originals(index, texts, manner)
        for text in texts:
            raw = originals.get(text.number, (text.raw or "").encode())
            record, error = _parsed(raw, text, manner, width)
            if record is None:
                self.malformed(index, text.number, raw, error)
                continue
            good += 1
            self.longest = max(self.longest, len(raw))
            out.write(copied(record, manner.dialect, index, text.number))
        return good

    def _originals(
        self, index: int, texts: Iterable[KeptText], manner: Manner
    ) -> dict[int, bytes]:
        """The bytes of the texts that were not of the file's encoding, from the file itself."""
        wanted = [t for t in texts if t.error.startswith(NOT_UTF_8) and t.raw is not None]
        if not wanted:
            return {}
        end = manner.end or LF
        lines = {line for t in wanted for line in _lines_of(t, end)}
        found: dict[int, bytes] = {}
        with open_bytes(self._files[index].local, manner.dialect.compression) as source:
            every = enumerate(split_lines(chunks_of(source), end), 1)
            for number, line in islice(every, max(lines)):
                if number in lines:
                    found[number] = line
        return {t.number: end.join(found.get(n, b"") for n in _lines_of(t, end)) for t in wanted}


def _lines_of(text: KeptText, end: bytes) -> Iterator[int]:
    more = (text.raw or "").count(end.decode())
    yield from range(text.line, text.line + more + 1)


def _parsed(raw: bytes, text: KeptText, manner: Manner, width: int) -> tuple[Record | None, str]:
    """The record that a text is; None, and why, if it is not exactly one."""
    if text.raw is None:
        return None, f"{text.error}; {CUT}"
    dialect = manner.dialect
    if text.line <= max(manner.header, dialect.skip):
        return None, "its line is above the first row now (options header and skip)"
    reader = RecordReader(replace(dialect, skip=0), width, manner.end or LF)
    records = list(islice(reader.read(split_lines(iter([raw]), manner.end or LF)), 2))
    if not records:
        return None, "it is no row now, but blank or a comment"
    record = records[0]
    if record.fields is None:
        return None, record.error
    return (record, "") if len(records) == 1 else (None, "it is more than one row now")
