"""A bench that binds real files on a real connection and reads the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb.files import BoundFiles, bind_files, pass_files
from qanat.model.inference import OWN, Inference
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS, Field, Schema, type_from_json
from qanat.model.work import FilesBatch, LocalFile

HIDDEN = ("_metadata", "__qanat_file", "__qanat_row", "__qanat_rid")


def columns(text: str) -> Schema:
    """`a long, b string` as columns (types by their Delta names)."""
    pairs = [part.strip().rsplit(" ", 1) for part in text.split(", ")]
    return Schema(tuple(Field(n, type_from_json(t)) for n, t in pairs))


@dataclass
class Bench:
    """A folder of files, and a connection to bind them on."""

    con: duckdb.DuckDBPyConnection
    folder: Path
    scratch: Path
    format: str = "csv"
    count: int = field(default=0)

    def put(self, name: str, content: bytes | str) -> LocalFile:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.file(name)

    def file(self, name: str) -> LocalFile:
        path = self.folder / name
        stat = path.stat()
        return LocalFile(f"s3://lake/{name}", str(path), stat.st_size, stat.st_mtime_ns)

    def bind(
        self, *files: LocalFile, declared: Schema = NO_COLUMNS, known: Schema = NO_COLUMNS,
        drift: Drift = Drift.EVOLVE, format: str | None = None, inference: Inference = OWN,
        widens: bool = False, **options: Any,
    ) -> BoundFiles:  # fmt: skip
        self.count += 1
        batch = FilesBatch(
            files, format or self.format, tuple(options.items()), declared, known, drift, "in/*",
            inference=inference,
        )  # fmt: skip
        bound = bind_files(self.con, f"in{self.count}", batch, self.scratch, widens)
        self.compare_one_pass(batch, bound)
        return bound

    def compare_one_pass(self, batch: FilesBatch, bound: BoundFiles) -> None:
        """Read the files without a spool, too: it gives the same rows, or says it does not."""
        if sum(f.size for f in batch.files) > 100_000:
            return  # nothing there that smaller files have not
        once = pass_files(self.con, f"once{self.count}", batch, self.scratch)
        if once is None:
            return
        select = f"SELECT * EXCLUDE (_metadata), {once.path} FROM"
        try:
            found = self.con.execute(f"{select} ({once.relation})").fetchall()
            complete = once.complete()
        except duckdb.Error:
            complete = False
        if not complete:
            return
        hidden = ", ".join(HIDDEN)
        wanted = self.con.execute(
            f"SELECT * EXCLUDE ({hidden}), __qanat_file FROM ({bound.relation})"
        ).fetchall()
        assert (once.schema, sorted(map(repr, found))) == (bound.schema, sorted(map(repr, wanted)))
        assert bound.malformed is None

    def rows(self, bound: BoundFiles) -> list[tuple[Any, ...]]:
        """The visible columns, ordered by file and row; also checks the hidden columns."""
        names = [d[0] for d in self.con.execute(f"{bound.relation}").description or ()]
        self.con.fetchall()
        assert tuple(names) == (*bound.schema.names, *HIDDEN)
        order = "ORDER BY __qanat_file, __qanat_row"
        text = f"SELECT * EXCLUDE ({', '.join(HIDDEN)}) FROM ({bound.relation}) {order}"
        if not bound.schema.fields:
            text = f"SELECT __qanat_row FROM ({bound.relation})"
        found = self.con.execute(text).fetchall()
        [counts] = self.con.execute(
            "SELECT count(*), count(DISTINCT (__qanat_file, __qanat_row)), count(__qanat_file), "
            f"count(__qanat_row), count(DISTINCT __qanat_rid) FROM ({bound.relation})"
        ).fetchall()
        assert set(counts) == {len(found)}, "positions are unique and never NULL"
        assert bound.rows in (None, len(found))
        return found

    def lines(self, bound: BoundFiles) -> list[int]:
        found = self.con.execute(
            f"SELECT __qanat_row FROM ({bound.relation}) ORDER BY __qanat_file, __qanat_row"
        ).fetchall()
        return [row for (row,) in found]

    def bad(self, bound: BoundFiles) -> list[tuple[str, int, str, str]]:
        """The malformed rows: (file name, row, raw, error)."""
        if bound.malformed is None:
            return []
        found = self.con.execute(f"{bound.malformed} ORDER BY file, row").fetchall()
        assert found, "malformed is None when there is none"
        return [(f.rpartition("/")[2], row, raw, error) for f, row, raw, error in found]


@pytest.fixture(scope="session")
def instance() -> Iterator[duckdb.DuckDBPyConnection]:
    """One DuckDB for all tests: to start it takes longer than most of them."""
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        yield con


@pytest.fixture
def bench(tmp_path: Path, instance: duckdb.DuckDBPyConnection) -> Iterator[Bench]:
    con = instance.cursor()
    con.execute("SET TimeZone = 'UTC'")
    folder, scratch = tmp_path / "in", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    yield Bench(con, folder, scratch)
    con.close()


@pytest.fixture
def schema() -> Any:
    return columns
