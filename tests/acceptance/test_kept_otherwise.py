"""Tables that were kept by other changes, and ties that somebody mends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.projects import Shop

BRONZE = "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');"
SILVER = (
    "CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM STREAM bronze KEYS (id)"
    " SEQUENCE BY {};"
)
KEYED = "CREATE STREAMING TABLE k KEYS ({}) AS SELECT * FROM STREAM bronze;"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_validate_names_all_tables_that_have_to_start_over(shop: Shop) -> None:
    """In one message, whose hint is one command; an update refuses each of them."""
    shop.sql(BRONZE + SILVER.format("seq") + KEYED.format("id"))
    shop.file("data/1.csv", "id,v,seq\n1,1,1\n")
    assert shop.problems() == []
    shop.run()
    assert shop.problems() == []
    shop.sql(BRONZE + SILVER.format("(seq, id)") + KEYED.format("v"))
    (problem,) = shop.validation().problems
    assert problem.message == "the rows of t, k were kept by other changes"
    assert problem.wanted == (
        "t: changes by keys (id); sequence by (seq); stored as SCD type 1;"
        " k: rows by merge of (id)"
    )
    assert problem.hint == "start over: qanat run --full-refresh t k"
    shop.file("data/2.csv", "id,v,seq\n1,2,2\n")
    refused = {n: e.message for n, e in shop.failures().items()}
    assert refused == {n: f"the rows of {n} were kept by other changes" for n in ("t", "k")}
    shop.run(full_refresh=("t", "k"))
    assert shop.problems() == []
    assert shop.rows("t") == [(1, 2, 2)]
    assert shop.rows("k") == [(1, 1, 1), (1, 2, 2)]


def test_a_table_without_rows_goes_on(shop: Shop) -> None:
    shop.sql(BRONZE + KEYED.format("id"))
    shop.file("data/1.csv", "id,v,seq\n")
    shop.run()
    shop.sql(BRONZE + KEYED.format("v"))
    assert shop.problems() == []


def test_a_tie_in_a_file_that_is_mended_needs_no_full_refresh(shop: Shop) -> None:
    """Both rows are in the table above; the file that comes back takes them out of it."""
    shop.sql(BRONZE + SILVER.format("seq"))
    shop.file("data/1.csv", "id,v,seq\n1,a,1\n")
    shop.run()
    shop.file("data/2.csv", "id,v,seq\n1,b,2\n1,c,2\n")
    assert "same sequence" in shop.failures()["t"].message
    assert shop.count("bronze") == 3
    shop.file("data/2.csv", "id,v,seq\n1,b,2\n1,c,3\n")
    shop.run(replace=("data/2.csv",))
    assert shop.rows("t") == [(1, "c", 3)]
