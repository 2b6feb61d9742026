"""Where rows in quarantine come from: the lines of source files, also through tables.

A row that was read from a table says which row of which of its files it was. The ledger knows the
epoch that has written the file, and what that has read; if definition and input are what they
were, the engine computes it again and compares (`Engine.origins`). So it goes on, from table to
table. What cannot be found out like that is left as it is known, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from qanat.errors import QanatError
from qanat.frozen import Frozen
from qanat.model.location import is_url
from qanat.model.owner import is_of
from qanat.model.pipeline import Dataset, application, is_replay, is_upkeep
from qanat.model.record import Epoch, EpochStatus
from qanat.model.schema import STRING, Array, Field, Primitive, Struct
from qanat.model.work import Batch, Output, TableBatch, ViewWork, Work
from qanat.ports.engine import RowPlace
from qanat.run.inputs import PROMOTED, bind
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT
from qanat.run.scratch import make_folder
from qanat.run.session import Session
from qanat.text import size

MOST_BYTES = 10**9
"""Bytes of input that are read again to look at some rows."""

_PREFIX = "origins"


class Origin(Frozen):
    """Where a row in quarantine comes from.

    Args:
        file: path or URL of a source file, or of a table's file where no more is known.
        row: 1-based line or row in it; None if only the file is known.
        through: the tables that it came through, the nearest first.
        alike: how many rows have the same values, of which this is the first; 1: it is this one.
        note: why no more is known; empty where nothing is missing.
    """

    file: str
    row: int | None
    through: tuple[str, ...] = ()
    alike: int = 1
    note: str = ""

    @property
    def value(self) -> Mapping[str, Any]:
        """As a value of the column `ORIGIN`."""
        known = {"file": self.file, "row": self.row, "through": list(self.through)}
        return {**known, "alike": self.alike, "note": self.note or None}


ORIGIN = Field(
    "_quarantine_origin",
    Struct(
        (
            Field("file", STRING),
            Field("row", Primitive("long")),
            Field("through", Array(STRING)),
            Field("alike", Primitive("long")),
            Field("note", STRING),
        )
    ),
    comment="where the row comes from, also through tables",
)
"""The column that rows in quarantine are shown with, beside those that the table has."""


class _UnknownError(Exception):
    """Where rows come from cannot be told; says why in few words."""


def find_origins(
    session: Session, rows: Iterable[tuple[str, int | None]]
) -> Mapping[tuple[str, int | None], Origin]:
    """Where rows come from.

    Args:
        rows: the file and row that a quarantine has noted of each.
    """
    tables = {f"{session.table(n).location}/": n for n in session.graph.order}
    found = {place: _known(session, tables, Origin(*place)) for place in dict.fromkeys(rows)}
    while True:
        wanted: dict[str, dict[tuple[int, str], set[RowPlace]]] = {}
        for origin in found.values():
            name = _table_of(tables, origin)
            if name is not None and origin.row is not None:
                by_epoch = wanted.setdefault(name, {})
                by_epoch.setdefault(_attempt(origin.file), set()).add((origin.file, origin.row))
        if not wanted:
            return found
        steps: dict[tuple[str, int | None], Origin] = {}
        for name, epochs in wanted.items():
            for (number, _), places in epochs.items():
                steps |= _step(session, name, number, sorted(places))
        found = {place: _further(origin, steps) for place, origin in found.items()}


def _known(session: Session, tables: Mapping[str, str], origin: Origin) -> Origin:
    """What the quarantine has noted, if that still means something."""
    own = origin.file.startswith(f"{session.project.tables}/")
    if own and _table_of(tables, origin) is None:
        return replace(origin, note="the table has got another name since, or is gone")
    return origin


def _further(origin: Origin, steps: Mapping[tuple[str, int | None], Origin]) -> Origin:
    step = steps.get((origin.file, origin.row))
    if step is None:
        return origin
    return replace(
        step,
        through=(*origin.through, *step.through),
        alike=max(origin.alike, step.alike),
    )


def _table_of(tables: Mapping[str, str], origin: Origin) -> str | None:
    """The dataset whose table has the file that is known so far."""
    if origin.note:
        return None
    return next((n for folder, n in tables.items() if origin.file.startswith(folder)), None)


def _attempt(file: str) -> tuple[int, str]:
    """The epoch's number, and the attempt that has staged a file, by its name."""
    parts = Path(file).name.split("-")
    number = parts[1] if parts[0] == "epoch" and len(parts) > 3 else ""
    return (int(number), parts[3]) if number.isdigit() else (0, file)


def _step(
    session: Session, name: str, number: int, places: Sequence[RowPlace]
) -> dict[tuple[str, int | None], Origin]:
    """From rows of one epoch of a table to what it has read."""
    try:
        origins = _looked_up(session, session.pipeline.dataset(name), number, places)
    except _UnknownError as why:
        return {(f, r): Origin(f, r, note=str(why)) for f, r in places}
    except QanatError as error:
        return {(f, r): Origin(f, r, note=error.message) for f, r in places}
    nowhere = f"{name} does not give this row any more when it is computed again"
    return {
        (f, r): replace(origins[f, r], through=(name,))
        if (f, r) in origins
        else Origin(f, r, note=nowhere)
        for f, r in places
    }


def _looked_up(
    session: Session, dataset: Dataset, number: int, places: Sequence[RowPlace]
) -> dict[RowPlace, Origin]:
    files = tuple(dict.fromkeys(file for file, _ in places))
    epoch = _epoch(session, dataset, number, files[0])
    written = _written(session, dataset, epoch, files)
    compiled = _same_flow(session, dataset, epoch)
    scratch = session.scratch / f"{_PREFIX}-{uuid4().hex}"
    make_folder(scratch)
    bound = bind(
        session, replace(compiled, expectations=()), epoch.ranges, epoch.generation, scratch
    )
    if bound.amount.bytes > MOST_BYTES:
        raise _too_much(dataset, bound.amount.bytes)
    snapshot = session.store.snapshot(session.table(dataset.name))
    work = replace(
        _work(dataset, compiled, epoch, scratch),
        inputs=bound.inputs,
        output=Output(
            scratch,
            _PREFIX,
            schema=snapshot.schema,
            declared=dataset.schema,
            partition_by=snapshot.partition_by,
        ),
    )
    found = session.engine.origins(work, written, places)
    if found is None:
        raise _UnknownError(f"{dataset.name} is not computed row by row from one input")
    return {place: Origin(o.file, o.row, alike=o.alike) for place, o in found.items()}


def _written(session: Session, dataset: Dataset, epoch: Epoch, files: tuple[str, ...]) -> Batch:
    """The rows that an epoch has written."""
    table = session.table(dataset.name)
    if is_url(files[0]) and epoch.version is not None:
        if epoch.replaces:
            return session.store.snapshot(table, epoch.version).batch
        return session.store.added(table, epoch.version - 1, epoch.version).batch
    if not all(Path(file).exists() for file in files):
        raise _UnknownError(f"a newer version of {dataset.name} has taken its file's place")
    snapshot = session.store.snapshot(table)
    return TableBatch(files, snapshot.schema, snapshot.partition_by)


def _work(dataset: Dataset, compiled: CompiledFlow, epoch: Epoch, scratch: Path) -> Work:
    """An epoch without rules: those that they have removed are none of the table's rows."""
    nothing = Output(scratch, _PREFIX)
    return Work(
        flow=compiled.flow.name,
        epoch=epoch.number,
        update=epoch.update,
        dataset=dataset.name,
        query=compiled.query,
        inputs={},
        output=nothing,
        quarantine=nothing,
        scratch=scratch,
        at_ns=int(epoch.started * 1e9),
        views=tuple(ViewWork(v.dataset.name, v.query, (), nothing) for v in compiled.views),
        sets_aside=True,
    )


def _epoch(session: Session, dataset: Dataset, number: int, file: str) -> Epoch:
    """The epoch that has written a file, with what it has read."""
    name = Path(file).name
    for epoch in session.recorded.epochs(dataset=dataset.name):
        done = epoch.number == number and epoch.status is EpochStatus.COMMITTED
        if done and is_of(name, application(epoch.flow)):
            every = session.recorded.epochs(epoch.update, dataset.name, files=True)
            return next(e for e in every if e.id == epoch.id)
    raise _UnknownError(f"nothing is known of the epoch of {dataset.name} that has written it")


def _same_flow(session: Session, dataset: Dataset, epoch: Epoch) -> CompiledFlow:
    """The flow of an epoch, if it would do the same today."""
    name = dataset.name
    if is_replay(epoch.flow):
        raise _UnknownError(f"it came into {name} by a replay")
    if is_upkeep(epoch.flow):
        raise _UnknownError(f"its file of {name} was written again by maintenance")
    if PROMOTED in epoch.ranges:
        raise _UnknownError(f"another environment has computed {name}")
    compiled = session.analysis.flows.get(epoch.flow)
    # Of a declaration that is wrong nothing is known.
    fingerprint, _ = session.analysis.definitions.get(name, ("", ""))
    if compiled is None or compiled.dataset.name != name or fingerprint != epoch.fingerprint:
        raise _UnknownError(f"the definition of {name} has changed since")
    for read in compiled.reads:
        range_ = epoch.ranges.get(
            read.source.key if read.streaming else SNAPSHOT + read.source.key
        )
        if range_ is not None and not range_.files and read.source.dataset is None:
            raise _UnknownError(f"{name} reads {read.source.label}, whose rows have no places")
    read_bytes = sum(f.size for r in epoch.ranges.values() for f in r.files)
    if read_bytes > MOST_BYTES:
        raise _too_much(dataset, read_bytes)
    return compiled


def _too_much(dataset: Dataset, found: int) -> _UnknownError:
    return _UnknownError(f"{dataset.name} would have to read {size(found)} again")
