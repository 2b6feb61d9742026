"""What the result of a Python function depends on beside its own text, as far as values can say.

A function that takes data frames is not called until its dataset is computed, so what stands for
it in a definition is its text. A decorator's argument, a constant of the module or a helper may
decide the result just as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import Any

from qanat.declare.pyfile import is_users

_PLAIN = (str, bytes, int, float, bool, NoneType)


def closure_of(function: object, root: Path) -> str:
    """The values that a function uses, one per line; empty if it uses none.

    These are its defaults, what it was made with (closures), and the names of its module: plain
    values and lists or mappings of them, functions of the project with what these use, and the
    files of the project's modules. Of all else, and of what a function reads when it runs, nothing
    is known here.

    Args:
        root: the project's folder.

    >>> def times(factor):
    ...     def scale(batch):
    ...         return batch * factor
    ...     return scale
    >>> print(closure_of(times(2), Path(".")))
    factor = 2
    """
    return "\n".join(_used(function, root, set()))


def _used(function: object, root: Path, seen: set[int]) -> Iterator[str]:
    function = inspect.unwrap(function) if callable(function) else function
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    values = {**_defaults(function), **_outer(function)}
    for name in sorted(values):
        value = values[name]
        if isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            if file and is_users(Path(file), root):
                digest = blake2b(Path(file).read_bytes(), digest_size=8).hexdigest()
                yield f"{name} = module {digest}"
        elif isinstance(value, FunctionType):
            if is_users(Path(value.__code__.co_filename), root):
                yield f"{name} = {inspect.getsource(value).strip()}"
                yield from _used(value, root, seen)
        elif _is_plain(value):
            yield f"{name} = {value!r}"


def _defaults(function: FunctionType) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _outer(function: FunctionType) -> dict[str, Any]:
    """What the names in a function's body mean outside it."""
    found = inspect.getclosurevars(function).nonlocals
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    return {**{n: v for n, v in function.__globals__.items() if n in names}, **found}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_plain(value: object) -> bool:
    """Whether its `repr` says all of it, and the same in every process."""
    if type(value) in _PLAIN or isinstance(value, Enum):
        return True
    if isinstance(value, Mapping):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return type(value) in (list, tuple) and all(map(_is_plain, value))  # type: ignore[call-overload]
