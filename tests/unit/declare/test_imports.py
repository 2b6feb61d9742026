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


def test_a_contract_of_soda(tmp_path: Path) -> None:
    made = imported(tmp_path, "soda.yml", SODA_CONTRACT)
    assert read_back(tmp_path, made) == [
        *("not_null", "unique", "between", "aggregate", "aggregate")
    ]
    assert [n.what for n in made.notes] == ["failed_rows of orders"]


def test_a_file_of_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="no file of checks"):
        imported(tmp_path, "x.yml", "a: 1\n")
