"""Checks of other tools: what a file of theirs means, and that it reads as a file of checks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from qanat.declare.imports.found import CheckFile, import_checks
from qanat.errors import CommandLineError
from tests.acceptance.projects import Shop

DBT = """version: 2
models:
  - name: orders
    data_tests:
      - dbt_utils.unique_combination_of_columns:
          arguments: {combination_of_columns: [id, city]}
      - dbt_utils.expression_is_true:
          expression: price >= id
          config: {severity: warn}
    columns:
      - name: id
        data_tests: [not_null, {unique: {config: {where: id > 1}}}]
      - name: city
        tests:
          - accepted_values: {values: [Oslo, Bergen]}
          - relationships: {to: ref('orders'), field: city}
          - my_macro
      - name: price
        data_tests:
          - dbt_utils.accepted_range: {min_value: 0}
          - dbt_expectations.expect_column_values_to_be_between:
              {min_value: 0, max_value: 100, config: {error_if: ">10"}}
"""
SODA = """checks for orders:
  - row_count > 0
  - missing_count(id) = 0
  - duplicate_count(id, city) = 0
  - invalid_percent(mail) < 5 %:
      valid format: email
      name: Mail is valid
  - avg(price) between 1 and 50
  - anomaly detection for row_count
"""
SODA_CONTRACT = """dataset: warehouse/shop/orders
columns:
  - name: id
    checks: [{missing: {}}, {duplicate: {}}]
  - name: price
    checks:
      - invalid: {valid_min: 0, threshold: {must_be_less_than_or_equal: 3}}
      - aggregate: {function: avg, threshold: {must_be_less_than: 50}}
checks:
  - row_count: {threshold: {must_be_greater_than: 0}}
  - failed_rows: {expression: price > 9}
"""


def imported(folder: Path, name: str, text: str) -> CheckFile:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return import_checks(path, None, None)


def read_back(folder: Path, made: CheckFile) -> list[str]:
    """The expectations that a project has of a file of checks."""
    shop = Shop(folder / "shop")
    shop.sql(
        "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',\n"
        "  schema => 'id BIGINT, price DOUBLE, city VARCHAR, mail VARCHAR');"
    )
    shop.file("data/1.csv", "id,price,city,mail\n1,5,Oslo,a@b.no\n")
    shop.file(f"checks/{made.name}", made.text)
    validation = shop.validation()
    assert not validation.problems, [str(p) for p in validation.problems]
    assert validation.expectations == made.checks
    return [next(iter(c)) for c in yaml.safe_load(made.text)["checks"][0]["checks"]]


SODA_LEVELS = """filter orders [cheap]:
  where: price < 10
filter orders [today]:
  where: ts >= '${now}'
checks for orders [cheap]:
  - missing_count(id) = 0:
      filter: city = 'Oslo'
  - row_count:
      warn: when < 10
      fail: when between 3 and 5
checks for orders [today]:
  - row_count > 0
checks for orders:
  - missing_percent(mail):
      name: Mails
      warn: when > 5%
      fail: when >= 20 %
  - missing_count(city):
      warn: when between 1 and 2
      fail: when > 3
"""
GX = """{"name": "orders", "expectations": [
 {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id",
  "row_condition": "col(\\"city\\").notNull()", "condition_parser": "great_expectations"}},
 {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "mail", "mostly": 0.9,
  "row_condition": "price > 5 and city == 'Oslo'", "condition_parser": "pandas"}},
 {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "price", "max_value": 9,
  "row_condition": {"type": "and", "conditions": [
   {"type": "nullity", "column": {"name": "mail"}, "is_null": false},
   {"type": "comparison", "column": {"name": "city"}, "operator": "IN",
    "parameter": ["Oslo", "Bergen"]}]}}},
 {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "city",
  "row_condition": "mail.str.len() > 3", "condition_parser": "pandas"}}
]}
"""


def test_dbt(tmp_path: Path) -> None:
    made = imported(tmp_path, "schema.yml", DBT)
    kinds = read_back(tmp_path, made)
    assert kinds == [
        *("unique", "sql", "not_null", "unique", "one_of", "references", "between", "between")
    ]
    assert [(n.what, n.at.line) for n in made.notes] == [("my_macro of orders.city", 17)]
    checks = yaml.safe_load(made.text)["checks"][0]["checks"]
    assert checks[1] == {
        "sql": "price >= id",
        "name": "price_id",
        "action": "warn",
        "nulls": "pass",
    }
    assert checks[3]["where"] == "id > 1"
    assert checks[7]["tolerate"] == "10 rows"


def test_sodacl(tmp_path: Path) -> None:
    made = imported(tmp_path, "soda.yml", SODA)
    assert read_back(tmp_path, made) == [
        *("row_count", "not_null", "unique", "format", "aggregate")
    ]
    checks = yaml.safe_load(made.text)["checks"][0]["checks"]
    assert checks[0]["row_count"] == {"min": 1}
    assert (checks[3]["tolerate"], checks[3]["name"]) == ("5 %", "mail_is_valid")
    assert [n.at.line for n in made.notes] == [9]


def test_thresholds_and_filters_of_sodacl(tmp_path: Path) -> None:
    """A threshold says when to alert, a check what has to hold."""
    made = imported(tmp_path, "soda.yml", SODA_LEVELS)
    assert read_back(tmp_path, made) == [
        *("not_null", "row_count", "aggregate", "not_null", "not_null", "not_null")
    ]
    checks = yaml.safe_load(made.text)["checks"][0]["checks"]
    assert checks[0]["where"] == "(price < 10) AND (city = 'Oslo')"
    told = [(c.get("name"), c["action"], c.get("where"), c.get("tolerate")) for c in checks[1:]]
    assert told == [
        ("row_count_warn", "warn", "price < 10", None),
        ("row_count_fail", "fail", "price < 10", None),
        ("mails_warn", "warn", None, "5 %"),
        ("mails_fail", "fail", None, "20 %"),
        ("missing_count_city_fail", "fail", None, "3 rows"),
    ]
    assert checks[1]["row_count"] == {"min": 10}
    assert checks[2]["aggregate"] == "count(*) NOT BETWEEN 3 AND 5"
    assert [n.what for n in made.notes] == [
        "checks for orders [today]",
        "missing_count(city) of orders, warn",
    ]


def test_conditions_of_great_expectations(tmp_path: Path) -> None:
    made = imported(tmp_path, "gx.json", GX)
    assert read_back(tmp_path, made) == ["not_null", "not_null", "mean"]
    checks = yaml.safe_load(made.text)["checks"][0]["checks"]
    assert [c["where"] for c in checks] == [
        "city IS NOT NULL",
        "price > 5 AND city = 'Oslo'",
        "(mail IS NOT NULL) AND (city IN ('Oslo', 'Bergen'))",
    ]
    assert checks[1]["tolerate"] == "10 %"
    assert len(made.notes) == 1


def test_a_contract_of_soda(tmp_path: Path) -> None:
    made = imported(tmp_path, "soda.yml", SODA_CONTRACT)
    assert read_back(tmp_path, made) == [
        *("not_null", "unique", "between", "aggregate", "aggregate")
    ]
    assert [n.what for n in made.notes] == ["failed_rows of orders"]


def test_a_file_of_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="no file of checks"):
        imported(tmp_path, "x.yml", "a: 1\n")
