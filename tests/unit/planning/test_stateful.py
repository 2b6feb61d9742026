"""Every aggregate of DuckDB is known as one, because a stream must not be fed into any."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot import exp, parse_one

from qanat.errors import Location, SqlSyntaxError
from qanat.model.query import SqlQuery
from qanat.planning.stateful import aggregates, own_tree, tree_of

CALLS = sorted(
    f"{name}({', '.join('xyzuvw'[:count])})"
    for name, count in duckdb.sql(
        "SELECT DISTINCT function_name, len(parameters) FROM duckdb_functions() WHERE"
        " function_type = 'aggregate' AND regexp_full_match(function_name, '\\w+')"
        " AND len(parameters) > 0"
    ).fetchall()
)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("form", ["{}", "{} FILTER (x > 1)"])
def test_duckdb_s_aggregates(call: str, form: str) -> None:
    tree = parse_one(f"SELECT {form.format(call)} FROM t", dialect="duckdb")
    assert any(aggregates(f) for f in tree.find_all(exp.Func))


@pytest.mark.parametrize("name", ["abs", "list_sum", "len", "upper"])
def test_other_functions_are_no_aggregates(name: str) -> None:
    tree = parse_one(f"SELECT {name}(x) FROM t", dialect="duckdb")
    assert not any(aggregates(f) for f in tree.find_all(exp.Func))


def test_what_sqlglot_cannot_parse_is_an_error_at_the_query() -> None:
    sql = "SELECT * FROM (DESCRIBE x AS y)"
    query = SqlQuery(sql, sql, "duckdb", (), Location("a.sql", 3, 1))
    for parse in (tree_of, own_tree):
        with pytest.raises(SqlSyntaxError) as raised:
            parse(query)
        assert raised.value.location == query.location
