"""Pieces of a query's tree: conditions, aliases, columns that matter, CTEs that can be read."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from qanat.model.name import Named, Names


def needed_of(tree: exp.Expr, needed: Names | None = None) -> Names | None:
    """The columns that a query may need of what it reads; None: all.

    Args:
        needed: those of its own that matter; None: all.
    """
    stars = [s for s in tree.find_all(exp.Star) if not isinstance(s.parent, exp.Count)]
    named = (column.name for column in tree.find_all(exp.Column))
    if not stars and not tree.find(exp.Columns):
        return Names(named)
    # A star may give a column another name.
    if needed is None or tree.find(exp.Columns) or any(map(_renames, stars)):
        return None
    return Names([*needed, *named])


def with_column(expression: exp.Expr, name: str) -> exp.Expr:
    """An expression with one column in the place of `COLUMNS(…)`."""
    column = exp.column(exp.to_identifier(name, quoted=True))

    def put(node: exp.Expr) -> exp.Expr:
        return column.copy() if isinstance(node, exp.Columns) else node

    changed: exp.Expr = expression.copy().transform(put)
    return changed


def conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of a condition that all have to be true."""
    if isinstance(condition, exp.Paren | exp.And):
        for part in condition.iter_expressions():
            yield from conjuncts(part)
    else:
        yield condition


def leaves(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of a condition that AND and OR join."""
    if isinstance(condition, exp.Paren | exp.And | exp.Or):
        for part in condition.iter_expressions():
            yield from leaves(part)
    else:
        yield condition


def _renames(star: exp.Star) -> bool:
    return any(star.args.get(kind) for kind in ("replace", "replace_", "rename"))


def ctes_of(select: exp.Select) -> list[exp.Expr]:
    """The CTEs that a SELECT within a query can read."""
    clause = select.args.get("with_")
    found: list[exp.Expr] = list(clause.expressions) if clause else []
    child: exp.Expr | None = select
    while child is not None and (parent := child.parent) is not None:
        clause = parent.args.get("with_") if isinstance(parent, exp.Query) else None
        if isinstance(child, exp.CTE):
            # It can read those before it.
            found = [*parent.expressions[: child.index], *found]
        elif clause is not None and clause is not child:
            found = [*clause.expressions, *found]
        child = parent
    return found


def replaced(item: exp.Expr) -> list[exp.Expr]:
    """The expressions of `* REPLACE (…)`."""
    star = item.this if isinstance(item, exp.Column) else item
    if not isinstance(star, exp.Star):
        return []
    return list(star.args.get("replace") or star.args.get("replace_") or [])


def aliases(tree: exp.Select, given: Names) -> Named[exp.Expr]:
    """The expressions that others in the SELECT may call by their aliases."""
    known = Named[exp.Expr]()
    for item in tree.expressions:
        if isinstance(item, exp.Alias) and item.alias not in given:
            known[item.alias] = inlined(item.this, known)
    return known


def inlined(expression: exp.Expr, known: Named[exp.Expr]) -> exp.Expr:
    """An expression with others in the place of their aliases."""

    def inline(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and not node.table and node.name in known:
            return exp.Paren(this=known[node.name].copy())
        return node

    inlined: exp.Expr = expression.copy().transform(inline)
    return inlined
