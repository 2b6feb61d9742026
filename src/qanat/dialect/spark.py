"""A Spark query as DuckDB's SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from qanat.dialect.grammar import parse_spark
from qanat.errors import FunctionNotFoundError, QanatError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    offset: int | None = None
    word: str | None = None
    hint: str | None = None
    nearest: str | None = None
    family: type[QanatError] = UnsupportedError


@dataclass(frozen=True, slots=True)
class Translation:
    sql: str
    problems: tuple[Problem, ...]


def translate(sql: str) -> Translation:
    tree = parse_spark(sql)
    return Translation(tree.sql(dialect="duckdb"), ())
