"""An engine with a folder to work in, and short ways to say what the tests say often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq

from qanat.errors import Location
from qanat.model.expectation import Action, Expectation
from qanat.model.pipeline import Drift
from qanat.model.query import Computation, Read, SourceRef, SqlQuery, dataset_ref
from qanat.model.rule import Predicate, Rule
from qanat.model.schema import NO_COLUMNS, DataType, Field, Primitive, Schema
from qanat.model.staged import Staged, StagedTable
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import Batch, FilesBatch, LocalFile, Output, TableBatch, Work
from qanat.ports.engine import Engine
from qanat.storage.delta.store import DeltaStore
from tests.conformance.engine.capabilities import Words

HERE = Location("tables.sql", 3, 1)
NUMBERS = {"id": list(range(1, 9)), "v": [5, -1, None, 7, 700, -2, 8, 9]}

_TYPES: dict[pa.DataType, DataType] = {
    pa.int64(): Primitive("long"),
    pa.int32(): Primitive("integer"),
    pa.string(): Primitive("string"),
    pa.float64(): Primitive("double"),
    pa.bool_(): Primitive("boolean"),
    pa.date32(): Primitive("date"),
}


class Bench:
    """An engine with a folder to work in."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.store = DeltaStore()

    # -- inputs ---------------------------------------------------------------------------

    def table(self, rows: pa.Table | Mapping[str, Sequence[Any]], parts: int = 1) -> TableBatch:
        """A table's files."""
        table = rows if isinstance(rows, pa.Table) else pa.table(dict(rows))
        folder = self.folder / "inputs"
        folder.mkdir(exist_ok=True)
        files = []
        size = -(-table.num_rows // parts) or 1
        for start in range(0, table.num_rows, size):
            path = folder / f"{uuid4().hex}.parquet"
            pq.write_table(table.slice(start, size), path)
            files.append(str(path))
        fields = [Field(f.name, _TYPES[f.type]) for f in table.schema]
        return TableBatch(tuple(files), Schema(tuple(fields)))

    def csv(self, *texts: str) -> FilesBatch:
        """CSV files with a header."""
        files = []
        for number, text in enumerate(texts):
            path = self.folder / f"{number}-{uuid4().hex[:4]}.csv"
            path.write_text(text, encoding="utf-8")
            files.append(LocalFile(str(path), str(path), len(text.encode()), 0))
        options = (("header", True),)
        return FilesBatch(
            tuple(files), "csv", options, NO_COLUMNS, NO_COLUMNS, Drift.EVOLVE, "in/*.csv"
        )

    # -- what is said ---------------------------------------------------------------------

    def say(self, text: str | Words) -> str:
        """The words that the engine understands."""
        return text[self.engine.dialect] if isinstance(text, Words) else text

    def query(self, sql: str | Words, inputs: Mapping[str, Batch]) -> SqlQuery:
        """An author's query over batches."""

        def read(name: str, batch: Batch) -> Read:
            source = dataset_ref(name)
            if isinstance(batch, FilesBatch):
                source = SourceRef("files", batch.path, hidden=("_metadata",))
            return Read(name, source, streaming=True, location=HERE)

        reads = tuple(read(n, b) for n, b in inputs.items())
        return SqlQuery(self.say(sql), self.say(sql), self.engine.dialect, reads, HERE)

    def expect(
        self, name: str, rule: str | Words | Rule, action: str = "quarantine"
    ) -> Expectation:
        """An expectation; a text is a condition."""
        if isinstance(rule, str | Words):
            rule = Predicate(self.say(rule), self.engine.dialect)
        return Expectation(name, rule, Action(action), Location("tables.sql", 1, 1))

    # -- work -----------------------------------------------------------------------------

    def work(
        self,
        query: str | Words | Computation,
        inputs: Mapping[str, Batch],
        expectations: Sequence[Expectation] = (),
        **changes: Any,
    ) -> Work:
        token = uuid4().hex
        if isinstance(query, str | Words):
            query = self.query(query, inputs)
        plain = Work(
            flow="flow",
            epoch=7,
            update="update-1",
            dataset="target",
            query=query,
            inputs=inputs,
            output=Output(self.folder / "target", f"epoch-7-{token}"),
            quarantine=Output(self.folder / "target__quarantine", f"epoch-7-{token}"),
            scratch=self.folder / "work" / token,
            at_ns=1_700_000_000_123_456_000,
            expectations=tuple(expectations),
        )
        return replace(plain, **changes)

    def stage(
        self,
        query: str | Words | Computation,
        inputs: Mapping[str, Batch],
        expectations: Sequence[Expectation] = (),
        **changes: Any,
    ) -> Staged:
        staged = self.engine.stage(self.work(query, inputs, expectations, **changes), _silent)
        assert staged.counts.balanced or staged.failed
        assert not list((self.folder / "work").glob("*"))
        return staged

    # -- results --------------------------------------------------------------------------

    def rows(
        self, staged: StagedTable, *partition_by: str, folder: str = "target"
    ) -> list[dict[str, Any]]:
        """Staged rows as another Delta reader sees them once they are published."""
        table = self.publish(staged, *partition_by, folder=folder).to_pyarrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def publish(
        self, staged: StagedTable, *partition_by: str, folder: str = "target"
    ) -> deltalake.DeltaTable:
        """Put staged files into a Delta table."""
        table = self.ref(folder)
        number = self.store.transaction(table, "t") + 1
        self.store.publish(
            Commit(table, staged.schema, staged.files, Change.APPEND, "t", number, partition_by)
        )
        return deltalake.DeltaTable(table.location)

    def published(self, folder: str = "target") -> TableBatch:
        """A published table, to be read again."""
        batch = self.store.snapshot(self.ref(folder)).batch
        assert isinstance(batch, TableBatch)
        return batch

    def ref(self, folder: str) -> TableRef:
        return TableRef(str(self.folder / folder), folder)

    def quarantined(self, staged: Staged, name: str = "target") -> list[dict[str, Any]]:
        found = staged.quarantines.get(name)
        return [] if found is None else self.rows(found, folder=f"{name}__quarantine")

    def left(self, staged: Staged) -> list[dict[str, Any]]:
        """The rows that a replay has left in quarantine, as they are staged."""
        rest = staged.quarantines["target"]
        folder = self.folder / "target__quarantine"
        files = tuple(str(folder / f.path) for f in rest.files)
        rows = self.engine.fetch(TableBatch(files, rest.schema)).values
        return [dict(zip(rest.schema.names, row, strict=True)) for row in rows]

    def files(self) -> list[Path]:
        """Everything that lies in the folders of tables."""
        folders = [p for p in self.folder.glob("target*") if p.is_dir()]
        return [p for f in folders for p in f.rglob("*") if p.is_file() and "_delta" not in str(p)]


def _silent(fraction: float | None) -> None:
    assert fraction is None or 0 <= fraction <= 1


def violations(staged: Staged) -> dict[str, int]:
    """How many rows broke each rule."""
    return {r.rule: r.violations for r in staged.rules}


def local(*parts: int) -> dt.datetime:
    """A time without a zone, as TIMESTAMP is."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001
