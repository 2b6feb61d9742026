"""DataFusion's errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from qanat.errors import (
    AdapterError,
    ColumnNotFoundError,
    ConversionError,
    DatasetNotFoundError,
    FileUnreadableError,
    FunctionNotFoundError,
    Location,
    QanatError,
    QueryError,
    SchemaMismatchError,
    SqlSyntaxError,
    StorageFullError,
    nearest,
)
from qanat.model.query import Computation, SqlQuery

About: TypeAlias = Computation | Location | None

# In this order: the first that is found in the message says what kind of error it is.
_KINDS: tuple[tuple[str, type[QanatError]], ...] = (
    (r"No space left on device", StorageFullError),
    (r"Resources exhausted", AdapterError),
    (r"Object Store error|Parquet error|IO error|No files found", FileUnreadableError),
    (r"No field named (?P<name>\S+?)\.(?:\s|$)", ColumnNotFoundError),
    (r"Invalid function '(?P<name>\w+)'", FunctionNotFoundError),
    (r"table '(?:[^']*\.)?(?P<name>[^'.]+)' not found", DatasetNotFoundError),
    (r"unique expression names|would be ambiguous|duplicate", SchemaMismatchError),
    (r"ParserError", SqlSyntaxError),
    (r"Cast error|[Oo]verflow|Parser error|Divide by zero", ConversionError),
)


@contextmanager
def explained(about: About, who: str = "") -> Iterator[None]:
    """Turn any error of DataFusion inside into the QanatError that it means.

    Args:
        about: the query, or the place of the rule, that DataFusion works on.
        who: how the message begins.
    """
    try:
        yield
    except Exception as error:
        # DataFusion raises bare ValueError while it plans, and bare Exception while it computes.
        if type(error) not in (Exception, ValueError):
            raise
        raise _meaning(str(error), about, who) from error


def _meaning(text: str, about: About, who: str) -> QanatError:
    first = text.splitlines()[0].removeprefix("DataFusion error: ")
    for pattern, kind in _KINDS:
        found = re.search(pattern, text)
        if found is None:
            continue
        name = found.groupdict().get("name", "").rpartition(".")[2].strip('"')
        if kind is ColumnNotFoundError:
            known = [
                n.strip('"') for n in re.findall(r'(\w+|"[^"]+")[,.]?(?=\s|$)', _fields(text))
            ]
            return ColumnNotFoundError(
                f"{who}no column {name!r}",
                location=_place(about, name),
                nearest=nearest(name, known),
            )
        if kind is ConversionError:
            detail = text.strip().splitlines()[-1].removeprefix("DataFusion error: ")
            return kind(f"{who}a value does not fit: {detail}", location=_place(about, name))
        return kind(f"{who}{first}", location=_place(about, name))
    return QueryError(f"{who}{first}", location=_place(about, ""))


def _fields(text: str) -> str:
    return text.partition("Valid fields are ")[2].replace(", ", " ").replace(".", " ")


def _place(about: About, name: str) -> Location | None:
    if about is None or isinstance(about, Location):
        return about
    if name and isinstance(about, SqlQuery):
        found = re.search(rf"\b{re.escape(name)}\b", about.text)
        return about.at(found.start()) if found else about.location
    return about.location
