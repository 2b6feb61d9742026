"""Spark and DuckDB as sqlglot parses them, with every function call left as it is written.

sqlglot would turn a call into what it holds to be the same function of another dialect. Whether
it is the same is what this room decides itself, name by name, so the calls must arrive here under
the author's names.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.parsers.spark import SparkParser

# What has a syntax of its own between its parentheses.
_SPECIAL = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "POSITION", "OVERLAY")


class _SparkCalls(SparkParser):
    # Under its own name the parser would take `array(1, 2)[0]` for the list [0].
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
    """The author's SQL does not parse; said in one line."""


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
