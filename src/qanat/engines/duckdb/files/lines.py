"""JSON texts, one per row with its file and line: from lines, arrays or whole documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import duckdb

from qanat.engines.duckdb.files.again import CUT, Kept
from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.dialect import Dialect
from qanat.engines.duckdb.files.documents import pieces
from qanat.engines.duckdb.files.records import (
    CHUNK,
    LIMIT,
    NOT_UTF_8,
    lines,
    may_have_long_lines,
    open_bytes,
    shorten,
)
from qanat.engines.duckdb.files.salvage import MANY, SMALL, Salvage, quoted
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.text import literal, quote

# The delimiter: JSON has no unescaped control characters, so only garbage contains it.
_NEVER = "\x01"
_OBJECT_LIMIT = 4 * LIMIT


@dataclass(slots=True)
class Texts:
    """The JSON texts of a batch, in Parquet files.

    Args:
        table: the files of the batch.
        scratch: the folder for the Parquet files.
        compression: the author's option, or None.
        paths: SELECTs of (text, file, line), one for each Parquet file.
        bad: Parquet files with what is no text (see `Spools.bad`).
        put_aside: adds to `bad` what the texts have no text of (NULL); only called if some may.
        odd: whether one of them may be odd (see `sound.odd`); None if that is not known.
    """

    table: FileTable
    scratch: Path
    compression: str | None
    paths: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    put_aside: Callable[[], None] | None = None
    odd: bool | None = None
    salvage: Salvage = field(init=False)

    def __post_init__(self) -> None:
        dialect = Dialect("\n", "", "", False, compression=self.compression)
        self.salvage = Salvage(self.table, self.scratch, dialect)

    def add_lines(self, indexes: Sequence[int]) -> None:
        """Add each line of some files as a text."""
        small = [i for i in indexes if self.table.files[i].size <= SMALL]
        quick = set(small if len(small) >= MANY else ())
        careful = [i for i in indexes if i in quick or self._mixed(i)]
        left = [i for i in indexes if i not in set(careful)]
        if left:
            careful += self._fast(left)
        copy = self.salvage.rewrite(careful, 1) if careful else None
        if copy is not None:
            self._copy_of(copy)

    def _copy_of(self, copy: str) -> None:
        """Add the texts of a CSV file with the columns text, file and line."""
        path = self._target()
        self.table.con.execute(
            f"COPY (SELECT r.text, r.file, r.line FROM read_csv({literal(copy)}, "
            "columns = {'text': 'VARCHAR', 'file': 'INTEGER', 'line': 'BIGINT'}, "
            # Without new_line, DuckDB's parser may fail at a CR in quotes.
            f"{Dialect().options(0)}, new_line = '\\n', max_line_size = {_OBJECT_LIMIT}, "
            f"buffer_size = {2 * _OBJECT_LIMIT}) AS r) TO {literal(path)} ({OPTIONS})"
        )
        self.paths.append(
            f"SELECT text, file, line FROM read_parquet({literal(path)}) WHERE text IS NOT NULL"
        )

    def _mixed(self, index: int) -> bool:
        with open_bytes(self.table.files[index].local, self.compression) as source:
            prefix = bytes(source.read(65536))
        feeds, both, returns = prefix.count(b"\n"), prefix.count(b"\r\n"), prefix.count(b"\r")
        cut = prefix.endswith(b"\r")
        return 0 < both < feeds or (returns - both - cut > 0 and feeds > 0)

    def _fast(self, indexes: list[int]) -> list[int]:
        """Read files with DuckDB; returns those that it refuses, to be read by `Salvage`."""
        long = {
            i
            for i in indexes
            if may_have_long_lines(
                self.table.files[i].local, self.compression, self.table.files[i].size
            )
        }
        plain = [i for i in indexes if i not in long]
        return sorted({*self._putting_aside(plain), *self._refusing(sorted(long))})

    def _putting_aside(self, indexes: list[int]) -> list[int]:
        """Read files whose lines are not too long; returns those with lines put aside."""
        if not indexes:
            return []
        tables = self.table.rejects
        for name in tables:
            self.table.con.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        try:
            path = self._read(
                indexes,
                ", store_rejects = true, rejects_limit = 0, "
                f"rejects_table = {literal(tables[0])}, rejects_scan = {literal(tables[1])}",
            )
        except duckdb.InvalidInputException:
            return indexes
        met = self.table.con.execute(f"SELECT DISTINCT file_id FROM {quote(tables[0])}").fetchall()
        for name in tables:
            self.table.con.execute(f"DROP TABLE IF EXISTS {quote(name)}")
        dirty = {indexes[file_id] for (file_id,) in met}
        if not dirty:
            self._number(path, indexes)
        elif len(dirty) < len(indexes):
            # Read the clean files again without the others; rejected lines are rare.
            dirty |= set(self._putting_aside([i for i in indexes if i not in dirty]))
        return sorted(dirty)

    def _refusing(self, indexes: list[int]) -> list[int]:
        """Read files that may have lines longer than DuckDB's buffer; returns those it refuses.

        Told to put lines aside, it would skip such a line.
        """
        if not indexes:
            return []
        try:
            path = self._read(indexes, "")
        except (duckdb.InvalidInputException, duckdb.NotImplementedException):
            if len(indexes) == 1:
                return indexes
            # Not every message names the file: halve them until those that do not go are found.
            half = len(indexes) // 2
            return [*self._refusing(indexes[:half]), *self._refusing(indexes[half:])]
        self._number(path, indexes)
        return []

    def _read(self, indexes: Sequence[int], more: str) -> str:
        """Copy lines to a spool; returns its path."""
        path = self._target()
        files = self._files([self.table.files[i].local for i in indexes])
        dialect = Dialect(_NEVER, "", "", False, compression=self.compression)
        self.table.con.execute(
            f"COPY (SELECT r.text, {self._index(indexes)} AS file, "
            f"CAST(NULL AS BIGINT) AS line FROM read_csv({files}, "
            f"columns = {{'text': 'VARCHAR'}}, {dialect.options(0)}, "
            f"max_line_size = {LIMIT}{more}) AS r) TO {literal(path)} ({OPTIONS})"
        )
        return path

    def _number(self, path: str, indexes: Sequence[int]) -> None:
        """Add a spool with a line number for each row, from the row's position in the spool."""
        found = self.table.con.execute(
            f"SELECT file, min(file_row_number) FROM read_parquet({literal(path)}) GROUP BY file"
        ).fetchall()
        firsts = [0] * len(self.table.files)
        for file, first in found:
            firsts[file] = first
        base = self.table.at(f"first{len(self.paths)}", firsts, "BIGINT", "s.file")
        # The numbers are computed when the spool is read, and only if they are needed.
        self.paths.append(
            f"SELECT s.text, s.file, s.file_row_number - {base} + 1 AS line "
            f"FROM read_parquet({literal(path)}) AS s WHERE s.text IS NOT NULL"
        )

    def add_documents(self, indexes: Sequence[int], shape: str) -> None:
        """Add each element of files that are arrays, or each document of other files, as a text.

        Args:
            indexes: the files, by index.
            shape: `array` or `unstructured`, as DuckDB calls it.
        """
        if not indexes:
            return
        try:
            self._documents(indexes, shape)
        except duckdb.InvalidInputException:
            if len(indexes) == 1:
                self.add_pieces(indexes[0], shape == "array")
                return
            # The message names no file: halve the files until the malformed ones are found.
            half = len(indexes) // 2
            self.add_documents(indexes[:half], shape)
            self.add_documents(indexes[half:], shape)

    def add_pieces(self, index: int, array: bool) -> None:
        """Add what can be read of a malformed file, element by element."""
        copy = self.scratch / f"{self.table.name}_pieces{index}.csv"
        number = good = 0
        with (
            open_bytes(self.table.files[index].local, self.compression) as source,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            for piece in pieces(source, array):
                number += 1
                # Outside strings JSON takes it for a space; DuckDB's CSV reader stumbles over it.
                raw, error = piece.raw.replace(b"\r", b" "), piece.error
                try:
                    text = raw.decode()
                except UnicodeDecodeError as problem:
                    error = error or f"{NOT_UTF_8}: {problem.reason} at byte {problem.start + 1}"
                if error:
                    self.salvage.malformed(index, number, shorten(raw), error)
                    continue
                good += 1
                out.write(f"{quoted(text)},{index},{number}\n")
        if good:
            self._copy_of(str(copy))

    def add_kept(self, kept: Kept, shapes: Callable[[int], str]) -> None:
        """Add texts that a quarantine has kept; their `line` is the number of each.

        Args:
            shapes: how a file is laid out: `lines`, `array` or `unstructured`.
        """
        good: list[tuple[str, int, int]] = []
        for index, texts in kept.items():
            lost = {t.line for t in texts if t.error.startswith(NOT_UTF_8) and t.raw is not None}
            originals = self._originals(index, lost, shapes) if lost else {}
            for each in texts:
                text = originals.get(each.line) if each.line in lost else each.raw
                if each.raw is None:
                    self.salvage.malformed(index, each.number, b"", f"{each.error}; {CUT}")
                elif text is None:
                    self.salvage.malformed(index, each.number, each.raw.encode(), each.error)
                else:
                    good.append((text, index, each.number))
        copy = self.scratch / f"{self.table.name}_kept.csv"
        with copy.open("w", encoding="utf-8", newline="") as out:
            # Outside strings JSON takes CR for a space; DuckDB's CSV reader stumbles over it.
            out.writelines(f"{quoted(t.replace(chr(13), ' '))},{i},{n}\n" for t, i, n in good)
        if good:
            self._copy_of(str(copy))

    def _originals(
        self, index: int, numbers: set[int], shapes: Callable[[int], str]
    ) -> dict[int, str]:
        """The texts of a file by their numbers, as far as they are of its encoding now.

        What a quarantine keeps of a text that was not says no more which bytes it had.
        """
        file = self.table.files[index]
        if not file.local:
            return {}
        found: dict[int, str] = {}
        shape = shapes(index)
        with open_bytes(file.local, self.compression) as source:
            every = (
                lines(file.local, self.compression)
                if shape == "lines"
                else (piece.raw for piece in pieces(source, shape == "array"))
            )
            for number, raw in enumerate(islice(every, max(numbers)), 1):
                if number in numbers:
                    with suppress(UnicodeDecodeError):
                        found[number] = raw.decode()
        return found

    def _documents(self, indexes: Sequence[int], shape: str) -> None:
        more = f", compression = {literal(self.compression)}" if self.compression else ""
        path = self._target()
        self.table.con.execute(
            f"COPY (SELECT CAST(r.json AS VARCHAR) AS text, {self._index(indexes)} AS file FROM "
            f"read_json_objects({self._files([self.table.files[i].local for i in indexes])}, "
            f"format = {literal(shape)}, maximum_object_size = {_OBJECT_LIMIT}{more}) AS r) "
            f"TO {literal(path)} ({OPTIONS})"
        )
        self._number(path, indexes)

    def _target(self) -> str:
        number = len(list(self.scratch.glob(f"{self.table.name}_texts*")))
        return str(self.scratch / f"{self.table.name}_texts{number}.parquet")

    def _files(self, paths: Sequence[str]) -> str:
        return self.table.variable("read", paths, "VARCHAR")

    def _index(self, indexes: Sequence[int]) -> str:
        return self.table.at("index", indexes, "INTEGER", "r.file_index")


def shape_of(local: str, compression: str | None, multi: bool) -> str:
    """How a `json` file is laid out: `array`, `lines`, `unstructured`; empty when it is empty."""
    with closing(lines(local, compression)) as found:
        seen = [line for line in islice(found, 1000) if line.strip()]
    if not seen:
        return ""
    if seen[0].lstrip().startswith(b"["):
        return "array"
    if multi:
        return "unstructured"
    first = seen[0].decode(errors="replace")
    try:
        json.JSONDecoder().raw_decode(first.strip())
    except json.JSONDecodeError as error:
        cut = error.pos >= len(first.strip()) or first.strip() == "{"
        pretty = len(seen) > 1 and not seen[1].lstrip().startswith(b"{")
        return "unstructured" if cut and pretty else "lines"
    except (RecursionError, ValueError):
        # Python refuses texts that are nested deeply, and numbers of thousands of digits.
        return "lines"
    return "lines"


def is_closed(local: str, compression: str | None) -> bool:
    """True if the last byte that is no space is `]`: DuckDB takes a cut array for a whole one."""
    last = b""
    with open_bytes(local, compression) as source:
        while chunk := bytes(source.read(CHUNK)):
            last = chunk.rstrip() or last
    return last.endswith(b"]")
