"""DISTINCT over a stream: of rows with equal keys the first one counts."""

from __future__ import annotations

from sqlglot import exp

from qanat.model.name import Names
from qanat.model.stateful import Deduplication, StatefulInput
from qanat.planning.eventtime.apart import Apart, result_source

KEY, TIME = "__qanat_key_", "__qanat_time"


def deduplication_of(apart: Apart) -> Deduplication:
    """The operator that a SELECT DISTINCT stands for.

    Raises:
        FlowError: it cannot be computed over a stream.
    """
    select = apart.select
    on = select.args["distinct"].args.get("on")
    keys = list(on.expressions) if isinstance(on, exp.Tuple) else [on] if on is not None else []
    keys = [_resolved(select, k) for k in keys]
    if keys and select.args.get("order"):
        raise apart.problem(
            "ORDER BY cannot choose a row of a stream: rows of later epochs are not known",
            "ORDER BY",
            select.args["order"],
            hint="leave it out: the row that comes first counts",
        )
    columns = [e.copy() for e in select.expressions]
    columns += [exp.alias_(k.copy(), f"{KEY}{n}", quoted=True) for n, k in enumerate(keys)]
    watermarks = apart.watermarks
    if len(watermarks) == 1:
        columns.append(_time(apart))
    among = keys or [e.unalias() for e in select.expressions]
    delay = watermarks[0].delay_us if len(watermarks) == 1 else 0
    times = Names(w.column for w in watermarks)
    if any(isinstance(k, exp.Column) and k.name in times for k in among):
        # Rows with one event time have the same one: none comes once the watermark has passed it.
        delay = 0
    star = exp.Select(expressions=[exp.Star()]).from_(result_source())
    before = apart.before(columns)
    return Deduplication(
        (StatefulInput("rows", before),),
        watermarks,
        False,
        apart.after(star, False),
        keys=tuple(f"{KEY}{n}" for n in range(len(keys))),
        time=TIME if len(watermarks) == 1 else "",
        kept_us=delay,
    )


def _time(apart: Apart) -> exp.Expr:
    """The event time of a row as a column of the input."""
    (mark,) = apart.watermarks
    tables = (t for t in apart.select.find_all(exp.Table) if t.name == mark.read)
    table = next((t for t in tables if t.find_ancestor(exp.Select) is apart.select), None)
    alias = exp.to_identifier(table.alias_or_name, quoted=True) if table is not None else None
    column = exp.column(exp.to_identifier(mark.column, quoted=True), table=alias)
    return exp.alias_(exp.Anonymous(this="epoch_us", expressions=[column]), TIME, quoted=True)


def _resolved(select: exp.Select, key: exp.Expr) -> exp.Expr:
    """A key as an expression of the rows: not a number of a result column, or its alias."""
    if isinstance(key, exp.Literal) and not key.is_string:
        at = int(key.name) - 1
        if 0 <= at < len(select.expressions):
            chosen: exp.Expr = select.expressions[at].unalias()
            return chosen
    return key
