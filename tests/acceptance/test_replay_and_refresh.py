"""Replays beside full refreshes, and of rows that the table would take otherwise by now."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update

pytestmark = pytest.mark.anywhere

TABLE = (
    "CREATE STREAMING TABLE silver ({columns}CONSTRAINT small EXPECT (a < {limit})"
    " ON VIOLATION QUARANTINE ROW{more}) AS SELECT * FROM STREAM read_files('data/*.{kind}');"
)
FAILS = ", CONSTRAINT f EXPECT (id <> 1) ON VIOLATION FAIL UPDATE"


def project(root: Path) -> None:
    (root / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "transformations"):
        (root / folder).mkdir()


def declare(root: Path, limit: int, more: str = "", columns: str = "", kind: str = "csv") -> None:
    sql = TABLE.format(limit=limit, more=more, columns=columns, kind=kind)
    (root / "transformations/t.sql").write_text(sql)


def rows(session: Session, table: str) -> list[tuple[object, ...]]:
    batch = session.store.snapshot(session.table(table)).batch
    return sorted(session.engine.fetch(batch).values, key=str)


def test_a_replay_while_a_full_refresh_waits_doubles_nothing(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "data/1.csv").write_text("id,a\n1,1\n2,200\n")
    declare(tmp_path, 100)
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    declare(tmp_path, 1000, FAILS)
    with Session.open(tmp_path) as session:
        assert update(session, Selection(full_refresh=("silver",))).status == "failed"
    declare(tmp_path, 1000)
    with Session.open(tmp_path) as session:
        replay(session)
        assert rows(session, "silver") == [(1, 1), (2, 200)]
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
        assert rows(session, "silver") == [(1, 1), (2, 200)]
        assert rows(session, "silver__quarantine") == []


def test_rows_whose_struct_has_grown_come_back_whole(tmp_path: Path) -> None:
    project(tmp_path)
    declare(tmp_path, 2, kind="json")
    (tmp_path / "data/1.json").write_text('[{"a": 1, "p": {"x": 1}}, {"a": 3, "p": {"x": 3}}]')
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    (tmp_path / "data/2.json").write_text('[{"a": 1, "p": {"x": 2, "y": 22}}]')
    (tmp_path / "data/3.json").write_text('[{"a": 4, "p": {"x": 4, "y": 44}}]')
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    declare(tmp_path, 9, kind="json")
    with Session.open(tmp_path) as session:
        (result,) = replay(session, "silver")
        assert (result.replayed, result.remaining) == (2, 0)
        assert rows(session, "silver") == [
            (1, {"x": 1, "y": None}),
            (1, {"x": 2, "y": 22}),
            (3, {"x": 3, "y": None}),
            (4, {"x": 4, "y": 44}),
        ]


def test_a_replay_before_a_new_declared_column_has_come(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "data/1.csv").write_text("id,a\n1,1\n2,200\n")
    declare(tmp_path, 100, columns="id BIGINT, a BIGINT, ")
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    declare(tmp_path, 1000, columns="id BIGINT, a BIGINT, y STRING, ")
    with Session.open(tmp_path) as session:
        (result,) = replay(session, "silver")
        assert result.replayed == 1
        assert rows(session, "silver") == [(1, 1), (2, 200)]


def test_a_full_refresh_gives_an_empty_quarantine_the_new_columns(tmp_path: Path) -> None:
    project(tmp_path)
    declare(tmp_path, 100, columns="id BIGINT, a BIGINT, ")
    (tmp_path / "data/1.csv").write_text("id,a\n1,1\n2,200\n")
    with Session.open(tmp_path) as session:
        update(session)
    declare(tmp_path, 300, columns="id STRING, a BIGINT, ")
    with Session.open(tmp_path) as session:
        assert update(session, Selection(full_refresh=("silver",))).status == "succeeded"
        assert rows(session, "silver__quarantine") == []
    (tmp_path / "data/2.csv").write_text("id,a\n7,999\n")
    with Session.open(tmp_path) as session:
        update(session)
        assert rows(session, "silver__quarantine")[0][:2] == ("7", 999)
    declare(tmp_path, 3000, columns="id STRING, a BIGINT, ")
    with Session.open(tmp_path) as session:
        replay(session)
        assert rows(session, "silver") == [("1", 1), ("2", 200), ("7", 999)]


@pytest.mark.parametrize("kind", ["STREAMING TABLE", "MATERIALIZED VIEW"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_row_is_not_left_behind_with_a_view_that_is_read_no_more(
    tmp_path: Path, kind: str, declared: bool
) -> None:
    project(tmp_path)
    (tmp_path / "data/1.csv").write_text("id,v\n1,5\n2,-1\n")
    read = "STREAM read_files" if kind == "STREAMING TABLE" else "read_files"
    source = f"{read}('data/*.csv', header => true)"
    view = (
        "CREATE TEMPORARY VIEW v (CONSTRAINT pos EXPECT (v > 0) ON VIOLATION QUARANTINE ROW)"
        f" AS SELECT * FROM {source};\n"
    )
    table = f"CREATE {kind} s AS SELECT id, v FROM {{}};\n"
    through = "STREAM v" if kind == "STREAMING TABLE" else "v"
    sql = tmp_path / "transformations/t.sql"
    sql.write_text(view + table.format(through))
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
        assert rows(session, "s") == [(1, 5)]
        assert len(rows(session, "v__quarantine")) == 1
    sql.write_text((view if declared else "") + table.format(source))
    again = ("s",) if kind == "STREAMING TABLE" else ()
    for _ in range(2):
        with Session.open(tmp_path) as session:
            assert update(session, Selection(full_refresh=again)).status == "succeeded"
            assert rows(session, "s") == [(1, 5), (2, -1)]
            assert rows(session, "v__quarantine") == []
    sql.write_text(view + table.format(through))
    with Session.open(tmp_path) as session:
        assert update(session, Selection(full_refresh=again)).status == "succeeded"
        assert rows(session, "s") == [(1, 5)]
        assert len(rows(session, "v__quarantine")) == 1


VIEWS = (
    "CREATE TEMPORARY VIEW checked (CONSTRAINT small EXPECT (a < 100) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM read_files('data/*.csv');"
    "CREATE MATERIALIZED VIEW {} AS SELECT sum(a) AS a FROM checked;"
    "CREATE MATERIALIZED VIEW other AS SELECT max(a) AS a FROM checked;"
)


@pytest.mark.on_disk
@pytest.mark.parametrize("name", ["total", "renamed"])
def test_a_log_that_another_tool_has_cleaned_doubles_no_row_in_quarantine(
    tmp_path: Path, name: str
) -> None:
    project(tmp_path)
    (tmp_path / "data/1.csv").write_text("id,a\n1,1\n2,200\n")
    (tmp_path / "transformations/t.sql").write_text(VIEWS.format("total"))
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    if name != "total":
        (tmp_path / "transformations/t.sql").write_text(VIEWS.format(name))
        with Session.open(tmp_path) as session:
            rename(session, "total", name)
    table = DeltaTable(tmp_path / "storage/tables/checked__quarantine")
    table.create_checkpoint()
    for entry in Path(tmp_path, "storage/tables/checked__quarantine/_delta_log").glob("*.json"):
        entry.unlink()
    with Session.open(tmp_path) as session:
        assert len(rows(session, "checked__quarantine")) == 2
        assert update(session, Selection(refresh=(name,))).status == "succeeded"
        assert len(rows(session, "checked__quarantine")) == 2
        assert update(session, Selection(full_refresh_all=True)).status == "succeeded"
        assert len(rows(session, "checked__quarantine")) == 2
