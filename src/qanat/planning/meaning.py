"""Which queries may feed which datasets.

A streaming table takes each input row once, so its query must give for a new row the same
result rows whatever came before. What cannot (an aggregate over a stream, two streams joined)
means something else in Spark, with state between batches; here it is refused, never run with
another meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from qanat.errors import FlowError, QanatError
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.flow import Flow
from qanat.model.location import Location
from qanat.model.pipeline import Pipeline
from qanat.model.query import DatasetRead, Query, Read, SqlQuery
from qanat.planning.tree import tree_of

_APPENDED = (DatasetKind.STREAMING_TABLE, DatasetKind.SINK)


def problems_of_flow(pipeline: Pipeline, flow: Flow, target: Dataset) -> Iterator[QanatError]:
    """Everything that is wrong with a flow for its target."""
    if target.kind not in _APPENDED:
        if flow.name.casefold() != target.name.casefold():
            yield FlowError(
                f"flow {flow.name} feeds {target.kind} {target.name}",
                location=flow.location,
                hint="only a STREAMING TABLE or a sink takes several flows",
            )
        if target.kind is DatasetKind.MATERIALIZED_VIEW:
            for read in flow.query.reads:
                if streams(pipeline, read):
                    yield _stream_into_view(target, read)
    for read in flow.query.reads:
        yield from _problems_of_read(pipeline, read)
    if target.kind not in _APPENDED:
        return
    if not flow.once and not any(streams(pipeline, r) for r in flow.query.reads):
        yield _no_stream(flow, target)
    if not flow.once:
        yield from _stateful(pipeline, flow.query, target)


def streams(pipeline: Pipeline, read: Read) -> bool:
    """Whether a read gives each row once: STREAM, directly or inside a temporary view."""
    view = _view(pipeline, read)
    if view is None:
        return read.streaming
    own = next(pipeline.flows_into(view.name), None)
    return own is not None and any(
        streams(pipeline, r) for r in own.query.reads if _name(r) != view.name.casefold()
    )


def _problems_of_read(pipeline: Pipeline, read: Read) -> Iterator[QanatError]:
    if not isinstance(read.source, DatasetRead):
        return
    found = pipeline.get(read.source.dataset)
    if found is None:
        return
    if found.kind is DatasetKind.SINK:
        yield FlowError(
            f"{found.name} is a sink and cannot be read",
            location=read.location,
            hint="read what feeds it",
        )
    elif found.kind is DatasetKind.MATERIALIZED_VIEW and read.streaming:
        yield FlowError(
            f"{found.name} is a materialized view and cannot be read as a stream: its rows are"
            " replaced, not appended",
            location=read.location,
            hint=f"read it without STREAM, or make {found.name} a STREAMING TABLE",
        )
    elif found.kind is DatasetKind.TEMPORARY_VIEW:
        inside = streams(pipeline, read)
        if read.streaming and not inside:
            yield FlowError(
                f"temporary view {found.name} streams nothing",
                location=read.location,
                hint="read it without STREAM, or put STREAM before an input of the view",
            )
        elif inside and not read.streaming:
            yield FlowError(
                f"temporary view {found.name} is a stream and must be read as one",
                location=read.location,
                wanted=f"STREAM {found.name}",
            )


def _stream_into_view(target: Dataset, read: Read) -> FlowError:
    return FlowError(
        f"materialized view {target.name} reads a stream",
        location=read.location,
        hint="leave out STREAM: a materialized view is computed from its inputs as they are;"
        " or make it a STREAMING TABLE",
    )


def _no_stream(flow: Flow, target: Dataset) -> FlowError:
    kind = "sink" if target.kind is DatasetKind.SINK else "streaming table"
    return FlowError(
        f"nothing that flow {flow.name} reads is a stream, but {target.name} is a {kind}",
        location=flow.location,
        hint="put STREAM before the input whose new rows it takes, or make it a MATERIALIZED"
        " VIEW, or INSERT INTO ONCE for rows that come a single time",
    )


def _stateful(pipeline: Pipeline, query: Query, target: Dataset) -> Iterator[QanatError]:
    """Constructs over a stream that would need memory of earlier rows."""
    if not isinstance(query, SqlQuery):
        return
    flowing = {r.name for r in query.reads if streams(pipeline, r)}
    root = tree_of(query)
    for select in root.find_all(exp.Select):
        if not _flows(select, flowing):
            continue
        what = _state_of(select, flowing)
        if what:
            name, node = what
            yield FlowError(
                f"{name} over a stream in {target.name}: each update would see only its new rows",
                location=_place(query, node),
                hint="compute it in a MATERIALIZED VIEW over the streaming table",
            )
            return


def _flows(select: exp.Select, flowing: set[str]) -> bool:
    """Whether a stream comes in through this FROM clause, also through subqueries and CTEs."""
    return any(_reaches(source, flowing) for source in _sources(select))


def _sources(select: exp.Select) -> list[exp.Expr]:
    clause = select.args.get("from_")
    joins = select.args.get("joins") or []
    return [*([clause.this] if clause else []), *(j.this for j in joins)]


def _reaches(source: exp.Expr, flowing: set[str]) -> bool:
    if isinstance(source, exp.Table):
        if source.name in flowing:
            return True
        cte = _cte(source)
        return cte is not None and _reaches(cte, flowing)
    if isinstance(source, exp.Select):
        return _flows(source, flowing)
    if isinstance(source, exp.SetOperation):
        return _reaches(source.left, flowing) or _reaches(source.right, flowing)
    inner = source.this if isinstance(source, exp.Subquery | exp.CTE | exp.Lateral) else None
    return isinstance(inner, exp.Expr) and _reaches(inner, flowing)


def _cte(table: exp.Table) -> exp.Expr | None:
    """The query that a table name stands for, if a WITH around it defines it."""
    scope: exp.Expr | None = table
    while scope is not None:
        clause = scope.args.get("with_")
        for cte in clause.expressions if clause else []:
            if cte.alias.casefold() == table.name.casefold() and not _inside(table, cte):
                inner: exp.Expr = cte.this
                return inner
        scope = scope.parent
    return None


def _inside(node: exp.Expr, ancestor: exp.Expr) -> bool:
    parent: exp.Expr | None = node
    while parent is not None:
        if parent is ancestor:
            return True
        parent = parent.parent
    return False


def _state_of(select: exp.Select, flowing: set[str]) -> tuple[str, exp.Expr] | None:
    for key, name in (
        ("group", "GROUP BY"),
        ("distinct", "DISTINCT"),
        ("having", "HAVING"),
        ("qualify", "QUALIFY"),
        ("limit", "LIMIT"),
        ("offset", "OFFSET"),
    ):
        if select.args.get(key):
            return name, select
    for node in select.find_all(exp.AggFunc, exp.Window):
        if node.find_ancestor(exp.Select) is select:
            if isinstance(node, exp.Window):
                return "a window function", node
            if not isinstance(node.parent, exp.Window) and not _in_list(node):
                return f"the aggregate {node.sql_name().lower()}()", node
    parent = select.parent
    if isinstance(parent, exp.SetOperation):
        both = not isinstance(parent, exp.Union) or parent.args.get("distinct")
        if both:
            return type(parent).__name__.upper() + (
                " without ALL" if isinstance(parent, exp.Union) else ""
            ), select
    return _joined(select, flowing)


def _in_list(node: exp.Expr) -> bool:
    """An aggregate-like function inside a lambda works on one row's list."""
    return node.find_ancestor(exp.Lambda) is not None


def _joined(select: exp.Select, flowing: set[str]) -> tuple[str, exp.Expr] | None:
    sources = _sources(select)
    moving = [_reaches(s, flowing) for s in sources]
    if sum(moving) > 1:
        return "a join of two streams", select
    for join, moves in zip(select.args.get("joins") or [], moving[1:], strict=True):
        side = (join.args.get("side") or "").upper()
        if side == "FULL" or (side == "LEFT" and moves) or (side == "RIGHT" and not moves):
            return f"a {side} JOIN that keeps unmatched rows of the other side", join
    return None


def _place(query: SqlQuery, node: exp.Expr) -> Location:
    """Where a node stands in the author's text, as well as the tree remembers."""
    del node  # Positions in the tree are those of the executable SQL, not of the file.
    return query.location


def _view(pipeline: Pipeline, read: Read) -> Dataset | None:
    if not isinstance(read.source, DatasetRead):
        return None
    found = pipeline.get(read.source.dataset)
    return found if found and found.kind is DatasetKind.TEMPORARY_VIEW else None


def _name(read: Read) -> str:
    return read.source.dataset.casefold() if isinstance(read.source, DatasetRead) else ""
