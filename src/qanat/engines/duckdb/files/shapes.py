"""The types of Avro as shapes: their type in Arrow, and how values get there.

Each shape knows how polars is to read its bytes (`plain`, None if it cannot), makes Arrow of what
polars has read (`arrow`), and of what fastavro has read (`value`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qanat.errors import OptionError, needing
from qanat.frozen import Frozen

with needing("Avro", "avro"):
    import pyarrow as pa
    import pyarrow.compute as pc

_PLAIN = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL: Mapping[tuple[Any, Any], tuple[Any, Any]] = {
    ("int", "date"): (pa.date32(), None),
    ("int", "time-millis"): (pa.time64("us"), pa.time32("ms")),
    ("long", "time-micros"): (pa.time64("us"), None),
    ("long", "timestamp-millis"): (pa.timestamp("us", "UTC"), pa.timestamp("ms", "UTC")),
    ("long", "timestamp-micros"): (pa.timestamp("us", "UTC"), None),
    ("long", "timestamp-nanos"): (pa.timestamp("ns", "UTC"), None),
    ("long", "local-timestamp-millis"): (pa.timestamp("us"), pa.timestamp("ms")),
    ("long", "local-timestamp-micros"): (pa.timestamp("us"), None),
    ("long", "local-timestamp-nanos"): (pa.timestamp("ns"), None),
}
_DIGITS = 38


class Shape(Frozen):
    """A type of Avro.

    Args:
        type: in Arrow.
        plain: the type as polars is to read it, as JSON; None if polars cannot.
        through: a type of Arrow that a number is first, on its way.
    """

    type: Any
    plain: Any = None
    through: Any = None

    @property
    def defaults(self) -> tuple[type, ...]:
        """Types of Python, of which a default in JSON is the value itself."""
        if (
            self.through is not None
            or self.type not in _PLAIN.values()
            or self.type == pa.binary()
        ):
            return ()
        return (str,) if self.type == pa.string() else (bool, int, float)

    def arrow(self, array: Any) -> Any:
        """Values as polars has read them."""
        if array.type == self.type:
            return array
        return (array if self.through is None else array.cast(self.through)).cast(self.type)

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it."""
        return str(found) if found is not None and self.type == pa.string() else found


class Digits(Shape):
    """A decimal; its bytes may have more digits than its type."""

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it.

        Raises:
            ValueError: it has too many digits.
        """
        if found is not None and abs(found) >= 10 ** (self.type.precision - self.type.scale):
            raise ValueError(f"{found} has more than {self.type.precision} digits")
        return found


class Nothing(Shape):
    """The type of a value that is always missing."""


class Several(Shape):
    """A union of several types: text, in JSON where it is none."""

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it."""
        if found is None or isinstance(found, str):
            return found
        return json.dumps(found, default=_shown, ensure_ascii=False)


class Enum(Shape):
    """One of some symbols."""

    symbols: tuple[str, ...] = ()

    def arrow(self, array: Any) -> Any:
        """Values as polars has read them: places of symbols."""
        indexes = array.cast(pa.int32())
        known = pc.and_(pc.greater_equal(indexes, 0), pc.less(indexes, len(self.symbols)))
        if pc.all(known).as_py() is False:
            raise pa.ArrowInvalid("there is no such symbol")
        return pa.array(self.symbols, pa.string()).take(indexes)


class Items(Shape):
    """A list."""

    item: Shape = Shape(pa.null())

    def arrow(self, array: Any) -> Any:
        """Values as polars has read them."""
        array = array.cast(pa.large_list(array.type.value_type))
        return pa.LargeListArray.from_arrays(
            array.offsets, self.item.arrow(array.values), type=self.type, mask=array.is_null()
        )

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it."""
        return None if found is None else [self.item.value(v) for v in found]


class Entries(Shape):
    """A map with texts as keys."""

    item: Shape = Shape(pa.null())

    def arrow(self, array: Any) -> Any:
        """Values as polars has read them: lists of entries."""
        array = array.cast(pa.large_list(array.type.value_type))
        keys, values = array.values.flatten()
        items = self.item.arrow(values)
        return pa.MapArray.from_arrays(
            array.offsets.cast(pa.int32()),
            keys.cast(pa.string()),
            items,
            type=self.type,
            mask=array.is_null(),
        )

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it."""
        return None if found is None else [(k, self.item.value(v)) for k, v in found.items()]


class Record(Frozen):
    """A record; of a schema that is none, its only column (`whole`)."""

    parts: tuple[tuple[str, Any], ...]
    whole: bool = False

    @property
    def defaults(self) -> tuple[type, ...]:
        """None: no default in JSON is the value itself."""
        return ()

    @property
    def fields(self) -> list[Any]:
        """Its fields, in Arrow."""
        return [pa.field(name, shape.type) for name, shape in self.parts]

    @property
    def type(self) -> Any:
        """In Arrow."""
        return pa.struct(self.fields)

    @property
    def plain(self) -> Any:
        """As polars is to read it; a field without bytes is left out."""
        if self.whole:
            return self.parts[0][1].plain
        kept = [(name, shape) for name, shape in self.parts if not isinstance(shape, Nothing)]
        if not kept or any(shape.plain is None for _, shape in kept):
            return None
        fields = [{"name": f"f{i}", "type": shape.plain} for i, (_, shape) in enumerate(kept)]
        return {"type": "record", "name": "r", "fields": fields}

    def arrow(self, array: Any) -> Any:
        """Values as polars has read them."""
        return pa.StructArray.from_arrays(
            self._columns(array), fields=self.fields, mask=array.is_null()
        )

    def columns(self, array: Any) -> Any:
        """Values as polars has read them, as a table."""
        columns = [self.parts[0][1].arrow(array)] if self.whole else self._columns(array)
        return pa.Table.from_arrays(columns, schema=pa.schema(self.fields))

    def _columns(self, array: Any) -> list[Any]:
        found = iter(array.flatten())
        return [
            pa.nulls(len(array), shape.type)
            if isinstance(shape, Nothing)
            else shape.arrow(next(found))
            for _, shape in self.parts
        ]

    def value(self, found: Any) -> Any:
        """A value as fastavro has read it."""
        if self.whole:
            return {self.parts[0][0]: self.parts[0][1].value(found)}
        if found is None:
            return None
        return {name: shape.value(found[name]) for name, shape in self.parts}

    def table(self, rows: Sequence[Any]) -> Any:
        """Values that `value` has made, as a table."""
        return pa.Table.from_pylist(list(rows), schema=pa.schema(self.fields))


def shape_of(schema: Any, named: dict[str, Any], within: tuple[str, ...]) -> Any:
    """The shape of a type.

    Args:
        schema: as fastavro has parsed it.
        named: types by name, to which those in it are added.
        within: names of the types that it is in.

    Raises:
        OptionError: it contains itself.
    """
    if isinstance(schema, list):
        return _union(schema, named, within)
    if isinstance(schema, str):
        return _by_name(schema, named, within)
    kind, name = schema["type"], schema.get("name", "")
    if name:
        named[name] = schema
    match kind:
        case "record" | "error":
            inside = (*within, name)
            parts = ((f["name"], shape_of(f["type"], named, inside)) for f in schema["fields"])
            return Record(tuple(parts))
        case "enum":
            return Enum(pa.string(), "int", symbols=tuple(schema["symbols"]))
        case "array":
            item = shape_of(schema["items"], named, within)
            plain = item.plain and {"type": "array", "items": item.plain}
            return Items(pa.large_list(item.type), plain, item=item)
        case "map":
            item = shape_of(schema["values"], named, within)
            return Entries(pa.map_(pa.string(), item.type), _entries(item), item=item)
    return _logical(schema, kind)


def _by_name(name: str, named: dict[str, Any], within: tuple[str, ...]) -> Any:
    if name == "null":
        return Nothing(pa.string())
    if name in _PLAIN:
        return Shape(_PLAIN[name], name)
    if name in within:
        raise OptionError(
            f"the schema of Avro contains itself: {name}",
            wanted="a schema whose values have columns",
        )
    return shape_of(named[name], named, within)


def _entries(item: Any) -> Any:
    """A map as polars is to read it: its entries have the bytes of records in a list."""
    if item.plain is None:
        return None
    fields = [{"name": "k", "type": "string"}, {"name": "v", "type": item.plain}]
    entry = {"type": "record", "name": "e", "fields": fields}
    return {"type": "array", "items": entry}


def _logical(schema: Mapping[str, Any], kind: Any) -> Shape:
    logical = schema.get("logicalType")
    if logical == "decimal" and 0 < schema.get("precision", 0) <= _DIGITS:
        precision, scale = schema["precision"], schema.get("scale", 0)
        return Digits(pa.decimal128(precision, scale), _unnamed(schema))
    if kind == "fixed":
        return Shape(
            pa.binary(), _unnamed({k: v for k, v in schema.items() if k != "logicalType"})
        )
    if (kind, logical) in _LOGICAL:
        type_, through = _LOGICAL[kind, logical]
        return Shape(type_, kind, through)
    return Shape(_PLAIN[kind], kind)


def _unnamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A type for polars."""
    given = {k: v for k, v in schema.items() if not k.startswith("__") and k != "namespace"}
    return given | ({"name": "x"} if "name" in schema else {})


def _union(schema: Sequence[Any], named: dict[str, Any], within: tuple[str, ...]) -> Any:
    others = [s for s in schema if s != "null"]
    shapes = [shape_of(s, named, within) for s in others]
    if len(shapes) != 1:
        return Several(pa.string()) if shapes else Nothing(pa.string())
    shape = shapes[0]
    if len(schema) != 2:
        return _without_plain(shape)
    plain = shape.plain and [s if s == "null" else shape.plain for s in schema]
    return _with_plain(shape, plain)


def _with_plain(shape: Any, plain: Any) -> Any:
    match shape:
        case Record():
            return _Optional(shape.parts, union=plain)
        case _:
            return type(shape)(**{n: getattr(shape, n) for n in _names(shape)} | {"plain": plain})


def _without_plain(shape: Any) -> Any:
    return _with_plain(shape, None)


def _names(shape: Any) -> tuple[str, ...]:
    more = {Enum: ("symbols",), Items: ("item",), Entries: ("item",)}
    return ("type", "plain", "through", *more.get(type(shape), ()))


class _Optional(Record):
    """A record that may be missing."""

    union: Any = None

    @property
    def plain(self) -> Any:
        """As polars is to read it."""
        return self.union


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
