"""Rows on their way into quarantine, and rows that are there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext, col

from qanat.model.expectation import Expectation
from qanat.model.name import Named
from qanat.model.quarantine import QUARANTINE_FIELDS, quarantine_fields
from qanat.model.schema import Schema
from qanat.model.work import Output, Work
from qanat.planning.fit import quarantined as planned
from tests.conformance.datafusion_engine.columns import arrow_schema, quote, to_arrow
from tests.conformance.datafusion_engine.positions import AT
from tests.conformance.datafusion_engine.rules import RID, broken

Source = Callable[[int], Mapping[str, str | int]]
_TRY = "__qanat_try_"
_RULES = "map_keys(_quarantine_rules)"
_ORDER = "_quarantine_epoch, _quarantine_source['file'], _quarantine_source['row'], _quarantine_id"


def quarantine_schema(schema: Schema, output: Output) -> Schema:
    """What the quarantine has, and after that what new rows bring."""
    return Schema(planned(output.schema, Schema(quarantine_fields(schema)))[0])


def described(
    rows: DataFrame,
    schema: Schema,
    target: Schema,
    expectations: tuple[Expectation, ...],
    work: Work,
    source: Source | None,
) -> Iterator[pa.RecordBatch]:
    """Rows that break rules, in the columns of the quarantine.

    Args:
        rows: with their marks.
        schema: the columns of the dataset; `target`, those of the quarantine.
        source: from the position of a row to its file and number.
    """
    # The quarantine keeps the type that it has; what does not fit it is NULL, and the row text.
    _, misfits = planned(target, schema)
    retyped = {n: f.type for n in misfits if (f := target.get(n))}
    tries = [
        col(quote(name)).try_cast(to_arrow(type_)).alias(f"{_TRY}{name}")
        for name, type_ in retyped.items()
    ]
    every = [col(quote(name)) for name in rows.schema().names]
    for each in rows.select(*every, *tries).execute_stream():
        batch = each.to_pyarrow()
        values = _about(batch, expectations, work, source)
        if retyped:
            own = batch.select(schema.names).to_pylist()
            values["_quarantine_raw"] = [json.dumps(row, default=str) for row in own]
        columns = Named(
            (f.name, pa.array(values[f.name], to_arrow(f.type))) for f in QUARANTINE_FIELDS
        )
        for name in schema.names:
            columns[name] = batch.column(f"{_TRY}{name}" if name in retyped else name)
        nothing = pa.nulls(batch.num_rows)
        arrays = [columns.get(f.name, nothing).cast(to_arrow(f.type)) for f in target.fields]
        yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(target))


def _about(
    batch: pa.RecordBatch,
    expectations: tuple[Expectation, ...],
    work: Work,
    source: Source | None,
) -> dict[str, Any]:
    """What the quarantine says about each row of a batch."""
    count = batch.num_rows
    at = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=work.at_ns // 1000)
    texts = [(e.name, str(e.rule)) for e in expectations]
    marks = [batch.column(broken(i)).to_pylist() for i in range(len(expectations))]
    numbers = batch.column(RID).to_pylist()
    positions = batch.column(AT).to_pylist() if source else []
    return {
        "_quarantine_id": [f"{work.flow}:{work.epoch}:{n}" for n in numbers],
        "_quarantine_rules": [
            [text for text, mark in zip(texts, row, strict=True) if mark]
            for row in zip(*marks, strict=True)
        ],
        "_quarantine_flow": [work.flow] * count,
        "_quarantine_update": [work.update] * count,
        "_quarantine_epoch": [work.epoch] * count,
        "_quarantine_source": [source(p) for p in positions] if source else [None] * count,
        "_quarantine_raw": [None] * count,
        "_quarantine_at": [at] * count,
    }


def broken_rules(session: SessionContext, quarantine: str) -> dict[str, int]:
    """How many rows of a quarantine broke each rule, most frequent first."""
    found = session.sql(
        f"SELECT rule, count(*) AS n FROM (SELECT unnest({_RULES}) AS rule FROM {quarantine}) "
        "GROUP BY rule ORDER BY n DESC, rule"
    )
    return {r["rule"]: r["n"] for r in found.to_pylist()}


def quarantined(
    session: SessionContext, quarantine: str, rule: str | None, where: str
) -> DataFrame:
    """The rows of a quarantine, in the order of their sources."""
    condition = "true" if rule is None else broke(rule)
    return session.sql(
        f"SELECT * FROM {quarantine} WHERE {condition} AND {where} ORDER BY {_ORDER}"
    )


def broke(rule: str) -> str:
    """The condition of the quarantined rows that broke a rule."""
    text = rule.replace("'", "''")
    return f"array_has({_RULES}, '{text}')"
