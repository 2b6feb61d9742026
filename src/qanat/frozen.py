"""Frozen dataclasses that cost nothing until they are used.

`@dataclass` writes and compiles the methods of a class when the class is defined, which takes
about a millisecond each time; the hundred and more that a command imports took longer than
everything else that `qanat run` does where nothing is new. A command uses few of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, dataclass_transform

_COMPILING = threading.RLock()


class _Fields:
    """The attribute by which `dataclasses` knows its classes; a compiled one has its own."""

    def __get__(self, instance: object, owner: type[Frozen]) -> dict[str, Any]:
        if owner is Frozen:
            raise AttributeError(name="__dataclass_fields__", obj=owner)
        _compile(owner)
        found: dict[str, Any] = owner.__dict__["__dataclass_fields__"]
        return found


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen:
    """The base of frozen dataclasses: a subclass is one as if it had `@dataclass(frozen=True)`.

    Its methods are compiled when the first of them is called. Where there may be very many
    instances, `@dataclass(frozen=True, slots=True)` takes less memory.

    >>> class Point(Frozen):
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1, y=0)
    >>> Point(1) == Point(1, 0)
    True
    """

    __dataclass_fields__ = _Fields()

    # A compiled subclass has these methods of its own.

    def __init__(self, *args: Any, **named: Any) -> None:
        _compile(type(self))
        type(self).__init__(self, *args, **named)

    def __repr__(self) -> str:
        _compile(type(self))
        return type(self).__repr__(self)

    def __eq__(self, other: object) -> bool:
        _compile(type(self))
        return type(self).__eq__(self, other)

    def __hash__(self) -> int:
        _compile(type(self))
        return type(self).__hash__(self)


def _compile(kind: type[Frozen]) -> None:
    # Another thread may be doing it, and have got only as far as the first method.
    with _COMPILING:
        if "__dataclass_fields__" not in kind.__dict__:
            dataclass(frozen=True)(kind)
