"""sqlglot's parsers for Spark and DuckDB, changed to keep every function call as written.

sqlglot translates a call to the function of another dialect that it takes for the same. This
package decides that itself, name by name, so calls must keep the names that the author wrote.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.parsers.spark import SparkParser

# Functions with a syntax of their own between the parentheses, such as `CAST(x AS INT)`.
_SPECIAL = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "POSITION", "OVERLAY")


class _SparkCalls(SparkParser):
    # sqlglot parses `ARRAY(1, 2)[0]` as the list [0] unless `array` has another name.
    FUNCTIONS: ClassVar[dict[str, Any]] = {
        "ARRAY": lambda args: exp.Anonymous(this="__array", expressions=args)
    }
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        name: SparkParser.FUNCTION_PARSERS[name] for name in _SPECIAL
    }
    FUNCTIONS_WITH_ALIASED_ARGS: ClassVar[set[str]] = set()
    NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        "CASE": SparkParser.NO_PAREN_FUNCTION_PARSERS["CASE"]
    }
    STRICT_CAST = True


class SparkCalls(Spark):
    """Spark SQL; every call is an `Anonymous` under the author's name."""

    Parser = _SparkCalls


class _DuckCalls(DuckDBParser):
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        name: DuckDBParser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT")
    }
    NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}


class DuckCalls(DuckDB):
    """DuckDB's SQL; every call is an `Anonymous`."""

    Parser = _DuckCalls


class Unparsed(Exception):  # noqa: N818 - caught in this room; the error is made from it
    """The author's SQL does not parse; the message is one line."""


def parse_spark(sql: str) -> exp.Expr:
    """The tree of a Spark query or expression.

    Raises:
        Unparsed: it does not parse.
    """
    try:
        tree: exp.Expr = parse_one(sql, dialect=SparkCalls)
    except SqlglotError as error:
        raise Unparsed(str(error).split("\n", 1)[0]) from error
    return tree
