"""What the events of a key come to, in the order of their sequence.

Each function gives SQL over a relation of events, of which no two of a key have one sequence. It
gives the same rows in whatever order and in however many epochs the events came, as it looks at
nothing but their sequence.
"""

from __future__ import annotations

from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in
from qanat.engines.duckdb.merge.shape import DELETE, KIND, UPSERT, Shape
from qanat.model.changes import END_AT, START_AT
from qanat.text import quote

_RUN, _STARTS, _ENDS, _LIFE, _BEFORE, _DELETED, _NEEDED = (
    f"__qanat_{name}" for name in ("run", "starts", "ends", "life", "before", "deleted", "needed")
)


def rows(shape: Shape, events: str, emptied: str) -> str:
    """SELECT text of the rows that a table has after events, each with its sequence.

    Args:
        events: name of a relation of events of some keys: all that are known.
        emptied: SQL of the sequence at which the table was last emptied; NULL if it never was.
    """
    if shape.versions:
        return _versions(shape, events)
    if shape.keeps:
        return _composed(shape, events, emptied)
    columns = columns_in(shape.data.names)
    return (
        f"SELECT {columns}, {SEQUENCE} FROM ({_latest(shape, events)}) "
        f"WHERE {KIND} = {UPSERT} AND {_after(emptied)}"
    )


def untold(shape: Shape, events: str, emptied: str) -> str:
    """SELECT text of the events that a later one may still need, and that no row tells."""
    if shape.versions:
        return _untold_versions(shape, events)
    if shape.keeps:
        return _untold_parts(shape, events, emptied)
    columns = columns_in(shape.kept.names)
    return (
        f"SELECT {columns} FROM ({_latest(shape, events)}) "
        f"WHERE {KIND} = {DELETE} AND {_after(emptied)}"
    )


# -- SCD type 1 ----------------------------------------------------------------------------------


def _latest(shape: Shape, events: str) -> str:
    return (
        f"SELECT * FROM {events} QUALIFY row_number() OVER "
        f"(PARTITION BY {columns_in(shape.keys)} ORDER BY {SEQUENCE} DESC) = 1"
    )


def _after(emptied: str) -> str:
    return f"({emptied} IS NULL OR {SEQUENCE} > {emptied})"


def _alive(shape: Shape, events: str, emptied: str) -> str:
    """The events after the last one that deleted their key, and that one itself."""
    last = f"max({SEQUENCE}) FILTER (WHERE {KIND} = {DELETE}) OVER ({_by(shape)})"
    return (
        f"SELECT *, {last} AS {_DELETED} FROM {events} WHERE {_after(emptied)} "
        f"QUALIFY {_DELETED} IS NULL OR {SEQUENCE} >= {_DELETED}"
    )


def _composed(shape: Shape, events: str, emptied: str) -> str:
    """Rows whose columns come from several events: NULL leaves what an earlier one said."""
    columns = [f"{_last(quote(n), n in shape.keeps)} AS {quote(n)}" for n in _rest(shape)]
    keys = columns_in(shape.keys)
    return (
        f"SELECT {columns_in(shape.data.names)}, {SEQUENCE} FROM (SELECT {keys}, "
        f"{', '.join((*columns, f'max({SEQUENCE}) AS {SEQUENCE}'))} "
        f"FROM ({_alive(shape, events, emptied)}) WHERE {KIND} = {UPSERT} "
        f"GROUP BY {keys})"
    )


def _last(column: str, keeps: bool) -> str:
    known = f" FILTER (WHERE {column} IS NOT NULL)" if keeps else ""
    return f"last({column} ORDER BY {SEQUENCE}){known}"


def _untold_parts(shape: Shape, events: str, emptied: str) -> str:
    """Deletions, and the events of rows that are not what their last event says."""
    parts = [
        f"max({SEQUENCE}) FILTER (WHERE {quote(n)} IS NOT NULL) OVER ({_by(shape)}) = {SEQUENCE}"
        for n in shape.keeps
    ]
    latest = f"max({SEQUENCE}) OVER ({_by(shape)}) = {SEQUENCE}"
    needed = (
        f"SELECT *, {' OR '.join((latest, *parts))} AS {_NEEDED} "
        f"FROM ({_alive(shape, events, emptied)})"
    )
    # A row that comes from one event alone tells that event.
    alone = f"count(*) FILTER (WHERE {_NEEDED} AND {KIND} = {UPSERT}) OVER ({_by(shape)}) = 1"
    return (
        f"SELECT {columns_in(shape.kept.names)} FROM ({needed}) "
        f"WHERE {_NEEDED} OR {KIND} = {DELETE} "
        f"QUALIFY {KIND} = {DELETE} OR NOT ({alone})"
    )


# -- SCD type 2 ----------------------------------------------------------------------------------


def _marked(shape: Shape, events: str) -> str:
    """The events of a key in their order: which begin a version, and what values they have then.

    Columns that keep their value where an event has NULL are filled from the events before it,
    back to the last one that deleted the key.
    """
    order = f"{_by(shape)} ORDER BY {SEQUENCE}"
    until = f"{order} ROWS UNBOUNDED PRECEDING"
    deleted = f"count(*) FILTER (WHERE {KIND} = {DELETE}) OVER ({until})"
    lives = f"SELECT *, {deleted} AS {_LIFE} FROM {events}"
    filled = [
        f"last_value({quote(n)} IGNORE NULLS) OVER ({_by(shape)}, {_LIFE} "
        f"ORDER BY {SEQUENCE} ROWS UNBOUNDED PRECEDING) AS {_filled(n)}"
        if n in shape.keeps
        else f"{quote(n)} AS {_filled(n)}"
        for n in _rest(shape)
    ]
    values = ", ".join(("*", *filled))
    same = [
        f"{_filled(n)} IS NOT DISTINCT FROM lag({_filled(n)}) OVER ({order})"
        for n in shape.tracked
    ]
    before = f"lag({KIND}) OVER ({order}) IS NOT DISTINCT FROM {UPSERT}"
    starts = f"{KIND} = {UPSERT} AND NOT ({' AND '.join((before, *same))})"
    marked = f"SELECT *, {starts} AS {_STARTS} FROM (SELECT {values} FROM ({lives}))"
    return (
        f"SELECT *, count(*) FILTER (WHERE {_STARTS} OR {KIND} = {DELETE}) OVER ({until}) "
        f"AS {_RUN} FROM ({marked})"
    )


def _bounds(shape: Shape, events: str) -> str:
    """The events that begin a version or end one, with the values and the end of the version."""
    run = f"PARTITION BY {columns_in(shape.keys)}, {_RUN} ORDER BY {SEQUENCE}"
    whole = f"{run} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    last = [f"last_value({_filled(n)}) OVER ({whole}) AS {_final(n)}" for n in _rest(shape)]
    runs = f"SELECT {', '.join(('*', *last))} FROM ({_marked(shape, events)})"
    bounds = f"SELECT * FROM ({runs}) WHERE {_STARTS} OR {KIND} = {DELETE}"
    order = f"{_by(shape)} ORDER BY {SEQUENCE}"
    return (
        f"SELECT *, lead({SEQUENCE}) OVER ({order}) AS {_ENDS}, "
        f"lag({KIND}) OVER ({order}) AS {_BEFORE} FROM ({bounds})"
    )


def _versions(shape: Shape, events: str) -> str:
    own = {START_AT: SEQUENCE, END_AT: _ENDS, **{n: _final(n) for n in _rest(shape)}}
    columns = ", ".join(f"{own.get(n, quote(n))} AS {quote(n)}" for n in shape.schema.names)
    return f"SELECT {columns}, {SEQUENCE} FROM ({_bounds(shape, events)}) WHERE {KIND} = {UPSERT}"


def _untold_versions(shape: Shape, events: str) -> str:
    """Events within a version, those whose values are not the version's, and idle deletions.

    A deletion that ends a version is told by its end, to which no other version is joined.
    """
    differs = " OR ".join(f"{quote(n)} IS DISTINCT FROM {_final(n)}" for n in _rest(shape))
    columns = columns_in(shape.kept.names)
    within = (
        f"SELECT {columns} FROM ({_marked(shape, events)}) "
        f"WHERE {KIND} = {UPSERT} AND NOT {_STARTS}"
    )
    others = f"{KIND} = {UPSERT} AND ({differs or 'false'})"
    idle = f"{KIND} = {DELETE} AND {_BEFORE} IS DISTINCT FROM {UPSERT}"
    return (
        f"{within} UNION ALL SELECT {columns} FROM ({_bounds(shape, events)}) "
        f"WHERE ({others}) OR ({idle})"
    )


# -- pieces of SQL -------------------------------------------------------------------------------


def _by(shape: Shape) -> str:
    return f"PARTITION BY {columns_in(shape.keys)}"


def _rest(shape: Shape) -> tuple[str, ...]:
    """The columns that are no keys."""
    return tuple(n for n in shape.data.names if n not in shape.keys)


def _filled(name: str) -> str:
    return quote(f"__qanat_filled_{name}")


def _final(name: str) -> str:
    return quote(f"__qanat_final_{name}")
