"""Have a query carry hidden columns along, without changing what it says otherwise.

A quarantined row must say where it came from, and a query may ask for `_metadata`, but neither
may appear under `SELECT *`. So the input's relation has them as ordinary columns, and the query is
told to leave them out of its stars. That is written into the author's text at the places where
sqlglot found the stars: an expression that was written anew would lose its name (`v ** 2` is the
column `(v ** 2)`, and `power(v, 2)` another one). Of a table with a rule, whose rows may have to
be quarantined,

    SELECT *, v ** 2 FROM orders

becomes

    SELECT "orders".__qanat_file, "orders".__qanat_row, "orders".__qanat_rid,
        * EXCLUDE (_metadata, __qanat_file, __qanat_row, __qanat_rid), v ** 2 FROM orders

Where SELECTs are nested (CTEs, subqueries in FROM), each passes the positions on to the next, and
so does each arm of UNION ALL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlglot import TokenType, exp

from qanat.engines.duckdb.clauses import Clauses, UnseparableError
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW, SOURCE
from qanat.engines.duckdb.places import PLACE
from qanat.errors import UnsupportedError
from qanat.model.name import Names, same
from qanat.model.query import SqlQuery
from qanat.planning.fingerprint import repeatable, volatile
from qanat.planning.levels import Level, Path, enclosing, names_given, parts, paths
from qanat.planning.stateful import tree_of
from qanat.text import literal, quote

POSITIONS = (FILE, ROW, RID, SOURCE, PLACE)


class _Edit(NamedTuple):
    """Text to put in at an offset, in the place of `length` characters."""

    at: int
    text: str
    length: int = 0


def carry(
    query: SqlQuery, hidden: Mapping[str, tuple[str, ...]], positions: bool
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The query's SQL with hidden columns looked after.

    Args:
        hidden: by `Read.name`, the hidden columns of each input that has some.
        positions: whether row positions are wanted in the result.

    Returns:
        The SQL; the inputs whose relation must have its hidden columns; the names of the
        position columns that the result has in front (none where the query's rows are not
        rows of one input, or where it takes rows as a whole, so that they would show).

    Raises:
        UnsupportedError: the query asks for `_metadata`, and takes rows as a whole.
    """
    with_metadata = METADATA in query.sql.lower()
    passing = paths(query) if positions else ()
    if passing:
        try:
            return _Carrier(query, hidden).spliced(passing, passing, with_metadata)
        except UnseparableError:
            pass
    if not with_metadata:
        return query.sql, (), ()
    try:
        return _Carrier(query, hidden).spliced((), (), with_metadata)
    except UnseparableError as error:
        raise UnsupportedError(
            f"{METADATA} cannot be read together with {error}",
            location=query.location,
            hint="name the columns, or read the metadata in a view of its own",
        ) from error


def carry_below(
    query: SqlQuery, hidden: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """The parts of a query that compute row by row, though it does not as a whole.

    Args:
        hidden: by `Read.name`, the hidden columns of each input that has some.

    Returns:
        For each part its number among the `parts` of the query; SQL in which all of its levels but
        the uppermost pass positions on; the inputs whose relation must have its hidden columns.
    """
    with_metadata = METADATA in query.sql.lower()
    for number, passing in enumerate(parts(query)):
        try:
            lower = [path[:-1] for path in passing]
            sql, needs, _ = _Carrier(query, hidden).spliced(passing, lower, with_metadata)
        except UnseparableError:
            continue
        yield number, sql, needs


class _Front(NamedTuple):
    """What a SELECT that passes positions on has in front.

    Args:
        columns: hidden ones of what it reads.
    """

    level: Level
    columns: tuple[str, ...]
    text: str

    @property
    def names(self) -> list[str]:
        """The columns that it has in front."""
        return [c for c in POSITIONS if c in self.text]


class _Carrier:
    def __init__(self, query: SqlQuery, hidden: Mapping[str, tuple[str, ...]]) -> None:
        self._sql = query.sql
        self._tree = tree_of(query)
        self._clauses = Clauses(query)
        self._hidden = hidden
        # Rows that are not the same each time must be kept, and get their identifiers then.
        self._fleeting = volatile(query) or not repeatable(query)
        self._edits: set[_Edit] = set()

    def spliced(
        self, whole: Sequence[Path], passing: Sequence[Path], with_metadata: bool
    ) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What `carry` returns.

        Args:
            whole: the paths from inputs up.
            passing: the lower parts of these, in which levels pass positions on.
            with_metadata: whether the query asks for `_metadata`.
        """
        needs: set[str] = set()
        owners = self._metadata_of() if with_metadata else ()
        carried, fronts = self._fronts(passing)
        for select in self._tree.find_all(exp.Select):
            kept_out: dict[str, tuple[str, ...]] = {}
            front = fronts.get(id(select))
            for table, alias in _inputs(select):
                columns = self._hidden.get(table, ())
                if METADATA in columns and _owns(owners, alias):
                    kept_out[alias] = columns
                    needs.add(table)
            if front is not None:
                kept_out[front.level.alias] = front.columns
            if kept_out:
                self._separate(select, kept_out, front.text if front else "")
        if whole and (fronts or not any(passing)):
            needs.update(path[0].relation for path in whole)
        return self._edited(), tuple(sorted(needs)), carried

    def _fronts(self, passing: Sequence[Path]) -> tuple[tuple[str, ...], dict[int, _Front]]:
        """The columns that the levels pass on, and what each of their SELECTs has in front."""
        inputs = [self._hidden.get(path[0].relation, ()) for path in passing if path]
        common = [c for c in POSITIONS if inputs and all(c in columns for columns in inputs)]
        # Rows of several inputs may have the same identifier, and places of different tables. Rows
        # that are sorted get both by their new order.
        several = len(passing) > 1 or any(level.ordered for path in passing for level in path)
        if several or self._fleeting:
            common = [c for c in common if c != RID]
        if several:
            common = [c for c in common if c != PLACE]
        fronts: dict[int, _Front] = {}
        carried = tuple(common)
        for path in passing if common else ():
            below, carried = self._hidden.get(path[0].relation, ()) if path else (), tuple(common)
            for level in path:
                if level.joined:
                    # A join may repeat a row of the source, so that its identifier is not unique.
                    carried = tuple(c for c in carried if c != RID)
                owner = f"{quote(level.alias)}." if level.alias else ""
                text = "".join(f"{owner}{c}, " for c in carried)
                fronts[id(level.select)] = _Front(level, below, text)
                below = carried
                self._name(level, carried)
            for lower, level in pairwise(path):
                source = level.source
                if isinstance(source, exp.Table):
                    self._add_names(source, fronts[id(lower.select)].names)
        return carried, fronts

    def _name(self, level: Level, carried: Sequence[str]) -> None:
        """Name the columns in front, where the others of a level get names one by one."""
        for node in enclosing(level):
            self._add_names(node, carried)

    def _add_names(self, source: exp.Expr, columns: Sequence[str]) -> None:
        if names := names_given(source):
            self._edits.add(_Edit(names[0].meta["start"], "".join(f"{c}, " for c in columns)))

    def _metadata_of(self) -> tuple[str | None, ...]:
        """The inputs whose metadata is asked for, as they are called; None stands for any."""
        found: set[str | None] = set()
        for column in self._tree.find_all(exp.Column):
            names = [part.name for part in column.parts]
            at = next((i for i, name in enumerate(names) if same(name, METADATA)), None)
            if at is not None:
                found.add(names[at - 1] if at else None)
        return tuple(found)

    def _separate(
        self, select: exp.Select, kept_out: Mapping[str, tuple[str, ...]], front: str
    ) -> None:
        """Keep the hidden columns of inputs out of a select's stars, and put `front` into it."""
        self._check(select, kept_out)
        implicit = False
        for star in select.find_all(exp.Star):
            owner = star.parent.table if isinstance(star.parent, exp.Column) else ""
            if _meant_by(star, owner) is not select or isinstance(star.parent, exp.Count):
                continue
            columns = [c for a, cs in kept_out.items() if not owner or same(a, owner) for c in cs]
            if not columns:
                continue
            at = star.meta.get("start")
            if at is not None and self._sql[at] == "*":
                self._exclude(star, self._clauses.token_at(at), list(dict.fromkeys(columns)))
            else:
                implicit = True
                names = ", ".join(dict.fromkeys(columns))
                self._say_select(select, f"SELECT {front}* EXCLUDE ({names}) ")
        if front and not implicit:
            self._insert_front(select, front)

    def _check(self, select: exp.Select, kept_out: Mapping[str, tuple[str, ...]]) -> None:
        joins = select.args.get("joins") or []
        if len(kept_out) > 1 and any(j.args.get("method") == "NATURAL" for j in joins):
            raise UnseparableError("a NATURAL JOIN")
        for columns in select.find_all(exp.Columns):
            names = columns.this.this if isinstance(columns.this, exp.Column) else columns.this
            if not isinstance(names, exp.Star | exp.Array):
                self._narrow_patterns()
        for name in self._tree.find_all(exp.Identifier):
            if any(same(name.name, alias) for alias in kept_out) and _is_row(name):
                raise UnseparableError(f"rows of {name.name} as a whole")
        if any(source.args.get("pivots") for source in _sources(select)):
            raise UnseparableError("PIVOT")

    def _narrow_patterns(self) -> None:
        """Have no `COLUMNS('…')` of the query find hidden columns."""
        for named in self._tree.find_all(exp.Alias):
            if named.find(exp.Columns) and re.search(r"\\[1-9]", named.alias):
                raise UnseparableError("COLUMNS of a pattern with groups")
        listed = ", ".join(map(literal, (METADATA, *POSITIONS)))
        clauses, tokens = self._clauses, self._clauses.tokens
        for at, token in enumerate(tokens):
            if token.text.upper() != "COLUMNS":
                continue
            if clauses.type_at(at + 1) is not TokenType.L_PAREN:
                continue
            first, close = tokens[at + 2], clauses.closing(at + 1)
            if first.token_type is TokenType.STRING and close == at + 3:
                self._edits.add(_Edit(first.start, "lambda __qanat_c: regexp_matches(__qanat_c, "))
                end = f") AND __qanat_c NOT IN ({listed})"
            elif first.text.upper() == "LAMBDA" and tokens[at + 4].text == ":":
                name = self._sql[tokens[at + 3].start : tokens[at + 3].end + 1]
                self._edits.add(_Edit(tokens[at + 4].end + 1, f" {name} NOT IN ({listed}) AND ("))
                end = ")"
            else:
                continue
            self._edits.add(_Edit(tokens[close].start, end))

    def _exclude(self, star: exp.Star, index: int, columns: Sequence[str]) -> None:
        already = Names(e.name for e in star.args.get("except_") or [])
        names = ", ".join(c for c in columns if c not in already)
        if not names:
            return
        if not already:
            self._edits.add(_Edit(self._clauses.tokens[index].end + 1, f" EXCLUDE ({names})"))
            return
        first = self._clauses.tokens[index + 2]
        if first.token_type is TokenType.L_PAREN:
            self._edits.add(_Edit(first.end + 1, f"{names}, "))
            return
        # A single column needs no parentheses: `* EXCLUDE id`, `* EXCLUDE t.id`.
        last = index + 2
        while self._clauses.type_at(last + 1) is TokenType.DOT:
            last += 2
        self._edits.add(_Edit(first.start, f"({names}, "))
        self._edits.add(_Edit(self._clauses.tokens[last].end + 1, ")"))

    def _say_select(self, select: exp.Select, text: str) -> None:
        """Write out the SELECT of `FROM t` or `TABLE t`."""
        table = select.args["from_"].this
        at = table.this.meta.get("start") if isinstance(table, exp.Table) else None
        before = self._clauses.token_at(at) - 1 if at is not None else -1
        match self._clauses.type_at(before):
            case TokenType.FROM:
                self._edits.add(_Edit(self._clauses.tokens[before].start, text))
            case TokenType.TABLE:
                word = self._clauses.tokens[before]
                length = word.end + 1 - word.start
                self._edits.add(_Edit(word.start, f"{text}FROM", length))
            case _:
                raise UnseparableError("rows as a whole")

    def _insert_front(self, select: exp.Select, front: str) -> None:
        index = self._clauses.word(select, TokenType.SELECT)
        after = index + (self._clauses.type_at(index + 1) is TokenType.ALL)
        self._edits.add(_Edit(self._clauses.tokens[after].end + 1, f" {front.rstrip(' ')}"))

    def _edited(self) -> str:
        text = self._sql
        for edit in sorted(self._edits, reverse=True):
            text = text[: edit.at] + edit.text + text[edit.at + edit.length :]
        return text


def _inputs(select: exp.Select) -> Iterator[tuple[str, str]]:
    """The tables of a FROM clause: (name, the name by which columns are qualified)."""
    tables = (s for s in _sources(select) if isinstance(s, exp.Table))
    return ((t.name, t.alias_or_name) for t in tables)


def _sources(select: exp.Select) -> list[exp.Expr]:
    clause = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or []]
    return [clause.this, *joined] if clause else joined


def _meant_by(star: exp.Star, owner: str) -> exp.Select | None:
    """The select whose columns a star means: for `t.*` in a subquery it may be further out."""
    select = star.find_ancestor(exp.Select)
    while owner and select is not None:
        if any(same(source.alias_or_name, owner) for source in _sources(select)):
            return select
        select = select.find_ancestor(exp.Select)
    return select


def _owns(owners: tuple[str | None, ...], alias: str) -> bool:
    return any(owner is None or same(owner, alias) for owner in owners)


def _is_row(name: exp.Identifier) -> bool:
    """True if a name that an input has stands where a row is meant, or a column of that name."""
    parent: Any = name.parent
    if isinstance(parent, exp.Column):
        return name.arg_key == "this" and not parent.table
    return isinstance(parent, exp.Dot) and name.arg_key == "this"
