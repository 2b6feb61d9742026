"""Translates a Spark query, node by node from the leaves up."""

from __future__ import annotations

from sqlglot import exp

from qanat.dialect.spark import clauses, operators
from qanat.dialect.spark.calls import translate_call
from qanat.dialect.spark.grammar import Unparsed, parse_spark
from qanat.dialect.spark.kinds import kind, with_kind
from qanat.dialect.spark.refused import Problem, Refused
from qanat.dialect.spark.titles import title
from qanat.errors import SqlSyntaxError
from qanat.frozen import Frozen

_HANDLERS = {**operators.HANDLERS, **clauses.HANDLERS}
_SAME = operators.SAME | clauses.SAME
_AROUND = (exp.Filter, exp.Window)
_MARK = "AGGREGATE"


class Translation(Frozen):
    """The result of a translation.

    Args:
        sql: the query in DuckDB's SQL; empty if there are problems.
        problems: what could not be translated, in the order of the text.
    """

    sql: str
    problems: tuple[Problem, ...]


def translate(sql: str, own: frozenset[str] = frozenset()) -> Translation:
    """Translate a query or an expression from Spark's SQL to DuckDB's.

    Args:
        own: names of functions, in lower case, that are called as they are.

    >>> translate("SELECT size(array(1, 2)) AS n").sql
    'SELECT CAST(CARDINALITY(LIST_VALUE(1, 2)) AS INT) AS n'
    """
    try:
        return _translate(parse_spark(sql), own)
    except RecursionError:
        hint = "split it: a temporary view can hold a part"
        return _unparsed("the query is nested too deeply", hint)
    except Unparsed as error:
        return _unparsed(f"not Spark SQL: {error}", None)


def _unparsed(message: str, hint: str | None) -> Translation:
    return Translation("", (Problem(message, hint, None, SqlSyntaxError, None, None),))


def _translate(tree: exp.Expr, own: frozenset[str]) -> Translation:
    holder = exp.Paren(this=tree)
    for select in holder.find_all(exp.Select):
        # Optimizer hints do not change the result.
        select.set("hint", None)
    _name_results(holder.this)
    problems = []
    for node in reversed(list(holder.this.walk(bfs=True))):
        if node is not holder.this and node.parent is None:
            continue
        try:
            result = _translate_node(node, own)
        except Refused as refused:
            problems.append(_problem(node, refused))
            continue
        if result is not node:
            with_kind(result, kind(result) or kind(node))
            node.replace(result)
    _remove_marks(holder)
    problems.sort(key=lambda p: p.offset or 0)
    return Translation("" if problems else holder.this.sql(dialect="duckdb"), tuple(problems))


def _translate_node(node: exp.Expr, own: frozenset[str]) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        if isinstance(node.parent, exp.Lateral | exp.Table):
            return node
        _remove_marks(node)
        if node.name.lower() in own:
            return node
        return translate_call(node.name, list(node.expressions))
    if isinstance(node, _AROUND):
        return _attach_to_aggregates(node)
    handler = _HANDLERS.get(type(node))
    if handler is not None:
        return handler(node)
    if type(node) in _SAME:
        return node
    raise Refused(f"this use of {type(node).__name__.upper()}")


def _remove_marks(node: exp.Expr) -> None:
    """Remove the AGGREGATE marks inside a node: no FILTER or OVER can be attached any more."""
    for mark in list(node.find_all(exp.Anonymous)):
        if mark.name == _MARK and mark is not node:
            mark.replace(mark.expressions[0])


def _attach_to_aggregates(node: exp.Expr) -> exp.Expr:
    """Move FILTER or OVER from a translated call to the aggregates that are marked inside it."""
    inner: exp.Expr = node.this
    marks = [m for m in inner.find_all(exp.Anonymous) if m.name == _MARK]
    if not marks:
        return node
    for mark in marks:
        call = mark.expressions[0]
        if isinstance(node, exp.Filter) and isinstance(call, exp.Filter):
            both = exp.and_(call.expression.this, node.expression.this.copy())
            call.set("expression", exp.Where(this=both))
            continue
        if isinstance(node, exp.Window) and "known" in call.meta:
            # DuckDB allows no FILTER on first and last over a window, but IGNORE NULLS.
            ends = {"first": exp.FirstValue, "last": exp.LastValue}
            value = call.this.expressions[0]
            call = exp.IgnoreNulls(this=ends[call.this.name](this=value))
        around = node.copy()
        around.set("this", call)
        mark.set("expressions", [around])
    return inner


def _name_results(tree: exp.Expr) -> None:
    """Give result columns without an alias Spark's name, before their text is rewritten."""
    for select in tree.find_all(exp.Select):
        if isinstance(select.parent, exp.In | exp.Exists):
            continue
        for item in list(select.expressions):
            plain = isinstance(item, exp.Alias | exp.Column | exp.Dot | exp.Star | exp.Aliases)
            if item.is_star or (plain and item.output_name.islower()):
                continue
            if isinstance(item, exp.Column | exp.Dot):
                # Spark spells the column as in this query, DuckDB as in the table.
                alias = exp.to_identifier(item.output_name, quoted=True)
                item.replace(exp.Alias(this=item.copy(), alias=alias))
                continue
            if plain:
                continue
            alias = exp.to_identifier(title(item), quoted=True)
            item.replace(exp.Alias(this=item.copy(), alias=alias))


def _problem(node: exp.Expr, refused: Refused) -> Problem:
    starts = [(int(n.meta["start"]), n) for n in node.walk() if "start" in n.meta]
    offset, first = min(starts, key=lambda s: s[0], default=(None, None))
    word = first.name if first is not None else None
    if "start" in node.meta:
        offset, word = int(node.meta["start"]), node.name
    return Problem(
        refused.message, refused.hint, refused.nearest, refused.family, offset, word or None
    )
