"""Runs a Python file of a project, and says what it declares without what parses SQL.

A file may depend on anything, so it is run each time. But as long as it declares the same, with
the same SQL, all that follows from it is the same, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any

from qanat.declare.capture import Call, Capture, Function, SnapshotsCall
from qanat.declare.frames import is_frame, returned
from qanat.declare.pyfile import blamed, isolated, run_file
from qanat.declare.spark.session import as_text
from qanat.digest import digest
from qanat.errors import Location, QanatError
from qanat.frozen import Frozen

FRAME = object()


class Captured(Frozen):
    """What a Python file declared when it was run.

    Args:
        text: its content.
        capture: the calls of its decorators.
        error: what ended it early.
        queries: for each call of `capture`, what its function returned, or the error that it
            raised; None if it has none, `FRAME` if it takes or returns data frames: then it is
            called when the dataset is run.
        helpers: a digest of the project's modules that the file imported; empty if there are none,
            or none of its functions is called later.
    """

    text: str
    capture: Capture
    error: QanatError | None
    queries: tuple[object, ...]
    helpers: str = ""

    @property
    def facts(self) -> str | None:
        """All of it as text; None if that cannot be all, or something is wrong."""
        if self.error is not None or self.capture.problems or self.capture.functions:
            return None
        functions: dict[int, int] = {}
        try:
            return repr(
                [_plain(self.capture.calls, functions), _plain(self.capture.rules, functions)]
                + [self._query(n) for n in range(len(self.queries))]
            )
        except ValueError:
            return None

    def _query(self, number: int) -> str:
        query = self.queries[number]
        function = self.capture.calls[number].function
        if function is not None and not isinstance(query, str):
            raise ValueError("data frames, or an expression of another library")
        return str(query)


def run_python(path: Path, text: str, root: Path) -> Captured:
    """Run a file, and those of its functions that return SQL. Nothing is raised.

    Args:
        path: the file.
        text: its content.
        root: the project's folder.
    """
    capture = Capture(root)
    error: QanatError | None = None
    with isolated(root, path) as imported:
        try:
            run_file(path, text, capture)
        except QanatError as caught:
            error = caught
        queries = tuple(_called(c, capture, path) for c in capture.calls)
        # Of a function that returns SQL the SQL says all.
        later = capture.functions or any(query is FRAME for query in queries)
        helpers = _contents([f for f in imported() if f != path]) if later else ""
    return Captured(text, capture, error, queries, helpers)


def _contents(files: list[Path]) -> str:
    found = []
    for file in files:
        with suppress(OSError):  # a compiled module may have no file of its own
            found.append(file.read_bytes())
    return digest(*found) if found else ""


def _called(call: Call, capture: Capture, path: Path) -> object:
    function = call.function
    if function is None:
        return None
    try:
        with blamed(capture, path):
            signature = inspect.signature(function)
            names = getattr(function, "__globals__", {})
            kind = returned(signature.return_annotation, names)
            if signature.parameters or kind is not None or isinstance(call, SnapshotsCall):
                return FRAME
            result = as_text(function())
    except QanatError as error:
        return error
    # A frame that was not announced: it is made again when the dataset is run.
    return FRAME if is_frame(result) else result


def _plain(value: Any, functions: dict[int, int]) -> object:
    """A value of which `repr` says all.

    Raises:
        ValueError: it is none.
    """
    # A subclass of these may have a `repr` of its own.
    if type(value) in (str, int, float, bool, NoneType) or isinstance(value, Enum | Location):
        return value
    if isinstance(value, Mapping):
        return [(_plain(k, functions), _plain(v, functions)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(v, functions) for v in value]
    if isinstance(value, Frozen):
        return [type(value).__name__, *(_plain(v, functions) for v in vars(value).values())]
    if callable(value):
        return _function(value, functions)
    raise ValueError(f"{type(value).__name__} may hide something")


def _function(function: Function, functions: dict[int, int]) -> object:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise ValueError("a function without a place")
    number = functions.setdefault(id(function), len(functions))
    return number, function.__name__, code.co_filename, code.co_firstlineno
