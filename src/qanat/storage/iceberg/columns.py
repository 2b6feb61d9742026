"""Columns in Iceberg's form, and back.

A column is known to Iceberg by its identifier, to the files that engines write by its name. So
for the life of a table a name has one identifier, whatever becomes of the column's type, and a
name mapping in the table's properties tells readers which. (Spark's CREATE OR REPLACE keeps
identifiers by name, too.)

Iceberg has no `short` and `byte`: they become `int`, and which columns were which is remembered
in the snapshots' summaries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyiceberg import schema as iceberg, types
from pyiceberg.table.name_mapping import parse_mapping_from_json

from qanat.errors import TableTooNewError
from qanat.model.schema import Array, DataType, Decimal, Field, MapType, Primitive, Schema, Struct

Path = tuple[str, ...]
"""Where a column is: the names from the outermost to its own, or `element`, `key`, `value`."""

_PRIMITIVES: dict[str, types.PrimitiveType] = {
    "string": types.StringType(),
    "long": types.LongType(),
    "integer": types.IntegerType(),
    "short": types.IntegerType(),
    "byte": types.IntegerType(),
    "float": types.FloatType(),
    "double": types.DoubleType(),
    "boolean": types.BooleanType(),
    "binary": types.BinaryType(),
    "date": types.DateType(),
    "timestamp": types.TimestamptzType(),
    "timestamp_ntz": types.TimestampType(),
}
_NAMES = {type_: name for name, type_ in _PRIMITIVES.items() if name not in ("short", "byte")}
_NARROW = frozenset({"short", "byte"})


@dataclass(slots=True)
class Identifiers:
    """The identifiers of a table's columns, by path; new ones are given out as they are asked for.

    Args:
        last: the greatest identifier that the table has given out.
    """

    last: int = 0
    by_path: dict[Path, int] = field(default_factory=dict)

    @staticmethod
    def of(schema: iceberg.Schema | None, mapping: str | None, last: int) -> Identifiers:
        """Those that a table has: by its name mapping, and by its columns."""
        known: dict[Path, int] = {}
        if mapping:
            known.update(_mapped(parse_mapping_from_json(mapping).root))
        if schema is not None:
            known.update(_declared(schema.fields))
        return Identifiers(last, known)

    def __getitem__(self, path: Path) -> int:
        if path not in self.by_path:
            self.last += 1
            self.by_path[path] = self.last
        return self.by_path[path]

    def mapping(self) -> str:
        """The name mapping as JSON."""
        return json.dumps(self._fields(()), ensure_ascii=False)

    def _fields(self, above: Path) -> list[dict[str, Any]]:
        found = []
        for path, number in self.by_path.items():
            if path[:-1] == above:
                entry: dict[str, Any] = {"field-id": number, "names": [path[-1]]}
                if below := self._fields(path):
                    entry["fields"] = below
                found.append(entry)
        return found


def to_iceberg(schema: Schema, identifiers: Identifiers, number: int) -> iceberg.Schema:
    """Columns as an Iceberg schema of a number.

    Args:
        identifiers: gets those of new columns.
    """
    # The top level first, as Iceberg numbers them.
    for each in schema.fields:
        identifiers[(each.name,)]
    fields = [_to_field(f, (f.name,), identifiers) for f in schema.fields]
    return iceberg.Schema(*fields, schema_id=number)


def narrow_types(schema: Schema) -> dict[str, str]:
    """The columns whose types Iceberg does not have, by path as JSON."""
    return {
        json.dumps(path): type_.name
        for path, type_ in _leaves(Struct(schema.fields), ())
        if isinstance(type_, Primitive) and type_.name in _NARROW
    }


def from_iceberg(schema: iceberg.Schema, narrow: Mapping[str, str], table: str) -> Schema:
    """The columns of an Iceberg schema.

    Args:
        narrow: as `narrow_types` gave them.

    Raises:
        TableTooNewError: a type has no counterpart.
    """
    types_ = {tuple(json.loads(path)): name for path, name in narrow.items()}
    return Schema(tuple(_from_field(f, (f.name,), types_, table) for f in schema.fields))


def _to_field(column: Field, path: Path, identifiers: Identifiers) -> types.NestedField:
    return types.NestedField(
        field_id=identifiers[path],
        name=column.name,
        field_type=_to_type(column.type, path, identifiers),
        required=not column.nullable,
        doc=column.comment,
    )


def _to_type(type_: DataType, path: Path, identifiers: Identifiers) -> types.IcebergType:
    match type_:
        case Primitive(name):
            return _PRIMITIVES[name]
        case Decimal(precision, scale):
            return types.DecimalType(precision, scale)
        case Struct(fields):
            return types.StructType(*(_to_field(f, (*path, f.name), identifiers) for f in fields))
        case Array(element, contains_null):
            inner = (*path, "element")
            return types.ListType(
                identifiers[inner], _to_type(element, inner, identifiers), not contains_null
            )
        case MapType(key, value, contains_null):
            left, right = (*path, "key"), (*path, "value")
            return types.MapType(
                identifiers[left],
                _to_type(key, left, identifiers),
                identifiers[right],
                _to_type(value, right, identifiers),
                not contains_null,
            )


def _from_field(
    column: types.NestedField, path: Path, narrow: Mapping[Path, str], table: str
) -> Field:
    type_ = _from_type(column.field_type, path, narrow, table)
    return Field(column.name, type_, not column.required, column.doc or None)


def _from_type(
    type_: types.IcebergType, path: Path, narrow: Mapping[Path, str], table: str
) -> DataType:
    match type_:
        case types.StructType():
            return Struct(
                tuple(_from_field(f, (*path, f.name), narrow, table) for f in type_.fields)
            )
        case types.ListType():
            inner = _from_type(type_.element_type, (*path, "element"), narrow, table)
            return Array(inner, not type_.element_required)
        case types.MapType():
            return MapType(
                _from_type(type_.key_type, (*path, "key"), narrow, table),
                _from_type(type_.value_type, (*path, "value"), narrow, table),
                not type_.value_required,
            )
        case types.DecimalType():
            return Decimal(type_.precision, type_.scale)
        case types.PrimitiveType() if type_ in _NAMES:
            name = _NAMES[type_]
            return Primitive(narrow.get(path, name) if name == "integer" else name)
    raise TableTooNewError(
        f"cannot read {table}: its column {'.'.join(path)} has a type that Qanat does not know",
        got=str(type_),
    )


def _leaves(type_: DataType, path: Path) -> Iterator[tuple[Path, DataType]]:
    match type_:
        case Struct(fields):
            for each in fields:
                yield from _leaves(each.type, (*path, each.name))
        case Array(element):
            yield from _leaves(element, (*path, "element"))
        case MapType(key, value):
            yield from _leaves(key, (*path, "key"))
            yield from _leaves(value, (*path, "value"))
        case _:
            yield path, type_


def _mapped(fields: Any, above: Path = ()) -> Iterator[tuple[Path, int]]:
    for each in fields:
        for name in each.names:
            if each.field_id is not None:
                yield (*above, name), each.field_id
            yield from _mapped(each.fields, (*above, name))


def _declared(
    fields: tuple[types.NestedField, ...], above: Path = ()
) -> Iterator[tuple[Path, int]]:
    for each in fields:
        path = (*above, each.name)
        yield path, each.field_id
        yield from _declared(_parts(each.field_type), path)


def _parts(type_: types.IcebergType) -> tuple[types.NestedField, ...]:
    match type_:
        case types.StructType():
            return type_.fields
        case types.ListType():
            return (type_.element_field,)
        case types.MapType():
            return (type_.key_field, type_.value_field)
    return ()
