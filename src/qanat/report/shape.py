"""How a result becomes a JSON object: a list of keys over its dataclass, and nothing twice.

A `Shape` names the keys of a document in their order. Where a key is a field of the dataclass,
its type, and the way its value is written, come from there; so do the JSON schema and the
reference. Only what the dataclass does not have itself is computed, and says its type.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import Enum
from functools import lru_cache
from typing import Any, get_type_hints

from qanat.errors import QanatError
from qanat.frozen import Frozen


class Key(Frozen):
    """One key of an object.

    Args:
        name: of the key.
        path: where its value is, such as `counts.written`; empty: the field of that name.
        of: the type of a computed value; None: the field's own.
        make: computes it from the dataclass's value; None: what stands at `path`.
    """

    name: str
    path: str = ""
    of: Any = None
    make: Callable[[Any], Any] | None = None


class Shape(Frozen):
    """The JSON object of one dataclass.

    Args:
        name: as the reference calls it.
        of: the dataclass, or what a document is made from if that is no dataclass.
        keys: in order; a text is the field of that name.
        text: what the reference says of it.
    """

    name: str
    of: Any
    keys: tuple[Key | str, ...]
    text: str

    @property
    def columns(self) -> tuple[Key, ...]:
        """All keys as `Key`."""
        return tuple(Key(k) if isinstance(k, str) else k for k in self.keys)


def type_of(shape: Shape, key: Key) -> Any:
    """The type of a key's value, as the dataclass declares it."""
    if key.of is not None:
        return key.of
    type_ = shape.of
    for part in (key.path or key.name).split("."):
        type_ = _hints(type_)[part]
    return type_


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    for name, member in vars(kind).items():
        if isinstance(member, property) and member.fget is not None:
            hints[name] = get_type_hints(member.fget)["return"]
    return hints


class Shapes:
    """Shapes by the dataclass that they are of."""

    def __init__(self, *shapes: Shape) -> None:
        self._by_type = {s.of: s for s in shapes}

    def get(self, kind: Any) -> Shape | None:
        """The shape of a dataclass; None if it has none."""
        return self._by_type.get(kind)

    def write(self, shape: Shape, value: Any) -> dict[str, Any]:
        """The object of a value."""
        return {key.name: self.plain(_value(key, value)) for key in shape.columns}

    def plain(self, value: Any) -> Any:
        """Any value as JSON has it: dataclasses by their shapes, the rest as rows have it.

        >>> Shapes().plain(float("nan")), Shapes().plain(b"\\x00\\xff")
        ('NaN', 'AP8=')
        """
        match value:
            case Enum():
                return value.value
            case None | bool() | int() | str():
                return value
            case float():
                return _number(value)
            case datetime() if value.tzinfo is not None:
                return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            case date() | time():  # a datetime without time zone is a date as well
                return value.isoformat()
            case bytes() | bytearray() | memoryview():
                return b64encode(bytes(value)).decode("ascii")
            case QanatError():
                return value.facts()
            case Mapping():
                return {str(self.plain(k)): self.plain(v) for k, v in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.plain(v) for v in value]
        shape = next((s for k in type(value).__mro__ if (s := self.get(k)) is not None), None)
        return str(value) if shape is None else self.write(shape, value)


def _value(key: Key, value: Any) -> Any:
    if key.make is not None:
        return key.make(value)
    for part in (key.path or key.name).split("."):
        value = getattr(value, part)
    return value


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def rows_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows as objects by column name, their values as JSON has them."""
    write = Shapes().plain
    return [{n: write(v) for n, v in zip(names, row, strict=True)} for row in rows]
