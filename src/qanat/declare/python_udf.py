"""The part of the Python interface that gives SQL functions: `@udf`.

from qanat import pipelines as dp


@dp.udf
def initials(name: str) -> str:
    return "".join(word[0] for word in name.split())

Any query and rule of the project can call it then: `SELECT initials(name) FROM …`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from qanat.declare.capture import Function, UdfCall, active, caller
from qanat.declare.python import F
from qanat.errors import PythonFileError


@overload
def udf(function: F) -> F: ...
@overload
def udf(
    function: str | None = None,
    *,
    name: str | None = None,
    parameters: Sequence[str] | None = None,
    return_type: str | None = None,
) -> Callable[[F], F]: ...
def udf(
    function: Any = None,
    *,
    name: str | None = None,
    parameters: Sequence[str] | None = None,
    return_type: str | None = None,
) -> Any:
    """Let SQL call a Python function: one value for the values of one row.

    Types come from annotations: `int` is BIGINT, `float` DOUBLE, `str` VARCHAR, `bool` BOOLEAN,
    `bytes` BLOB, `datetime.date` DATE, `datetime.datetime` TIMESTAMP, `list[int]` BIGINT[].
    Where an argument is NULL the result is NULL and the function is not called, unless the
    annotation of that parameter allows None (`str | None`).

    A row for which it raises an error goes to quarantine as `_failed`, as where a cast fails.
    It must give the same result for the same arguments.

    Args:
        function: the function; or the type that it returns, as in `@udf("DECIMAL(10, 2)")`.
        name: by which SQL calls it; default: its own.
        parameters: the SQL type of each parameter; default: as they are annotated.
        return_type: the SQL type of the result; default: as it is annotated.
    """

    def decorate(called: Function) -> Function:
        capture = active.get()
        if capture is not None:
            where = caller(capture, __name__)
            if not callable(called):
                capture.problems.append(
                    PythonFileError(
                        "@udf stands before something that is not a function",
                        location=where,
                        wanted="@udf or @udf(return_type=…), then def …",
                    )
                )
            else:
                chosen = getattr(called, "__name__", "") if name is None else name
                returned = function if return_type is None else return_type
                capture.functions.append(UdfCall(chosen, where, called, parameters, returned))
        return called

    if function is None or isinstance(function, str):
        return decorate
    called, function = function, None
    return decorate(called)
