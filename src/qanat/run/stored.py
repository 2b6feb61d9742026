"""Stored tables by the names that people type: datasets and their quarantines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from qanat.errors import QanatError, TableNotFoundError, naming
from qanat.frozen import Frozen
from qanat.model.name import same
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.schema import Schema
from qanat.model.table import Snapshot, TableRef
from qanat.planning.lineage import dataset_of
from qanat.run.results import FirstRows, Selection
from qanat.run.session import Session
from qanat.text import neither

QUARANTINED = "quarantine"
"""What kind of table a quarantine is."""


class Stored(Frozen):
    """A table as it was at one version.

    Args:
        name: as declared; `<dataset>__quarantine` for a quarantine.
        kind: of the dataset, or `quarantine`.
        environment: that the table is of, if it is another one's.
    """

    name: str
    kind: str
    table: TableRef
    snapshot: Snapshot
    environment: str = ""

    def first_rows(self, schema: Schema, rows: Sequence[tuple[Any, ...]]) -> FirstRows:
        """Rows that were made of it, with what is known of the table."""
        return FirstRows(
            dataset=self.name,
            kind=self.kind,
            folder=self.table.location,
            version=self.snapshot.version,
            schema=schema,
            rows=rows,
            total=self.snapshot.rows,
            bytes=self.snapshot.bytes,
            files=self.snapshot.files,
            partition_by=self.snapshot.partition_by,
            comment=self.snapshot.comment,
            environment=self.environment,
        )


def stored(session: Session, name: str, version: int | None = None) -> Stored:
    """The table of a dataset, or of `<dataset>__quarantine`.

    Raises:
        DatasetNotFoundError: no such dataset is declared; names the nearest.
        TableNotFoundError: it has no table, or none at that version; says why.
    """
    dataset = dataset_of(session.pipeline, name)
    quarantined = not same(name, dataset.name)
    name = dataset.quarantine if quarantined else dataset.name
    if not dataset.stored and not quarantined:
        raise _no_table(session, dataset)
    with naming(dataset.name):
        return _stored(session, dataset, name, version)


def _stored(session: Session, dataset: Dataset, name: str, version: int | None) -> Stored:
    read, quarantined = session.readable(name), name != dataset.name
    newest = read.version
    if newest is None:
        raise _nothing_yet(dataset, quarantined, session)
    if version is not None and not 0 <= version <= newest:
        raise TableNotFoundError(
            f"{name} has no version {version}", wanted=f"a version from 0 to {newest}"
        )
    kind = QUARANTINED if quarantined else str(dataset.kind)
    try:
        snapshot = read.store.snapshot(read.table, version)
        older = version is not None and version < newest
        gone = older and bool(read.store.missing(read.table, version))
    except TableNotFoundError as error:
        if version is None:
            raise
        raise _cleaned_up(name, version, newest) from error
    if version is not None and gone:
        raise _cleaned_up(name, version, newest)
    return Stored(name, kind, read.table, snapshot, read.environment)


def _cleaned_up(name: str, version: int, newest: int) -> TableNotFoundError:
    return TableNotFoundError(
        f"version {version} of {name} is not there any more: its files were deleted",
        hint=f"the newest is {newest}; delta.deletedFileRetentionDuration and"
        " delta.logRetentionDuration say for how long maintenance leaves older ones",
    )


def _no_table(session: Session, dataset: Dataset) -> QanatError:
    if dataset.kind is DatasetKind.SINK:
        options = dict(dataset.sink.options) if dataset.sink else {}
        return TableNotFoundError(
            f"sink {dataset.name} keeps no table here",
            location=dataset.location,
            hint=f"its rows are in {options['path']}"
            if "path" in options
            else "see where it writes",
        )
    readers = [
        n
        for n in session.graph.readers.get(dataset.name, ())
        if session.pipeline.dataset(n).stored
    ]
    instead = (
        f", or look at what reads it: qanat show {shlex.quote(readers[0])}" if readers else ""
    )
    return TableNotFoundError(
        f"temporary view {dataset.name} has no table: it is computed where it is read",
        location=dataset.location,
        hint=f"declare it as a MATERIALIZED VIEW{instead}",
    )


def _nothing_yet(dataset: Dataset, quarantined: bool, session: Session) -> QanatError:
    read = session.readable(dataset.name)
    if quarantined and (read.version is not None or not dataset.stored):
        return TableNotFoundError(f"{dataset.name} has no quarantine: no row was ever put there")
    why, hint = _why_nothing(session, shlex.quote(f"+{dataset.name}"), dataset)
    return TableNotFoundError(
        f"{dataset.name} has no table yet{neither(read.looked)}: {why}", hint=hint
    )


def _why_nothing(session: Session, selected: str, dataset: Dataset) -> tuple[str, str]:
    """Why a dataset has no table, in the words of a plan, and what to type."""
    if session.problems:
        return "the project has errors, so that no update can run", "qanat validate"
    # Imported only here: with it come all that an update needs.
    plan = import_module("qanat.run.plan").plan
    try:
        *_, decision = plan(session, Selection(select=(f"+{dataset.name}",))).datasets
    except QanatError as error:
        return error.message, f"qanat plan --select {selected}"
    if decision.step.works:
        return "it has never run", f"run it first: qanat run --select {selected}"
    return decision.reason, f"qanat plan --select {selected}"
