"""Unit tests written from live data: rows that join, masked, and a test that passes at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import qanat
from qanat.errors import PlanError, RunError
from tests.acceptance.projects import Shop

SQL = """\
CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, customer BIGINT, email STRING, amount DECIMAL(10, 2), note STRING,
  at TIMESTAMP, who STRUCT<fullName: STRING, phones: ARRAY<STRING>>, card_number BIGINT');
CREATE STREAMING TABLE people AS SELECT * FROM STREAM read_files('people/*.json',
  format => 'ndjson', schema => 'id BIGINT, name STRING, email STRING, birthday DATE');
CREATE STREAMING TABLE silver (
  CONSTRAINT paid EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT mail EXPECT (email LIKE '%@%') ON VIOLATION DROP ROW
) AS SELECT b.id, b.email, b.amount, p.name, p.email = b.email AS same, b.note, b.who, b.at
FROM STREAM bronze b JOIN people p ON b.customer = p.id;
"""
PLANTED = ["ada", "lovelace", "example.org", "4711", "DE44500105175407324931", "1815",
           "5500005555555559", "192.168.7.13"]  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL)
    orders: list[dict[str, Any]] = []
    for n in range(40):
        mine = n in (30, 31)
        orders.append({
            "id": n,
            "customer": 7 if mine else n,
            "email": "ada.lovelace@example.org" if mine else f"u{n}@firm.net",
            "amount": -1 if n == 31 else f"{n}.50",
            "note": "Lovelace called +49 171 4711471, DE44500105175407324931, from 192.168.7.13"
            if mine else "nothing",
            "at": "2026-01-02 03:04:05",
            "who": {"fullName": "Ada Lovelace", "phones": ["+49 171 4711471"]},
            "card_number": 5500005555555559,
        })  # fmt: skip
    people = [{"id": n, "name": "Ada Lovelace" if n == 7 else f"Person {n}",
               "email": "ada.lovelace@example.org" if n == 7 else f"u{n}@firm.net",
               "birthday": "1815-12-10"} for n in range(40)]  # fmt: skip
    made.file("in/1.json", "".join(json.dumps(o) + "\n" for o in orders))
    made.file("people/1.json", "".join(json.dumps(p) + "\n" for p in people))
    made.run()
    return made


def test_a_test_is_written_that_passes_and_has_nothing_personal(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        written = project.record_test("silver", where="customer = 7 AND id > 20", limit=3)
        assert dict(written.given) == {"bronze": 2, "people": 1}
        assert (written.expected, written.quarantined) == (1, 1)
        text = Path(written.file).read_text()
        (unit,) = project.test("silver").units
    assert unit.passed
    assert [word for word in PLANTED if word.lower() in text.lower()] == []
    (test,) = yaml.safe_load(text)["unit_tests"]
    bronze, people = (each["rows"] for each in test["given"])
    # The same value has the same mask, in all inputs and in what comes out; its form stays.
    assert bronze[0]["email"] == bronze[1]["email"] == people[0]["email"]
    assert len(bronze[0]["email"]) == len("ada.lovelace@example.org")
    assert test["expect"]["rows"][0]["same"] is True
    assert test["expect"]["rows"][0]["email"] == bronze[0]["email"]
    assert bronze[0]["who"]["fullName"] == people[0]["name"]
    assert bronze[0]["id"] == 30


def test_the_same_rows_give_the_same_test(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        first = project.record_test("silver", limit=4)
        second = project.record_test("silver", limit=4)
    one, other = (yaml.safe_load(Path(w.file).read_text())["unit_tests"][0]
                  for w in (first, second))  # fmt: skip
    assert one["given"] == other["given"]
    assert one["expect"] == other["expect"]
    assert one["name"] != other["name"]


def test_columns_are_masked_that_are_named(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        written = project.record_test("silver", where="id = 5", mask=["amount"])
    (test,) = yaml.safe_load(Path(written.file).read_text())["unit_tests"]
    assert str(test["given"][0]["rows"][0]["amount"]) != "5.50"


def test_what_cannot_be_written_is_told(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        with pytest.raises(RunError, match="no such row"):
            project.record_test("silver", where="id = 5000")
        with pytest.raises(PlanError, match=r"in/\*.json"):
            project.record_test("bronze")
    assert not list(shop.folder.glob("tests/*"))
