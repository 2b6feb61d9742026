"""Every expression and query gives the result of a real Spark in DuckDB, or is refused."""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from qanat.dialect import to_engine, unsupported
from qanat.dialect.spark.calls import RULES
from qanat.errors import Location
from qanat.model.query import SqlQuery

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "spark_facts.json").read_text("utf-8"))
# Spark gives a result and Qanat refuses: when it compiles or, with `@run`, for some rows.
REFUSED = frozenset((HERE / "refused.txt").read_text("utf-8").strip().split("\n"))
_COLUMNS = (
    "k INT, i INT, l BIGINT, d DOUBLE, n DECIMAL(10,2), s VARCHAR, z VARCHAR, b BOOLEAN,"
    " dt DATE, ts TIMESTAMPTZ, a INT[], sa VARCHAR[], m MAP(VARCHAR, INT),"
    " st STRUCT(x INT, y VARCHAR)"
)
_TYPES = {
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "int",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "FLOAT": "float",
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMP": "timestamp_ntz",
    "BLOB": "binary",
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE t ({_COLUMNS})")
    for line in (HERE / "rows.txt").read_text("utf-8").strip().split("\n"):
        names = line.replace("null", "None").replace("true", "True").replace("false", "False")
        values = list(ast.literal_eval(names))
        if values[12] is not None:
            values[12] = duckdb.Value(
                {"key": list(values[12]), "value": list(values[12].values())},
                duckdb.map_type("VARCHAR", "INTEGER"),
            )
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * 14)})", values)
    yield connection
    connection.close()


def plain(value: Any) -> Any:
    """A value as JSON, as `generate_facts.py` writes it."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dt.datetime):
        whole = value.astimezone(dt.UTC) if value.tzinfo else value
        return {"timestamp": whole.replace(tzinfo=None).isoformat(" ", "microseconds")}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float):
        return {"double": repr(value)}
    return value


def typed(value: Any, type_: str) -> Any:
    if isinstance(value, dict) and type_.startswith("map<"):
        return {"map": sorted([[plain(k), typed(v, "")] for k, v in value.items()], key=str)}
    if isinstance(value, dict):
        return {"struct": [[k, typed(v, "")] for k, v in value.items()]}
    if isinstance(value, list):
        return [typed(v, "") for v in value]
    return plain(value)


def same(mine: Any, theirs: Any) -> bool:
    """True if two values are equal: doubles to 15 digits or so, decimals by value."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        (name,) = mine
        if name == "double":
            left, right = float(mine[name]), float(theirs[name])
            if math.isnan(left) or math.isnan(right):
                return math.isnan(left) and math.isnan(right)
            return math.isclose(left, right, rel_tol=1e-14, abs_tol=0)
        if name == "decimal":
            return Decimal(mine[name]) == Decimal(theirs[name])
        return same(mine[name], theirs[name])
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    return type(mine) is type(theirs) and bool(mine == theirs)


def alike(mine: str, theirs: str) -> bool:
    """True if two types are the same; the precision of a decimal may be wider."""
    if mine.startswith("DECIMAL") and theirs.startswith("decimal"):
        return mine.rpartition(",")[2] == theirs.rpartition(",")[2]
    if theirs.startswith(("array", "map", "struct", "void", "interval")):
        return True
    return _TYPES.get(mine) == theirs


def query(sql: str) -> SqlQuery:
    return SqlQuery(sql, sql, "spark", (), Location("q.sql", 1, 1))


def ran(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[str], list[Any]] | str:
    """The names, types and rows of a query, or its error."""
    try:
        result = con.sql(sql)
        return [str(c) for c in result.columns], [str(t) for t in result.types], result.fetchall()
    except duckdb.Error as error:
        return str(error)


@pytest.mark.parametrize("expression", sorted(FACTS["expressions"]))
def test_an_expression_means_the_same(con: duckdb.DuckDBPyConnection, expression: str) -> None:
    fact = FACTS["expressions"][expression]
    asked = query(f"SELECT {expression} AS v FROM t")
    if unsupported(asked, "duckdb"):
        assert expression in REFUSED or fact["type"] is None
        return
    assert expression not in REFUSED
    sql = to_engine(asked, "duckdb").sql
    refused = False
    # All rows at once, unless one of them is an error, which would hide the others.
    count = len(fact["values"])
    at_once = ran(con, f"{sql} ORDER BY k")
    for k, theirs in enumerate(fact["values"], 1):
        if isinstance(at_once, str) or len(at_once[2]) != count:
            found = ran(con, f"{sql} WHERE k = {k}")
        else:
            found = (*at_once[:2], at_once[2][k - 1 : k])
        if isinstance(found, str):
            if not (isinstance(theirs, dict) and "error" in theirs):
                assert f"{expression} @run" in REFUSED, f"row {k}: {found}\n{sql}"
                refused = True
            continue
        _, types, rows = found
        mine = typed(rows[0][0], fact["type"] or "")
        assert same(mine, theirs), f"row {k}: {mine} is not Spark's {theirs}\n{sql}"
        assert alike(types[0], fact["type"]), (types[0], fact["type"])
    assert refused or f"{expression} @run" not in REFUSED


@pytest.mark.parametrize("sql", sorted(FACTS["queries"]))
def test_a_query_means_the_same(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    fact = FACTS["queries"][sql]
    asked = query(sql)
    if unsupported(asked, "duckdb"):
        assert sql in REFUSED or "error" in fact
        return
    assert sql not in REFUSED
    mine = to_engine(asked, "duckdb").sql
    found = ran(con, mine)
    if isinstance(found, str):
        assert "error" in fact or f"{sql} @run" in REFUSED, f"{found}\n{mine}"
        return
    names, types, rows = found
    assert "error" not in fact, (fact, rows)
    assert f"{sql} @run" not in REFUSED
    assert names == [n for n, _ in fact["columns"]], mine
    wanted = [t for _, t in fact["columns"]]
    values = [[typed(v, t) for v, t in zip(row, wanted, strict=True)] for row in rows]
    assert same(values, fact["rows"]), (values, fact["rows"], mine)
    for have, want in zip(types, wanted, strict=True):
        assert alike(have, want), (have, want, mine)


def test_every_rule_has_a_fact_from_spark() -> None:
    asked = "\n".join([*FACTS["expressions"], *FACTS["queries"]]).casefold()
    names = {name.removeprefix("__") for name in RULES}
    assert [n for n in sorted(names) if not re.search(rf"\b{n}\s*\(", asked)] == []


def test_every_listed_refusal_is_among_the_facts() -> None:
    asked = {*FACTS["expressions"], *FACTS["queries"]}
    assert {r.removesuffix(" @run") for r in REFUSED} <= asked
