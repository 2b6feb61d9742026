"""The columns of a target and of its events, and how they are computed from what a query gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection, DuckDBPyRelation
from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.merge.pieces import SEQUENCE
from qanat.engines.duckdb.types import Conversion, Fitted, fit
from qanat.errors import (
    ColumnNotFoundError,
    Location,
    SchemaMismatchError,
    TypeNameError,
    full_refresh,
    nearest,
)
from qanat.frozen import Frozen
from qanat.model.changes import END_AT, START_AT, AutoCdc, ScdType
from qanat.model.name import Named, Names
from qanat.model.query import Computation
from qanat.model.schema import DataType, Field, Primitive, Schema
from qanat.model.work import Output
from qanat.text import quote

KIND = "__qanat_kind"
"""What an event does: `UPSERT`, `DELETE` or `TRUNCATE`."""
SINCE = "__qanat_since"
"""When an event was kept, microseconds since 1970 (UTC)."""

UPSERT, DELETE, TRUNCATE = 0, 1, 2

_LONG = Primitive("long")
_NAME = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[A-Za-z_]\w*))\s*')
_VERSIONS = (START_AT, END_AT)


class Shape(Frozen):
    """The columns of one target.

    Args:
        schema: the columns of the table after this epoch.
        data: those of its rows and events, without `__START_AT` and `__END_AT`.
        keys: those that identify a row.
        keeps: those in which NULL leaves the value as it was.
        tracked: those whose change makes a new version.
        versions: whether the table has a row for each version of a key.
        sequence_type: of the sequence.
        given: SELECT list of a row of the query with its sequence and what it does.
        events: SELECT list of an event, over those columns.
        told: SQL of the sequence over the table's columns; None if only a hidden column tells it.
        casts: the conversions of values on their way into the table.
        lacks: columns of the table that the query does not give.
        widens: whether columns that the table has, or the sequence, get wider types.
        hidden: the sequence as rows that are there have it, if that is known.
    """

    schema: Schema
    data: Schema
    keys: tuple[str, ...]
    keeps: tuple[str, ...]
    tracked: tuple[str, ...]
    versions: bool
    sequence_type: DataType
    given: str
    events: str
    told: str | None
    casts: tuple[Conversion, ...]
    lacks: tuple[str, ...]
    widens: bool
    hidden: tuple[Field, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that identify a row of the table."""
        return (*self.keys, START_AT) if self.versions else self.keys

    @property
    def stored(self) -> Schema:
        """The columns of the table's files."""
        if self.told is not None:
            return self.schema
        return Schema((*self.schema.fields, Field(SEQUENCE, self.sequence_type)))

    @property
    def kept(self) -> Schema:
        """The columns of files with events."""
        data = (Field(f.name, f.type) for f in self.data.fields)
        own = (Field(KIND, _LONG), Field(SINCE, _LONG))
        return Schema((*data, Field(SEQUENCE, self.sequence_type), *own))


def shape_of(
    con: DuckDBPyConnection,
    changes: AutoCdc,
    target: Output,
    relation: DuckDBPyRelation,
    sequence_type: DataType | None,
    widened: Named[DataType],
    query: Computation,
    dataset: str,
) -> Shape:
    """The columns of a target.

    Args:
        changes: what events mean.
        target: where the table is, and the columns that it has.
        relation: the rows of the query.
        sequence_type: that of rows and events which are there; None if there are none.
        widened: the types that columns get (`SEQUENCE` too), in which all values were tried.
        query: where errors are.

    Raises:
        ColumnNotFoundError: the query lacks a key.
        SchemaMismatchError: a column, or the sequence, does not fit what the table has.
    """
    versions = changes.scd is ScdType.TWO
    _check_versions(target.schema, versions, query.location, dataset)
    names = changes.columns.among(relation.columns)
    if versions and (taken := [n for n in names if n in Names(_VERSIONS)]):
        raise SchemaMismatchError(
            f"the changes of {dataset} have a column {taken[0]!r}, which SCD type 2 makes itself",
            location=query.location,
            hint=f"COLUMNS * EXCEPT ({taken[0]})",
        )
    _check_names(changes, names, relation.columns, query.location, dataset)
    types = [relation.types[relation.columns.index(n)] for n in names]
    plain = replace(target, schema=_data(target.schema), declared=_data(target.declared))
    fitted = fit(names, types, plain, query, dataset, widened)
    start = target.schema.get(START_AT) or target.declared.get(START_AT)
    wanted = sequence_type or (start.type if versions and start else None)
    sequence = sequence_sql(changes)
    described = con.sql(f"SELECT {sequence} AS {SEQUENCE} FROM ({relation.sql_query()}) LIMIT 0")
    told = Schema() if wanted is None else Schema((Field(SEQUENCE, wanted),))
    own = Output(target.folder, target.prefix, schema=told)
    sequenced = _fit_sequence(described.types, own, query, dataset, changes.whole, widened)
    found = sequenced.schema.fields[0].type
    keeps = changes.keeps.among(names) if changes.keeps else ()
    return Shape(
        schema=_versioned(fitted.schema, target, found) if versions else fitted.schema,
        data=fitted.schema,
        keys=_of(changes.keys, fitted.schema),
        keeps=_of(keeps, fitted.schema, changes.keys),
        tracked=_of(changes.tracked.among(names), fitted.schema, changes.keys),
        versions=versions,
        sequence_type=found,
        given=f"*, {sequence} AS {SEQUENCE}, {_kind(changes)} AS {KIND}",
        events=_events(changes, fitted, sequenced),
        told=quote(START_AT) if versions else told_by(changes, fitted.schema),
        casts=(
            *(_cast(c, changes) for c in fitted.casts),
            *_computed(changes, relation.columns),
        ),
        lacks=fitted.lacks,
        widens=fitted.widens or sequenced.widens,
        hidden=() if wanted is None else (Field(SEQUENCE, wanted),),
    )


def _fit_sequence(
    types: list[DuckDBPyType],
    output: Output,
    query: Computation,
    dataset: str,
    whole: bool,
    widened: Named[DataType],
) -> Fitted:
    """Match the sequence with that of rows that are there.

    Args:
        whole: whether it is the version of a snapshot.
    """
    try:
        return fit([SEQUENCE], types, output, query, dataset, widened)
    except SchemaMismatchError as error:
        # An author knows no column of that name.
        what = "the version of a snapshot" if whole else "SEQUENCE BY"
        cast = "" if whole else f"CAST it to {error.wanted} in SEQUENCE BY, or "
        raise SchemaMismatchError(
            f"{what} of {dataset} does not fit the rows that are there",
            location=query.location,
            wanted=error.wanted,
            got=error.got,
            hint=f"{cast}start over: {full_refresh(dataset)}",
        ) from error
    except TypeNameError as error:
        raise TypeNameError(
            f"SEQUENCE BY of {dataset} has a type that tables cannot store",
            location=query.location,
            got=error.got,
            hint=error.hint,
        ) from error


def sequence_sql(changes: AutoCdc) -> str:
    """SQL of the sequence over a row of the query."""
    parts = [f"({exact_casts(e.sql)}\n)" for e in changes.sequence]
    if len(parts) == 1:
        return parts[0]
    names = (_bare(e.sql) or f"s{n}" for n, e in enumerate(changes.sequence, 1))
    pairs = zip(names, parts, strict=True)
    return f"struct_pack({', '.join(f'{quote(name)} := {part}' for name, part in pairs)})"


def _bare(sql: str) -> str | None:
    """The name of a column, if an expression is nothing else."""
    found = _NAME.fullmatch(sql)
    if found is None:
        return None
    return found["plain"] or found["quoted"].replace('""', '"')


def told_by(changes: AutoCdc, data: Schema) -> str | None:
    """SQL of the sequence over the columns of the table; None if they do not tell it."""
    found = told_names(changes, data)
    if not found:
        return None
    if len(found) == 1:
        return quote(found[0])
    return f"struct_pack({', '.join(f'{quote(n)} := {quote(n)}' for n in found)})"


def told_names(changes: AutoCdc, data: Schema) -> list[str]:
    """The columns of the table that make up the sequence; none if they do not tell it."""
    if changes.keeps is not None:
        return []
    fields = [data.get(n) if (n := _bare(e.sql)) else None for e in changes.sequence]
    found = [f.name for f in fields if f is not None]
    return found if len(found) == len(fields) else []


def _cast(cast: Conversion, changes: AutoCdc) -> Conversion:
    """A conversion that fails only where the value counts: not in what is deleted, say."""
    if {*map(quote, changes.keys)}.issuperset(cast.columns):
        return cast
    counts = f"coalesce(TRY({_kind(changes)}) = {UPSERT}, false)"
    return replace(cast, fails=f"{counts} AND ({cast.fails})")


def _computed(changes: AutoCdc, names: Sequence[str]) -> Iterator[Conversion]:
    """What the clauses of changes compute of a row, beside its columns."""
    conditions = (c for c in (changes.deletes, changes.truncates) if c is not None)
    for expression in (*changes.sequence, *conditions):
        if _bare(expression.sql) is None:
            words = Names(re.findall(r"\w+", expression.sql))
            columns = tuple(quote(n) for n in names if n in words)
            fails = f"TRY(hash({exact_casts(expression.sql)}\n)) IS NULL"
            yield Conversion(columns, str(expression), fails)


def _kind(changes: AutoCdc) -> str:
    """SQL of what a row of the query does."""
    kind = str(UPSERT)
    for condition, does in ((changes.deletes, DELETE), (changes.truncates, TRUNCATE)):
        if condition is not None:
            kind = f"CASE WHEN ({exact_casts(condition.sql)}\n) THEN {does} ELSE {kind} END"
    return f"CAST({kind} AS BIGINT)"


def _events(changes: AutoCdc, fitted: Fitted, sequenced: Fitted) -> str:
    """The SELECT list of an event.

    A deletion tells no more than its key, and that the table is emptied not even that: so two
    events are the same if all their columns are.
    """
    keys = Names(changes.keys)
    columns = []
    for field, expression in zip(fitted.schema.fields, fitted.expressions, strict=True):
        name = quote(field.name)
        value = expression.removesuffix(f" AS {name}")
        tells = f"{KIND} <> {TRUNCATE}" if field.name in keys else f"{KIND} = {UPSERT}"
        columns.append(f"CASE WHEN {tells} THEN {value} END AS {name}")
    return ", ".join((*columns, *sequenced.expressions, KIND))


def _check_versions(schema: Schema, versions: bool, where: Location, dataset: str) -> None:
    has = schema.get(START_AT) is not None
    if schema.fields and has is not versions:
        raise SchemaMismatchError(
            f"the rows of {dataset} were kept by other changes",
            location=where,
            wanted=f"STORED AS SCD TYPE {2 if has else 1}",
            got=f"STORED AS SCD TYPE {2 if versions else 1}",
            hint=f"start over: {full_refresh(dataset)}",
        )


def _check_names(
    changes: AutoCdc, names: Sequence[str], given: Sequence[str], where: Location, dataset: str
) -> None:
    known = Names(names)
    for key in changes.keys:
        if key not in known:
            raise ColumnNotFoundError(
                f"{dataset} has the key {key!r}, which its changes do not give",
                location=where,
                wanted=", ".join(names),
                nearest=nearest(key, list(given)),
            )
    for chosen in (changes.columns, changes.keeps, changes.tracked):
        for name in chosen.names if chosen else ():
            if name not in Names(given):
                raise ColumnNotFoundError(
                    f"the changes of {dataset} have no column {name!r}",
                    location=where,
                    wanted=", ".join(given),
                    nearest=nearest(name, list(given)),
                )


def _data(schema: Schema) -> Schema:
    return Schema(tuple(f for f in schema.fields if f.name not in _VERSIONS))


def _versioned(data: Schema, target: Output, sequence_type: DataType) -> Schema:
    """The columns with `__START_AT` and `__END_AT`, in the order that the table has already."""
    own = {name: Field(name, sequence_type) for name in _VERSIONS}
    before = target.schema if target.schema.fields else target.declared
    fields = []
    for known in before.fields:
        field = own.pop(known.name, None) or data.get(known.name)
        if field is not None:
            fields.append(field)
    named = Names(f.name for f in fields)
    fields += (f for f in data.fields if f.name not in named)
    return Schema((*fields, *own.values()))


def _of(names: Iterable[str], schema: Schema, without: Iterable[str] = ()) -> tuple[str, ...]:
    """Columns as the table spells them."""
    keys = Names(without)
    found = (schema.get(n) for n in names if n not in keys)
    return tuple(f.name for f in found if f is not None)
