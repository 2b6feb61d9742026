"""The names that Spark gives to result columns without an alias."""

from __future__ import annotations

from sqlglot import exp

_OPERATORS: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.IntDiv: "div", exp.Mod: "%",
    exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "<=>", exp.And: "AND", exp.Or: "OR", exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|", exp.BitwiseXor: "^",
}  # fmt: skip


_WINDOWS = {"event_window": "window", "session_window": "session_window"}


def title(node: exp.Expr) -> str:
    """The name that Spark gives to a result column.

    >>> title(exp.column("k") + 1)
    '(k + 1)'
    """
    if isinstance(node, exp.Anonymous) and node.name.lower() in _WINDOWS:
        return _WINDOWS[node.name.lower()]
    for named in (_operator, _value, _call):
        found = named(node)
        if found is not None:
            return found
    return node.sql(dialect="spark", normalize_functions="lower")


def _operator(node: exp.Expr) -> str | None:
    sign = _OPERATORS.get(type(node))
    if sign is not None:
        return f"({title(node.this)} {sign} {title(node.expression)})"
    match node:
        case exp.Neg():
            return f"(- {title(node.this)})"
        case exp.Not():
            return f"(NOT {title(node.this)})"
        case exp.Is(expression=exp.Null()):
            return f"({title(node.this)} IS NULL)"
        case exp.In() if node.expressions:
            return f"({title(node.this)} IN ({_listed(node.expressions)}))"
        case exp.Between():
            return f"between({_listed([node.this, node.args['low'], node.args['high']])})"
        case exp.Like():
            return f"{title(node.this)} LIKE {title(node.expression)}"
    return None


def _value(node: exp.Expr) -> str | None:
    match node:
        case exp.Paren() | exp.TryCast() | exp.Cast():
            typed = isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal)
            if typed and node.is_type("date", "timestamptz"):
                word = "DATE" if node.is_type("date") else "TIMESTAMP"
                return f"{word} '{node.this.name}'"
            return title(node.this)
        case exp.Literal() | exp.RawString() | exp.Column() | exp.Identifier() | exp.Var():
            return str(node.name)
        case exp.Bracket():
            return f"{title(node.this)}[{_listed(node.expressions)}]"
        case exp.Case():
            return _case(node)
    return None


def _call(node: exp.Expr) -> str | None:
    match node:
        case exp.DPipe():
            return f"concat({title(node.this)}, {title(node.expression)})"
        case exp.Distinct():
            return f"DISTINCT {_listed(node.expressions)}"
        case exp.Anonymous():
            name = node.name.lower().removeprefix("__")
            if name.startswith("explode"):
                return "col"
            inner = "1" if node.expressions == [exp.Star()] else _listed(node.expressions)
            return f"{name}({inner})"
    return None


def _listed(nodes: list[exp.Expr]) -> str:
    return ", ".join(title(n) for n in nodes)


def _case(node: exp.Case) -> str:
    text = "CASE"
    for branch in node.args.get("ifs", ()):
        condition = title(branch.this)
        if node.this is not None:
            condition = f"({title(node.this)} = {condition})"
        text += f" WHEN {condition} THEN {title(branch.args['true'])}"
    default = node.args.get("default")
    return text + (f" ELSE {title(default)}" if default is not None else "") + " END"
