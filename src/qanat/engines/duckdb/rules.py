"""Rules, compiled one by one, so that an error names the rule and its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.faults import explained
from qanat.errors import InvariantError
from qanat.model.expectation import Expectation, Nulls
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.model.rule import Aggregate, Predicate


def holds(expectation: Expectation, asked: str | None = None) -> str:
    """SQL that is TRUE for the rows that keep a condition on one row, and for no others.

    Args:
        asked: a column that says whether the expectation is about a row; None: that is computed.
    """
    rule = expectation.rule
    if not isinstance(rule, Predicate):
        raise InvariantError(f"{rule} is no condition on one row")
    # The author's condition may end in a -- comment, so the parenthesis needs its own line.
    condition = f"({exact_casts(rule.sql)}\n)"
    if expectation.nulls is Nulls.PASS:
        condition = f"({condition} IS NOT FALSE)"
    if expectation.where is None:
        return condition
    # CASE computes the condition for no other rows: it may fail for them.
    return f"(CASE WHEN {asked or about(expectation)} THEN {condition} ELSE true END)"


def about(expectation: Expectation) -> str:
    """SQL that is TRUE for the rows that an expectation is about; empty if for all."""
    where = expectation.where
    return "" if where is None else f"({exact_casts(where.sql)}\n)"


def among(relation: str, expectation: Expectation) -> str:
    """SELECT text of the rows of a relation that an expectation is about."""
    filters = about(expectation)
    return f"SELECT * FROM ({relation}) AS r WHERE {filters}" if filters else relation


def compile_predicates(
    con: DuckDBPyConnection, relation: str, expectations: Sequence[Expectation]
) -> None:
    """Compile what rules say of single rows.

    Raises:
        ColumnNotFoundError, FunctionNotFoundError, QueryError: one does not compile.
    """
    for each in expectations:
        if isinstance(each.rule, Predicate):
            compile_rule(con, relation, each, holds(each))
        elif each.where is not None:
            compile_rule(con, relation, each, about(each))


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
    text, at = str(expectation.rule), expectation.location
    pairs = expectation.rule.reads if isinstance(expectation.rule, Aggregate) else ()
    reads = tuple(Read(name, dataset_ref(of), streaming=False, location=at) for name, of in pairs)
    return SqlQuery(text, text, "duckdb", reads, at)
