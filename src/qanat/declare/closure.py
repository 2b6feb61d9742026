"""What the result of a Python function depends on beside its own text, as far as values can say.

A function that takes data frames is not called until its dataset is computed, so what stands for
it in a definition is its text. A decorator's argument, a constant of the module or a helper may
decide the result just as well.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from qanat.declare.pyfile import is_users
from qanat.text import digest

_PLAIN = (str, bytes, int, float, bool, type(None))
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_DEEPEST = 20
"""Lists in lists of which more is not looked at: one may contain itself."""


def closure_of(function: object, root: Path) -> str:
    """The values that a function uses, one per line; empty if it uses none.

    These are its defaults, what it was made with (closures), and the names of its module: plain
    values, lists and mappings of them, and functions of the project with what these use. Values
    are told by digests only, because a definition is stored and one of them may be a secret. Of
    what a function reads when it runs, nothing is known here.

    Args:
        root: the project's folder.

    >>> def times(factor):
    ...     def scale(batch):
    ...         return batch * factor
    ...     return scale
    >>> print(closure_of(times(2), Path(".")))
    factor = int 34e0318ae29ab2f05a154df4c82c8813
    """
    return "\n".join(_used(function, root, set()))


def _used(function: object, root: Path, seen: set[int]) -> Iterator[str]:
    function = inspect.unwrap(function) if callable(function) else function
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    values = {**_globals(function), **_closure(function), **_defaults(function)}
    for name, value in sorted(values.items()):
        if isinstance(value, FunctionType):
            if is_users(Path(value.__code__.co_filename), root):
                yield f"{name} = function {digest(_source(value))}"
                yield from _used(value, root, seen)
        elif (text := _text(value, _DEEPEST)) is not None:
            yield f"{name} = {type(value).__name__} {digest(text)}"


def _source(function: FunctionType) -> str | bytes:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return function.__code__.co_code  # made by a program, without a text


def _defaults(function: FunctionType) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _closure(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # it has no value yet
    return found


def _globals(function: FunctionType) -> dict[str, Any]:
    """What the names in a function's body mean in its module."""
    names = {
        str(step.argval)
        for code in _codes(function.__code__)
        for step in dis.get_instructions(code)
        if step.opname in _GLOBAL
    }
    return {name: value for name, value in function.__globals__.items() if name in names}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _text(value: object, depth: int) -> str | None:
    """All of a value as text, the same in every process; None if that cannot be told."""
    if isinstance(value, Enum):
        return str(value)
    if type(value) in _PLAIN:
        return repr(value)
    parts: list[object]
    match value:
        case dict() if type(value) is dict:
            parts = [part for pair in value.items() for part in pair]
        case list() | tuple() | set() | frozenset() if type(value).__module__ == "builtins":
            parts = list(value)
        case _:
            return None
    texts = [_text(part, depth - 1) if depth else None for part in parts]
    told = [text for text in texts if text is not None]
    if len(told) < len(texts):
        return None
    return ",".join(sorted(told) if isinstance(value, set | frozenset) else told)
