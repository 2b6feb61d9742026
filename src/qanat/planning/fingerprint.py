"""Fingerprints of definitions, and which queries compute by chance.

A fingerprint is equal for equal meaning, however the author lays the text out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.model.changes import Expression
from qanat.model.expectation import Expectation, Nulls
from qanat.model.keyed import STRATEGY
from qanat.model.name import fold, same
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline
from qanat.model.query import FunctionQuery, Query, Read, SqlQuery
from qanat.model.rule import Aggregate, Fresh, Predicate, Rule, of_table
from qanat.model.stateful import Stateful
from qanat.planning.eventtime.windows import WINDOW, called
from qanat.planning.graph import view_of
from qanat.planning.stateful import own_tree, tree_of
from qanat.secret import masked

# The results of these depend on the order of rows, which differs from run to run with threads.
_BY_ORDER = (
    exp.AnyValue,
    exp.ArgMax,
    exp.ArgMin,
    exp.ArrayAgg,
    exp.First,
    exp.FirstValue,
    exp.GroupConcat,
    exp.Lag,
    exp.Last,
    exp.LastValue,
    exp.Lead,
    exp.Mode,
    exp.NthValue,
    exp.Ntile,
    exp.RowNumber,
)


def deterministic(query: SqlQuery) -> bool:
    """True if the query gives the same rows each time, as far as its text shows."""
    return not volatile(query) and repeatable(query)


def repeatable(query: SqlQuery) -> bool:
    """True if a query gives as many rows each time, of the same rows, whatever their order was."""
    for node in tree_of(query).walk():
        if isinstance(node, exp.Query) and not node.args.get("order"):
            distinct = node.args.get("distinct")
            if node.args.get("limit") or node.args.get("offset"):
                return False
            if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
                return False
        if isinstance(node, _BY_ORDER):
            return False
    return True


# Functions of time or chance, by their lower-case names: sqlglot's classes differ by dialect.
_VOLATILE = frozenset(
    [
        "now",
        "current_date",
        "current_time",
        "current_timestamp",
        "current_localtime",
        "current_localtimestamp",
        "localtime",
        "localtimestamp",
        "today",
        "transaction_timestamp",
        "get_current_timestamp",
        "getdate",
        "sysdate",
        "curdate",
        "unix_timestamp",
        "random",
        "rand",
        "randn",
        "randstr",
        "setseed",
        "uuid",
        "gen_random_uuid",
        "uuidv4",
        "uuidv7",
        "monotonically_increasing_id",
        "nextval",
        "currval",
        "shuffle",
        "get_current_time",
        "setval",
        "session_user",
        "current_user",
        "current_connection_id",
        "current_query_id",
        "current_transaction_id",
        "txid_current",
    ]
)
_VOLATILE_NODES = (
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
    exp.TableSample,
)
# A text without any of these names need not be parsed, and hardly any query has one.
_NAME = re.compile(r"\b__\w+\b")
_MENTIONED = re.compile(
    rf"\b(?:{'|'.join(sorted(_VOLATILE))}|age|(?:table)?sample)\b", re.IGNORECASE
)


def canonical(query: Query) -> str:
    """A query's text in one normal form: layout, comments and case of keywords do not count."""
    if isinstance(query, FunctionQuery):
        reads = ", ".join(_source(r) for r in query.reads)
        return f"-- reads {reads or 'nothing'}\n{query.text}"
    sources = {r.name: _source(r) for r in query.reads}
    tree, negated = own_tree(query), False
    for node in tree.walk():
        if isinstance(node, exp.Table) and node.name in sources:
            node.set("this", exp.to_identifier(sources[node.name], quoted=True))
        if called(node) == WINDOW:
            # The executable text has another name for it.
            node.set("this", "window")
        negated = negated or isinstance(node, exp.Not)
    # The tree is our own, so both passes may change it without a copy.
    if negated:
        tree = tree.transform(_as_written, copy=False)
    return str(tree.sql(dialect=query.dialect, pretty=True, comments=False, copy=False))


def definition(
    pipeline: Pipeline, dataset: Dataset, operators: Mapping[str, Stateful] | None = None
) -> tuple[str, str]:
    """The fingerprint of everything that decides a dataset's rows, and that as readable text.

    Args:
        operators: by flow, what its query keeps from epoch to epoch.

    Returns:
        A 32-digit hexadecimal hash, and the text that it is the hash of.
    """
    parts = [f"{dataset.kind} {dataset.name}"]
    if dataset.schema.fields:
        parts.append("columns (" + ", ".join(str(f) for f in dataset.schema.fields) + ")")
    if dataset.partition_by:
        parts.append("partitioned by " + ", ".join(dataset.partition_by))
    if dataset.comment:
        parts.append(f"comment {dataset.comment!r}")
    # Which strategy it comes to, the flows say.
    others = ((k, v) for k, v in dataset.properties if not same(k, STRATEGY))
    parts.extend(f"property {k} = {v}" for k, v in others)
    if dataset.sink is not None:
        parts.append(f"sink {dataset.sink.format} {dict(dataset.sink.options)}")
    for name in [dataset.name, *_views(pipeline, dataset)]:
        each = pipeline.dataset(name)
        for e in each.expectations:
            parts.append(expected(e))
        for flow in pipeline.flows_into(name):
            head = f"flow {flow.name}" + (" once" if flow.once else "")
            if each.kind is DatasetKind.TEMPORARY_VIEW:
                head = f"temporary view {name}"
            parts.append(f"{head} as\n{canonical(flow.query)}")
            parts.extend(_watermarks(flow))
            parts.extend(_kept_by(flow, (operators or {}).get(flow.name)))
    parts.extend(_functions(pipeline, parts))
    text = "\n".join(parts) + "\n"
    return blake2b(text.encode(), digest_size=16).hexdigest(), masked(text)


def expected(expectation: Expectation) -> str:
    """What a definition says of an expectation."""
    return f"expect {expectation.name}: {_check(expectation)} on violation {expectation.action}"


def _watermarks(flow: Flow) -> Iterator[str]:
    """How late rows of streams may come, which the executable text of a query does not say."""
    for read in flow.query.reads:
        time = read.event_time
        if time is not None:
            yield f"watermark {time.column} of {read.source.text} delay {time.delay_us} us"


def _kept_by(flow: Flow, operator: Stateful | None) -> Iterator[str]:
    """How the rows of a flow change its target, and what has to stay as it is for its state."""
    if flow.changes is not None:
        yield from flow.changes.lines(_expression, isinstance(flow.query, FunctionQuery))
    if operator is not None:
        # Inputs are called after their flow, which may be renamed; the state is still the same.
        names = {r.name: _source(r) for r in flow.query.reads}
        for line in (operator.label, *operator.compatible):
            told = _NAME.sub(lambda m: names.get(m[0], m[0]), " ".join(line.split()))
            yield f"state of {flow.name}: {told}"


def _functions(pipeline: Pipeline, parts: Sequence[str]) -> Iterator[str]:
    """The functions of the project that are named in parts of a definition."""
    for function in sorted(pipeline.functions, key=lambda f: fold(f.name)):
        named = re.compile(rf"\b{re.escape(function.name)}\b", re.IGNORECASE)
        if any(map(named.search, parts)):
            types = ", ".join(map(str, function.parameters))
            yield f"function {function.name}({types}) returns {function.returns}\n{function.text}"


def volatile(query: Query) -> bool:
    """True if a query may give other rows from the same inputs later: it uses time or chance."""
    if isinstance(query, FunctionQuery) or not _MENTIONED.search(query.sql):
        return False
    return _is_volatile(tree_of(query))


def by_the_clock(rule: Rule) -> bool:
    """True if a rule about a table may be violated later though no row has changed.

    >>> from qanat.model.rule import Scope
    >>> by_the_clock(Aggregate("max(at) > now() - INTERVAL 1 HOUR", "duckdb", Scope.TABLE))
    True
    >>> by_the_clock(Aggregate("count(*) > 5", "duckdb", Scope.TABLE))
    False
    """
    if isinstance(rule, Fresh):
        return True
    if not isinstance(rule, Aggregate) or not of_table(rule) or not _MENTIONED.search(rule.sql):
        return False
    return _is_volatile(parse_one(rule.sql, dialect=rule.dialect))


def _is_volatile(tree: exp.Expr) -> bool:
    for node in tree.walk():
        if isinstance(node, _VOLATILE_NODES):
            return True
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            # `age(x)` counts from today, `age(x, y)` does not.
            if name in _VOLATILE or (name == "age" and len(node.expressions) == 1):
                return True
    return False


def _expression(value: Expression) -> str:
    return _condition(value.sql, value.dialect)


def _check(expectation: Expectation) -> str:
    """What a check does to rows, or to the epoch: not whose it is, nor how bad a violation is."""
    rule, where = expectation.rule, expectation.where
    parts = [_rule(rule)]
    if where is not None:
        parts.append(f"where {_rule(where)}")
    if expectation.nulls is Nulls.PASS:
        parts.append("nulls pass")
    if expectation.tolerance is not None:
        parts.append(f"tolerate {expectation.tolerance}")
    return " ".join(parts)


def _rule(rule: Rule) -> str:
    if isinstance(rule, Predicate):
        return _condition(rule.sql, rule.dialect)
    if isinstance(rule, Aggregate):
        return f"{rule.scope} {_condition(rule.written or rule.sql, rule.dialect)}"
    return str(rule)


@lru_cache(maxsize=4096)
def _condition(sql: str, dialect: str) -> str:
    try:
        tree: exp.Expr = parse_one(sql, dialect=dialect, into=exp.Condition)
    except SqlglotError:
        return sql
    return str(tree.transform(_as_written).sql(dialect=dialect, comments=False))


def _as_written(node: exp.Expr) -> exp.Expr:
    """Write `x IS NOT NULL` as authors do; sqlglot writes `NOT x IS NULL`."""
    inner = node.this if isinstance(node, exp.Not) else None
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return exp.Is(this=inner.this, expression=exp.Not(this=exp.Null()))
    return node


def _views(pipeline: Pipeline, dataset: Dataset) -> list[str]:
    """The temporary views that a dataset reads, directly or through other temporary views."""
    found: dict[str, None] = {}
    stack = [dataset.name]
    while stack:
        for flow in pipeline.flows_into(stack.pop()):
            for read in flow.query.reads:
                view = view_of(pipeline, read)
                if view is not None and view.name not in found:
                    found[view.name] = None
                    stack.append(view.name)
    return list(found)


def _source(read: Read) -> str:
    return f"STREAM {read.source.text}" if read.streaming else read.source.text
