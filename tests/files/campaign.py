"""Compares how Qanat reads files, alone, in company and with care, with other readers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from qanat.engines.duckdb.files import bind_files, pass_files
from qanat.engines.duckdb.files.trust import Look
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from tests.files.delimited import Delimited
from tests.files.kind import Kind, Read
from tests.files.lined import Lined

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (Delimited(), Lined())}
BATCH = 6
_TOLD_LESS = 0.25
"""The share of batches that are also read without the options that Qanat can find out."""
_HIDDEN = ("_metadata", "__qanat_file", "__qanat_row", "__qanat_rid")


@dataclass(frozen=True)
class Failure:
    """A file that is not read as it should be, or not always the same."""

    seed: str
    how: str
    options: Mapping[str, Any]
    data: bytes
    wanted: object
    got: object

    def __str__(self) -> str:
        return (
            f"seed {self.seed}, {self.how}, {dict(self.options)}\n  file   {self.data[:2000]!r}\n"
            f"  wanted {str(self.wanted)[:2000]}\n  got    {str(self.got)[:2000]}"
        )


class Campaign:
    """Draws files of one kind and reads them.

    Args:
        kind: of the files.
        con: a connection to DuckDB.
        folder: an empty folder for files and scratch.
    """

    def __init__(self, kind: Kind, con: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._kind, self._con, self._folder = kind, con, folder
        self._count = 0
        con.execute("SET TimeZone = 'UTC'")

    def batch(self, seed: str, size: int = BATCH) -> Iterator[Failure]:
        """Draw files by a seed and read them in every way."""
        rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        options = self._kind.options(rng)
        contents = [self._kind.draw(rng, options) for _ in range(size)]
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            files = [_put(Path(folder), n, self._kind.name, c) for n, c in enumerate(contents)]
            alone = [self._alone(file, options) for file in files]
            with_care = self._with_care(files, options)
            pairs = [
                ("in company", options, alone, self._read(files, options)),
                ("with care", options, alone, with_care),
            ]
            told = self._kind.told(options)
            if told != options and rng.random() < _TOLD_LESS:
                sniffed = [self._alone(f, told) for f in files]
                pairs.append(("told less, in company", told, sniffed, self._read(files, told)))
            for how, said, ones, others in pairs:
                for content, one, other in zip(contents, ones, others, strict=True):
                    if other.only(one.names).unplaced != one.unplaced:
                        yield Failure(seed, how, said, content, one, other)
            for content, file, one, careful in zip(contents, files, alone, with_care, strict=True):
                for how, wanted, got in self._against(content, file, options, one, careful):
                    yield Failure(seed, how, options, content, wanted, got)

    def _against(
        self, content: bytes, file: LocalFile, options: Mapping[str, Any], one: Read, careful: Read
    ) -> Iterator[tuple[str, object, object]]:
        """What differs from the other reader, and in one pass."""
        wanted = self._kind.expect(content, options)
        if wanted is not None and careful.only(wanted.names) != wanted:
            yield "with care, against the other reader", wanted, careful
        if wanted is not None and one.unplaced != wanted.unplaced:
            yield "alone, against the other reader", wanted, one
        values = self._in_one_pass(file, options)
        if values is not None and values != sorted(repr(v) for _, v in one.rows):
            yield "in one pass", one, values

    def _alone(self, file: LocalFile, options: Mapping[str, Any]) -> Read:
        [found] = self._read([file], options)
        return found

    def _read(self, files: Sequence[LocalFile], options: Mapping[str, Any]) -> list[Read]:
        batch = self._batch(files, options)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            bound = bind_files(self._con, f"b{self._count}", batch, Path(scratch))
            names = bound.schema.names
            rows = self._con.execute(
                f"SELECT __qanat_file, __qanat_row, * EXCLUDE ({', '.join(_HIDDEN)}) "
                f"FROM ({bound.relation}) ORDER BY 1, 2"
            ).fetchall()
            bad = []
            if bound.malformed is not None:
                bad = self._con.execute(f"SELECT file, row FROM ({bound.malformed})").fetchall()
        return [_of(f, names, rows, bad) for f in files]

    def _with_care(self, files: Sequence[LocalFile], options: Mapping[str, Any]) -> list[Read]:
        doubtful = Look(True, "\\n", True, False)
        with patch("qanat.engines.duckdb.files.csv.look", lambda *_: doubtful):
            return self._read(files, options)

    def _in_one_pass(self, file: LocalFile, options: Mapping[str, Any]) -> list[str] | None:
        """The rows, each as a text, in some order; None if they cannot be read so."""
        batch = self._batch([file], options)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            once = pass_files(self._con, f"p{self._count}", batch, Path(scratch))
            if once is None:
                return None
            try:
                rows = self._con.execute(
                    f"SELECT * EXCLUDE (_metadata) FROM ({once.relation})"
                ).fetchall()
            except duckdb.Error:
                return None
            names = once.schema.names
            found = sorted(repr(dict(zip(names, row, strict=True))) for row in rows)
            return found if once.complete() else None

    def _batch(self, files: Sequence[LocalFile], options: Mapping[str, Any]) -> FilesBatch:
        self._count += 1
        return FilesBatch(
            tuple(files), self._kind.name, tuple(options.items()), NO_COLUMNS, NO_COLUMNS,
            Drift.EVOLVE, "in/*",
        )  # fmt: skip


def _put(folder: Path, number: int, ending: str, content: bytes) -> LocalFile:
    path = folder / f"{number}.{ending}"
    path.write_bytes(content)
    return LocalFile(str(path), str(path), len(content), 0)


def _of(
    file: LocalFile, names: Sequence[str], rows: Sequence[Any], bad: Sequence[tuple[str, int]]
) -> Read:
    own = [
        (line, dict(zip(names, values, strict=True)))
        for path, line, *values in rows
        if path == file.path
    ]
    return Read(
        tuple(names), tuple(own), tuple(sorted(line for path, line in bad if path == file.path))
    )
