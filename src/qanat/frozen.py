"""Frozen dataclasses that cost nothing until they are used.

`@dataclass` writes and compiles the methods of a class when the class is defined, which takes
about a millisecond each time; the hundred and more that a command imports took longer than
everything else that `qanat run` does where nothing is new. A command uses few of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from inspect import get_annotations
from typing import Any, dataclass_transform

_LOCK = threading.RLock()
_COMPILING: set[type] = set()
"""The classes that are being compiled."""
_LAST = "__match_args__"
"""The attribute that `dataclass` gives a class last: a class that has it is compiled."""


class _Later:
    """An attribute that a class has once it is compiled.

    Args:
        name: the attribute's.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type[Frozen]) -> Any:
        if owner is not Frozen:
            _compile(owner)
            if self._name in owner.__dict__:
                return owner.__dict__[self._name]
        text = f"type object {owner.__name__!r} has no attribute {self._name!r}"
        raise AttributeError(text, name=self._name, obj=owner)


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

    __dataclass_fields__ = _Later("__dataclass_fields__")
    __dataclass_params__ = _Later("__dataclass_params__")
    # A compiled class has no such attribute; `inspect` then looks at its `__init__`.
    __signature__ = _Later("__signature__")

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        # The `__init__` of a compiled base is for the fields of the base only; a subclass with
        # more would inherit that one, instead of `Frozen.__init__`, which compiles.
        if cls.__bases__ != (Frozen,) and get_annotations(cls):
            _compile(cls)

    # A compiled class has these methods of its own.

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

    def __setattr__(self, name: str, value: Any) -> None:
        _compile(type(self))
        type(self).__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        _compile(type(self))
        type(self).__delattr__(self, name)


# Not in the body: mypy takes it there for the arguments of `Frozen` itself.
setattr(Frozen, _LAST, _Later(_LAST))


def compile_all() -> None:
    """Compile all classes that are known by now, for processes that are forked from this one."""
    waiting = [*Frozen.__subclasses__()]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        _compile(kind)


def _compile(kind: type[Frozen]) -> None:
    if kind is Frozen:
        raise TypeError("Frozen is the base of dataclasses, and has no instances")
    # Another thread may be doing it, and have got only as far as the first method.
    with _LOCK:
        # `dataclass` itself asks for the signature of a class that has no docstring.
        if _LAST not in kind.__dict__ and kind not in _COMPILING:
            _COMPILING.add(kind)
            try:
                dataclass(frozen=True)(kind)
            finally:
                _COMPILING.discard(kind)
