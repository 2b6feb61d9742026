"""Functions of a project that SQL calls, made known to DuckDB."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, Signature
from typing import Any

from duckdb import DuckDBPyConnection
from duckdb.func import FunctionNullHandling

from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.function import UserFunction, taken
from qanat.model.name import fold

_SPECIAL, _DEFAULT = FunctionNullHandling.SPECIAL, FunctionNullHandling.DEFAULT


class Raised(Exception):  # noqa: N818 - messages of DuckDB begin with the name, and are cut there
    """What a function of a project raised, and where."""


def install(con: DuckDBPyConnection, functions: Sequence[UserFunction]) -> None:
    """Let queries call functions, on this connection and all others of its database: all or none.

    Raises:
        DuplicateNameError: SQL has a function of that name already.
    """
    named = [fold(f.name) for f in functions]
    found = con.execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
        "WHERE list_contains(?::VARCHAR[], lower(function_name))",
        [named],
    ).fetchall()
    for function in functions:
        # DuckDB takes a function of the same name for one more form of its own.
        if (fold(function.name),) in found:
            raise taken(function)
    for function in functions:
        con.create_function(
            function.name,
            _guarded(function),
            [to_duckdb(t) for t in function.parameters],
            to_duckdb(function.returns),
            null_handling=_SPECIAL if any(function.takes_null) else _DEFAULT,
        )


def remove(con: DuckDBPyConnection, functions: Iterable[UserFunction]) -> None:
    """Take back what `install` did, on the same connection."""
    for function in functions:
        con.remove_function(function.name)


def _guarded(function: UserFunction) -> Callable[..., Any]:
    """The function, which tells where it failed, and is not called with NULLs it does not take."""
    call, name, location = function.call, function.name, function.location
    strict = [n for n, null in enumerate(function.takes_null) if not null]
    # Where no argument may be NULL, DuckDB does not call it.
    skipped = strict if any(function.takes_null) else []

    def guarded(*arguments: Any) -> Any:
        if skipped and any(arguments[n] is None for n in skipped):
            return None
        try:
            return call(*arguments)
        except BaseException as error:
            # Its own line, below this one; a function of C has none.
            frames = traceback.extract_tb(error.__traceback__)[1:2]
            line = frames[0].lineno if frames else location.line
            said = " ".join(str(error).split())
            kind = type(error).__name__
            what = f"{kind}: {said}" if said else kind
            raise Raised(f"{name}() raised {what}, in {location.file}:{line}") from error

    # DuckDB counts the parameters of what it calls.
    names = (f"a{n}" for n in range(len(function.parameters)))
    signature = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])
    guarded.__signature__ = signature  # type: ignore[attr-defined]
    return guarded
