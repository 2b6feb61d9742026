"""The crash test's own questions to the project's engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qanat.errors import Location
from qanat.model.dialect import DUCKDB
from qanat.model.query import SqlQuery
from qanat.model.work import Batch
from qanat.run.session import Session


def ask(session: Session, sql: str, inputs: Mapping[str, Batch]) -> Sequence[tuple[Any, ...]]:
    """The rows of a query in DuckDB's dialect.

    Args:
        inputs: tables by the names that the query gives them.
    """
    query = SqlQuery(sql, sql, DUCKDB.name, (), Location("crash test"))
    with session.engine.read(query, inputs) as reading:
        return [row for chunk in reading.chunks() for row in chunk]
