"""The columns of two relations, side by side: which belong together, and as what they compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection
from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.casts import compiled, exact_casts
from qanat.engines.duckdb.faults import condition, explained
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.types import from_duckdb
from qanat.errors import ColumnNotFoundError, nearest
from qanat.frozen import Frozen
from qanat.model.comparison import Comparing, Relation, TypeDifference
from qanat.model.name import Named, Names
from qanat.text import listed, quote

_FRACTIONS = frozenset({"double", "float", "decimal"})
_SHORT = frozenset({"tinyint", "smallint", "integer", "bigint"})
_WHOLE = _SHORT | {f"u{name}" for name in _SHORT}
"""Types of whole numbers of up to 64 bits."""
_NUMBERS = _WHOLE | {"hugeint", "uhugeint"}
_FLOATING = frozenset({"double", "float"})
_LONG = frozenset({"bigint", "ubigint", "hugeint", "uhugeint"})
_EXACT = 2**53
"""Up to here each whole number has a DOUBLE of its own."""
_MOMENTS = {"date", "time", "timestamp", "timestamp with time zone", "interval"}
_NARROW = frozenset({*_NUMBERS, *_FRACTIONS, *_MOMENTS, "boolean", "uuid", "enum"})
_KEYLIKE = {*_NUMBERS, "varchar", "uuid", "date", "timestamp"}
"""Types of columns among which a key is looked for."""
_NEARLY = 0.9
"""Approximate counts of distinct values are wrong by a few percent."""
_CANDIDATES = 3


class Side(Frozen):
    """One relation: its rows as SELECT text, and its columns."""

    sql: str
    types: Named[DuckDBPyType]


class Column(Frozen):
    """A column that both sides have.

    Args:
        name: as the left side spells it.
        left, right: its value on either side, as SQL.
        kind: the name of the type that both are compared as.
    """

    name: str
    left: str
    right: str
    kind: str

    @property
    def fraction(self) -> bool:
        """True if its values may have digits behind the point."""
        return self.kind in _FRACTIONS

    @property
    def whole(self) -> bool:
        """True if its values are whole numbers of up to 64 bits."""
        return self.kind in _WHOLE

    @property
    def narrow(self) -> bool:
        """True if its values take a few bytes each: reading them is cheap."""
        return self.kind in _NARROW


class Pairs(Frozen):
    """All columns of two relations."""

    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    types: tuple[TypeDifference, ...]


def bound(
    con: DuckDBPyConnection, scratch: Path, name: str, relation: Relation, how: Comparing
) -> Side:
    """A relation, bound: only the rows that `how.where` is true of."""
    with explained(None):
        bindings = Bindings(con, scratch)
        inputs = [bindings.bind(each, batch) for each, batch in relation.inputs.items()]
        for each in relation.inputs:
            bindings.define(each)
        columns = tuple(c for b in inputs for c in con.sql(b.plain).columns)

    def over(sql: str) -> str:
        return f"FROM (\n{sql}\n)"

    with explained(relation.query, columns):
        sql, found = compiled(con, relation.query.sql, over)
    types = Named(zip(found.columns, found.types, strict=True))
    if how.where is not None:
        with explained(condition(how.where.sql), found.columns):
            # The author's condition may end in a -- comment, so the parenthesis needs its line.
            sql = f"{sql} WHERE (\n{exact_casts(how.where.sql)}\n)"
            con.sql(sql)
    view = quote(f"__{name}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {sql}")
    # What was registered for the view must live as long as the connection: Bindings holds it.
    return Side(f"SELECT * FROM {view}", types)


def selected(con: DuckDBPyConnection, sql: str) -> Side:
    """The rows of a SELECT text that reads what is bound."""
    found = con.sql(f"SELECT * FROM ({sql}) LIMIT 0")
    return Side(sql, Named(zip(found.columns, found.types, strict=True)))


def paired(con: DuckDBPyConnection, left: Side, right: Side, how: Comparing) -> Pairs:
    """Which columns are compared.

    Raises:
        ColumnNotFoundError: a key or column is not on both sides, or no column tells rows apart.
    """
    both = [name for name in left.types if name in right.types]
    for name in (*how.keys, *how.columns, *how.ignored):
        if name not in left.types and name not in right.types:
            raise _missing(name, "either side", [*left.types, *right.types])
    for name in (*how.keys, *how.columns):
        for side, other in ((left, "the left side"), (right, "the right side")):
            if name not in side.types:
                raise _missing(name, other, [*side.types])
    wanted, ignored = Names(how.columns), Names(how.ignored)
    compared = [n for n in both if n not in ignored and (not how.columns or n in wanted)]
    keys = how.keys or _found_key(con, left, right, compared)
    known = Names(keys)
    near = {n: n not in known and bool(how.tolerance) for n in both}
    pairs = Named((n, _column(con, n, left, right, near[n])) for n in both)
    values = [n for n in compared if n not in known]
    return Pairs(
        keys=tuple(pairs[k] for k in keys),
        columns=tuple(pairs[n] for n in values),
        only_left=_alone(left, right, how),
        only_right=_alone(right, left, how),
        types=tuple(_types([*keys, *values], left, right)),
    )


def _alone(here: Side, there: Side, how: Comparing) -> tuple[str, ...]:
    """The columns that only one side has; none of them count where some were asked for."""
    if how.columns:
        return ()
    ignored = Names(how.ignored)
    return tuple(n for n in here.types if n not in there.types and n not in ignored)


def _missing(name: str, where: str, known: Iterable[str]) -> ColumnNotFoundError:
    names = [*dict.fromkeys(known)]
    return ColumnNotFoundError(
        f"{where} has no column {name}", wanted=listed(names), nearest=nearest(name, names)
    )


def _types(names: Iterable[str], left: Side, right: Side) -> Iterator[TypeDifference]:
    for name in names:
        here, there = left.types[name], right.types[name]
        if here != there:
            yield TypeDifference(name, str(from_duckdb(here)), str(from_duckdb(there)))


def _column(con: DuckDBPyConnection, name: str, left: Side, right: Side, near: bool) -> Column:
    """A column as both sides have it.

    Args:
        near: its values may differ by a tolerance.
    """
    here, there = left.types[name], right.types[name]
    theirs = next(n for n in right.types if Names((name,)) == Names((n,)))
    column = Column(name, quote(name), quote(theirs), here.id)
    if here == there:
        return column
    ids = {here.id, there.id}
    if ids & _FLOATING and ids & _LONG and not near:
        exact = (_exactly(value) for value in (column.left, column.right))
        return replace(column, left=next(exact), right=next(exact), kind="union")
    type_ = _common(con, left, right, column)
    if type_.id == "float" and ids & _NUMBERS:
        type_ = duckdb.type("DOUBLE")  # not each whole number of 25 bits has a FLOAT
    return replace(
        column,
        left=f"CAST({column.left} AS {type_})",
        right=f"CAST({column.right} AS {type_})",
        kind=type_.id,
    )


def _exactly(value: str) -> str:
    """A number as DOUBLE, or as HUGEINT where whole numbers do not all have a DOUBLE.

    DuckDB compares 9007199254740993 with a DOUBLE as 9007199254740992.
    """
    type_ = "UNION(near DOUBLE, whole HUGEINT)"
    return (
        f"CASE WHEN abs({value}) >= {_EXACT} AND abs({value}) < 1e38"
        f" THEN CAST(union_value(whole := CAST({value} AS HUGEINT)) AS {type_})"
        f" WHEN {value} IS NOT NULL"
        f" THEN CAST(union_value(near := CAST({value} AS DOUBLE)) AS {type_}) END"
    )


def _common(con: DuckDBPyConnection, left: Side, right: Side, column: Column) -> DuckDBPyType:
    """The type that values of both sides fit into; text if DuckDB knows none."""
    union = (
        f"SELECT {column.left} FROM ({left.sql}) UNION ALL "
        f"SELECT {column.right} FROM ({right.sql})"
    )
    try:
        return con.sql(union).types[0]
    except duckdb.BinderException:
        return duckdb.type("VARCHAR")


def _found_key(
    con: DuckDBPyConnection, left: Side, right: Side, compared: Sequence[str]
) -> tuple[str, ...]:
    """A column whose values are all different on the left side, and never NULL.

    Raises:
        ColumnNotFoundError: there is none.
    """
    names = [n for n in compared if left.types[n].id in _KEYLIKE]
    if names:
        each = ", ".join(f"count({quote(n)}), approx_count_distinct({quote(n)})" for n in names)
        row = con.execute(f"SELECT count(*), {each} FROM ({left.sql})").fetchone() or (0,)
        rows, counts = row[0], row[1:]
        likely = [
            n
            for at, n in enumerate(names)
            if counts[2 * at] == rows and counts[2 * at + 1] >= rows * _NEARLY
        ]
        for name in likely[:_CANDIDATES]:
            exact = f"SELECT count(DISTINCT {quote(name)}) FROM ({left.sql})"
            if con.execute(exact).fetchone() == (rows,):
                return (name,)
    raise ColumnNotFoundError(
        "no column alone tells the rows apart",
        wanted="keys: columns by which rows of both sides are matched",
        got=listed([*left.types]),
        hint="name them: --key COLUMN, repeated for several (keys=[…] in Python)",
    )
