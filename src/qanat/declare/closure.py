"""What the result of a Python function depends on beside its own text, as far as values can say.

A function that takes data frames is not called until its dataset is computed, so what stands for
it in a definition is its text. A decorator's argument, a constant of the module or a helper may
decide the result just as well.
"""

from __future__ import annotations

import dis
import functools
import inspect
import re
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from tokenize import TokenError
from types import CodeType, FunctionType, MappingProxyType, MethodType, SimpleNamespace
from typing import Any, cast

from qanat.declare.pyfile import is_users
from qanat.digest import digest

_PLAIN = {str, bytes, bytearray, int, float, complex, bool, type(None), type(...), range}
_PLAIN_MODULES = {"datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo"}
"""Of values of these types, and of these modules' own types, `repr` says all."""
_COLLECTIONS = {list, tuple, dict, set, frozenset}
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_DEEPEST = 20
"""Lists in lists of which more is not looked at: one may contain itself."""
_FARTHEST = 100
"""Steps from the function beyond which nothing is looked at."""
_MOST = 100
"""Lines; a list of objects may have thousands."""
_OF_EVERY_CLASS = {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__"} | {
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__firstlineno__", "__static_attributes__"),
}
_FORMS: dict[type, tuple[str, ...]] = {
    functools.partial: ("func", "args", "keywords"),
    MethodType: ("__func__", "__self__"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset"),
    functools.cached_property: ("func",),
    functools.partialmethod: ("func", "args", "keywords"),
}
"""What is inside of the forms that a function may take."""
_HOLDERS = (list, tuple, dict, deque, MappingProxyType, SimpleNamespace)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def closure_of(function: object, root: Path) -> str:
    """The values that a function uses, one per line; empty if it uses none.

    These are its defaults, what it was made with (closures), and the names of its module: plain
    values, lists and mappings of them, and the project's functions, classes and their objects with
    what these use. A wrapper (`functools.wraps`, `cache`, `partial`) counts with what it wraps.
    Values are told by digests only, because a definition is stored and one of them may be a
    secret. Of what a function reads when it runs, nothing is known here.

    Args:
        function: what computes the dataset.
        root: the project's folder.

    >>> def times(factor):
    ...     def scale(batch):
    ...         return batch * factor
    ...     return scale
    >>> print(closure_of(times(2), Path(".")))
    factor = int 34e0318ae29ab2f05a154df4c82c8813
    """
    innermost = inspect.unwrap(function) if callable(function) else function
    walk = _Walk(root, innermost)
    walk.look("the function", function, _FARTHEST)
    told, rest = walk.lines[:_MOST], walk.lines[_MOST:]
    more = [f"{len(rest)} more = {digest(*rest)}"] if rest else []
    return "\n".join([*told, *more])


class _Walk:
    """From one function to all that it uses.

    Args:
        root: the project's folder.
        written: the function whose text stands in the definition already.
    """

    def __init__(self, root: Path, written: object) -> None:
        self.root = root
        self.written = written
        self.lines: list[str] = []
        # The objects are held: the identity of one that is gone may become another's.
        self.seen: dict[int, tuple[str, object]] = {}

    def look(self, name: str, value: object, depth: int) -> None:
        text = _text(value, _DEEPEST)
        if text is not None:
            self._tell(name, type(value).__name__, text)
        elif id(value) in self.seen:
            self.lines.append(f"{name} = {self.seen[id(value)][0]}")
        elif depth:
            self.seen[id(value)] = (name, value)
            for part, inner in self._inside(name, value):
                self.look(part, inner, depth - 1)
            wrapped = inspect.getattr_static(value, "__wrapped__", None)
            if callable(wrapped):
                self.look(f"{name}, wrapped", wrapped, depth - 1)

    def _tell(self, name: str, kind: str, text: str | bytes) -> None:
        self.lines.append(f"{name} = {kind} {digest(text)}")

    def _inside(self, name: str, value: object) -> Iterable[tuple[str, object]]:
        """What a value is made of, with names; the value's own text is told here."""
        # By its type: `isinstance` asks the value, and a proxy answers for what it stands for.
        kind = type(value)
        if kind is FunctionType:
            return self._function(name, cast(FunctionType, value))
        if issubclass(kind, type):
            return self._class(name, cast(type, value))
        for form, parts in _FORMS.items():
            if issubclass(kind, form):
                return [(f"{name}, {part.strip('_')}", getattr(value, part)) for part in parts]
        if not self._is_users(kind) and not issubclass(kind, _HOLDERS):
            return self._of_package(name, value)
        return self._object(name, value)

    def _of_package(self, name: str, value: object) -> Iterable[tuple[str, object]]:
        """Of what is not the project's, only which it is: its content is its version's."""
        called = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        if isinstance(called, str):
            self._tell(name, "name", f"{getattr(value, '__module__', None)}.{called}")
        return ()

    def _object(self, name: str, value: object) -> Iterable[tuple[str, object]]:
        found: dict[object, object] = {}
        kind = type(value)
        for base in kind.__mro__:
            for slot in _list(vars(base).get("__slots__", ())):
                private = slot.startswith("__") and not slot.endswith("__")
                slot = f"_{base.__name__.lstrip('_')}{slot}" if private else slot
                with suppress(AttributeError):
                    found[slot] = object.__getattribute__(value, slot)
        with suppress(AttributeError):
            found |= object.__getattribute__(value, "__dict__")
        parts = [(f"{name}, class", kind)] if self._is_users(kind) else []
        return [*parts, *_elements(name, value), *_sorted(found)]

    def _function(self, name: str, function: FunctionType) -> Iterable[tuple[str, object]]:
        # A package's text is its version's, but what its function wraps is the project's.
        if not is_users(Path(function.__code__.co_filename), self.root):
            self._of_package(name, function)
            return _sorted(_closure(function))
        if function is not self.written:
            self._tell(name, "function", _source(function))
        return _sorted({**_globals(function), **_closure(function)}) + _defaults(function)

    def _class(self, name: str, kind: type) -> Iterable[tuple[str, object]]:
        if not self._is_users(kind):
            return self._of_package(name, kind)
        members = {n: m for n, m in vars(kind).items() if n not in _OF_EVERY_CLASS}
        fields = [f"{n}: {_annotation(a)}" for n, a in _annotations(kind).items()]
        self._tell(name, "class", "\n".join([*sorted(members), *fields]))
        return [(f"{name}, base", base) for base in kind.__bases__] + _sorted(members)

    def _is_users(self, kind: type) -> bool:
        """True for the project's own classes: its modules are gone once its files have run."""
        module = sys.modules.get(str(kind.__module__))
        if module is None:
            return True
        file = getattr(module, "__file__", None)
        return file is not None and is_users(Path(file), self.root)


def _list(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _elements(name: str, value: object) -> list[tuple[str, object]]:
    """What a collection holds, or a text or number that has a class of its own is."""
    kind = type(value)
    found: list[object] = []
    if issubclass(kind, dict):
        found = [part for pair in dict.items(cast("dict[Any, Any]", value)) for part in pair]
        if issubclass(kind, defaultdict):
            found.append(cast("defaultdict[Any, Any]", value).default_factory)
    elif issubclass(kind, MappingProxyType):
        found = [part for pair in cast("Mapping[Any, Any]", value).items() for part in pair]
    for holder in (list, tuple, deque):
        if issubclass(kind, holder):
            found = list(holder.__iter__(cast("Any", value)))
    for plain in (str, bytes, int, float):
        if issubclass(kind, plain):
            found = [plain(cast("Any", value))]
    return [(f"{name}[{number}]", part) for number, part in enumerate(found)]


def _sorted(values: Mapping[Any, object]) -> list[tuple[str, object]]:
    return sorted(((str(name), value) for name, value in values.items()), key=lambda pair: pair[0])


def _annotation(annotation: object) -> str:
    text = _ADDRESS.sub("", inspect.formatannotation(annotation))
    # A set may stand in it, and is written in another order by each process.
    return "".join(sorted(text)) if "{" in text else text


def _annotations(kind: type) -> dict[str, Any]:
    try:
        return inspect.get_annotations(kind)
    except (NameError, AttributeError, TypeError):  # of a type imported for type checkers only
        return {}


def _source(function: FunctionType) -> str:
    try:
        return inspect.getsource(function.__code__)  # `function` would mean what it wraps
    except (OSError, TypeError, SyntaxError, TokenError):
        # It was made by a program, or Python does not find its end.
        codes = list(_codes(function.__code__))
        values = [_text(value, _DEEPEST) for code in codes for value in code.co_consts]
        return repr([(code.co_code, code.co_names) for code in codes] + values)


def _defaults(function: FunctionType) -> list[tuple[str, object]]:
    values: dict[str, object] = {str(n): v for n, v in enumerate(function.__defaults__ or ())}
    values |= function.__kwdefaults__ or {}
    return [(f"default {name}", value) for name, value in values.items()]


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
    kind = type(value)
    if kind is int and cast(int, value).bit_length() > 10_000:
        return hex(cast(int, value))  # of so many digits Python writes no decimals
    if kind in _PLAIN:
        return repr(value)
    if str(kind.__module__).partition(".")[0] in _PLAIN_MODULES:
        return _ADDRESS.sub("", repr(value))  # a time may be of a zone of the project's own
    if kind is re.Pattern:
        pattern = cast("re.Pattern[Any]", value)
        return repr((pattern.pattern, pattern.flags))
    if issubclass(kind, Enum):
        inner = _text(cast(Enum, value).value, depth - 1) if depth else None
        return None if inner is None else f"{cast(Enum, value).name} {inner}"
    if kind not in _COLLECTIONS or not depth:
        return None
    parts: Iterable[object] = cast("Iterable[object]", value)
    if kind is dict:
        parts = [part for pair in cast("dict[Any, Any]", value).items() for part in pair]
    texts = [_text(part, depth - 1) for part in parts]
    told = [text for text in texts if text is not None]
    if len(told) < len(texts):
        return None
    return f"{kind.__name__}({','.join(sorted(told) if kind in (set, frozenset) else told)})"
