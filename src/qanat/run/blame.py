"""Whose error an exception is: a function's of the project, the disk's, or Qanat's own."""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

from qanat.disk import disk_error
from qanat.errors import DeclarationError, Location, QanatError, QueryError, RunError
from qanat.model.name import Named
from qanat.model.pipeline import Dataset
from qanat.model.query import Computation, FunctionQuery
from qanat.model.record import Definition
from qanat.run.decide import Decision
from qanat.run.session import Session


def explain(error: BaseException) -> QanatError:
    """An exception that nobody foresaw: the disk refused something, or Qanat has a defect."""
    told: QanatError
    if isinstance(error, OSError):
        told = disk_error(error, "use", error.filename or "the disk")
    else:
        told = RunError(
            _named(error),
            hint="this is a defect of Qanat: please report it with what --debug shows",
        )
    told.__cause__ = error
    return told


def is_panic(error: BaseException) -> bool:
    """True if a library written in Rust has failed: PyO3 gives each a class of its own."""
    return type(error).__name__ == "PanicException"


@contextmanager
def blaming(queries: Iterable[Computation]) -> Iterator[None]:
    """Turn what a function of the project raises into an error at the function's line.

    Anything can be raised: `sys.exit()`, and the panics of Polars, are no `Exception`. Ctrl-C,
    which only the main thread gets, is not the function's.

    Raises:
        QueryError: a function raised something.
    """
    try:
        yield
    except BaseException as error:
        main = threading.current_thread() is threading.main_thread()
        if isinstance(error, KeyboardInterrupt) and main:
            raise
        raised = next((r for q in queries if (r := _raised(error, q)) is not None), None)
        if raised is None:
            raise
        raise raised from error


@contextmanager
def all_told(
    session: Session, dataset: Dataset, decision: Decision, definitions: Named[Definition]
) -> Iterator[None]:
    """Where an update meets a mistake in a declaration, tell of all that the declaration has.

    Args:
        decision: what the update does with the dataset.
        definitions: of all datasets, as last run.

    Raises:
        QanatError: the block's own; if that is the author's to mend, all of them as one.
    """
    try:
        yield
    except QanatError as error:
        if error.exit_code != DeclarationError.exit_code:
            raise
        # Imported only here: an update without mistakes need not load the parser.
        mistakes = import_module("qanat.run.mistakes")
        raise mistakes.all_mistakes(session, dataset, decision, definitions, error) from error


def _raised(error: BaseException, query: Computation) -> QueryError | None:
    """The error of a function of the project, at its line; None if it did not pass there."""
    if not isinstance(query, FunctionQuery):
        return None
    code = getattr(inspect.unwrap(query.function), "__code__", None)
    raised = error.__cause__ if isinstance(error, QanatError) else error
    if code is None or raised is None:
        return None
    trace = traceback.extract_tb(raised.__traceback__)
    mine = [f for f in trace if f.filename == code.co_filename]
    if not mine:
        return None
    return QueryError(
        f"{query.function.__name__} raised {_named(raised)}",
        location=Location(query.location.file, mine[-1].lineno),
    )


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
