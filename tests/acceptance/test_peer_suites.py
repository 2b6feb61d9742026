"""Suites that the real libraries write are taken over, and ours pass their own tools.

Great Expectations, Pandera and datacontract-cli live in an environment of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from venv import EnvBuilder

import pytest

from qanat.declare.imports.found import import_checks
from qanat.project.opening import open_project
from tests.acceptance.projects import Shop

PACKAGES = ("great_expectations>=1", "pandera[io,pandas]>=0.24", "datacontract-cli>=1")
GX = """
import json, great_expectations as gx, great_expectations.expectations as e
gx.get_context(mode="ephemeral")
suite = gx.ExpectationSuite(name="orders")
for each in (
    e.ExpectColumnValuesToNotBeNull(column="id"),
    e.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=100, mostly=0.95),
    e.ExpectColumnValuesToBeInSet(column="city", value_set=["Oslo", "Bergen"]),
    e.ExpectTableRowCountToBeBetween(min_value=1, max_value=10),
    e.ExpectColumnKLDivergenceToBeLessThan(
        column="price", partition_object={"values": [1], "weights": [1]}, threshold=0.1
    ),
):
    suite.add_expectation(each)
json.dump(suite.to_json_dict(), open("gx.json", "w"), indent=1)
"""
PANDERA = """
import pandera.pandas as pa
class Orders(pa.DataFrameModel):
    id: int = pa.Field(unique=True, ge=1)
    price: float = pa.Field(ge=0, le=100, nullable=True)
    city: str = pa.Field(isin=["Oslo", "Bergen"])
    mail: str = pa.Field(str_matches="[a-z]+@", str_length={"min_value": 3, "max_value": 50})
    class Config:
        name = "orders"
        unique = ["id", "city"]
schema = Orders.to_schema()
open("pandera.yaml", "w").write(schema.to_yaml())
open("pandera.json", "w").write(schema.to_json())
"""


@pytest.fixture(scope="module")
def peers() -> Path:
    """The programs of the environment, which is made when it is first needed."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qanat-tests"
    base.mkdir(parents=True, exist_ok=True)
    asked = f"{sys.version} {PACKAGES}"
    home = base / f"suites-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    with (base / "suites.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".made").exists():
            EnvBuilder(clear=True, with_pip=True).create(home)
            install = [home / "bin" / "pip", "install", "--quiet", *PACKAGES]
            subprocess.run(install, check=True, timeout=600)
            (home / ".made").touch()
    return home / "bin"


def written(peers: Path, folder: Path, program: str) -> None:
    command = [peers / "python", "-c", program]
    subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)


def orders(folder: Path) -> Shop:
    shop = Shop(folder / "shop")
    shop.sql(
        "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',\n"
        "  schema => 'id BIGINT, price DOUBLE, city VARCHAR, mail VARCHAR');"
    )
    shop.file("data/1.csv", "id,price,city,mail\n1,5,Oslo,a@b.no\n")
    return shop


@pytest.mark.services
def test_a_suite_of_great_expectations(peers: Path, tmp_path: Path) -> None:
    written(peers, tmp_path, GX)
    made = import_checks(tmp_path / "gx.json", None, None)
    assert [n.what for n in made.notes] == ["expect_column_kl_divergence_to_be_less_than"]
    shop = orders(tmp_path)
    shop.file("checks/gx.yml", made.text)
    validation = shop.validation()
    assert (validation.problems, validation.expectations) == ((), 4)


@pytest.mark.services
@pytest.mark.parametrize("name", ["pandera.yaml", "pandera.json"])
def test_a_schema_of_pandera(peers: Path, tmp_path: Path, name: str) -> None:
    written(peers, tmp_path, PANDERA)
    made = import_checks(tmp_path / name, None, None)
    shop = orders(tmp_path)
    shop.file("checks/pandera.yml", made.text)
    validation = shop.validation()
    assert (validation.problems, validation.expectations, made.notes) == ((), 11, ())


@pytest.mark.services
def test_an_exported_contract_is_one_for_datacontract_cli(peers: Path, tmp_path: Path) -> None:
    shop = orders(tmp_path)
    shop.file(
        "checks/a.yml",
        "checks: [{dataset: orders, checks: [{not_null: id}, {between: {column: price, min: 0}},"
        " {unique: [id, city]}, {row_count: {min: 1}}, {sql: id < price, name: less}]}]",
    )
    with open_project(shop.folder) as project:
        shop.file("orders.odcs.yaml", project.export_contract("orders"))
    command = [peers / "datacontract", "lint", "orders.odcs.yaml"]
    done = subprocess.run(
        command, cwd=shop.folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
