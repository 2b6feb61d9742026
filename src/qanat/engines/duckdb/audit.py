"""Expectations against a table as it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.split import Splitter
from qanat.model.expectation import Expectation
from qanat.model.name import Name
from qanat.model.staged import RuleCount
from qanat.model.work import Batch

_TABLE = "__qanat_audited"


def audit(
    con: DuckDBPyConnection,
    scratch: Path,
    batch: Batch,
    dataset: str,
    expectations: Sequence[Expectation],
    references: Mapping[Name, Batch],
) -> tuple[int, tuple[RuleCount, ...]]:
    """How many rows a table has, and how many of them violate each expectation about rows."""
    bindings = Bindings(con, scratch)
    bound = bindings.bind(_TABLE, batch)
    relation = bound.full
    if RID not in bound.hidden:
        con.execute(
            f"CREATE TEMP TABLE {_TABLE}_rows AS SELECT *, row_number() OVER () AS {RID} "
            f"FROM ({bound.plain})"
        )
        relation = f"SELECT * FROM {_TABLE}_rows"
    known = {
        name: bindings.bind(f"{_TABLE}_{i}", each).plain
        for i, (name, each) in enumerate(references.items())
    }
    rules = tuple(e for e in expectations if e.rule.level.of_rows)
    splitter = Splitter(con, "audit", dataset, relation, rules, None, known)
    split = splitter.split()
    return split.total, split.rules
