"""A table in a folder, and epochs whose rows change it by the engine alone, of any kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import Location
from qanat.model.changes import Changes
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.staged import Staged
from qanat.model.work import ArrowBatch, Merge, Output, Stored, TableBatch, Work
from tests.changes.model import Row

HERE = Location("all.sql", 1, 1)


class Files:
    """The files of a table, and what was merged into them.

    Args:
        columns: of the rows that come.
        shown: those of the table; `declared` with their types, where no row tells them.
        engine: which merges; it may serve many tables, one after the other.
    """

    def __init__(
        self,
        folder: Path,
        changes: Changes,
        columns: pa.Schema,
        shown: Sequence[str],
        engine: DuckDBEngine,
        partition_by: tuple[str, ...] = (),
        declared: Schema = NO_COLUMNS,
    ) -> None:
        self.folder, self.changes, self.engine = folder, changes, engine
        self.columns, self.shown, self.partition_by = columns, shown, partition_by
        self.declared = declared
        self.reader = duckdb.connect()
        self.files: list[str] = []
        self.schema = NO_COLUMNS
        self.epoch = 0

    def merge(self, rows: Sequence[Row]) -> Staged:
        """Merge the rows of an epoch, and publish what the engine staged."""
        self.epoch += 1
        prefix, sql = f"epoch-{self.epoch}", "SELECT * FROM __in_1"
        read = Read("__in_1", dataset_ref("changes"), True, HERE)
        listed = [dict(zip(self.columns.names, row, strict=True)) for row in rows]
        data = pa.Table.from_pylist(listed, schema=self.columns)
        stored = None
        if self.schema.fields:
            batch = TableBatch(tuple(self.files), self.schema, self.partition_by)
            stored = Stored(batch, self.epoch - 1)
        target = Output(
            self.folder,
            prefix,
            schema=self.schema,
            declared=self.declared,
            partition_by=self.partition_by,
            stored=stored,
        )
        work = Work(
            flow="customers",
            epoch=self.epoch,
            update="u",
            dataset="customers",
            query=SqlQuery(sql, sql, "duckdb", (read,), HERE),
            inputs={"__in_1": ArrowBatch(lambda: data)},
            output=Output(self.folder, prefix),
            quarantine=Output(self.folder / "quarantine", prefix),
            scratch=self.folder / "scratch" / str(self.epoch),
            at_ns=self.epoch * 1_000_000_000,
            ordered=self.changes.ordered,
            merge=Merge(self.changes, target, None, 0, feed=True),
        )
        before = Counter(self.rows())
        staged = self.engine.stage(work, lambda _: None)
        table = staged.table
        paths = [str(self.folder / f.path) for f in table.files]
        self.files = [f for f in self.files if f not in set(table.removed)] + paths
        self.schema = table.schema
        self._check(staged, before, len(rows))
        return staged

    def _check(self, staged: Staged, before: Counter[Row], came: int) -> None:
        """The rows before, with what readers of changes are told, are the rows after."""
        after, counts = Counter(self.rows()), staged.counts
        assert counts.balanced
        assert counts.written == came
        assert after.total() - before.total() == counts.inserted - counts.deleted
        if not staged.table.removed:
            assert not staged.table.feed
            assert not before - after
            return
        told: dict[str, Counter[Row]] = {}
        for file in staged.table.feed:
            for change, *row in self._select([str(self.folder / file.path)], "_change_type"):
                told.setdefault(str(change), Counter())[tuple(row)] += 1
        gone = told.get("delete", Counter()) + told.get("update_preimage", Counter())
        come = told.get("insert", Counter()) + told.get("update_postimage", Counter())
        assert not gone - before
        assert before - gone + come == after

    def rows(self) -> list[Row]:
        """The rows of the table, sorted."""
        return sorted(self._select(self.files), key=repr) if self.files else []

    def _select(self, files: list[str], *first: str) -> list[Row]:
        return self.reader.execute(
            f"SELECT {', '.join((*first, *self.shown))} FROM read_parquet(?, union_by_name=true, "
            "hive_partitioning=?)",
            [files, bool(self.partition_by)],
        ).fetchall()
