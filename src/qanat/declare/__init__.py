"""From files to a `Pipeline`: the spec, SQL statements, Python decorators.

Read `find` and `spec` first (the project; `marks` reads YAML, `settings` says what it may hold),
then `files` and `library` (its files). SQL: `statements` walks with a `cursor` over `sqltext` and
hands its parts to `columns`, `rules`, `types` and `properties`. Python: `python` has the
decorators, `capture` notes what they are told, `pyfile` runs the user's file, `functions` makes
declarations of it. Both end in `query`, which finds what a query reads (`stream`, `calls`,
`options`), and `registry`, which gathers declarations and everything that is wrong with them.
`adhoc` reads a query that nobody declares. Smaller things that these share: `arguments` and
`frames` (of decorators), `names`, `syntax` (sqlglot's errors as ours).

The parsers behind these names cost a tenth of a second to import, which an update of unchanged
files need not spend: so each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qanat.declare.find import find_spec as find_spec
    from qanat.declare.library import Declared as Declared, load_pipeline as load_pipeline
    from qanat.declare.spec import load_project as load_project

_PLACES = {
    "Declared": "library",
    "find_spec": "find",
    "load_pipeline": "library",
    "load_project": "spec",
}

__all__ = ["Declared", "find_spec", "load_pipeline", "load_project"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
