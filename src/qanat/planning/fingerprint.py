"""Fingerprints of definitions, and which queries compute row by row or by chance.

A fingerprint is equal for equal meaning, however the author lays the text out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import SqlSyntaxError
from qanat.model.pipeline import Dataset, DatasetKind, Pipeline, Predicate, Rule
from qanat.model.query import FunctionQuery, Query, Read, SqlQuery
from qanat.planning.graph import view_of
from qanat.planning.stateful import aggregates, own_tree, tree_of
from qanat.secret import masked

_WHOLE = ("distinct", "group", "having", "qualify", "windows", "limit", "offset", "order",
          "sample", "laterals", "pivots", "match", "connect")  # fmt: skip
_MANY = (exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.Stack)
_MANY_NAMES = frozenset(
    {"generate_subscripts", "inline_outer", "json_tuple", "regexp_split_to_table"}
)

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


def row_source(query: SqlQuery) -> str | None:
    """The input that each result row comes from one row of, as it is called in the query.

    None if a result row may combine several rows of the input, or if the query is not
    deterministic. Joins are allowed while every result row has exactly one row of the first
    input; several result rows may share it. None, too, if sqlglot cannot read the
    query: the engine will, or will say what is wrong with it.
    """
    chain = row_chain(query)
    return chain[0][1] if len(chain) == 1 else None


def row_chain(query: SqlQuery) -> tuple[tuple[exp.Select, str], ...]:
    """The SELECTs that each result row comes through, from the query's own to that of an input.

    Each but the last reads the next one as a CTE, which nothing else reads; with each is what it
    calls the table that it reads. Empty where `row_source` of one of them is None.
    """
    try:
        tree = tree_of(query)
    except SqlSyntaxError:
        return ()
    with_ = tree.args.get("with_")
    ctes = {} if with_ is None or with_.args.get("recursive") else _ctes(tree, with_)
    names = {r.name for r in query.reads}
    if with_ is not None and any(cte.alias in names for cte in with_.expressions):
        return ()
    found: list[tuple[exp.Select, str]] = []
    select: exp.Expr | None = tree
    while select is not None:
        table = _row_table(select)
        if table is None or (found and select.args.get("with_")):
            return ()
        found.append((select, str(table.alias_or_name)))  # type: ignore[arg-type]
        above = table.name not in names and not table.db
        select = ctes.pop(table.name, None) if above else None
        if select is None and table.name not in names:
            return ()
    return tuple(found) if deterministic(query) else ()


def _ctes(tree: exp.Expr, with_: exp.Expr) -> dict[str, exp.Expr]:
    """The CTEs that are read a single time and name no columns, by their names."""
    read = [table.name for table in tree.find_all(exp.Table)]
    return {
        cte.alias: cte.this
        for cte in with_.expressions
        if read.count(cte.alias) == 1 and not cte.alias_column_names
    }


def _row_table(select: exp.Expr) -> exp.Table | None:
    """The table of a SELECT that each of its rows comes from one row of."""
    if not isinstance(select, exp.Select) or any(select.args.get(k) for k in _WHOLE):
        return None
    clause = select.args.get("from_")
    table = clause.this if clause else None
    if not isinstance(table, exp.Table):
        return None
    if table.args.get("sample") or table.args.get("pivots"):
        return None
    if not all(_keeps_rows(join) for join in select.args.get("joins") or []):
        return None
    nodes = (node for item in select.expressions for node in item.walk())
    if any(_combines(node) and node.find_ancestor(exp.Select) is select for node in nodes):
        return None
    return table


def _keeps_rows(join: exp.Join) -> bool:
    """True if each row of a join's result has one row of its left side."""
    if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
        return False
    if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
        return True
    # ASOF and POSITIONAL joins match by the order of rows.
    return isinstance(join.this, exp.Table | exp.Subquery) and not join.args.get("method")


def copies_input(query: SqlQuery) -> bool:
    """True if the query gives one row with all columns for each row of its one input.

    It reads the input a single time: `SELECT *` or `SELECT *, … FROM t`, and nothing else.
    """
    if len(query.reads) != 1 or row_source(query) is None:
        return False
    tree = tree_of(query)
    # An engine looks for rows that a condition lets through, of joins too, before it looks whether
    # their values fit: a row with a value that does not would be gone.
    if any(tree.args.get(k) for k in ("where", "joins", "laterals")):
        return False
    if len(list(tree.find_all(exp.Table))) > 1:
        return False
    stars = [i.this if isinstance(i, exp.Column) else i for i in tree.expressions]
    return any(isinstance(s, exp.Star) and not any(s.args.values()) for s in stars)


def deterministic(query: SqlQuery) -> bool:
    """True if the query gives the same rows each time, as far as its text shows."""
    if volatile(query):
        return False
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


def _combines(node: exp.Expr) -> bool:
    """True if a node makes one row of many or many of one; a lambda's body works on lists."""
    if isinstance(node, exp.Anonymous) and node.name.lower() in _MANY_NAMES:
        return True
    if not isinstance(node, (exp.Window, *_MANY)) and not aggregates(node):
        return False
    return node.find_ancestor(exp.Lambda) is None


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
        negated = negated or isinstance(node, exp.Not)
    # The tree is our own, so both passes may change it without a copy.
    if negated:
        tree = tree.transform(_as_written, copy=False)
    return str(tree.sql(dialect=query.dialect, pretty=True, comments=False, copy=False))


def definition(pipeline: Pipeline, dataset: Dataset) -> tuple[str, str]:
    """The fingerprint of everything that decides a dataset's rows, and that as readable text.

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
    parts.extend(f"property {k} = {v}" for k, v in dataset.properties)
    if dataset.sink is not None:
        parts.append(f"sink {dataset.sink.format} {dict(dataset.sink.options)}")
    for name in [dataset.name, *_views(pipeline, dataset)]:
        each = pipeline.dataset(name)
        for e in each.expectations:
            parts.append(f"expect {e.name}: {_rule(e.rule)} on violation {e.action}")
        for flow in pipeline.flows_into(name):
            head = f"flow {flow.name}" + (" once" if flow.once else "")
            if each.kind is DatasetKind.TEMPORARY_VIEW:
                head = f"temporary view {name}"
            parts.append(f"{head} as\n{canonical(flow.query)}")
    text = "\n".join(parts) + "\n"
    return blake2b(text.encode(), digest_size=16).hexdigest(), masked(text)


def volatile(query: Query) -> bool:
    """True if a query may give other rows from the same inputs later: it uses time or chance."""
    if isinstance(query, FunctionQuery) or not _MENTIONED.search(query.sql):
        return False
    for node in tree_of(query).walk():
        if isinstance(node, _VOLATILE_NODES):
            return True
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            # `age(x)` counts from today, `age(x, y)` does not.
            if name in _VOLATILE or (name == "age" and len(node.expressions) == 1):
                return True
    return False


def _rule(rule: Rule) -> str:
    return _condition(rule.sql, rule.dialect) if isinstance(rule, Predicate) else str(rule)


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
