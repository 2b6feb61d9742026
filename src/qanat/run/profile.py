"""Describe the columns of a table, of files or of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from shutil import rmtree
from time import monotonic, time
from uuid import uuid4

from qanat.model.profile import Profile, Profiled
from qanat.model.rule import Predicate
from qanat.model.work import TableBatch
from qanat.run.attempt import RunningUpdate
from qanat.run.profiles import keep_profile
from qanat.run.query import condition_of
from qanat.run.session import Session
from qanat.run.subject import Subject, subject


def profile(
    session: Session,
    name: str,
    columns: Sequence[str] = (),
    where: str | None = None,
    version: int | None = None,
) -> Profile:
    """Describe every column of what is named; all of its rows are read.

    Args:
        name: `table`, `table__quarantine`, `table@3`, `environment:table`, the path of a file, a
            call such as `read_postgres('orders', url => '…')`, or a query.
        columns: only these, in this order; none: all.
        where: only rows for which this condition, in the project's dialect, is true.
        version: of the table; default: the newest.

    Raises:
        DatasetNotFoundError, TableNotFoundError: it is not there, or has no such version.
        ColumnNotFoundError: it has no such column.
        DeclarationError: the query or the condition does not fit.
    """
    started = monotonic()
    found = subject(session, name, "profiled", version)
    profiled = _profiled(session, found, columns, condition_of(session, where))
    seconds = monotonic() - started
    return Profile(found.dataset or name, profiled, found.version, where, seconds, time())


def profile_after(running: RunningUpdate, dataset: str) -> None:
    """Profile the table that an update has changed, and keep that."""
    found = profile(running.session, dataset)
    keep_profile(running.session, replace(found, update=running.id))


def _profiled(
    session: Session, found: Subject, columns: Sequence[str], where: Predicate | None
) -> Profiled:
    if found.plain:
        (batch,) = found.inputs.values()
        return session.engine.profile(batch, columns, where)
    # What is computed is so once: a profile reads its rows several times.
    folder = session.scratch / f"profiled-{uuid4().hex}"
    folder.mkdir(parents=True)
    # The sample is chosen by the end of a file's name, too: it must be the same each time.
    copy = folder / "rows-of-what-was-asked-for-to-be-profiled.parquet"
    try:
        with session.engine.read(found.query, found.inputs) as reading:
            schema = reading.schema
            reading.write(copy)
        return session.engine.profile(TableBatch((str(copy),), schema), columns, where)
    finally:
        rmtree(folder, ignore_errors=True)
