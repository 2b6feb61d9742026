"""The one operator with a state that a query over streams may have."""

from __future__ import annotations

from sqlglot import exp

from qanat.errors import FlowError
from qanat.model.query import SqlQuery
from qanat.model.stateful import OUTPUT_MODE, OutputMode, Stateful
from qanat.planning.eventtime.apart import Apart
from qanat.planning.eventtime.deduplication import deduplication_of
from qanat.planning.eventtime.grouping import grouping_of
from qanat.planning.eventtime.joining import joining_of
from qanat.planning.stateful import (
    aggregating,
    first_stateful,
    is_streamed,
    own_tree,
    reads_stream,
    sources_of,
    tree_of,
)

_OPERATORS = ("GROUP BY", "HAVING", "DISTINCT", "the aggregate", "a join of two streams")
"""What constructs are called that are operators by themselves."""


def stateful_of(
    query: SqlQuery, streamed: frozenset[str], mode: OutputMode | None = None
) -> Stateful | None:
    """The operator with a state in a query; None if it needs none.

    Args:
        query: in any dialect; of one that the engine does not speak only errors are of use.
        streamed: the inputs that are streams, by `Read.name`.
        mode: in which it is published; None: that which suits it.

    Raises:
        FlowError: the query needs more than one, or one that does not exist.
        SqlSyntaxError: sqlglot cannot parse it.
    """
    if not streamed:
        return None
    known = _innermost(tree_of(query), streamed)
    other = first_stateful(query, streamed, known)
    if other is not None:
        # It is mostly there to keep one row of each key.
        also = "; of rows with one key KEYS (…) keeps the last, DISTINCT ON (…) the first"
        second = known is not None and other.name.startswith(_OPERATORS)
        raise FlowError(
            f"{other.name} over a stream" + " beside another operator with a state" * second,
            location=other.location,
            hint="give one of them a STREAMING TABLE of its own, and read that"
            if second
            else "compute it in a MATERIALIZED VIEW over the streaming table"
            + also * (other.name == "QUALIFY"),
        )
    if known is None:
        return None
    selects = list(tree_of(query).find_all(exp.Select))
    tree = own_tree(query)
    at = next(n for n, each in enumerate(selects) if each is known)
    apart = Apart(query, tree, list(tree.find_all(exp.Select))[at], streamed)
    return _operator(apart, mode)


def _operator(apart: Apart, mode: OutputMode | None) -> Stateful:
    select = apart.select
    kinds = [
        (aggregating(select), "GROUP BY"),
        (bool(select.args.get("distinct")), "DISTINCT"),
        (_joins(select, apart.streamed), "JOIN"),
    ]
    found = [word for needed, word in kinds if needed]
    if len(found) > 1:
        raise apart.problem(
            f"{' and '.join(found)} in one SELECT over streams",
            found[0],
            select if found[0] == "DISTINCT" else select.args.get("group") or select,
            hint="give the inner one a STREAMING TABLE of its own, and read that",
        )
    if found == ["GROUP BY"]:
        return grouping_of(apart, mode)
    if mode is OutputMode.UPDATE:
        raise apart.problem(
            f"{found[0]} gives rows that never change",
            found[0],
            select,
            hint=f"leave out the table property {OUTPUT_MODE!r}",
        )
    return deduplication_of(apart) if found == ["DISTINCT"] else joining_of(apart)


def _innermost(tree: exp.Expr, streamed: frozenset[str]) -> exp.Select | None:
    """The SELECT that needs a state and whose FROM has none that does."""
    found = [s for s in tree.find_all(exp.Select) if _needs(s, streamed)]
    return max(found, key=lambda s: s.depth, default=None)


def _needs(select: exp.Select, streamed: frozenset[str]) -> bool:
    if not reads_stream(select, streamed):
        return False
    if aggregating(select) or select.args.get("distinct"):
        return True
    return _joins(select, streamed)


def _joins(select: exp.Select, streamed: frozenset[str]) -> bool:
    return sum(is_streamed(s, streamed) for s in sources_of(select)) > 1
