"""A table in a folder that epochs of changes are merged into by the engine alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.engines.duckdb.types import columns_of
from qanat.errors import Location
from qanat.model.changes import AutoCdc, Expression, ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.schema import NO_COLUMNS, Field
from qanat.model.staged import Staged
from qanat.model.work import ArrowBatch, Merge, Output, Stored, TableBatch, Work
from tests.changes.model import VALUES, Case, Event, Row

HERE = Location("cdc.sql", 1, 1)
COLUMNS = pa.schema(
    [
        ("id", pa.int64()),
        ("site", pa.string()),
        ("seq", pa.int64()),
        ("lsn", pa.int64()),
        ("op", pa.string()),
        ("a", pa.int64()),
        ("b", pa.string()),
    ]
)


def declared(case: Case) -> AutoCdc:
    """What an author would declare for a case."""
    left_out = ("op",) if case.shown else ("op", "seq", "lsn")
    return AutoCdc(
        keys=("id", "site"),
        sequence=(Expression("seq", "duckdb"), Expression("lsn", "duckdb")),
        deletes=Expression("op = 'D'", "duckdb"),
        truncates=None if case.two else Expression("op = 'T'", "duckdb"),
        columns=Chosen(left_out, all_but=True),
        keeps=Chosen(case.keeps) if case.keeps else None,
        scd=ScdType.TWO if case.two else ScdType.ONE,
        tracked=EVERY if case.tracked is None else Chosen(case.tracked),
    )


class Files:
    """The files of a table, and what was merged into them.

    Args:
        engine: which merges; it may serve many tables, one after the other.
        two: whether the table has a row for each version.
        shown: whether it has the columns of the sequence.
        partitioned: whether it has partitions.
    """

    def __init__(
        self, folder: Path, engine: DuckDBEngine, two: bool, shown: bool, partitioned: bool
    ) -> None:
        self.folder, self.engine, self.two, self.shown = folder, engine, two, shown
        self.reader = duckdb.connect()
        self.files: list[str] = []
        self.kept: list[str] = []
        self.schema = NO_COLUMNS
        self.events = NO_COLUMNS
        self.epoch = 0
        self.partition_by = ("site",) if partitioned else ()

    def work(self, data: pa.Table, changes: AutoCdc, forgets_ns: int = 0) -> Work:
        """The work of the next epoch, over some rows."""
        read = Read("__in_1", dataset_ref("changes"), True, HERE)
        sql = "SELECT * FROM __in_1"
        target = Output(
            self.folder, f"epoch-{self.epoch}", schema=self.schema, partition_by=self.partition_by
        )
        if self.schema.fields:
            batch = TableBatch(tuple(self.files), self.schema, self.partition_by)
            target = Output(
                target.folder,
                target.prefix,
                schema=self.schema,
                partition_by=self.partition_by,
                stored=Stored(batch, self.epoch - 1),
            )
        kept = TableBatch(tuple(self.kept), self.events) if self.kept else None
        return Work(
            flow="customers",
            epoch=self.epoch,
            update="u",
            dataset="customers",
            query=SqlQuery(sql, sql, "duckdb", (read,), HERE),
            inputs={"__in_1": ArrowBatch(lambda: data)},
            output=Output(self.folder, f"epoch-{self.epoch}"),
            quarantine=Output(self.folder / "quarantine", f"epoch-{self.epoch}"),
            scratch=self.folder / "scratch" / str(self.epoch),
            at_ns=self.epoch * 1_000_000_000,
            merge=Merge(changes, target, kept, forgets_ns, feed=True),
        )

    def publish(self, staged: Staged) -> None:
        """Make what was staged the table; what readers of changes are told has to fit."""
        before = Counter(self.rows())
        table = staged.table
        paths = [str(self.folder / f.path) for f in table.files]
        self.files = [f for f in self.files if f not in set(table.removed)] + paths
        self.schema = table.schema
        if table.events is not None:
            self.kept = [str(self.folder / f.path) for f in table.events]
            self.events = table.event_columns
            if self.kept:
                described = [(f.name, f.type) for f in self._described(self.kept)]
                assert [(f.name, f.type) for f in self.events.fields] == described
        self._check_feed(staged, before)

    def _described(self, files: list[str]) -> list[Field]:
        found = self.reader.sql(f"SELECT * FROM read_parquet({files!r}, hive_partitioning=false)")
        return [Field(c.name, c.type) for c in columns_of(found.columns, found.types) if c.type]

    def _check_feed(self, staged: Staged, before: Counter[Row]) -> None:
        """The rows before, with what readers of changes are told, are the rows after."""
        after = Counter(self.rows())
        if not staged.table.removed:
            assert not staged.table.feed
            assert not before - after
            return
        told: dict[str, Counter[Row]] = {}
        for file in staged.table.feed:
            for change, *row in self._select([str(self.folder / file.path)], "_change_type"):
                told.setdefault(change, Counter())[tuple(row)] += 1
        gone = told.get("delete", Counter()) + told.get("update_preimage", Counter())
        come = told.get("insert", Counter()) + told.get("update_postimage", Counter())
        assert before - gone + come == after
        assert not gone - before
        assert not (gone & come)

    def rows(self) -> list[Row]:
        """The rows as the model has them, sorted."""
        return sorted(self._select(self.files), key=repr) if self.files else []

    def _select(self, files: list[str], *first: str) -> list[Row]:
        columns = [*first, "id", "site", *VALUES]
        if self.two:
            columns += ["__START_AT", "__END_AT"]
        elif self.shown:
            columns += ["seq", "lsn"]
        found = self.reader.execute(
            f"SELECT {', '.join(columns)} FROM read_parquet(?, union_by_name=true, "
            "hive_partitioning=?)",
            [files, bool(self.partition_by)],
        ).fetchall()
        return [tuple(_plain(v) for v in row) for row in found]


class Table(Files):
    """A table of a case."""

    def __init__(
        self, folder: Path, case: Case, engine: DuckDBEngine, partitioned: bool = False
    ) -> None:
        super().__init__(folder, engine, case.two, case.shown, partitioned)
        self.case = case

    def merge(self, events: tuple[Event, ...], forgets_ns: int = 0) -> Staged:
        """Merge events, and publish what the engine staged."""
        data = pa.Table.from_pylist(
            [dict(zip(COLUMNS.names, e.row, strict=True)) for e in events], schema=COLUMNS
        )
        self.epoch += 1
        staged = self.engine.stage(self.work(data, declared(self.case), forgets_ns), nothing)
        self.publish(staged)
        return staged


def nothing(progress: float | None) -> None:
    """Tell nobody."""
    del progress


def _plain(value: object) -> object:
    return tuple(value.values()) if isinstance(value, dict) else value
