"""Rules about tables where tables are kept by state, corrections and promotions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qanat.errors import ExpectationFailedError, SchemaMismatchError
from qanat.model.staged import RuleCount
from qanat.run.promote import Promotion, promote
from qanat.run.session import Session
from tests.acceptance.projects import Shop

READ = "read_files('in/*.csv', schema => 'k BIGINT, x BIGINT, seen TIMESTAMP'{options})"
RULES = """(
  CONSTRAINT few EXPECT TABLE (count(*) <= 3 AND sum(x) < 100) ON VIOLATION FAIL UPDATE,
  CONSTRAINT came EXPECT EPOCH (count(*) <= 2),
  CONSTRAINT new EXPECT FRESH (seen) WITHIN 100000 DAYS,
  CONSTRAINT spread EXPECT DISTRIBUTION (k) LIKE known (k) WITHIN 0.5,
  CONSTRAINT same EXPECT SAME ROWS AS batch KEYS (k),
  CONSTRAINT shape EXPECT COLUMNS (k, x, seen) IN ORDER ONLY
)"""
KNOWN = "CREATE MATERIALIZED VIEW known AS SELECT unnest([1, 2]) AS k;\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty project."""
    return Shop(tmp_path / "shop")


def put(shop: Shop, name: str, *rows: str) -> None:
    """Write a file, or write it again at a later time."""
    path = shop.folder / "in" / f"{name}.csv"
    moment = path.stat().st_mtime_ns + 10**9 if path.exists() else None
    shop.file(f"in/{name}.csv", "".join(f"{row}\n" for row in ("k,x,seen", *rows)))
    if moment:
        os.utime(path, ns=(moment, moment))


def found(rules: tuple[RuleCount, ...]) -> dict[str, tuple[str | None, bool]]:
    """What each rule measured, without what the clock says, and whether it holds."""
    return {
        r.rule: (
            r.value.partition(", ")[0] if r.rule == "new" and r.value else r.value,
            not r.broken,
        )
        for r in rules
    }


def run(shop: Shop, environment: str | None = None) -> dict[str, tuple[str | None, bool]]:
    return found(shop.run(environment)["t"].rules)


def test_of_running_aggregates(shop: Shop) -> None:
    """The rows of an epoch are the groups that it changed, the table has all groups once."""
    read = READ.format(options="")
    columns = "k, sum(x)::BIGINT AS x, max(seen) AS seen"
    shop.sql(
        f"{KNOWN}CREATE STREAMING TABLE t {RULES}"
        f" AS SELECT {columns} FROM STREAM {read} GROUP BY k;"
        f"CREATE MATERIALIZED VIEW batch AS SELECT {columns} FROM {read} GROUP BY k;"
    )
    put(shop, "1", "1,5,2026-01-01", "2,1,2026-01-01", "1,5,2026-01-02")
    assert run(shop) == {
        "few": ("count(*) = 2, sum(x) = 11", True),
        "came": ("count(*) = 2", True),
        "new": ("max(seen) = 2026-01-02 00:00:00", True),
        "spread": ("distance 0", True),
        "same": ("0 only here, 0 only there, 0 with other values", True),
        "shape": ("as expected", True),
    }
    put(shop, "2", "1,20,2026-01-03", "3,2,2026-01-01", "4,1,2026-01-01")
    assert isinstance(shop.failures()["t"], ExpectationFailedError)
    assert shop.rows("t")[0][:2] == (1, 10)
    shop.file("in/2.csv", "")


def test_of_files_that_are_corrected(shop: Shop) -> None:
    """The table is as it would be: without the rows that go, with those that come for them."""
    read = READ.format(options=", on_overwrite => 'replace'")
    shop.sql(
        f"{KNOWN}CREATE STREAMING TABLE t {RULES} AS SELECT * FROM STREAM {read};"
        f"CREATE MATERIALIZED VIEW batch AS SELECT * FROM {READ.format(options='')};"
    )
    put(shop, "1", "1,5,2026-01-03", "2,1,2026-01-01")
    put(shop, "2", "3,7,2026-01-01")
    first = run(shop)
    assert first["few"] == ("count(*) = 3, sum(x) = 13", True)
    assert first["came"] == ("count(*) = 3", False)
    put(shop, "1", "4,50,2026-01-02")
    assert run(shop) == {
        "few": ("count(*) = 2, sum(x) = 57", True),
        "came": ("count(*) = 1", True),
        "new": ("max(seen) = 2026-01-02 00:00:00", True),
        "spread": ("distance 1", False),
        "same": ("0 only here, 0 only there, 0 with other values", True),
        "shape": ("as expected", True),
    }
    put(shop, "2", "3,60,2026-01-01")
    assert isinstance(shop.failures()["t"], ExpectationFailedError)
    assert [row[:2] for row in shop.rows("t")] == [(3, 7), (4, 50)]


def test_of_tables_that_are_promoted(shop: Shop) -> None:
    """What comes after a promotion is held against the table that was promoted."""
    shop.file("qanat.yml", "name: shop\nthreads: 1\nenvironments: {dev: {from: prod}, prod: {}}\n")
    read = READ.format(options="")
    shop.sql(
        f"{KNOWN}CREATE STREAMING TABLE t {RULES} AS SELECT * FROM STREAM {read};"
        f"CREATE MATERIALIZED VIEW batch AS SELECT * FROM {read};"
    )
    put(shop, "1", "1,5,2026-01-01", "2,1,2026-01-01")
    run(shop, "dev")
    with Session.open(shop.folder, "prod") as session:
        promote(session, Promotion(("t", "batch", "known"), "dev"))
    put(shop, "2", "3,7,2026-01-02")
    assert run(shop, "prod") == {
        "few": ("count(*) = 3, sum(x) = 13", True),
        "came": ("count(*) = 1", True),
        "new": ("max(seen) = 2026-01-02 00:00:00", True),
        "spread": ("distance 1", False),
        "same": ("0 only here, 0 only there, 0 with other values", True),
        "shape": ("as expected", True),
    }
    put(shop, "3", "3,90,2026-01-02")
    failed = shop.update("prod").failed
    assert [type(d.error) for d in failed] == [ExpectationFailedError]
    assert len(shop.rows("t", "prod")) == 3


def fresh(shop: Shop, column: str) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t (\n"
        "  CONSTRAINT new EXPECT FRESH (day) WITHIN 2 HOURS,\n"
        "  CONSTRAINT ever EXPECT FRESH (day) WITHIN 100000 DAYS)\n"
        f"AS SELECT {column} AS day FROM STREAM {READ.format(options='')};"
    )
    put(shop, "1", "1,1,2020-01-02", "1,1,2019-12-31", "1,1,")


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMPTZ"])
def test_freshness_of_dates_and_moments(shop: Shop, kind: str) -> None:
    fresh(shop, f"CAST(seen AS {kind})")
    rules = {r.rule: r for r in shop.run()["t"].rules}
    assert (rules["new"].broken, rules["ever"].broken) == (True, False)
    assert (rules["new"].value or "").startswith("max(day) = 2020-01-02")


def test_freshness_of_texts_is_an_error(shop: Shop) -> None:
    fresh(shop, "CAST(seen AS VARCHAR)")
    error = shop.failures()["t"]
    assert isinstance(error, SchemaMismatchError)
    assert (error.got, error.wanted) == ("VARCHAR", "a DATE or a TIMESTAMP")
    assert "CAST(day AS TIMESTAMP)" in (error.hint or "")


def test_changes_are_not_in_an_order(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t (CONSTRAINT later EXPECT INCREASING (x));\n"
        f"CREATE FLOW f AS AUTO CDC INTO t FROM STREAM {READ.format(options='')}"
        " KEYS (k) SEQUENCE BY seen;"
    )
    put(shop, "1", "1,1,2020-01-02")
    [problem] = shop.problems()
    assert "a table whose rows are changed has none that come after others" in problem
    assert "UNIQUE" not in problem
