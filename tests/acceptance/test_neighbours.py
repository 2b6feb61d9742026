"""Tables of another project, as streams and as they are, wherever they are stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import qanat
from qanat.errors import (
    DatasetNotFoundError,
    NotAppendOnlyError,
    RereadError,
    TableNotFoundError,
)
from qanat.run.decide import Step
from qanat.run.facts import Borrowed
from qanat.run.plan import plan
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.validate import validate
from tests.acceptance.projects import Shop

SILVER = (
    "CREATE STREAMING TABLE Silver"
    " (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, note STRING');"
)
PROD_MISSPELT = ", environment => 'prd'"
READ = "read_table('silver', project => '../shop'{})"
MART = (
    f"CREATE STREAMING TABLE kept AS SELECT id, upper(note) AS loud FROM STREAM {READ};"
    f"CREATE MATERIALIZED VIEW total AS SELECT sum(id) AS id FROM {READ};"
)


def made(folder: Path, storage: str = "storage", table_format: str = "delta") -> tuple[Shop, Shop]:
    """A project that has run, with one row in quarantine, and one that reads it."""
    (folder / "shop").mkdir()
    (folder / "mart").mkdir()
    shop, mart = Shop(folder / "shop"), Shop(folder / "mart")
    shop.file(
        "qanat.yml",
        f"name: shop\nthreads: 1\nstorage: {storage}\ntable_format: {table_format}\n"
        "environments:\n  prod: {}\n  feature: {from: prod}\n",
    )
    mart.file("qanat.yml", f"name: mart\nthreads: 1\nstorage: {storage}\n")
    shop.sql(SILVER)
    mart.sql(MART.format("", ""))
    shop.file("data/1.csv", "id,note\n1,a\n2,b\n-3,c\n")
    shop.run()
    return shop, mart


def test_what_is_wrong_with_the_other_project_is_told(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    mart.sql(f"CREATE STREAMING TABLE kept AS SELECT * FROM STREAM {READ};".format(PROD_MISSPELT))
    with Session.open(mart.folder) as session:
        (decided,) = plan(session, Selection()).datasets
    assert decided.reason == (
        "the project in ../shop cannot be read: qanat.yml: no environment 'prd'"
        " (did you mean 'prod'?)"
    )
    shop.file("qanat.yml", "nme: shop\n")
    with Session.open(mart.folder) as session:
        (problem,) = validate(session).problems
    assert "the project in ../shop cannot be read: qanat.yml" in problem.message
    assert problem.location is not None
    assert problem.location.file == "transformations/all.sql"
    assert problem.hint is not None
    assert problem.hint.startswith("mend that project: it has")


@pytest.mark.parametrize(
    ("storage", "table_format"),
    [("storage", "delta"), ("../lake", "delta"), ("storage", "iceberg")],
)
def test_each_row_is_read_once(tmp_path: Path, storage: str, table_format: str) -> None:
    shop, mart = made(tmp_path, storage, table_format)
    assert {n: d.counts.written for n, d in mart.run().items()} == {"kept": 2, "total": 1}
    assert {d.status for d in mart.run().values()} == {"unchanged"}
    shop.file("data/2.csv", "id,note\n5,e\n")
    shop.run()
    with Session.open(mart.folder) as session:
        decided = plan(session, Selection()).datasets
    assert {d.borrowed for d in decided} == {(Borrowed("silver", "dev", 1, "../shop"),)}
    mart.run()
    assert mart.rows("kept") == [(1, "A"), (2, "B"), (5, "E")]
    assert mart.rows("total") == [(8,)]


def test_from_python(tmp_path: Path) -> None:
    """A query that a function returns, and a frame of a view over the other's table."""
    _, mart = made(tmp_path)
    mart.sql(f"CREATE TEMPORARY VIEW theirs AS SELECT * FROM {READ.format('')};")
    mart.python(
        "import pyarrow\n\n\n"
        "@dp.table\ndef kept():\n"
        f'    return "SELECT * FROM STREAM {READ.format("")}"\n\n\n'
        "@dp.materialized_view\ndef counted(theirs: pyarrow.Table) -> pyarrow.Table:\n"
        "    return pyarrow.table({'n': [theirs.num_rows]})\n"
    )
    mart.run()
    assert mart.rows("kept") == [(1, "a"), (2, "b")]
    assert mart.rows("counted") == [(2,)]
    with qanat.open(mart.folder) as project:
        assert "../shop:Silver (streaming table of project shop" in str(project.lineage("counted"))


def test_a_quarantine_there(tmp_path: Path) -> None:
    _, mart = made(tmp_path)
    mart.sql(MART.format("", "").replace("'silver'", "'silver__quarantine'"))
    mart.run()
    assert mart.rows("kept") == [(-3, "C")]


def test_the_table_of_an_environment(tmp_path: Path) -> None:
    """By its name, or in the one that it reads from; a stream tells them apart."""
    shop, mart = made(tmp_path)
    shop.file("data/2.csv", "id,note\n5,e\n")
    shop.run("prod")
    mart.sql(MART.format(", environment => 'prod'", ", environment => 'feature'"))
    mart.run()
    assert mart.rows("kept") == [(1, "A"), (2, "B"), (5, "E")]
    assert mart.rows("total") == [(8,)]
    mart.sql(MART.format("", ""))
    assert isinstance(mart.failures()["kept"], RereadError)
    mart.sql(MART.format(", environment => 'feature'", ""))
    mart.run(full_refresh=("kept",))
    shop.run("feature")
    error = mart.failures()["kept"]
    assert isinstance(error, NotAppendOnlyError)
    assert error.got == "another table, now at version 0"


def test_a_table_that_starts_over_there(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    mart.run()
    shop.run(full_refresh=("Silver",))
    assert isinstance(mart.failures()["kept"], NotAppendOnlyError)
    assert mart.run(full_refresh=("kept",))["kept"].counts.written == 2


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_another_table_in_its_place(tmp_path: Path, table_format: str) -> None:
    """Its versions begin anew: no row of it is left out because of their numbers."""
    shop, mart = made(tmp_path, table_format=table_format)
    mart.run()
    shutil.rmtree(shop.folder / "storage")
    shop.file("data/1.csv", "id,note\n7,g\n")
    for number in range(2, 5):
        shop.run()
        shop.file(f"data/{number}.csv", f"id,note\n{number}0,x\n")
    error = mart.failures()["kept"]
    assert isinstance(error, NotAppendOnlyError)
    assert error.got == "another table, now at version 2"
    mart.run(full_refresh=("kept",))
    assert mart.rows("kept") == [(20, "X"), (30, "X"), (7, "G")]
    assert mart.rows("total") == [(57,)]


def test_a_view_over_another_table_of_that_version(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    mart.run(select=("total",))
    shutil.rmtree(shop.folder / "storage")
    shop.file("data/1.csv", "id,note\n7,g\n")
    shop.run()
    mart.run(select=("total",))
    assert mart.rows("total") == [(7,)]


def test_a_table_that_is_renamed_there(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    mart.run()
    shop.sql(SILVER.replace("Silver", "iron"))
    with qanat.open(shop.folder) as project:
        project.rename("Silver", "iron")
    error = mart.failures()["kept"]
    assert isinstance(error, TableNotFoundError)
    assert error.wanted == "iron"
    mart.sql(MART.format("", "").replace("'silver'", "'iron'"))
    with Session.open(mart.folder) as session:
        kept = plan(session, Selection(("kept",))).datasets[0]
    assert kept.step is Step.FAIL
    assert "qanat rename '../shop#silver' iron" in kept.consequence
    with qanat.open(mart.folder) as project:
        with pytest.raises(DatasetNotFoundError) as caught:
            project.rename("../shop:silvr", "iron")
        assert caught.value.nearest in ("../shop:silver", "../shop#silver")
        project.rename("../shop:silver", "iron")
    assert mart.run()["kept"].status == "unchanged"
    shop.file("data/2.csv", "id,note\n5,e\n")
    shop.run()
    assert mart.run()["kept"].counts.written == 1


@pytest.mark.parametrize(("here", "typed"), [("mart", "../shop"), ("", "shop"), ("shop", ".")])
def test_nothing_has_run_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, typed: str
) -> None:
    """The hint's command names the folder as it is seen from where it will be typed."""
    shop, mart = made(tmp_path)
    shutil.rmtree(shop.folder / "storage")
    monkeypatch.chdir(tmp_path / here)
    error = mart.failures()["kept"]
    assert error.hint == f"run it there first: qanat run -C {typed}"


def test_another_environment_has_the_table(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    shutil.rmtree(shop.folder / "storage")
    shop.run("prod")
    assert mart.failures()["kept"].hint == ("environment prod there has it: environment => 'prod'")
    mart.sql(MART.format(", environment => 'prod'", ", environment => 'prod'"))
    mart.run()


def test_a_misspelt_dataset_there(tmp_path: Path) -> None:
    _, mart = made(tmp_path)
    mart.sql(MART.format("", "").replace("'silver'", "'silber'"))
    assert mart.failures()["kept"].nearest == "Silver"


# -- lineage -----------------------------------------------------------------------------------


def test_lineage_goes_on_there(tmp_path: Path) -> None:
    shop, mart = made(tmp_path)
    mart.run()
    with qanat.open(mart.folder) as project:
        assert str(project.lineage("kept")).splitlines() == [
            "kept (streaming table)",
            "└─ ../shop:Silver (streaming table of project shop, version 0)",
            "   └─ ../shop:data/*.csv (files of project shop)",
        ]
        assert str(project.lineage("kept.loud")).splitlines() == [
            'kept.loud (column) = UPPER("silver".note)',
            "└─ ../shop:Silver.note (column of project shop, version 0)",
            "   └─ note in ../shop:data/*.csv (files column of project shop)",
        ]
        everything = project.lineage()
        assert everything.projects == dict.fromkeys(
            ("../shop:Silver", "../shop:data/*.csv"), "shop"
        )
        assert everything.versions == {"../shop:Silver": 0}
        assert "streaming table of project shop, version 0" in project.lineage()._repr_html_()
    # What is wrong over there is told over there.
    shop.sql("CREATE MATERIALIZED VIEW")
    with qanat.open(mart.folder) as project:
        assert str(project.lineage("kept")).splitlines()[1:] == [
            "└─ ../shop:silver (table of project shop)"
        ]


def test_lineage_of_a_star(tmp_path: Path) -> None:
    """Its columns are those of the table there."""
    _, mart = made(tmp_path)
    mart.sql(f"CREATE STREAMING TABLE all_of_it AS SELECT * FROM STREAM {READ.format('')};")
    with qanat.open(mart.folder) as project:
        assert len(str(project.lineage("all_of_it.note")).splitlines()) == 3


def test_projects_that_read_each_other(tmp_path: Path) -> None:
    """Lineage follows them once around, and ends."""
    shop, mart = made(tmp_path)
    mart.run()
    back = (
        "CREATE MATERIALIZED VIEW back AS SELECT * FROM read_table('kept', project => '../mart');"
    )
    shop.sql(SILVER + back)
    shop.run()
    mart.sql(
        "CREATE STREAMING TABLE kept AS SELECT id FROM STREAM read_table('back',"
        " project => '../shop');"
    )
    with qanat.open(mart.folder) as project:
        assert str(project.lineage("kept")).splitlines() == [
            "kept (streaming table)",
            "└─ ../shop:back (materialized view of project shop, version 0)",
            "   └─ ../shop:../mart:kept (streaming table of project mart, version 0)",
            "      └─ ../shop:../mart:../shop:back (table of project shop)",
        ]
