"""Reads a project's files into a `Pipeline`: the spec, SQL statements, Python decorators.

Read `files` (where the spec and the project's files are) and `spec` first (`settings` has the keys
that it may have), then `library`, which loads the files.

SQL: `statements` moves a `cursor` over the words of a statement and parses its parts with
`columns` and `types`. Python: `python` has the decorators, `capture` stores their arguments,
`pyfile` runs the user's file, `functions` makes declarations of what was stored. Both use
`query`, which finds what a query reads (with `calls`), and `registry`, which collects
declarations and problems. `adhoc` reads a query that nobody declares. They share `arguments` and
`frames` (arguments and annotations of decorated functions) and `syntax` (sqlglot's parse errors).

Importing the parsers takes a tenth of a second, and an update of unchanged files does not need
them, so each public name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qanat.declare.files import find_spec as find_spec
    from qanat.declare.library import Declared as Declared, load_pipeline as load_pipeline
    from qanat.declare.spec import load_project as load_project

_PLACES = {
    "Declared": "library",
    "find_spec": "files",
    "load_pipeline": "library",
    "load_project": "spec",
}

__all__ = ["Declared", "find_spec", "load_pipeline", "load_project"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
