"""Look at the installation and at everything that a project has on disk; nothing is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qanat.errors import (
    MissingExtraError,
    QanatError,
    SpecNotFoundError,
    full_refresh,
    naming,
)
from qanat.model.location import is_url
from qanat.model.name import fold
from qanat.model.pipeline import Dataset
from qanat.ports.ledger import Ledger
from qanat.run.installation import installation
from qanat.run.look import truly
from qanat.run.mismatch import mismatch_of
from qanat.run.owner import check_owners
from qanat.run.results import Finding
from qanat.run.session import Session
from qanat.run.sides import state_of
from qanat.run.validate import validate
from qanat.text import count

_SCARCE, _FULL = 2**30, 100 * 2**20
"""Free bytes below which to warn, and below which nothing can be expected to work."""


def examine(
    session: Session | None, start: Path, error: QanatError | None = None
) -> tuple[Finding, ...]:
    """What is here, and what is wrong with it.

    Args:
        session: the project, or None where there is none at or above `start`, or a broken one.
        error: why there is none, if it cannot be opened.
    """
    findings = list(installation())
    if session is None:
        return (*findings, *_unopened(start, error))
    findings += _project(session)
    storage = list(_storage(session))
    findings += storage
    ledger = None
    try:
        ledger = session.recorded
        findings.append(_ledger(session, ledger))
    except QanatError as error:
        findings.append(_broken("ledger", error))
    if ledger is not None:
        findings += _updates(ledger)
    if not any(f.level == "error" for f in storage):
        findings += _tables(session, ledger)
    return tuple(findings)


def _unopened(start: Path, error: QanatError | None) -> Iterator[Finding]:
    if error is None or isinstance(error, SpecNotFoundError):
        yield Finding(
            "ok", "project", f"none at {start} or above", "`qanat init` makes a small one"
        )
        return
    for problem in error.problems:
        place = f"{problem.location}: " if problem.location else ""
        close = f" (did you mean {problem.nearest!r}?)" if problem.nearest else ""
        facts = (("wanted", problem.wanted), ("got", problem.got))
        known = "".join(f"; {label}: {value}" for label, value in facts if value)
        detail = f"{place}{problem.message}{close}{known}"
        yield Finding("error", "project", detail, problem.hint or "", (problem,))


def _project(session: Session) -> Iterator[Finding]:
    project = session.project
    yield Finding("ok", "project", f"{project.name} ({project.environment}), {project.spec}")
    problems = _problems(session)
    missing = {p.hint: p for p in problems if isinstance(p, MissingExtraError)}
    for hint, problem in missing.items():
        yield Finding("error", "extra", problem.message, hint or "", (problem,))
    problems = tuple(p for p in problems if not isinstance(p, MissingExtraError))
    if problems:
        detail = problems[0].message
        if len(problems) > 1:
            detail += f", and {count(len(problems) - 1, 'more problem')}"
        alone = len(problems) == 1 and problems[0].hint
        hint = alone or "`qanat validate` shows them all"
        yield Finding("error", "declarations", detail, hint, problems)
    else:
        datasets, flows = session.pipeline.datasets, session.pipeline.flows
        detail = f"{count(len(datasets), 'dataset')}, {count(len(flows), 'flow')}"
        yield Finding("ok", "declarations", detail)


def _problems(session: Session) -> tuple[QanatError, ...]:
    try:
        return validate(session).problems
    except QanatError:
        # The ledger or the storage, of which other findings tell.
        return session.problems


def _storage(session: Session) -> Iterator[Finding]:
    if is_url(session.project.storage):
        yield _object_store(session)
        return
    storage = Path(session.project.storage)
    there = next(p for p in (storage, *storage.parents) if p.exists())
    if not there.is_dir():
        hint = "set `storage` in the spec to a folder"
        yield Finding("error", "storage", f"{there} is not a folder", hint)
        return
    if not os.access(there, os.W_OK | os.X_OK):
        hint = "give this user the right to write there, or set `storage` in the spec"
        yield Finding("error", "storage", f"{there} may not be written to", hint)
        return
    free = shutil.disk_usage(there).free
    detail = f"{storage}, {free / 2**30:,.1f} GiB free"
    level = "error" if free < _FULL else "warning" if free < _SCARCE else "ok"
    hint = "" if level == "ok" else "free space, or set `storage` to another disk"
    yield Finding(level, "storage", detail, hint)


def _object_store(session: Session) -> Finding:
    """Whether the tables that are in an object store can be listed."""
    storage = session.project.storage
    try:
        found = session.store.tables(session.project.tables)
    except QanatError as error:
        return Finding("error", "storage", error.message, error.hint or "", (error,))
    return Finding("ok", "storage", f"{storage}, {count(len(found), 'table')}")


def _ledger(session: Session, ledger: Ledger) -> Finding:
    newest = truly(ledger, ledger.updates(1))
    url = session.project.ledger
    place = url.partition("://")[0] if url else str(session.project.private / "ledger.db")
    if not newest:
        return Finding("ok", "ledger", f"{place}, no update so far")
    return Finding("ok", "ledger", f"{place}, last update {newest[0].id} {newest[0].status}")


def _updates(ledger: Ledger) -> Iterator[Finding]:
    held = ledger.held()
    for lease in held:
        yield Finding("ok", "lease", f"held by {lease}")
    if not held:
        yield Finding("ok", "lease", "free")
    epochs = [e for e in ledger.open_epochs() if not any(x.covers(e.dataset) for x in held)]
    if epochs:
        flows = ", ".join(sorted({e.flow for e in epochs}))
        yield Finding(
            "warning",
            "open epochs",
            f"an update ended in the middle of {flows}",
            "the next update settles or redoes them: qanat run",
        )


def _is_there(session: Session, name: str) -> bool:
    """True if a dataset or a quarantine has a table, or the folder of one."""
    table = session.table(name)
    if is_url(table.location):
        return session.store.version(table) is not None
    return table.folder.is_dir()


def _states(session: Session, dataset: Dataset) -> tuple[str, ...]:
    """The names of the states that a dataset's flows keep."""
    flows = session.analysis.flows_into(dataset.name) if not session.problems else []
    return tuple(t.name for t in (state_of(session, flow) for flow in flows) if t is not None)


def _tables(session: Session, ledger: Ledger | None) -> Iterator[Finding]:
    """One finding for each table that has something wrong; one for all others."""
    good = 0
    for dataset in session.pipeline.datasets:
        names = (dataset.name, dataset.quarantine) if dataset.stored else (dataset.quarantine,)
        for name in (*names, *_states(session, dataset)):
            try:
                there = _is_there(session, name)
            except QanatError as error:
                yield _broken(f"table {name}", error)
                continue
            wrong = list(_table(session, dataset, name)) if there else []
            # Also where the folder is gone: the ledger may remember that it was there.
            if name == dataset.name and ledger is not None:
                wrong += _history(session, dataset, ledger)
            yield from wrong
            good += there and not wrong
    if good:
        detail = f"{good} readable, at the epochs that the ledger knows"
        yield Finding("ok", "tables", detail)


def _table(session: Session, dataset: Dataset, name: str) -> Iterator[Finding]:
    table = session.table(name)
    try:
        with naming(dataset.name):
            version = session.store.version(table)
            missing = session.store.missing(table) if version is not None else ()
            orphans = session.store.orphans(table)
        if missing:
            yield Finding(
                "error",
                f"table {name}",
                f"{len(missing)} of its files are gone, the first is {missing[0]}",
                f"restore them, or start over: {full_refresh(dataset.name)}",
            )
        held = session.recorded.held() if orphans else ()
        if orphans and not any(lease.covers(dataset.name) for lease in held):
            yield Finding(
                "warning",
                f"table {name}",
                f"{orphans} file{'s' if orphans > 1 else ''} that no version knows",
                "the next update that recovers removes them",
            )
    except QanatError as error:
        yield _broken(f"table {name}", error)


def _history(session: Session, dataset: Dataset, ledger: Ledger) -> Iterator[Finding]:
    """Where tables and ledger tell different stories about a dataset."""
    try:
        check_owners(session, dataset, anew=False)
        open_ = {(e.flow, fold(e.dataset)) for e in ledger.open_epochs()}
        for compiled in session.analysis.flows_into(dataset.name):
            # An open epoch may have been published without the ledger knowing it yet.
            known = (compiled.flow.name, fold(compiled.dataset.name))
            mismatch = None if known in open_ else mismatch_of(session, compiled)
            if mismatch is not None:
                facts = f"{mismatch.message} (wanted: {mismatch.wanted}; got: {mismatch.got})"
                what = f"table {dataset.name}"
                yield Finding("error", what, facts, mismatch.hint or "", (mismatch,))
    except QanatError as error:
        yield _broken(f"table {dataset.name}", error)


def _broken(what: str, error: QanatError) -> Finding:
    detail = error.message if error.got is None else f"{error.message} ({error.got})"
    return Finding("error", what, detail, error.hint or "", (error,))
