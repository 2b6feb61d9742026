"""Names, queries and URLs as authors write them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qanat.connectors.postgres import READ, WRITE
from qanat.connectors.postgres.relation import Relation, TableName
from qanat.connectors.postgres.url import Url
from qanat.errors import OptionError


@pytest.mark.parametrize(
    "place",
    ["orders", "Sales.orders", '"Odd ""one"""."T.x"', " größe ", "a$1", "select_list", "values_"],
)
def test_tables(place: str) -> None:
    assert Relation.of(place).table == place.strip()


@pytest.mark.parametrize(
    "place",
    [
        "SELECT 1",
        "  -- why\n/* and\nhow */ with x AS (SELECT 1) SELECT * FROM x;",
        "(SELECT 1) UNION (SELECT 2)",
        "VALUES (1)",
        "TABLE orders",
        "SELECT 1 -- it ends so",
    ],
)
def test_queries(place: str) -> None:
    found = Relation.of(place)
    assert found.table is None
    assert found.text.startswith("(")
    assert found.text.endswith("\n)")
    assert ";" not in found.text


@pytest.mark.parametrize(
    "place", ["", "a b", "a.b.c", "orders; DROP TABLE x", "1a", '"a', "a'b", "DELETE FROM x"]
)
def test_neither(place: str) -> None:
    with pytest.raises(OptionError):
        Relation.of(place)


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("orders", None, "orders"),
        ("Sales.ORDERS", "sales", "orders"),
        ('"Sales"."a ""b"""', "Sales", 'a "b"'),
    ],
)
def test_names_of_tables(text: str, schema: str | None, name: str) -> None:
    assert TableName.of(text) == TableName(schema, name)


def test_a_name_that_is_none() -> None:
    with pytest.raises(OptionError):
        TableName.of("SELECT 1")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgresql://db/shop", "postgresql://db/shop"),
        ("postgres://u:p@db:5433/shop?sslmode=require", "postgresql://db:5433/shop"),
        ("postgresql://u:p%40x@a:1,b:2/shop", "postgresql://a:1,b:2/shop"),
        ("postgresql:///shop?host=/run", "postgresql:///shop"),
        ("postgresql://u:p@[::1]/shop", "postgresql://[::1]/shop"),
    ],
)
def test_what_a_url_shows(text: str, place: str) -> None:
    url = Url(text)
    assert url.usable
    assert (str(url), repr(url), f"{url}") == (place, repr(place), place)


@pytest.mark.parametrize("text", ["", "mysql://h/d", "host=h password=hush", "postgresql://[hush"])
def test_what_is_no_url_is_not_shown(text: str) -> None:
    assert "hush" not in str(Url(text))
    with pytest.raises(OptionError) as caught:
        READ.check("url", text)
    assert "hush" not in str(caught.value)


def test_passwords_are_hidden_in_every_form() -> None:
    url = Url("postgresql://u:p%40ss@h/d?password=p&sslpassword=other")
    assert url.hidden("p%40ss p@ss other") == "*** *** ***"


def test_options_are_checked_twice_with_one_result() -> None:
    given = WRITE.check_all(
        [("URL", "postgresql://u:p@h/d"), ("dbtable", "t"), ("create", "no")][:2]
    )
    assert WRITE.check_all(given.items()) == given


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("cursorField", "cursor"),
        ("replication_key", "cursor"),
        ("primaryKey", "key"),
        ("lag", "lookback"),
        ("initialValue", "initial_cursor"),
        ("onCursorValueMissing", "null_cursor"),
        ("maxRowsPerTrigger", "max_rows_per_trigger"),
    ],
)
def test_names_that_other_tools_have(name: str, canonical: str) -> None:
    assert READ.find(name).name == canonical


@pytest.mark.parametrize("name", ["table", "query", "dbtable", "password"])
def test_options_that_are_elsewhere(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        READ.check(name, "x")
    assert caught.value.hint


def test_a_declaration_costs_no_driver_and_a_missing_one_is_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['adbc_driver_postgresql'] = None\n"
        "from qanat.connectors.postgres import POSTGRES\n"
        "assert not {'psycopg', 'pyarrow', 'adbc_driver_manager'} & set(sys.modules)\n"
        "from qanat.errors import MissingExtraError\n"
        "from qanat.plugins import imported\n"
        "for target in (POSTGRES.source, POSTGRES.sink):\n"
        "    try:\n"
        "        imported(target)\n"
        "    except MissingExtraError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("the package adbc_driver_postgresql") == 2
    assert done.stdout.count("pip install 'qanat[postgres]'") == 2
