"""Maintenance from outside: fewer files, a short past, and no row, order or reader disturbed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake

import qanat
from qanat.errors import TableCorruptError, TableNotFoundError
from qanat.model.upkeep import TableUpkeep
from qanat.project import Project
from qanat.run.results import Selection
from qanat.run.update import update
from tests.acceptance.projects import Shop

NOW = "TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 days'{more})"
AT_ONCE = NOW.format(
    more=", 'delta.logRetentionDuration' = '0 days', 'delta.checkpointInterval' = '4'"
)

SHORT = ", 'delta.logRetentionDuration' = '0 days', 'delta.checkpointInterval' = '2'"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("in", "transformations"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def project(root: Path) -> Iterator[Project]:
    with qanat.open(root) as opened:
        yield opened


def declare(root: Path, sql: str) -> None:
    (root / "transformations/t.sql").write_text(sql)


def add(root: Path, number: int, text: str = "") -> None:
    (root / f"in/{number:03}.csv").write_text(text or f"id,part\n{number},{number % 2}\n")


def grow(project: Project, root: Path, first: int, upto: int, **only: Any) -> None:
    """One update for each of some files."""
    for number in range(first, upto):
        add(root, number)
        assert project.run(**only).status == "succeeded"


def files(root: Path, table: str) -> int:
    return len(DeltaTable(root / "storage/tables" / table).file_uris())


def parquet(root: Path, table: str) -> int:
    return len(list((root / "storage/tables" / table).glob("*.parquet")))


def entries(root: Path, table: str) -> list[int]:
    log = root / "storage/tables" / table / "_delta_log"
    return sorted(int(p.stem) for p in log.glob("[0-9]*.json"))


def by_name(found: Any) -> Mapping[str, TableUpkeep]:
    return {t.table: t for t in found.tables}


def ids(project: Project, table: str) -> list[int]:
    return [row[0] for row in project.query(f"SELECT id FROM {table}").rows()]


COPY = "CREATE STREAMING TABLE {name} {more} AS SELECT * FROM STREAM {source};\n"
READS = "read_files('in/*.csv')"


@pytest.mark.parametrize("more", ["", SHORT])
def test_a_version_that_is_gone_is_said_to_be(root: Path, project: Project, more: str) -> None:
    declare(root, COPY.format(name="bronze", more=NOW.format(more=more), source=READS))
    grow(project, root, 0, 3)
    project.maintain()
    assert ids(project, "bronze") == [0, 1, 2]
    for read in (
        lambda: project.table("bronze", version=1).rows(),
        lambda: project.query("FROM bronze VERSION AS OF 1").rows(),
    ):
        with pytest.raises(TableNotFoundError, match="version 1 of bronze is not there any more"):
            read()


def test_small_files_become_one_and_rows_keep_their_order(root: Path, project: Project) -> None:
    declare(root, COPY.format(name="bronze", more="", source=READS))
    grow(project, root, 0, 5)
    before = ids(project, "bronze")
    looked = by_name(project.maintain(dry_run=True))["bronze"]
    assert (looked.files_before, looked.files_after, looked.compacted) == (5, 1, 5)
    assert files(root, "bronze") == 5
    done = by_name(project.maintain())["bronze"]
    assert (done.files_before, done.files_after, done.compacted) == (5, 1, 5)
    assert files(root, "bronze") == 1
    assert ids(project, "bronze") == before == [0, 1, 2, 3, 4]
    assert project.maintain().tables[0].idle
    # The old version can still be read, and what comes next follows.
    assert len(project.table("bronze", version=2)) == 3
    grow(project, root, 5, 6)
    assert ids(project, "bronze") == [0, 1, 2, 3, 4, 5]
    history = DeltaTable(root / "storage/tables/bronze").history()
    assert [h["operation"] for h in history][:2] == ["WRITE", "OPTIMIZE"]


def test_what_reads_the_table_has_nothing_new_to_do(root: Path, project: Project) -> None:
    """Neither a stream nor a view, nor a rule that refers to the table, sees a change."""
    declare(
        root,
        COPY.format(name="bronze", more="", source=READS)
        + COPY.format(name="silver", more="", source="bronze")
        + "CREATE MATERIALIZED VIEW gold (CONSTRAINT known EXPECT (id) REFERENCES silver (id)"
        " ON VIOLATION DROP ROW) AS SELECT id FROM bronze;",
    )
    grow(project, root, 0, 4)
    project.maintain()
    assert {d.status for d in project.run().datasets} == {"unchanged"}
    grow(project, root, 4, 5)
    assert sorted(ids(project, "silver")) == sorted(ids(project, "gold")) == [0, 1, 2, 3, 4]


def test_a_stream_that_lags_behind_reads_each_row_once(root: Path, project: Project) -> None:
    """Old files and entries stay until it has read them, whatever the retention; then they go."""
    declare(
        root,
        COPY.format(name="bronze", more=AT_ONCE, source=READS)
        + COPY.format(name="silver", more="", source="bronze"),
    )
    grow(project, root, 0, 2)
    grow(project, root, 2, 9, select="bronze", only=True)
    done = by_name(project.maintain("bronze"))["bronze"]
    assert done.kept_for == ("silver",)
    assert (files(root, "bronze"), done.compacted) == (1, 9)
    # Of nine small files seven have still to be read, one by one.
    assert parquet(root, "bronze") == 8
    assert set(range(2, 9)) <= set(entries(root, "bronze"))
    assert project.run().status == "succeeded"
    assert ids(project, "silver") == list(range(9))
    grow(project, root, 9, 13)
    done = by_name(project.maintain())["bronze"]
    assert done.kept_for == ()
    assert parquet(root, "bronze") == 1
    assert min(entries(root, "bronze")) > 2
    assert ids(project, "bronze") == ids(project, "silver") == list(range(13))
    grow(project, root, 13, 15)
    assert ids(project, "silver") == list(range(15))


@pytest.mark.parametrize("read", [1, 2, 3, 4])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_stream_of_changes_that_lags_behind_is_told_them_all(
    root: Path, project: Project, read: int, replaced: bool
) -> None:
    """Files of changes and those that were removed stay, too, and how the table was before."""
    declare(
        root,
        f"CREATE STREAMING TABLE changes AS SELECT * FROM STREAM {READS};"
        f" CREATE STREAMING TABLE rows {NOW.format(more=SHORT)};"
        " CREATE FLOW keep AS AUTO CDC INTO rows FROM STREAM changes KEYS (id) SEQUENCE BY part;"
        " CREATE STREAMING TABLE history AS SELECT * FROM STREAM table_changes('rows');",
    )
    for number in range(read + 3):
        add(root, number, f"id,part\n1,{number}\n2,{-number}\n")
        select = () if number < read else ("changes", "rows")
        assert project.run(select).status == "succeeded"
        if number == read - 1:
            project.maintain()
    if replaced:
        assert project.run(full_refresh="rows", only=True).status == "succeeded"
    assert by_name(project.maintain("rows"))["rows"].kept_for == ("history",)
    assert project.run().status == "succeeded"
    told = project.query(
        "SELECT id, part, sum(CASE WHEN _change_type IN ('insert', 'update_postimage') THEN 1"
        " ELSE -1 END) AS n FROM history GROUP BY ALL HAVING n <> 0 ORDER BY id"
    )
    assert told.rows() == [(1, read + 2, 1), (2, 0, 1)]


def test_a_short_log_says_all_that_updates_need(root: Path, project: Project) -> None:
    """Numbers of flows, replays, quarantines that are replaced, and a full refresh."""
    declare(
        root,
        "CREATE STREAMING TABLE bronze (CONSTRAINT small EXPECT (id < 100) ON VIOLATION"
        f" QUARANTINE ROW) {AT_ONCE} AS SELECT * FROM STREAM {READS};",
    )
    for number in range(12):
        add(root, number, f"id\n{number}\n{100 + number}\n")
        assert project.run().status == "succeeded"
    for _ in range(2):
        found = by_name(project.maintain())
    assert found["bronze"].cleaned.oldest > 0
    assert entries(root, "bronze__quarantine")[0] > 0
    with qanat.open(root) as again:
        assert again.run()["bronze"].status == "unchanged"
        declare(root, (root / "transformations/t.sql").read_text().replace("100", "105"))
        assert again.run().status == "succeeded"
        (replayed,) = again.replay()
        assert (replayed.examined, replayed.replayed) == (12, 5)
        assert sorted(ids(again, "bronze")) == [*range(12), *range(100, 105)]
        assert len(again.quarantine("bronze")) == 7
        again.maintain()
        assert again.run(full_refresh=True, accept_loss=True).status == "succeeded"
        assert sorted(ids(again, "bronze")) == [*range(12), *range(100, 105)]


def test_a_stream_of_a_quarantine_goes_on(root: Path, project: Project) -> None:
    """Maintenance is no commit that may be taken back, whatever number the table has."""
    rule = "(CONSTRAINT small EXPECT (id < 0) ON VIOLATION QUARANTINE ROW)"
    declare(
        root,
        COPY.format(name="bronze", more=rule, source=READS)
        + COPY.format(name="waiting", more="", source="bronze__quarantine"),
    )
    for first in range(0, 9, 3):
        grow(project, root, first, first + 3)
        assert by_name(project.maintain("bronze"))["bronze__quarantine"].compacted
        assert sorted(ids(project, "waiting")) == list(range(first + 3))


def test_unique_keeps_the_same_row_after_compaction(root: Path, project: Project) -> None:
    unique = "(CONSTRAINT one EXPECT UNIQUE (part) ON VIOLATION DROP ROW)"
    declare(
        root,
        COPY.format(name="bronze", more="", source=READS)
        + COPY.format(name="silver", more=unique, source="bronze"),
    )
    grow(project, root, 0, 6)
    assert ids(project, "silver") == [0, 1]
    project.maintain("bronze")
    grow(project, root, 6, 8)
    project.maintain("bronze")
    assert project.run(full_refresh="silver").status == "succeeded"
    assert ids(project, "silver") == [0, 1]


def test_partitions_stay_apart(root: Path, project: Project) -> None:
    declare(root, COPY.format(name="bronze", more="PARTITIONED BY (part)", source=READS))
    grow(project, root, 0, 6)
    done = by_name(project.maintain())["bronze"]
    assert (done.files_before, done.files_after) == (6, 2)
    assert sorted(ids(project, "bronze")) == list(range(6))
    found = DeltaTable(root / "storage/tables/bronze").to_pyarrow_table().to_pylist()
    assert all(row["id"] % 2 == row["part"] for row in found)


def test_a_hidden_sequence_is_kept(root: Path, project: Project) -> None:
    """A late change must still be known to be late after the files were written again."""
    declare(
        root,
        "CREATE STREAMING TABLE people;\n"
        "CREATE FLOW f AS AUTO CDC INTO people FROM STREAM read_files('in/*.csv') KEYS (id)"
        " SEQUENCE BY seq COLUMNS * EXCEPT (seq) STORED AS SCD TYPE 1;",
    )
    for number in range(3):
        add(root, number, f"id,name,seq\n{number},new,10\n")
        done = project.run()
        assert done.status == "succeeded", done
    assert by_name(project.maintain())["people"].compacted == 3
    add(root, 3, "id,name,seq\n0,late,5\n1,later,20\n")
    assert project.run().status == "succeeded"
    found = project.query("SELECT id, name FROM people ORDER BY id").rows()
    assert found == [(0, "new"), (1, "later"), (2, "new")]
    columns = DeltaTable(root / "storage/tables/people").schema().fields
    assert [f.name for f in columns] == ["id", "name"]


@pytest.mark.parametrize("columns", ["id", "id, part"])
def test_clustered_tables_are_sorted(root: Path, project: Project, columns: str) -> None:
    more = f"CLUSTER BY ({columns})"
    declare(root, COPY.format(name="bronze", more=more, source=READS))
    for number, order in enumerate((range(900, 300, -1), range(300, -1, -1))):
        add(root, number, "id,part\n" + "".join(f"{n},{n % 7}\n" for n in order))
        assert project.run().status == "succeeded"
    assert by_name(project.maintain())["bronze"].compacted == 2
    found = ids(project, "bronze")
    assert sorted(found) == list(range(901))
    if columns == "id":
        assert found == sorted(found)
    assert project.maintain().tables[0].idle  # what is clustered is not written again


@pytest.mark.parametrize("columns", ["part", "part, rowid"])
def test_a_clustered_table_may_have_a_column_rowid(
    root: Path, project: Project, columns: str
) -> None:
    declare(root, COPY.format(name="bronze", more=f"CLUSTER BY ({columns})", source=READS))
    for number in range(2):
        add(root, number, f"id,part,rowid\n{number},1,1000\n{number + 2},0,7\n")
        assert project.run().status == "succeeded"
    assert by_name(project.maintain())["bronze"].compacted == 2
    assert sorted(ids(project, "bronze")) == [0, 1, 2, 3]


def test_another_writer_may_append_meanwhile(
    root: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come meanwhile stay; files that go meanwhile are not brought back."""
    declare(root, COPY.format(name="bronze", more="", source=READS))
    grow(project, root, 0, 3)
    place = root / "storage/tables/bronze"
    stage, calls = type(project.session.engine).stage, list[str]()

    def meanwhile(self: Any, work: Any, progress: Any) -> Any:
        staged = stage(self, work, progress)
        if not calls:
            write_deltalake(place, duckdb.sql("SELECT 70 AS id, 0 AS part"), mode="append")
        elif len(calls) == 1:
            DeltaTable(place).delete("id = 1")
        calls.append(work.flow)
        return staged

    monkeypatch.setattr(type(project.session.engine), "stage", meanwhile)
    project.maintain()
    assert (len(calls), sorted(ids(project, "bronze"))) == (1, [0, 1, 2, 70])
    assert by_name(project.maintain())["bronze"].files_after == 1
    assert (len(calls), sorted(ids(project, "bronze"))) == (3, [0, 2, 70])


def test_updates_maintain_what_they_make_grow(root: Path, project: Project) -> None:
    declare(
        root,
        COPY.format(
            name="bronze", more="", source="read_files('in/*.csv', maxFilesPerTrigger => 1)"
        ),
    )
    for number in range(60):
        add(root, number)
    assert project.run().status == "succeeded"
    assert files(root, "bronze") == 1
    assert ids(project, "bronze") == list(range(60))
    assert [str(e.update.command) for e in project.history()] == ["run"]
    for number in range(60, 120):
        add(root, number)
    declare(
        root,
        COPY.format(
            name="bronze",
            more="TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'false')",
            source="read_files('in/*.csv', maxFilesPerTrigger => 1)",
        ),
    )
    assert project.run().status == "succeeded"
    assert files(root, "bronze") == 61


def test_maintenance_that_fails_fails_no_update(
    root: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(
        root,
        COPY.format(
            name="bronze", more="", source="read_files('in/*.csv', maxFilesPerTrigger => 1)"
        ),
    )
    for number in range(60):
        add(root, number)

    def refuse(*_: Any, **__: Any) -> None:
        raise TableCorruptError("the log is damaged")

    monkeypatch.setattr(type(project.session.store), "layout", refuse)
    done = project.run()
    assert (done.status, len(project.table("bronze"))) == ("succeeded", 60)
    told = [e.event for e in project.events().events]
    assert any("it was not maintained: the log is damaged" in str(e) for e in told)


def test_rows_of_flows_into_a_views_quarantine_stay_apart(root: Path, project: Project) -> None:
    """A flow that starts over takes its own rows out of it, and no others."""
    view = (
        "CREATE TEMPORARY VIEW good (CONSTRAINT small EXPECT (id < 3) ON VIOLATION QUARANTINE ROW)"
        " AS SELECT * FROM STREAM bronze;\n"
    )
    declare(
        root,
        COPY.format(name="bronze", more="", source=READS)
        + view
        + COPY.format(name="a", more="", source="good")
        + COPY.format(name="b", more="", source="good"),
    )
    grow(project, root, 0, 7)
    assert len(project.quarantine("good")) == 8
    assert by_name(project.maintain("good"))["good__quarantine"].files_after == 2
    assert project.run(full_refresh="a").status == "succeeded"
    assert len(project.quarantine("good")) == 8


def test_the_document_says_what_was_done(root: Path, project: Project) -> None:
    declare(root, COPY.format(name="bronze", more="", source=READS))
    grow(project, root, 0, 3)
    from qanat.report.documents import document

    found = json.loads(json.dumps(document("maintenance", project.maintain())))
    assert found["tables"][0]["compacted"] == 3
    assert str(project.maintain()).endswith("Nothing to do.")
    assert update(project.session, Selection()).status == "succeeded"


def test_iceberg_tables_are_left_alone(root: Path) -> None:
    (root / "qanat.yml").write_text("name: p\ntable_format: iceberg\n")
    declare(root, COPY.format(name="bronze", more="", source=READS))
    add(root, 0)
    with qanat.open(root) as project:
        assert project.run().status == "succeeded"
        (found,) = project.maintain().tables
        assert (found.idle, "does not maintain Iceberg tables" in found.note) == (True, True)


def told(project: Project) -> list[tuple[Any, ...]]:
    return sorted(project.query("SELECT * FROM each").rows())


def test_a_stream_of_changes_begins_with_the_rows_where_the_log_tells_no_more(
    project: Project, root: Path
) -> None:
    more = SHORT + ", 'delta.enableChangeDataFeed' = 'true'"
    kept = (
        f"CREATE STREAMING TABLE t {NOW.format(more=more)};"
        "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM read_files('in/*.csv') KEYS (id)"
        " SEQUENCE BY seq;"
        "CREATE STREAMING TABLE each AS SELECT id, name, _change_type"
        " FROM STREAM table_changes('t');"
    )
    declare(root, kept)
    for seq in range(1, 8):
        add(root, seq, f"id,name,seq\n1,v{seq},{seq}\n{seq + 1},new,{seq}\n")
        assert project.run().status == "succeeded"
    history = told(project)
    assert len(history) == 2 * 7 + 6 * 1
    project.maintain()
    assert DeltaTable(root / "storage/tables/t").version() > 6
    assert not (root / "storage/tables/t/_delta_log/00000000000000000000.json").exists()
    assert project.run(full_refresh=["each"], only=True).status == "succeeded"
    there = [(1, "v7"), *((n, "new") for n in range(2, 9))]
    assert told(project) == sorted((*row, "insert") for row in there)
    add(root, 8, "id,name,seq\n1,v8,8\n")
    assert project.run().status == "succeeded"
    assert told(project)[:3] == [
        (1, "v7", "insert"),
        (1, "v7", "update_preimage"),
        (1, "v8", "update_postimage"),
    ]


def test_maintenance_forgets_old_history_and_nothing_is_read_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.sql(
        "CREATE OR REFRESH STREAMING TABLE a AS SELECT * FROM STREAM read_files('in/*.csv');"
        "CREATE OR REFRESH STREAMING TABLE b AS SELECT * FROM STREAM a;"
        "CREATE OR REFRESH MATERIALIZED VIEW c AS SELECT count(*) AS n FROM b;"
    )
    for number in range(4):
        shop.file(f"in/{number}.csv", f"id\n{number}\n")
        shop.run()
    with closing(sqlite3.connect(shop.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_updates SET started = started - 200 * 86400")
    with qanat.open(shop.folder) as project:
        project.maintain()
        assert [entry.update.command for entry in project.history(limit=99)] == ["maintain"]
    assert {d.status for d in shop.run().values()} == {"unchanged"}
    shop.file("in/9.csv", "id\n9\n")
    assert {d.status for d in shop.run().values()} == {"updated"}
    assert shop.rows("c") == [(5,)]
    assert sorted(shop.rows("b")) == [(0,), (1,), (2,), (3,), (9,)]
