"""JSON schemas of the documents, made from the same shapes that write them.

The dialect is JSON Schema 2020-12. Objects are closed in no schema: later releases of the same
version may add keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, EnumType
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from qanat.errors import QanatError
from qanat.report.shape import Shape, Shapes, type_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}
_LISTS = (list, tuple, Sequence, Iterable)


def schema_of(shape: Shape, shapes: Shapes, facts: Shape) -> dict[str, Any]:
    """The JSON schema of a document.

    Args:
        shapes: of everything that may stand in it.
        facts: the shape of an error.
    """
    return _Writer(shapes, facts).document(shape)


class _Writer:
    """One schema in the making, with the definitions that it refers to."""

    def __init__(self, shapes: Shapes, facts: Shape) -> None:
        self.shapes = shapes
        self.facts = facts
        self.definitions: dict[str, dict[str, Any]] = {}

    def document(self, shape: Shape) -> dict[str, Any]:
        written = self.object(shape)
        definitions = dict(sorted(self.definitions.items()))
        return {"$schema": DIALECT, **written, **({"$defs": definitions} if definitions else {})}

    def object(self, shape: Shape) -> dict[str, Any]:
        keys = shape.columns
        return {
            "title": shape.name,
            "type": "object",
            "properties": {k.name: self.value(type_of(shape, k)) for k in keys},
            "required": [k.name for k in keys],
        }

    def value(self, kind: Any) -> dict[str, Any]:
        if kind in _SIMPLE:
            return dict(_SIMPLE[kind])
        if isinstance(kind, EnumType):
            return {"enum": [member.value for member in list[Enum](kind)]}
        if isinstance(kind, type) and issubclass(kind, QanatError):
            return self.reference(self.facts)
        if get_origin(kind) is not None or isinstance(kind, UnionType):
            return self.generic(kind)
        shape = self.shapes.get(kind)
        if shape is None:
            raise TypeError(f"{kind!r} has no shape")
        return self.reference(shape)

    def generic(self, kind: Any) -> dict[str, Any]:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, UnionType):
            return self.union([self.value(a) for a in arguments])
        if origin in _LISTS:
            return {"type": "array", "items": self.value(arguments[0])}
        if origin in (dict, Mapping):
            inner = self.value(arguments[1])
            return {"type": "object", **({"additionalProperties": inner} if inner else {})}
        raise TypeError(f"{kind!r} has no JSON form")

    def union(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        if all(set(p) == {"type"} for p in parts):
            return {"type": [p["type"] for p in parts]}
        return {"anyOf": parts}

    def reference(self, shape: Shape) -> dict[str, Any]:
        if shape.name not in self.definitions:
            self.definitions[shape.name] = {}  # it may refer to itself
            self.definitions[shape.name] = self.object(shape)
        return {"$ref": f"#/$defs/{shape.name}"}
