"""Which columns of its inputs each column of one query is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage as trace
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from qanat.frozen import Frozen
from qanat.model.name import Named, Names, same
from qanat.model.query import Read, SqlQuery
from qanat.planning.stateful import tree_of

"""The column that `read_files` adds to those of the files."""

# sqlglot raises these for queries that it parses but cannot resolve.
_UNRESOLVED = (SqlglotError, ValueError, KeyError, IndexError, RecursionError)


class Origin(Frozen):
    """A column of an input; `column` is None if it is not known which column it is."""

    read: Read
    column: str | None


class Made(Frozen):
    """How a query makes one column.

    Args:
        expression: its SQL if it is more than a copy, else empty.
        origins: the input columns that it is computed from.
    """

    expression: str
    origins: tuple[Origin, ...]


class Projection:
    """The columns of a query's result, and what each is computed from.

    Args:
        query: the query.
        known: the columns of its inputs, by `Read.name`; inputs with unknown columns are absent.
        wanted: the columns of the target, as far as they are known. If one input's columns are
            unknown, it must have those of them that no other input has.
    """

    def __init__(
        self, query: SqlQuery, known: Mapping[str, tuple[str, ...]], wanted: tuple[str, ...]
    ) -> None:
        self._query = query
        self._relations = {f"qanat_{i}": r for i, r in enumerate(query.reads)}
        self._unknown = tuple(r for r in query.reads if r.name not in known)
        self._schema: dict[str, object] = {}
        self._scope: Scope | None = None
        tree = self._renamed()
        self._starred = bool(tree.find(exp.Star)) and bool(self._unknown)
        columns = self._columns(tree, known, wanted)
        # sqlglot folds the case of names; `_spelled` gives back the author's spelling.
        written = [s.alias_or_name for s in tree.selects] if isinstance(tree, exp.Query) else []
        self._spelled = Names((*written, *(n for each in columns.values() for n in each)))
        self._schema = {n: dict.fromkeys(c, "unknown") for n, c in columns.items() if c}
        try:
            self._scope = build_scope(self._qualified(tree))
        except _UNRESOLVED:
            return

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns of the result; None if they depend on an input with unknown columns."""
        selects = self._selects()
        if self._starred or self._dynamic() or not selects:
            return None
        if any(isinstance(s, exp.Star) for s in selects):
            return None
        names = (s.alias_or_name for s in selects)
        return tuple(self._spelled.find(n) or n for n in names)

    def made(self, column: str) -> Made | None:
        """How the query makes a column; None if the query does not return it.

        If that cannot be found out, every input is named as an origin.
        """
        name = Names(s.alias_or_name for s in self._selects()).find(column)
        if name is None:
            return self._unnamed(column)
        try:
            node = trace(
                exp.column(name, quoted=True),
                self._scope.expression if self._scope else "",
                self._schema,
                dialect=self._query.dialect,
                scope=self._scope,
                copy=False,
                trim_selects=False,
            )
        except _UNRESOLVED:
            return self._from_any_input()
        origins = tuple(dict.fromkeys(self._origins(node)))
        expressions = dict.fromkeys(e for e in self._expressions(node) if e)
        return Made("; ".join(expressions), origins)

    # -- prepare the query -------------------------------------------------------------------

    def _renamed(self) -> exp.Expr:
        """The tree with plain identifiers as input names, since a read's name may be any text."""
        tree = tree_of(self._query).copy()
        plain = {r.name: name for name, r in self._relations.items()}
        for table in tree.find_all(exp.Table):
            if table.name in plain and not table.db:
                if not table.alias:
                    table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
                table.set("this", exp.to_identifier(plain[table.name]))
        return tree

    def _columns(
        self, tree: exp.Expr, known: Mapping[str, tuple[str, ...]], wanted: tuple[str, ...]
    ) -> dict[str, list[str]]:
        found = {n: list(known[r.name]) for n, r in self._relations.items() if r.name in known}
        unknown = [n for n, r in self._relations.items() if r in self._unknown]
        if len(unknown) == 1:
            # Columns that the query uses, or the target has, and that no other input has, must
            # be columns of the one unknown input.
            made = (s.alias for s in tree.find_all(exp.Alias))
            taken = Names((*made, *(c for each in found.values() for c in each)))
            columns = [c for c in tree.find_all(exp.Column) if not isinstance(c.this, exp.Star)]
            tables = [t for t in tree.find_all(exp.Table) if t.name == unknown[0]]
            aliases = Names(t.alias_or_name for t in tables)
            # A column qualified with the input's name is its own, even if others have it, too.
            own = [c.name for c in columns if c.table in aliases]
            free = [c for c in (*(c.name for c in columns), *wanted) if c not in taken]
            guess = Named((c, c) for c in (*own, *free))
            found[unknown[0]] = list(guess.values())
        mentioned = Names(i.name for i in tree.find_all(exp.Identifier))
        for name, read in self._relations.items():
            for hidden in read.source.hidden if name in found else ():
                if hidden in mentioned:
                    found[name] = [c for c in found[name] if not same(c, hidden)] + [hidden]
        return found

    def _qualified(self, tree: exp.Expr) -> exp.Expr:
        qualified = qualify(
            tree,
            dialect=self._query.dialect,
            schema=self._schema,
            validate_qualify_columns=False,
            identify=False,
        )
        for union in qualified.find_all(exp.SetOperation):
            if union.args.get("by_name"):
                _align(union)
        return qualified

    def _selects(self) -> list[exp.Expr]:
        expression = self._scope.expression if self._scope else None
        return list(expression.selects) if isinstance(expression, exp.Query) else []

    def _dynamic(self) -> bool:
        return any(s.find(exp.Columns) for s in self._selects())

    # -- what a column is made from ----------------------------------------------------------

    def _unnamed(self, column: str) -> Made | None:
        """How the query makes a column that no item of its SELECT names."""
        if self._starred and len(self._unknown) == 1:
            # It can only come through `*` from the one input whose columns are unknown.
            return Made("", (Origin(self._unknown[0], column),))
        # With unknown names, COLUMNS(…) or PIVOT may make it.
        return None if self.names is not None else self._from_any_input()

    def _from_any_input(self) -> Made:
        return Made("", tuple(Origin(r, None) for r in self._query.reads))

    def _origins(self, node: Node) -> Iterator[Origin]:
        for leaf in node.walk():
            if isinstance(leaf.expression, exp.Placeholder):
                yield from self._from_any_input().origins
            elif isinstance(leaf.expression, exp.Table):
                read = self._relations.get(leaf.expression.name)
                if read is not None:
                    star = leaf.name == "*"
                    yield Origin(read, None if star else parse_one(leaf.name).name)

    def _expressions(self, node: Node) -> Iterator[str]:
        """The SQL expression in each branch of a union; plain copies are followed inwards."""
        if isinstance(node.source, exp.SetOperation):
            for branch in node.downstream:
                yield from self._expressions(branch)
            return
        inner = node.expression.unalias() if isinstance(node.expression, exp.Alias) else None
        if isinstance(inner, exp.Column):
            for below in node.downstream:
                yield from self._expressions(below)
        elif inner is not None:
            yield inner.sql(dialect=self._query.dialect, comments=False)


def _align(union: exp.SetOperation) -> None:
    """Give both sides of a UNION BY NAME the same columns in the same order.

    sqlglot's lineage matches the columns of a union by position.
    """
    left, right = union.left, union.right
    if not isinstance(left, exp.Select) or not isinstance(right, exp.Select):
        return
    mine = {s.alias_or_name: s for s in left.selects}
    theirs = {s.alias_or_name: s for s in right.selects}
    names = list(dict.fromkeys([*mine, *theirs]))
    for side, columns in ((left, mine), (right, theirs)):
        side.set(
            "expressions",
            [columns.get(n) or exp.alias_(exp.null(), n, quoted=True) for n in names],
        )
