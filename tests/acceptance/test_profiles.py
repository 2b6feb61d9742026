"""Profiles of whatever a project can name, and those that updates keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qanat
from qanat.errors import (
    ColumnNotFoundError,
    ConversionError,
    DatasetNotFoundError,
    QanatError,
    SqlSyntaxError,
    TableNotFoundError,
    UpdateNotFoundError,
)
from qanat.model.event import Event, Warned
from qanat.run import profiles
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT good EXPECT (v > 0) ON VIOLATION QUARANTINE ROW
) {properties} AS SELECT id, v, name FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v DECIMAL(10, 2), name STRING');
"""
ASKED = "TBLPROPERTIES ('qanat.profile' = 'true')"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL.format(properties=ASKED))
    put(made, "0", [(1, 0.5, "Ada"), (2, 2.5, None), (3, -1.0, "Bea")])
    made.run()
    return made


def put(shop: Shop, name: str, rows: list[tuple[object, ...]]) -> None:
    lines = (json.dumps(dict(zip(("id", "v", "name"), row, strict=True))) for row in rows)
    shop.file(f"in/{name}.json", "".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("named", "rows", "version"),
    [
        ("BRONZE", 2, 0),
        ("bronze@0", 2, 0),
        ("bronze__quarantine", 1, 0),
        ("in/0.json", 3, None),
        ("in/*.json", 3, None),
        ("read_files('in/*.json', format => 'ndjson')", 3, None),
        ("read_files('in/*.json', format => 'ndjson') WHERE id = 2", 1, None),
        ("bronze b JOIN bronze__quarantine q USING (id)", 0, None),
        ("SELECT id FROM bronze WHERE id > 1 -- some", 1, None),
    ],
)
def test_whatever_has_rows(shop: Shop, named: str, rows: int, version: int | None) -> None:
    with qanat.open(shop.folder) as project:
        found = project.profile(named)
        assert (found.rows, found.version, found["id"].nulls) == (rows, version, 0)
        assert found["id"].type == "bigint"
        assert not list(project.session.scratch.glob("profiled-*"))


def test_the_state_of_a_flow(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(SQL.format(properties="") + "CREATE STREAMING TABLE sums AS SELECT name, sum(v) AS v"
             " FROM STREAM bronze GROUP BY name;")  # fmt: skip
    put(shop, "0", [(1, 0.5, "Ada"), (2, 2.5, "Bea")])
    shop.run()
    with qanat.open(shop.folder) as project:
        # One for each name, and one with how far the stream has come.
        assert project.profile("sums__state").rows == 3
        with pytest.raises(TableNotFoundError):
            project.profile("bronze__state")


def test_some_columns_of_some_rows_of_a_version(shop: Shop) -> None:
    put(shop, "1", [(4, 4.5, "Cy")])
    shop.run()
    with qanat.open(shop.folder) as project:
        found = project.profile("bronze", columns=["v"], where="id > 1 -- not all", version=0)
        assert (found.version, found.rows, [c.name for c in found.columns]) == (0, 1, ["v"])
        assert project.table("bronze", 0).profile(["id"]).rows == 2
        assert project.profile("in/*.json", where="v > 4").rows == 1
        for error, named, more in (
            (ColumnNotFoundError, "bronze", {"columns": ["nam"]}),
            (ColumnNotFoundError, "bronze", {"where": "nam = 1"}),
            (TableNotFoundError, "bronze", {"version": 7}),
            (TableNotFoundError, "in/0.json", {"version": 0}),
            (DatasetNotFoundError, "brnze", {}),
        ):
            with pytest.raises(error):
                project.profile(named, **more)  # type: ignore[arg-type]


def test_updates_keep_what_they_were_asked_for(shop: Shop) -> None:
    put(shop, "1", [(4, 4.5, None)])
    second = shop.update().id
    shop.run()  # nothing new: nothing to profile
    with qanat.open(shop.folder) as project:
        newest, oldest = project.profiles("bronze")
        assert (newest.update, newest.version, newest.rows) == (second, 1, 3)
        assert (oldest.version, oldest.rows) == (0, 2)
        assert project.profile("bronze", update="last") == newest
        assert project.profile("bronze", update=str(oldest.update)) == oldest
        now = project.profile("bronze")
        assert now.profiled == newest.profiled
        with pytest.raises(UpdateNotFoundError):
            project.profile("bronze", update="nope")
        page = project.report(second).html()
        assert "Profiles" in page
        assert "4.50" not in page
        assert "4.50" in project.report(second, values=True).html()


@pytest.mark.parametrize(("asked", "kept"), [("false", 0), ("true", 1)])
def test_the_configuration_asks_for_all_tables(tmp_path: Path, asked: str, kept: int) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", f"name: shop\nconfiguration:\n  qanat.profile: {asked!r}\n")
    shop.sql(SQL.format(properties=""))
    put(shop, "0", [(1, 0.5, "Ada")])
    shop.run()
    with qanat.open(shop.folder) as project:
        assert len(project.profiles("bronze")) == kept


def test_a_profile_that_cannot_be_kept_fails_nothing(shop: Shop) -> None:
    folder = shop.folder / "storage/_qanat/profiles/bronze"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    put(shop, "1", [(4, 4.5, None)])
    told: list[Event] = []

    class Ear:
        def on(self, event: Event) -> None:
            told.append(event)

    with qanat.open(shop.folder) as project:
        assert project.run(observers=[Ear()]).status == "succeeded"
    (warning,) = [e for e in told if isinstance(e, Warned)]
    assert warning.dataset == "bronze"
    assert warning.message.startswith("it was not profiled: ")
    assert shop.count("bronze") == 3


def test_the_newest_are_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MOST", 2)
    for name in ("1", "2", "3"):
        put(shop, name, [(int(name) + 10, 1.5, None)])
        shop.run()
    with qanat.open(shop.folder) as project:
        assert [p.rows for p in project.profiles("bronze")] == [5, 4]


def test_a_file_that_another_release_has_written_is_passed_over(shop: Shop) -> None:
    (path,) = (shop.folder / "storage/_qanat/profiles/bronze").iterdir()
    path.with_name("9_u.json").write_text('{"of": "later"}')
    with qanat.open(shop.folder) as project:
        assert [p.rows for p in project.profiles("bronze")] == [2]


def test_profiles_go_with_their_dataset(shop: Shop) -> None:
    shop.sql(SQL.format(properties=ASKED).replace("bronze", "raw"))
    with qanat.open(shop.folder) as project:
        project.rename("bronze", "raw")
        assert [(p.name, p.rows) for p in project.profiles("raw")] == [("raw", 2)]
    shop.sql("CREATE MATERIALIZED VIEW other AS SELECT 1 AS n;")
    with qanat.open(shop.folder) as project:
        project.drop("raw")
    assert not (shop.folder / "storage/_qanat/profiles/raw").exists()


@pytest.mark.parametrize("name", ["export (1).csv", "it's [new]?.csv", "a b.csv"])
def test_a_file_of_any_name(shop: Shop, name: str) -> None:
    shop.file(f"out/{name}", "id\n1\n2\n")
    with qanat.open(shop.folder) as project:
        assert project.profile(f"out/{name}").profiled.rows == 2


def test_a_file_that_is_not_there_is_named(shop: Shop) -> None:
    with qanat.open(shop.folder) as project, pytest.raises(QanatError, match=r"no 'in/o\.json'"):
        project.profile("in/o.json")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (" ", SqlSyntaxError),
        ("name::INT > 1", ConversionError),
        ("nothing = 1", ColumnNotFoundError),
    ],
)
def test_a_condition_that_does_not_fit(shop: Shop, where: str, expected: type[QanatError]) -> None:
    with qanat.open(shop.folder) as project, pytest.raises(expected) as raised:
        project.profile("bronze", where=where)
    assert str(raised.value.location).startswith("--where")


def test_digits_of_large_numbers(shop: Shop) -> None:
    """Identifiers and times in milliseconds have more digits than a float shows."""
    with qanat.open(shop.folder) as project:
        found = project.profile(
            "SELECT 9007199254740993 + i AS id, 1764494327121 + i % 3 AS ms FROM range(9) t (i)"
        )
    id_, ms = found.profiled.columns
    assert id_.quantile(0.01) == "9007199254740993"
    assert [(b.low, b.rows) for b in ms.histogram] == [(1764494327121 + n, 3) for n in range(3)]
    assert "9,007,199,254,740,993" in str(found)
