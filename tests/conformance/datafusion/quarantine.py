"""Rows on their way into quarantine, and rows that are there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from datafusion import DataFrame, SessionContext, col
from qanat.model.expectation import Expectation
from qanat.model.schema import Field, Schema
from qanat.model.work import QUARANTINE_FIELDS, Output, Work
from tests.conformance.datafusion.columns import arrow_schema, quote, to_arrow
from tests.conformance.datafusion.positions import AT
from tests.conformance.datafusion.rules import RID, broken

Source = Callable[[int], Mapping[str, str | int]]
_RULES = "map_keys(_quarantine_rules)"
_ORDER = "_quarantine_epoch, _quarantine_source['file'], _quarantine_source['row'], _quarantine_id"


def quarantine_schema(schema: Schema, output: Output) -> Schema:
    """What the quarantine has, and after that what new rows bring."""
    new = [Field(f.name, f.type, comment=f.comment) for f in schema.fields]
    joining = [f for f in (*new, *QUARANTINE_FIELDS) if output.schema.get(f.name) is None]
    return Schema((*output.schema.fields, *joining))


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
    at = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=work.at_ns // 1000)
    retyped = [f for f in schema.fields if _retyped(f, target)]
    # The quarantine keeps the type that it has; what no longer fits is kept as text.
    tries = [
        col(quote(f.name)).try_cast(to_arrow(field.type)).alias(f"__qanat_try_{f.name}")
        for f in retyped
        if (field := target.get(f.name))
    ]
    for each in rows.select(
        *(col(quote(n)) for n in rows.schema().names), *tries
    ).execute_stream():
        batch = each.to_pyarrow()
        known = {n.casefold(): batch.column(n) for n in schema.names}
        known |= {f.name.casefold(): batch.column(f"__qanat_try_{f.name}") for f in retyped}
        marks = [batch.column(broken(i)).to_pylist() for i in range(len(expectations))]
        texts = [(e.name, str(e.rule)) for e in expectations]
        failed = [
            [text for text, mark in zip(texts, row, strict=True) if mark]
            for row in zip(*marks, strict=True)
        ]
        own = batch.select(schema.names).to_pylist() if retyped else []
        values = {
            "_quarantine_id": [
                f"{work.flow}:{work.epoch}:{n}" for n in batch.column(RID).to_pylist()
            ],
            "_quarantine_rules": failed,
            "_quarantine_flow": [work.flow] * batch.num_rows,
            "_quarantine_update": [work.update] * batch.num_rows,
            "_quarantine_epoch": [work.epoch] * batch.num_rows,
            "_quarantine_source": [source(a) for a in batch.column(AT).to_pylist()]
            if source
            else None,
            "_quarantine_raw": [json.dumps(r, default=str) for r in own] or None,
            "_quarantine_at": [at] * batch.num_rows,
        }
        nothing = [None] * batch.num_rows
        arrays = [
            known[f.name.casefold()]
            if f.name.casefold() in known
            else pa.array(values.get(f.name) or nothing, to_arrow(f.type))
            for f in target.fields
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(target))


def broken_rules(session: SessionContext, quarantine: str) -> dict[str, int]:
    """How many rows of a quarantine broke each rule, most frequent first."""
    found = session.sql(
        f"SELECT rule, count(*) AS n FROM (SELECT unnest({_RULES}) AS rule FROM {quarantine}) "
        "GROUP BY rule ORDER BY n DESC, rule"
    )
    return {r["rule"]: r["n"] for r in found.to_pylist()}


def quarantined(session: SessionContext, quarantine: str, rule: str | None) -> DataFrame:
    """The rows of a quarantine, in the order of their sources."""
    condition = "true" if rule is None else broke(rule)
    return session.sql(f"SELECT * FROM {quarantine} WHERE {condition} ORDER BY {_ORDER}")


def broke(rule: str) -> str:
    """The condition of the quarantined rows that broke a rule."""
    text = rule.replace("'", "''")
    return f"array_has({_RULES}, '{text}')"


def _retyped(field: Field, target: Schema) -> bool:
    known = target.get(field.name)
    return known is not None and known.type != field.type
