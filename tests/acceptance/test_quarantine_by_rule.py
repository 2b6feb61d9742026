"""`quarantine show`, `discard` and `export`: of one rule, of none, and where nothing ever was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qanat.cli.program import program
from qanat.errors import OptionError
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders (\n"
    "  CONSTRAINT big  EXPECT (amount > 15) ON VIOLATION QUARANTINE ROW,\n"
    "  CONSTRAINT even EXPECT (id % 2 = 0)  ON VIOLATION QUARANTINE ROW,\n"
    "  CONSTRAINT met  EXPECT (id > 0)      ON VIOLATION QUARANTINE ROW\n"
    ") AS SELECT * FROM STREAM read_files('data/*.csv');\n"
    "CREATE MATERIALIZED VIEW good AS SELECT * FROM orders;\n"
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/a.csv", "id,amount\n1,10\n2,12\n3,30\n4,40\n")
    shop.sql(ORDERS)
    monkeypatch.chdir(tmp_path)
    return shop


def said(capsys: pytest.CaptureFixture[str], *line: str) -> str:
    capsys.readouterr()
    program.main(line, standalone_mode=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", ["show", "discard", "export"])
@pytest.mark.parametrize("ran", [False, True])
def test_a_rule_that_is_not_there(shop: Shop, verb: str, ran: bool) -> None:
    if ran:
        shop.run()
    more = ("x.csv",) if verb == "export" else ()
    with pytest.raises(OptionError) as caught:
        program.main(
            ["quarantine", verb, "orders", *more, "--rule", "bigg"], standalone_mode=False
        )
    assert caught.value.message == "orders has no rule 'bigg'"
    assert caught.value.nearest == "big"


def test_a_rule_that_no_row_broke(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.run()
    assert "for breaking met" in said(capsys, "quarantine", "show", "orders", "--rule", "met")
    # It is found in any case, and shown as it is spelled.
    shown = said(capsys, "quarantine", "show", "orders", "--rule", "BIG", "--output", "json")
    assert len(json.loads(shown)["rows"]) == 2


def test_a_rule_of_an_earlier_definition(shop: Shop) -> None:
    shop.run()
    shop.sql(ORDERS.replace("CONSTRAINT big ", "CONSTRAINT large "))
    program.main(["quarantine", "show", "orders", "--rule", "big"], standalone_mode=False)


@pytest.mark.parametrize(
    ("rule", "ids"), [(None, ["1", "2", "3"]), ("big", ["1", "2"]), ("Even", ["1", "3"])]
)
def test_export_of_a_rule(
    shop: Shop, rule: str | None, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.run()
    more = ("--rule", rule) if rule else ()
    told = said(capsys, "quarantine", "export", "orders", "x.csv", *more, "--output", "json")
    assert json.loads(told) == {
        "version": 1,
        "dataset": "orders",
        "file": "x.csv",
        "rows": len(ids),
    }
    lines = (shop.folder / "x.csv").read_text().splitlines()
    assert sorted(line.partition(",")[0] for line in lines[1:]) == ids


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.parquet"])
@pytest.mark.parametrize("ran", [False, True])
def test_export_where_nothing_was_ever_in_quarantine(
    shop: Shop, name: str, ran: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if ran:
        shop.run()
    told = said(capsys, "quarantine", "export", "good", name, "--output", "json")
    assert json.loads(told)["rows"] == 0
    assert (shop.folder / name).stat().st_size > 0
