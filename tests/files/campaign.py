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
from qanat.errors import QanatError
from qanat.model.name import Named, Names
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from tests.files.columnar import Columnar
from tests.files.delimited import Delimited
from tests.files.kind import Drawn, Kind, Read
from tests.files.lined import Lined
from tests.files.nested import Nested

KINDS: Mapping[str, Kind] = {k.name: k for k in (Delimited(), Lined(), Nested(), Columnar())}
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
    found: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed}, {self.how}, {dict(self.options)}\n  {self.found[:2000]}\n"
            f"  file {self.data[:2000]!r}"
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

    def batch(self, seed: str, size: int = BATCH, alone: int = BATCH) -> Iterator[Failure]:
        """Draw files by a seed and read them in every way.

        Args:
            seed: of the files.
            size: how many there are; they are read in company.
            alone: how many of them are also read each by itself, and in one pass. Files that no
                other reader understands come first: there is nothing else to compare them with.
        """
        rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        options = self._kind.options(rng)
        drawn = [self._kind.draw(rng, options) for _ in range(size)]
        less = rng.random() < _TOLD_LESS
        some = sorted(sorted(range(size), key=lambda n: drawn[n].wanted is not None)[:alone])
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            files = [_put(Path(folder), n, self._kind.name, d.data) for n, d in enumerate(drawn)]
            try:
                for how, said, n, found in self._compared(files, drawn, options, some, less):
                    if found is not None:
                        yield Failure(seed, how, said, drawn[n].data, found)
            except (QanatError, duckdb.Error, AssertionError) as error:
                yield Failure(seed, "an error", options, b"", repr(error))

    def _compared(
        self, files: Sequence[LocalFile], drawn: Sequence[Drawn], options: Mapping[str, Any],
        some: Sequence[int], less: bool,
    ) -> Iterator[tuple[str, Mapping[str, Any], int, str | None]]:  # fmt: skip
        """Comparisons: how a file was read, with which options, its number, what differs."""
        company = self._read(files, options)
        careful = company if self._kind.places else self._with_care(files, options)
        for n, (_, wanted) in enumerate(drawn):
            if wanted is not None:
                yield "with care", options, n, self._difference(wanted, careful[n])
                yield "in company", options, n, self._unplaced_difference(wanted, company[n])
        told = self._kind.told(options)
        others = self._read(files, told) if less and told != options else None
        for n in some:
            one, wanted = self._alone(files[n], options), drawn[n].wanted
            if wanted is not None:
                yield "alone", options, n, self._unplaced_difference(wanted, one)
            elif not options.get("infer_schema", True):
                # Types that are inferred depend on the company.
                yield "in company", options, n, self._unplaced_difference(one, company[n])
                yield "with care", options, n, self._unplaced_difference(one, careful[n])
            values = self._in_one_pass(files[n], options)
            if values is not None and values != sorted(repr(v) for _, v in one.rows):
                yield "in one pass", options, n, f"{one.rows} and not {values}"
            if others is not None:
                found = self._unplaced_difference(self._alone(files[n], told), others[n])
                yield "told less, in company", told, n, found

    def _unplaced_difference(self, wanted: Read, got: Read) -> str | None:
        if self._kind.places:
            return self._difference(wanted, got)
        return self._difference(wanted.unplaced, got.unplaced)

    def _difference(self, wanted: Read, got: Read) -> str | None:
        """Where two readings differ; None for the same records with the same values.

        Columns without any value do not count.
        """
        lines, others = ([line for line, _ in read.rows] for read in (wanted, got))
        if (lines, wanted.malformed) != (others, got.malformed):
            return f"rows {lines} and not {others}, malformed {wanted.malformed}, {got.malformed}"
        for (line, values), (_, found) in zip(wanted.rows, got.rows, strict=True):
            mine, rest = Named(values.items()), Named(found.items())
            for name in Names((*mine, *rest)):
                one, other = mine.get(name), rest.get(name)
                if not self._kind.same(one, other):
                    return f"row {line}, {name!r}: {one!r} and not {other!r}"
        return None

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
                lines = {
                    p: found([r for f, r in bad if f == p]) for p, found in bound.counted.items()
                }
                bad = [(f, lines[f][r] if f in lines else r) for f, r in bad]
            assert bound.rows in (None, len(rows)), "rows are counted right"
        return _by_file(files, names, rows, bad)

    def _with_care(self, files: Sequence[LocalFile], options: Mapping[str, Any]) -> list[Read]:
        doubtful = Look(quotes=True, end="\\n", spans=True, even=False, trusted=False)
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
        said = tuple((name, value) for name, value in options.items() if name != "schema")
        return FilesBatch(
            tuple(files), self._kind.name, said, options.get("schema", NO_COLUMNS), NO_COLUMNS,
            Drift.EVOLVE, "in/*",
        )  # fmt: skip


def _put(folder: Path, number: int, ending: str, content: bytes) -> LocalFile:
    # Rows come ordered by path.
    path = folder / f"{number:05}.{ending}"
    path.write_bytes(content)
    return LocalFile(str(path), str(path), len(content), 0)


def _by_file(
    files: Sequence[LocalFile], names: Sequence[str], rows: Sequence[Any],
    bad: Sequence[tuple[str, int]],
) -> list[Read]:  # fmt: skip
    """What was found in each file."""
    own: dict[str, list[tuple[int, dict[str, Any]]]] = {file.path: [] for file in files}
    malformed: dict[str, list[int]] = {file.path: [] for file in files}
    for path, line, *values in rows:
        own[path].append((line, dict(zip(names, values, strict=True))))
    for path, line in bad:
        malformed[path].append(line)
    return [
        Read(tuple(names), tuple(own[f.path]), tuple(sorted(malformed[f.path]))) for f in files
    ]
