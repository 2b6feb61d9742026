"""Columns and their types, in the type system of Delta Lake and Spark.

Every engine maps its own types to these and back; storage writes them as they are. The JSON
form is the schema serialization format of the Delta protocol
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#schema-serialization-format).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

from qanat.frozen import Frozen
from qanat.model.name import Name, Named, fold

PRIMITIVES = frozenset(
    {
        "string",
        "long",
        "integer",
        "short",
        "byte",
        "float",
        "double",
        "boolean",
        "binary",
        "date",
        "timestamp",
        "timestamp_ntz",
    }
)

WIDER: Mapping[str, frozenset[str]] = {
    "short": frozenset({"byte"}),
    "integer": frozenset({"byte", "short"}),
    "long": frozenset({"byte", "short", "integer"}),
    "float": frozenset({"byte", "short"}),
    "double": frozenset({"byte", "short", "integer", "float"}),
    "timestamp": frozenset({"date"}),
    "timestamp_ntz": frozenset({"date"}),
}
"""By primitive type, those all of whose values it holds without loss; strings left aside."""

DIGITS: Mapping[str, int] = {"byte": 3, "short": 5, "integer": 10, "long": 19}
"""By type of whole numbers, the decimal digits of its largest value."""

_SQL_NAMES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


class Primitive(Frozen):
    """A type without parts, by its Delta name (`long`, `string`, `timestamp`, …)."""

    name: str

    def __str__(self) -> str:
        return _SQL_NAMES.get(self.name, self.name)


STRING = Primitive("string")
"""Text: also what a value becomes for which there is no better type."""


class Decimal(Frozen):
    """An exact number of `precision` digits, `scale` of them after the point."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


class Array(Frozen):
    """A list of values of one type."""

    element: DataType
    contains_null: bool = True

    def __str__(self) -> str:
        return f"array<{self.element}>"


class MapType(Frozen):
    """Keys of one type to values of another."""

    key: DataType
    value: DataType
    value_contains_null: bool = True

    def __str__(self) -> str:
        return f"map<{self.key},{self.value}>"


class Struct(Frozen):
    """Named fields, in order."""

    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return "struct<" + ",".join(f"{f.name}:{f.type}" for f in self.fields) + ">"


DataType: TypeAlias = Primitive | Decimal | Array | MapType | Struct


class Field(Frozen):
    """One column (or one field of a struct).

    >>> str(Field("id", Primitive("long"), nullable=False))
    'id bigint NOT NULL'
    """

    name: str
    type: DataType
    nullable: bool = True
    comment: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.type}" + ("" if self.nullable else " NOT NULL")


class Schema(Frozen):
    """The columns of a table, in order."""

    fields: tuple[Field, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, as declared."""
        return tuple(f.name for f in self.fields)

    def get(self, name: str) -> Field | None:
        """The column of that name, compared without case as SQL does; None if absent."""
        return self._by_name.get(fold(name))

    @cached_property
    def _by_name(self) -> dict[Name, Field]:
        # A table may have thousands of columns, and each is asked for.
        found: dict[Name, Field] = {}
        for field in self.fields:
            found.setdefault(fold(field.name), field)
        return found

    def to_json(self) -> dict[str, Any]:
        """The Delta form: ``{"type": "struct", "fields": [...]}``."""
        return {"type": "struct", "fields": [_field_to_json(f) for f in self.fields]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Schema:
        """Read what `to_json` (or any Delta writer) wrote."""
        return Schema(tuple(_field_from_json(f) for f in value["fields"]))


NO_COLUMNS = Schema()
"""Nothing declared, or nothing known yet."""


def _field_to_json(field: Field) -> dict[str, Any]:
    metadata = {"comment": field.comment} if field.comment else {}
    return {
        "name": field.name,
        "type": type_to_json(field.type),
        "nullable": field.nullable,
        "metadata": metadata,
    }


def _field_from_json(value: Mapping[str, Any]) -> Field:
    comment = (value.get("metadata") or {}).get("comment")
    return Field(value["name"], type_from_json(value["type"]), value["nullable"], comment)


def grown(type_: DataType, other: DataType) -> DataType:
    """A type with the struct fields that only another one has, at its end; else as it is.

    >>> a, b = Field("a", Primitive("long")), Field("b", Primitive("string"))
    >>> str(grown(Struct((a,)), Struct((b, a))))
    'struct<a:bigint,b:string>'
    """
    match type_, other:
        case Array(mine, nulls), Array(theirs):
            return Array(grown(mine, theirs), nulls)
        case MapType(key, mine, nulls), MapType(_, theirs):
            return MapType(key, grown(mine, theirs), nulls)
        case Struct(mine), Struct(theirs):
            by_name = Named((f.name, f) for f in theirs)
            kept = [
                replace(f, type=grown(f.type, new.type))
                if (new := by_name.pop(f.name, None))
                else f
                for f in mine
            ]
            # Older rows lack the new fields and have NULL there.
            return Struct((*kept, *(replace(f, nullable=True) for f in by_name.values())))
    return type_


def holds_text(type_: DataType) -> bool:
    """True if values of a type are texts, or have some.

    >>> holds_text(Struct((Field("a", Array(Primitive("string"))),)))
    True
    """
    match type_:
        case Array(element):
            return holds_text(element)
        case MapType(key, value):
            return holds_text(key) or holds_text(value)
        case Struct(fields):
            return any(holds_text(f.type) for f in fields)
    return type_ == STRING


def type_to_json(type_: DataType) -> str | dict[str, Any]:
    """The Delta form of one type: a name, or an object for a nested type."""
    match type_:
        case Primitive(name):
            return name
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case Array(element, contains_null):
            return {
                "type": "array",
                "elementType": type_to_json(element),
                "containsNull": contains_null,
            }
        case MapType(key, value, contains_null):
            return {
                "type": "map",
                "keyType": type_to_json(key),
                "valueType": type_to_json(value),
                "valueContainsNull": contains_null,
            }
        case Struct(fields):
            return {"type": "struct", "fields": [_field_to_json(f) for f in fields]}


def type_from_json(value: str | Mapping[str, Any]) -> DataType:
    """Read the Delta form of one type.

    Raises:
        ValueError: the name is not a type of the Delta protocol that Qanat knows.
    """
    if isinstance(value, str):
        if value.startswith("decimal"):
            precision, _, scale = value.partition("(")[2].rstrip(")").partition(",")
            return Decimal(int(precision or 10), int(scale or 0))
        if value not in PRIMITIVES:
            raise ValueError(f"unknown Delta type {value!r}")
        return Primitive(value)
    match value["type"]:
        case "array":
            return Array(type_from_json(value["elementType"]), value["containsNull"])
        case "map":
            return MapType(
                type_from_json(value["keyType"]),
                type_from_json(value["valueType"]),
                value["valueContainsNull"],
            )
        case "struct":
            return Struct(tuple(_field_from_json(f) for f in value["fields"]))
    raise ValueError(f"unknown Delta type {value['type']!r}")
