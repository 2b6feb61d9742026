"""Makes a flow of a call of `create_auto_cdc_from_snapshot_flow`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from qanat.declare.capture import Function, SnapshotsCall
from qanat.declare.cdc_call import SPELLING, Arguments
from qanat.declare.changes import check_changes
from qanat.declare.cursor import SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, quoted
from qanat.errors import PythonFileError
from qanat.model.chosen import EVERY
from qanat.model.pipeline import Flow
from qanat.model.query import FunctionQuery, Query
from qanat.model.snapshots import Snapshots

_QUERIES = ("SELECT", "WITH", "FROM", "VALUES")


def flow_of_snapshots(
    call: SnapshotsCall, registry: Registry, text_of: Callable[[Function], str]
) -> Flow:
    """The flow that a call declares.

    Args:
        call: the call.
        registry: knows the dialect and the prefixes of names.
        text_of: gives the source text of a function, and what it uses.

    Raises:
        PythonFileError: an argument has a wrong type, or two of them exclude each other.
        SqlSyntaxError, UnsupportedError: the source is SQL that is wrong, or some parts do not go
            together.
        OptionError: the configuration lacks a value.
    """
    read = Arguments(call.arguments, call.location, registry)
    target = read.dataset("target", call.target)
    if call.function is None:
        query: Query = _query(read, call.source, target)
    else:
        _check_function(read, call.function)
        text = text_of(call.function)
        query = FunctionQuery(call.function, text, (), (), "any", call.location)
    tracked = read.chosen("track_history_") or EVERY
    changes = Snapshots(read.keys(), (), scd=read.scd(), tracked=tracked)
    check_changes(changes, SPELLING, {}, call.location)
    return Flow(target, target, query, call.location, bool(call.once), changes)


def _query(read: Arguments, source: Any, owner: str) -> Query:
    """A query of a source: the name of a dataset, or SQL."""
    written = read.text("source", source)
    dialect = read.project.dialect
    words = written.split()
    if "(" not in written and len(words) == 1:
        parts = read.dataset("source", source).split(".")
        written = "SELECT * FROM " + ".".join(quoted(p, dialect) for p in parts)
    elif words[0].upper() not in _QUERIES:
        written = f"SELECT * FROM {written}"
    text = SqlText.of_function(written, read.at)
    tokens = text.tokens(dialect)
    return parse_query(text, tokens, owner, read.project, read.registry.connectors)


def _check_function(read: Arguments, function: Function) -> None:
    """Refuse what cannot be called with the version of the last snapshot.

    Raises:
        PythonFileError: it takes another number of arguments, or is no plain function.
    """
    wanted = "a function of one argument, the version of the last snapshot: def next(latest): …"
    if getattr(inspect.unwrap(function), "__code__", None) is None:
        raise PythonFileError(
            "source is no plain function",
            location=read.at,
            wanted=wanted,
            got=type(function).__name__,
            hint="make it one: lambda latest: …",
        )
    signature = inspect.signature(function)
    try:
        signature.bind(None)
    except TypeError:
        raise PythonFileError(
            f"source takes other arguments: {function.__name__}{signature}",
            location=read.at,
            wanted=wanted,
        ) from None
