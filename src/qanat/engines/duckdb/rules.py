"""Rules, compiled one by one, so that an error names the rule and its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.faults import explained
from qanat.model.expectation import Expectation
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate


def compile_predicates(
    con: DuckDBPyConnection, relation: str, expectations: Sequence[Expectation]
) -> None:
    """Compile what rules say of single rows.

    Raises:
        ColumnNotFoundError, FunctionNotFoundError, QueryError: one does not compile.
    """
    for each in expectations:
        if isinstance(each.rule, Predicate):
            compile_rule(con, relation, each, f"({exact_casts(each.rule.sql)}\n)")


def compile_rule(
    con: DuckDBPyConnection, relation: str, expectation: Expectation, sql: str
) -> None:
    """Compile one rule by itself, so that an error names that rule and its place.

    Args:
        relation: SELECT text with the columns of the table.
        sql: what the rule computes for a row.

    Raises:
        ColumnNotFoundError, FunctionNotFoundError, QueryError: it does not compile.
    """

    def names() -> Iterator[str]:
        yield from con.sql(f"SELECT * FROM ({relation}) LIMIT 0").columns

    with explained(query_of(expectation), names(), expectation):
        con.sql(f"SELECT {sql} FROM ({relation}) AS r LIMIT 0")


def query_of(expectation: Expectation) -> SqlQuery:
    """The text of a rule, as a query that an error is about."""
    text = str(expectation.rule)
    return SqlQuery(text, text, "duckdb", (), expectation.location)
