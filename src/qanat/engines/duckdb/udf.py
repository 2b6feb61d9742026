"""Functions of a project that SQL calls, made known to DuckDB."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from inspect import Parameter, Signature
from numbers import Real
from typing import Any

from duckdb import DuckDBPyConnection
from duckdb.func import FunctionNullHandling

from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.function import UserFunction, reserved, taken
from qanat.model.name import fold
from qanat.model.schema import Primitive

_FRACTIONS = (Primitive("double"), Primitive("float"))
_WHOLE = tuple(map(Primitive, ("byte", "short", "integer", "long")))
_CALL = "$.statements[0].node.select_list[0].class"
"""Where DuckDB's tree of a query says what it takes its only column for."""


SAYS = "__qanat_says_"
"""What the name of a function of ours begins with that gives, for arguments for which one of a
project fails, what that raises: DuckDB's TRY gives NULL and forgets it."""


class Raised(Exception):  # noqa: N818 - messages of DuckDB begin with the name, and are cut there
    """What a function of a project raised, and where."""


def install(con: DuckDBPyConnection, functions: Sequence[UserFunction]) -> None:
    """Let queries call functions, on this connection and all others of its database: all or none.

    Raises:
        DuplicateNameError: SQL has a function of that name already, or reads it as something else.
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
        if not _is_name(con, function):
            raise reserved(function)
    for function in functions:
        con.create_function(
            function.name,
            _guarded(function),
            [to_duckdb(t) for t in function.parameters],
            to_duckdb(function.returns),
            # With the other way of handling it a function may not return None, either.
            null_handling=FunctionNullHandling.SPECIAL,
        )
        con.create_function(
            f"{SAYS}{fold(function.name)}",
            _saying(function),
            [to_duckdb(t) for t in function.parameters],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )


def remove(con: DuckDBPyConnection, functions: Iterable[UserFunction]) -> None:
    """Take back what `install` did, on the same connection."""
    for function in functions:
        con.remove_function(function.name)
        con.remove_function(f"{SAYS}{fold(function.name)}")


def _is_name(con: DuckDBPyConnection, function: UserFunction) -> bool:
    """False if SQL reads a call as something else: an operator, a type, a constant."""
    arguments = ", ".join(["NULL"] * len(function.parameters))
    found = con.execute(
        "SELECT json_extract_string(json_serialize_sql(?), ?)",
        [f"SELECT {function.name}({arguments})", _CALL],
    ).fetchall()
    return found == [("FUNCTION",)]


def _guarded(function: UserFunction) -> Callable[..., Any]:
    """The function, which tells where it failed, and is not called with NULLs it does not take."""
    call, name, location = function.call, function.name, function.location
    strict = [n for n, null in enumerate(function.takes_null) if not null]
    plain, whole = isinstance(function.returns, Primitive), function.returns in _WHOLE
    numbers = _whole if whole else _number if plain else _numbers
    converts = whole or not plain or function.returns in _FRACTIONS

    def guarded(*arguments: Any) -> Any:
        if None in arguments and any(arguments[n] is None for n in strict):
            return None
        try:
            found = call(*arguments)
            return numbers(found) if converts else found
        except BaseException as error:
            # Its own line, below this one; a function of C has none, and its result not either.
            frames = traceback.extract_tb(error.__traceback__)[1:2]
            own = frames and frames[0].filename != __file__
            line = frames[0].lineno if own else location.line
            said = " ".join(str(error).split())
            kind = type(error).__name__
            what = f"{kind}: {said}" if said else kind
            raise Raised(f"{name}() raised {what}, in {location.file}:{line}") from error

    return _with_parameters(guarded, function)


def _saying(function: UserFunction) -> Callable[..., str | None]:
    """Gives what a function raises; None where it raises nothing."""
    guarded = _guarded(function)

    def saying(*arguments: Any) -> str | None:
        try:
            guarded(*arguments)
        except Raised as raised:
            return str(raised)
        return None

    return _with_parameters(saying, function)


def _with_parameters(call: Callable[..., Any], function: UserFunction) -> Callable[..., Any]:
    """A function with the parameters of another: DuckDB counts those of what it calls."""
    names = (f"a{n}" for n in range(len(function.parameters)))
    signature = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def told_by(con: DuckDBPyConnection) -> frozenset[str]:
    """The functions of a project that are installed, of which `SAYS` can be asked."""
    found = con.execute(
        "SELECT function_name FROM duckdb_functions() WHERE starts_with(function_name, ?)", [SAYS]
    ).fetchall()
    return frozenset(name.removeprefix(SAYS) for (name,) in found)


def _number(value: Any) -> Any:
    """A value as DuckDB takes it; of what is not a number in Python, it would make NULL."""
    return "nan" if isinstance(value, Real) and value != value else value


def _whole(value: Any) -> Any:
    """A whole number as it is; DuckDB would round any other one.

    Raises:
        TypeError: it is none.
    """
    if value is None or type(value) is int:
        return value
    if isinstance(value, Real | Decimal) and math.isfinite(value) and value % 1 == 0:
        return round(value)
    raise TypeError(f"it returned {value!r}, which is no whole number")


def _numbers(value: Any) -> Any:
    """The same of a value that may hold others."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(each) for each in value]
    return _number(value)
