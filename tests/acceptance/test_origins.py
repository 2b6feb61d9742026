"""Rows in quarantine name the line of the source file that they were, also through tables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import ColumnNotFoundError
from qanat.run import origins
from qanat.run.discard import discarding
from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.session import Session
from tests.acceptance.projects import Shop

PIPELINE = """
CREATE STREAMING TABLE bronze AS SELECT * FROM
  STREAM read_files('data/*.csv', schema => 'id BIGINT, name STRING');
CREATE STREAMING TABLE middle PARTITIONED BY (name) AS
  WITH q AS (SELECT * FROM STREAM bronze) SELECT q.*, id * 2 AS twice FROM q;
CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM middle;
CREATE STREAMING TABLE silver (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)
  AS SELECT * FROM STREAM v;
CREATE MATERIALIZED VIEW gold (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)
  AS SELECT id, name FROM middle;
CREATE MATERIALIZED VIEW sums (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)
  AS SELECT min(id) AS id FROM bronze GROUP BY name;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(PIPELINE)
    made.file("data/1.csv", "id,name\n1,a\n-2,b\n3,a\n")
    made.run()
    made.file("data/2.csv", "id,name\n4,a\n5,c\n-6,a\n")
    made.run()
    return made


def places(
    shop: Shop, dataset: str = "silver"
) -> list[tuple[str, Any, tuple[str, ...], int, str]]:
    """Of each row: the name of the file, the line, the tables, how many are alike, the note."""
    with qanat.open(shop.folder) as project:
        found = project.quarantine(dataset).rows()
    at = found.schema.names.index("_quarantine_origin")
    values = [row[at] for row in found.rows]
    return sorted(
        (Path(v["file"]).name, v["row"], tuple(v["through"]), v["alike"], v["note"] or "")
        for v in values
    )


def notes(shop: Shop, dataset: str = "silver") -> set[str]:
    return {note for *_, note in places(shop, dataset)}


@pytest.mark.parametrize("dataset", ["silver", "gold"])
def test_through_two_tables(shop: Shop, dataset: str) -> None:
    through = ("middle", "bronze")
    assert places(shop, dataset) == [("1.csv", 3, through, 1, ""), ("2.csv", 4, through, 1, "")]


def test_rows_of_files_are_what_they_were(shop: Shop) -> None:
    shop.sql(PIPELINE.replace("id BIGINT, name STRING", "id BIGINT, name BIGINT"))
    shop.run(full_refresh=("bronze", "middle", "silver"))
    assert places(shop, "bronze")[0] == ("1.csv", 2, (), 1, "")


@pytest.mark.parametrize(
    ("text", "options", "lines"),
    [
        ('id,name\n1,"a\nb"\n-2,x\n3,y\n-4,z\n5x,"u\n\nv"\n', "", (4, 6, 7)),
        ('id,name\r\n1,"a\r\nb"\r\n-2,x\r\n3,y\r\n-4,z\r\n5x,u\r\n', "", (4, 6, 7)),
        ("id,name\n\n1,a\n\n\n-2,x\n-4,z\n5x,u\n", "", (6, 7, 8)),
        ("id,name\n1,a\n#\n-2,x\n#, #\n-4,z\n5x,u\n", ", comment => '#'", (4, 6, 7)),
        ("?\n1,a\n\n-2,x\n-4,z\n5x,u\n", ", skip => 1, header => false", (4, 5, 6)),
    ],
)
def test_lines_that_are_no_rows(
    tmp_path: Path, text: str, options: str, lines: tuple[int, ...]
) -> None:
    made = Shop(tmp_path)
    source = f"STREAM read_files('in/*.csv', schema => 'id BIGINT, name STRING'{options})"
    rule = "(CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    made.sql(
        f"CREATE STREAMING TABLE direct {rule} AS SELECT * FROM {source};"
        f"CREATE STREAMING TABLE bronze AS SELECT * FROM {source};"
        f"CREATE STREAMING TABLE silver {rule} AS SELECT * FROM STREAM bronze;"
        "CREATE STREAMING TABLE computed AS SELECT CASE WHEN id < 0 THEN name::INT END AS i"
        f" FROM {source};"
    )
    made.file("in/1.csv", text)
    made.run()
    good, bad = lines[:2], lines[2]
    assert places(made, "bronze") == [("1.csv", bad, (), 1, "")]
    assert places(made) == [("1.csv", line, ("bronze",), 1, "") for line in good]
    for dataset in ("direct", "computed"):
        assert places(made, dataset) == [("1.csv", line, (), 1, "") for line in lines]


def test_as_people_read_it(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        text = str(project.quarantine("silver").rows())
        assert "1. data/1.csv:3, through middle, bronze\n" in text
        assert "data/2.csv:4, through" in project.quarantine("silver")._repr_html_()


def test_an_export_tells_it_too(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        rows = project.quarantine("silver").traced("id < -2 -- some").arrow().to_pylist()
    assert [r["id"] for r in rows] == [-6]
    assert rows[0]["_quarantine_origin"] == {
        "file": str(shop.folder / "data/2.csv"),
        "row": 4,
        "through": ["middle", "bronze"],
        "alike": 1,
        "note": None,
    }


@pytest.mark.parametrize(
    "where",
    ["_quarantine_origin.row = 4", "_Quarantine_Origin.file LIKE '%/2.csv' AND id < 0 -- some"],
)
def test_an_export_of_rows_of_some_lines(shop: Shop, where: str) -> None:
    with qanat.open(shop.folder) as project:
        rows = project.quarantine("silver").traced(where).arrow().to_pylist()
        assert [r["id"] for r in rows] == [-6]
        with pytest.raises(ColumnNotFoundError) as raised:
            project.quarantine("silver").traced("_quarantine_origin.line = 4").arrow()
    assert str(raised.value.location).startswith("--where:1")


def test_a_condition_of_show_and_discard_may_ask_for_it(shop: Shop) -> None:
    where = "_quarantine_origin.file LIKE '%/2.csv' AND id < 0"
    with qanat.open(shop.folder) as project:
        shown = project.table("silver__quarantine").show(where=where)
        (row,) = (dict(zip(shown.schema.names, r, strict=True)) for r in shown.rows)
        assert (row["id"], row["_quarantine_origin"]["row"]) == (-6, 4)
        assert not project.table("silver__quarantine", 0).show(where=where).rows
        quarantine = project.quarantine("silver")
        assert quarantine.discard(where="_quarantine_origin.row = 77").discarded == 0
        done = quarantine.discard(where=where)
        assert (done.discarded, done.remaining) == (1, 1)
        with pytest.raises(ColumnNotFoundError):
            quarantine.discard(where="_quarantine_origin.line = 4")
    assert [place[1] for place in places(shop)] == [3]


def test_discard_asks_about_the_rows_of_a_line(shop: Shop) -> None:
    with Session.open(shop.folder) as session:
        assert discarding(session, "silver", "pos", "_Quarantine_Origin.row = 3") == 1
        assert discarding(session, "silver", None, "_quarantine_origin.row > 2") == 2


def test_a_wrong_condition_is_told_where_it_was_typed(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        quarantine = project.quarantine("silver")
        with pytest.raises(ColumnNotFoundError) as raised:
            quarantine.traced("idd < 0", "pos").arrow()
    assert str(raised.value.location) == "--where:1:1"
    assert raised.value.nearest == "id"


def test_a_table_that_has_another_name_by_now(shop: Shop) -> None:
    shop.sql(PIPELINE.replace("middle", "centre"))
    with Session.open(shop.folder) as session:
        rename(session, "middle", "centre")
    assert notes(shop) == {"the table has got another name since, or is gone"}


def test_a_changed_definition(shop: Shop) -> None:
    shop.sql(PIPELINE.replace("id * 2", "id * 3"))
    assert notes(shop) == {"the definition of middle has changed since"}
    shop.sql(PIPELINE.replace("name STRING'", "name STRING', header => true"))
    (first, _) = places(shop)
    assert first[0].startswith("epoch-")
    assert first[2] == ("middle",)
    assert notes(shop) == {"the definition of bronze has changed since"}


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_source_that_is_not_what_it_was(shop: Shop, change: str) -> None:
    file = shop.folder / "data/1.csv"
    file.unlink() if change == "gone" else file.write_text("id,name\n9,a\n-2,b\n3,a\n9,9\n")
    first, second = places(shop)
    # The other file was read by another epoch.
    assert first == ("2.csv", 4, ("middle", "bronze"), 1, "")
    assert second[0].startswith("epoch-1-")
    assert str(file) in second[-1]
    assert f"{'is gone' if change == 'gone' else 'has changed'}" in second[-1]


def test_a_row_that_is_not_found(shop: Shop) -> None:
    # The same size and time, as no honest program leaves them.
    file = shop.folder / "data/1.csv"
    stat = file.stat()
    file.write_text("id,name\n1,a\n-3,b\n3,a\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert places(shop)[1][-1] == (
        "bronze does not give this row any more when it is computed again"
    )


def test_too_much_is_not_read_for_a_look(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "MOST_BYTES", 10)
    assert {n.partition(" would")[0] for n in notes(shop)} == {"middle"}


def test_rows_of_groups_have_no_place(shop: Shop) -> None:
    shop.sql(
        PIPELINE + "CREATE MATERIALIZED VIEW top (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION"
        " QUARANTINE ROW) AS SELECT * FROM low;"
        "CREATE MATERIALIZED VIEW low AS SELECT min(id) AS id FROM bronze GROUP BY name;"
    )
    shop.run()
    assert notes(shop, "top") == {"low is not computed row by row from one input"}


def test_rows_that_came_by_a_replay(shop: Shop) -> None:
    shop.sql(PIPELINE.replace("id > 0", "id > -9"))
    with Session.open(shop.folder) as session:
        assert sum(r.replayed for r in replay(session)) == 2
    shop.sql(
        PIPELINE.replace("id > 0", "id > -9")
        + "CREATE STREAMING TABLE last (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE"
        " ROW) AS SELECT * FROM STREAM silver;"
    )
    shop.run()
    assert notes(shop, "last") == {"it came into silver by a replay"}


def test_rows_that_are_alike(shop: Shop) -> None:
    through = ("middle", "bronze")
    shop.file("data/3.csv", "id,name\n-7,z\n8,z\n-7,z\n")
    shop.run()
    # All rows are in one file, in the order of the source: their numbers tell them apart.
    assert places(shop)[-2:] == [("3.csv", 2, through, 1, ""), ("3.csv", 4, through, 1, "")]
    shop.file("data/4.csv", "id,name\n-8,z\n8,y\n-8,z\n")
    shop.run()
    assert places(shop)[-2:] == [("4.csv", 2, through, 2, "")] * 2
    with qanat.open(shop.folder) as project:
        assert "4.csv:2, through middle, bronze (one of 2 rows that are alike)" in str(
            project.quarantine("silver")
        )


def test_the_table_itself_stays_as_it_is(shop: Shop) -> None:
    before = json.dumps(sorted(str(p) for p in shop.folder.rglob("storage/tables/**/*")))
    places(shop)
    assert json.dumps(sorted(str(p) for p in shop.folder.rglob("storage/tables/**/*"))) == before
    assert not list(shop.folder.glob("storage/_qanat/scratch/*"))
