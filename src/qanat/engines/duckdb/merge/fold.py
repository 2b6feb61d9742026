"""What the events of a key come to, in the order of their sequence.

`fold` gives SQL over a relation of events, of which no two of a key have one sequence: the events
that matter, each with what the others of its key make of it. From these alone, which a merge keeps
in a table, `rows` and `untold` take what the table has afterwards, and what it does not tell. All
of them give the same rows in whatever order and in however many epochs the events came, as they
look at nothing but their sequence.
"""

from __future__ import annotations

from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in
from qanat.engines.duckdb.merge.shape import DELETE, KIND, UPSERT, Shape
from qanat.model.changes import END_AT, START_AT
from qanat.text import quote

_RUN, _STARTS, _ENDS, _LIFE, _BEFORE, _DELETED, _NEEDED = (
    f"__qanat_{name}" for name in ("run", "starts", "ends", "life", "before", "deleted", "needed")
)


def fold(shape: Shape, events: str, emptied: str) -> str:
    """SELECT text of the events that matter, with what the others of their keys make of them.

    Args:
        events: name of a relation of events of some keys: all that are known.
        emptied: SQL of the sequence at which the table was last emptied; NULL if it never was.
    """
    if shape.versions:
        return _marked(shape, events)
    if shape.keeps:
        return _alive(shape, events, emptied)
    return f"SELECT * FROM ({_latest(shape, events)}) WHERE {_after(emptied)}"


def rows(shape: Shape, folded: str) -> str:
    """SELECT text of the rows that a table has after events, each with its sequence.

    Args:
        folded: name of a relation of the rows of `fold`.
    """
    if shape.versions:
        return _versions(shape, folded)
    if shape.keeps:
        return _composed(shape, folded)
    columns = columns_in(shape.data.names)
    return f"SELECT {columns}, {SEQUENCE} FROM {folded} WHERE {KIND} = {UPSERT}"


def untold(shape: Shape, folded: str) -> str:
    """SELECT text of the events that a later one may still need, and that no row tells.

    Args:
        folded: name of a relation of the rows of `fold`.
    """
    if shape.versions:
        return _untold_versions(shape, folded)
    if shape.keeps:
        return _untold_parts(shape, folded)
    return f"SELECT {columns_in(shape.kept.names)} FROM {folded} WHERE {KIND} = {DELETE}"


# -- SCD type 1 ----------------------------------------------------------------------------------


def _latest(shape: Shape, events: str) -> str:
    """The last event of each key; by a join, which costs a third of what a window does."""
    last = f"SELECT {columns_in(shape.keys)}, max({SEQUENCE}) AS {SEQUENCE} FROM {events}"
    same = " AND ".join(
        f"l.{name} IS NOT DISTINCT FROM e.{name}" for name in (*map(quote, shape.keys), SEQUENCE)
    )
    return f"SELECT e.* FROM {events} AS e SEMI JOIN ({last} GROUP BY ALL) AS l ON {same}"


def _after(emptied: str) -> str:
    return f"({emptied} IS NULL OR {SEQUENCE} > {emptied})"


def _alive(shape: Shape, events: str, emptied: str) -> str:
    """The events after the last one that deleted their key, and that one itself."""
    last = f"max({SEQUENCE}) FILTER (WHERE {KIND} = {DELETE}) OVER ({_by(shape)})"
    return (
        f"SELECT *, {last} AS {_DELETED} FROM {events} WHERE {_after(emptied)} "
        f"QUALIFY {_DELETED} IS NULL OR {SEQUENCE} >= {_DELETED}"
    )


def _composed(shape: Shape, alive: str) -> str:
    """Rows whose columns come from several events: NULL leaves what an earlier one said."""
    columns = [f"{_last(quote(n), n in shape.keeps)} AS {quote(n)}" for n in _rest(shape)]
    keys = columns_in(shape.keys)
    return (
        f"SELECT {columns_in(shape.data.names)}, {SEQUENCE} FROM (SELECT {keys}, "
        f"{', '.join((*columns, f'max({SEQUENCE}) AS {SEQUENCE}'))} "
        f"FROM {alive} WHERE {KIND} = {UPSERT} GROUP BY {keys})"
    )


def _last(column: str, keeps: bool) -> str:
    known = f" FILTER (WHERE {column} IS NOT NULL)" if keeps else ""
    return f"last({column} ORDER BY {SEQUENCE}){known}"


def _untold_parts(shape: Shape, alive: str) -> str:
    """Deletions, and the events of rows that are not what their last event says."""
    parts = [
        f"max({SEQUENCE}) FILTER (WHERE {quote(n)} IS NOT NULL) OVER ({_by(shape)}) = {SEQUENCE}"
        for n in shape.keeps
    ]
    latest = f"max({SEQUENCE}) OVER ({_by(shape)}) = {SEQUENCE}"
    needed = f"SELECT *, {' OR '.join((latest, *parts))} AS {_NEEDED} FROM {alive}"
    # A row that comes from one event alone tells that event.
    alone = f"count(*) FILTER (WHERE {_NEEDED} AND {KIND} = {UPSERT}) OVER ({_by(shape)}) = 1"
    return (
        f"SELECT {columns_in(shape.kept.names)} FROM ({needed}) "
        f"WHERE {_NEEDED} OR {KIND} = {DELETE} "
        f"QUALIFY {KIND} = {DELETE} OR NOT ({alone})"
    )


# -- SCD type 2 ----------------------------------------------------------------------------------


def _marked(shape: Shape, events: str) -> str:
    """The events of a key in their order: which begin a version, what it says, when it ends.

    A version begins with an event whose tracked columns are others than before; those after it
    that say the same are part of it. Columns that are not tracked have the values of the last of
    them (`_final`). Columns that keep their value where an event has NULL are filled from the
    events before it, back to the last one that deleted the key (`_filled`).
    """
    order = f"{_by(shape)} ORDER BY {SEQUENCE}"
    until = f"{order} ROWS UNBOUNDED PRECEDING"
    if shape.keeps:
        deleted = f"count(*) FILTER (WHERE {KIND} = {DELETE}) OVER ({until}) AS {_LIFE}"
        filled = (
            f"last_value({quote(n)} IGNORE NULLS) OVER ({_by(shape)}, {_LIFE} "
            f"ORDER BY {SEQUENCE} ROWS UNBOUNDED PRECEDING) AS {_filled(shape, n)}"
            for n in shape.keeps
        )
        events = f"(SELECT *, {', '.join(filled)} FROM (SELECT *, {deleted} FROM {events}))"
    columns = [_filled(shape, n) for n in shape.tracked]
    before = f"SELECT *, lag({KIND}) OVER ({order}) AS {_BEFORE}"
    same = [f"{_BEFORE} IS NOT DISTINCT FROM {UPSERT}"]
    same += (f"{c} IS NOT DISTINCT FROM lag({c}) OVER ({order})" for c in columns)
    marked = (
        f"{before}, {KIND} = {UPSERT} AND NOT ({' AND '.join(same)}) AS {_STARTS} FROM {events}"
    )
    bound = f"{_STARTS} OR {KIND} = {DELETE}"
    # After a deletion an event always begins a version.
    ends = f"lead(CASE WHEN {bound} THEN {SEQUENCE} END IGNORE NULLS) OVER ({order}) AS {_ENDS}"
    if not _untracked(shape):
        return f"SELECT *, {ends} FROM ({marked})"
    run = f"count(*) FILTER (WHERE {bound}) OVER ({until}) AS {_RUN}"
    whole = (
        f"PARTITION BY {columns_in(shape.keys)}, {_RUN} ORDER BY {SEQUENCE} "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    )
    last = (
        f"last_value({_filled(shape, n)}) OVER ({whole}) AS {_final(shape, n)}"
        for n in _untracked(shape)
    )
    return f"SELECT *, {', '.join(last)} FROM (SELECT *, {ends}, {run} FROM ({marked}))"


def _versions(shape: Shape, marked: str) -> str:
    own = {START_AT: SEQUENCE, END_AT: _ENDS, **{n: _final(shape, n) for n in _rest(shape)}}
    columns = ", ".join(f"{own.get(n, quote(n))} AS {quote(n)}" for n in shape.schema.names)
    return f"SELECT {columns}, {SEQUENCE} FROM {marked} WHERE {_STARTS}"


def _untold_versions(shape: Shape, marked: str) -> str:
    """Events within a version, those whose values are not the version's, and idle deletions.

    A deletion that ends a version is told by its end, to which no other version is joined.
    """
    others = (n for n in _rest(shape) if _final(shape, n) != quote(n))
    differs = (f"{quote(n)} IS DISTINCT FROM {_final(shape, n)}" for n in others)
    needed = " OR ".join((f"NOT {_STARTS}", *differs))
    idle = f"{_BEFORE} IS DISTINCT FROM {UPSERT}"
    return (
        f"SELECT {columns_in(shape.kept.names)} FROM {marked} "
        f"WHERE CASE {KIND} WHEN {UPSERT} THEN {needed} WHEN {DELETE} THEN {idle} END"
    )


# -- pieces of SQL -------------------------------------------------------------------------------


def _by(shape: Shape) -> str:
    return f"PARTITION BY {columns_in(shape.keys)}"


def _rest(shape: Shape) -> tuple[str, ...]:
    """The columns that are no keys."""
    return tuple(n for n in shape.data.names if n not in shape.keys)


def _untracked(shape: Shape) -> tuple[str, ...]:
    """The columns whose change makes no new version."""
    return tuple(n for n in _rest(shape) if n not in shape.tracked)


def _filled(shape: Shape, name: str) -> str:
    """The column of what an event says, with what it leaves as it was."""
    return quote(f"__qanat_filled_{name}") if name in shape.keeps else quote(name)


def _final(shape: Shape, name: str) -> str:
    """The column of what the version of an event says."""
    tracked = name in shape.tracked
    return _filled(shape, name) if tracked else quote(f"__qanat_final_{name}")
