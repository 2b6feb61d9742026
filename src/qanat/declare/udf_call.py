"""Makes a function that SQL can call of a call of `@udf`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from datetime import date, datetime
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from qanat.declare.arguments import names_of, text_of
from qanat.declare.capture import UdfCall
from qanat.declare.closure import closure_of
from qanat.declare.registry import Registry
from qanat.declare.types import parse_type
from qanat.errors import Location, PythonFileError
from qanat.model.function import UserFunction
from qanat.model.schema import Array, DataType, Primitive

_TYPES: dict[Any, DataType] = {
    bool: Primitive("boolean"),
    int: Primitive("long"),
    float: Primitive("double"),
    str: Primitive("string"),
    bytes: Primitive("binary"),
    date: Primitive("date"),
    datetime: Primitive("timestamp_ntz"),
}
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_WAYS = "int, float, str, bool, bytes, date, datetime, or list[…] of one of them"


def function_of_call(
    call: UdfCall, at: Location, registry: Registry, helpers: str
) -> UserFunction:
    """The function that a call declares.

    Args:
        at: where the function is written.
        registry: knows the project's folder and dialect.
        helpers: a digest of the project's modules that its file imports; empty if there are none.

    Raises:
        PythonFileError: an argument or annotation has a type that SQL does not have.
        TypeNameError: a text is no type of SQL.
    """
    name = text_of("name", call.name, call.location)
    if not _NAME.fullmatch(name):
        raise PythonFileError(
            f"SQL cannot call a function {name!r}",
            location=call.location,
            wanted="letters, digits and _",
            hint="@udf(name=…) gives it another name",
        )
    own = _text(call)
    parameters = _parameters(call, at)
    dialect = registry.project.dialect
    given = names_of("parameters", call.parameters, call.location)
    if call.parameters is not None and len(given) != len(parameters):
        raise PythonFileError(
            "@udf(parameters=…) does not fit the function",
            location=call.location,
            wanted=f"{len(parameters)} types, as {name}() has parameters",
            got=f"{len(given)} types",
        )
    types, nulls = [], []
    for number, parameter in enumerate(parameters):
        annotation, null = _optional(parameter.annotation)
        nulls.append(null)
        if given:
            types.append(parse_type(given[number], dialect, call.location))
        else:
            hint = f"annotate it, or write @udf(parameters=[…]) before {name}"
            types.append(_type(annotation, f"parameter {parameter.name!r} of {name}()", at, hint))
    if call.return_type is not None:
        text = text_of("return_type", call.return_type, call.location)
        returns = parse_type(text, dialect, call.location)
    else:
        annotation, _ = _optional(_signature(call, at).return_annotation)
        hint = f'annotate it, or write @udf("DECIMAL(10, 2)") before {name}, say'
        returns = _type(annotation, f"the result of {name}()", at, hint)
    used = closure_of(call.function, registry.project.root).splitlines()
    used += [f"the project's modules {helpers}"] if helpers else []
    text = "\n".join([own, *(f"# with {line}" for line in used)])
    return UserFunction(name, tuple(types), tuple(nulls), returns, text, at, call.function)


def _text(call: UdfCall) -> str:
    """The text of a function: that of its decorator, too, and so of types that stand there."""
    try:
        return inspect.getsource(call.function)
    except (TypeError, OSError) as error:
        raise PythonFileError(
            f"{call.name}() has no text, by which a change of it would be seen",
            location=call.location,
            wanted="a function that a file of the project defines",
            hint=f"def {call.name}(…): return …, with @udf before it",
        ) from error


def _signature(call: UdfCall, at: Location) -> inspect.Signature:
    try:
        return inspect.signature(call.function, eval_str=True)
    except (NameError, AttributeError, TypeError) as error:
        raise PythonFileError(
            f"an annotation of {call.name}() means nothing here: {error}",
            location=at,
            hint="import what it names outside `if TYPE_CHECKING`",
        ) from error


def _parameters(call: UdfCall, at: Location) -> Sequence[Parameter]:
    parameters = list(_signature(call, at).parameters.values())
    for parameter in parameters:
        if parameter.kind not in _POSITIONAL:
            raise PythonFileError(
                f"parameter {parameter.name!r} of {call.name}() is none that SQL can give",
                location=at,
                wanted="parameters that are given by their place, each with a name",
            )
    if not parameters:
        raise PythonFileError(
            f"{call.name}() has no parameters",
            location=at,
            wanted="a function of the values of a row",
            hint="write what it returns into the query, or as ${…} into the configuration",
        )
    return parameters


def _optional(annotation: Any) -> tuple[Any, bool]:
    """An annotation without None, and whether it allowed that."""
    if get_origin(annotation) in (Union, UnionType):
        others = [a for a in get_args(annotation) if a is not NoneType]
        if len(others) == 1:
            return others[0], True
    return annotation, False


def _type(annotation: Any, what: str, at: Location, hint: str) -> DataType:
    found = _TYPES.get(annotation) if isinstance(annotation, type) else None
    if found is not None:
        return found
    if get_origin(annotation) is list and len(get_args(annotation)) == 1:
        inner, _ = _optional(get_args(annotation)[0])
        return Array(_type(inner, what, at, hint))
    none = annotation is Parameter.empty
    raise PythonFileError(
        f"{what} has no type" if none else f"{what} has a type that SQL does not have",
        location=at,
        wanted=_WAYS,
        got=None if none else inspect.formatannotation(annotation),
        hint=hint,
    )
