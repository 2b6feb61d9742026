"""The profile of rows, from its parts."""

from __future__ import annotations

from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.profiling import sample as by_sample
from qanat.engines.duckdb.profiling.counted import (
    Distinct,
    Values,
    counted,
    distinct,
    few,
    histogram_of,
    quantiles_of,
    top_of,
)
from qanat.engines.duckdb.profiling.keys import candidate_keys
from qanat.engines.duckdb.profiling.kinds import Column, Kind, column_of
from qanat.engines.duckdb.profiling.patterns import patterns, reads_as
from qanat.engines.duckdb.profiling.sample import Sample, sample
from qanat.engines.duckdb.profiling.scan import Facts, entries_of, numbers_of, scanned, texts_of
from qanat.engines.duckdb.profiling.together import associations
from qanat.model.profile import ColumnProfile, Profiled, Texts
from qanat.model.schema import Schema


def profile(con: DuckDBPyConnection, rows: str, schema: Schema) -> Profiled:
    """Describe the columns of rows.

    Args:
        rows: FROM text, which may be read several times; with the columns that tell where a row
            is (`qanat.engines.duckdb.files.bound`).
        schema: the columns to describe.
    """
    columns = [column_of(at, field) for at, field in enumerate(schema.fields)]
    if not columns:
        (total,) = con.execute(f"SELECT count(*) FROM {rows}").fetchone() or (0,)
        return Profiled(total, total, ())
    total, facts = scanned(con, rows, columns)
    taken = sample(con, rows, columns, facts, total)
    # All that a small table has is in the sample: it need not be read again.
    source = taken.name if taken.whole and not taken.cut else rows
    pairs = list(zip(columns, facts, strict=True))
    values = counted(con, source, [c for c, f in pairs if few(c, f)])
    many = [(c, f) for c, f in pairs if c.at not in values]
    asked, told = [c for c, _ in many], [f for _, f in many]
    different = distinct(con, source, asked, told, exact=taken.whole)
    found = []
    for column, each in pairs:
        known = values.get(column.at)
        if known is not None:
            made = _of_values(con, taken, column, each, known, total)
        else:
            made = _of_sample(con, taken, column, each, different[column.at], total)
        found.append(_with_hints(con, taken, column, made))
    related = associations(con, taken, columns, found)
    keys = candidate_keys(con, source, total, columns, found, different)
    return Profiled(total, taken.rows, tuple(found), related, keys)


def _plain(column: Column, facts: Facts, total: int, distinct: int) -> ColumnProfile:
    return ColumnProfile(
        name=column.field.name,
        type=str(column.field.type),
        rows=total,
        nulls=total - facts["values"],
        distinct=distinct,
        low=facts.get("low"),
        high=facts.get("high"),
        numbers=numbers_of(column, facts),
        entries=entries_of(facts),
    )


def _of_values(
    con: DuckDBPyConnection,
    sample: Sample,
    column: Column,
    facts: Facts,
    values: Values,
    total: int,
) -> ColumnProfile:
    """A column with few values: all is exact but patterns, of which the sample has enough."""
    return replace(
        _plain(column, facts, total, len(values)),
        quantiles=quantiles_of(values) if column.measured else (),
        histogram=histogram_of(column, values) if column.measured else (),
        top=top_of(values),
        texts=_texts(con, sample, column, facts),
    )


def _of_sample(
    con: DuckDBPyConnection,
    sample: Sample,
    column: Column,
    facts: Facts,
    different: Distinct,
    total: int,
) -> ColumnProfile:
    """A column with many values."""
    ends: tuple[float | None, float | None] = (None, None)
    if column.kind in (Kind.WHOLE, Kind.DECIMAL) and facts.get("low") is not None:
        ends = (float(facts["low"]), float(facts["high"]))
    frequent = by_sample.top(con, sample, column)
    # Values that are chosen by their hashes may all be alone, and one of the others not.
    many = min(different.values, facts["values"] - sum(v.rows - 1 for v in frequent))
    return replace(
        _plain(column, facts, total, max(many, len(frequent))),
        distinct_by=different.by,
        values_by=sample.by,
        quantiles=by_sample.quantiles(con, sample, column) if column.measured else (),
        histogram=by_sample.histogram(con, sample, column, *ends) if column.measured else (),
        top=frequent,
        texts=_texts(con, sample, column, facts),
    )


def _texts(con: DuckDBPyConnection, sample: Sample, column: Column, facts: Facts) -> Texts | None:
    texts = texts_of(column, facts)
    if texts is None:
        return None
    found = patterns(con, sample.name, column.name)
    return replace(
        texts,
        patterns=tuple(replace(p, rows=sample.scaled(p.rows)) for p in found),
        patterns_by=sample.by,
        reads_as=reads_as(con, sample.name, column.name),
    )


def _with_hints(
    con: DuckDBPyConnection, sample: Sample, column: Column, known: ColumnProfile
) -> ColumnProfile:
    hints, by = [], known.distinct_by
    values = known.rows - known.nulls
    if known.distinct == 1 and values > 1:
        hints.append("constant")
    elif known.distinct == values > 1:
        hints.append("all distinct")
    if known.distinct > 1 and (column.measured or column.kind is Kind.TEXT):
        way = by_sample.direction(con, sample, column)
        if way is not None and values > 2:
            hints.append(way)
            by = sample.by
    if known.texts is not None and known.texts.reads_as is not None:
        hints.append(f"reads as {known.texts.reads_as}")
        by = sample.by
    return replace(known, hints=tuple(hints), hints_by=by)
