"""Functions of a project that its queries call: one value for the values of one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from qanat.errors import DuplicateNameError, Location
from qanat.frozen import Frozen
from qanat.model.schema import DataType


class UserFunction(Frozen):
    """A Python function that SQL can call.

    It gives the same result for the same arguments: an engine may call it once for several rows
    that are alike, and again when it computes rows once more.

    Args:
        name: by which SQL calls it.
        parameters: the type of each argument.
        takes_null: of each argument, whether the function is called where it is NULL. Elsewhere
            its result is NULL then.
        returns: the type of its result.
        text: what decides its results, for definitions: its text, and digests of what it uses.
        location: where its author wrote it.
        call: the function itself.
    """

    name: str
    parameters: tuple[DataType, ...]
    takes_null: tuple[bool, ...]
    returns: DataType
    text: str
    location: Location
    call: Callable[..., Any] = field(compare=False, repr=False)


def taken(function: UserFunction) -> DuplicateNameError:
    """The error for a function whose name SQL has already."""
    return DuplicateNameError(
        f"SQL has a function {function.name}() already",
        location=function.location,
        hint=f"give yours another name: @udf(name='my_{function.name}')",
    )


def reserved(function: UserFunction) -> DuplicateNameError:
    """The error for a function that SQL cannot call: its name means something else there."""
    return DuplicateNameError(
        f"{function.name}(…) means something else in SQL",
        location=function.location,
        hint=f"give yours another name: @udf(name='my_{function.name}')",
    )
