"""An epoch as an engine sees it, but for its inputs."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from qanat.errors import FlowError, located
from qanat.model.dataset import Dataset
from qanat.model.expectation import Unique
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import Output, ViewWork, Work
from qanat.run.attempt import Attempt
from qanat.run.scratch import make_folder
from qanat.run.session import Session


def work_of(attempt: Attempt) -> Work:
    """The work of one attempt: what to compute, and where to stage it."""
    session, compiled, epoch = attempt.session, attempt.compiled, attempt.epoch
    token = uuid4().hex
    scratch = session.scratch / token
    make_folder(scratch)
    prefix = f"epoch-{epoch.number}-{token}"
    return Work(
        flow=compiled.flow.name,
        epoch=epoch.number,
        update=attempt.current.update,
        dataset=compiled.dataset.name,
        query=compiled.query,
        inputs={},
        output=_output(attempt, prefix),
        quarantine=_quarantine(session, compiled.dataset, prefix, epoch.replaces),
        scratch=scratch,
        at_ns=attempt.current.at_ns,
        views=tuple(
            ViewWork(
                view.dataset.name,
                view.query,
                view.expectations,
                _quarantine(session, view.dataset, prefix, replaces=False),
            )
            for view in compiled.views
        ),
        expectations=compiled.expectations,
    )


def _output(attempt: Attempt, prefix: str) -> Output:
    session, compiled, epoch = attempt.session, attempt.compiled, attempt.epoch
    dataset = compiled.dataset
    delivery = attempt.delivery
    if delivery is not None:
        with located(dataset.location):
            return session.sink(delivery.target).output(delivery)
    table = session.table(dataset.name)
    plain = Output(
        session.store.staging(table),
        prefix,
        # Rows that come back have the columns of the table, whatever is declared by now.
        declared=NO_COLUMNS if compiled.readmits else dataset.schema,
        partition_by=dataset.partition_by,
    )
    if epoch.replaces or session.store.version(table) is None:
        return plain
    snapshot = session.store.snapshot(table)
    if snapshot.partition_by != dataset.partition_by:
        raise FlowError(
            f"{dataset.name} is declared with other partitions than its table has",
            location=dataset.location,
            wanted=", ".join(snapshot.partition_by) or "none",
            got=", ".join(dataset.partition_by) or "none",
            hint=f"rebuild it: qanat run --full-refresh {dataset.name}",
        )
    unique = any(isinstance(e.rule, Unique) for e in compiled.expectations)
    return replace(plain, schema=snapshot.schema, existing=snapshot.batch if unique else None)


def _quarantine(session: Session, dataset: Dataset, prefix: str, replaces: bool) -> Output:
    """Where a dataset's quarantined rows are staged."""
    table = session.table(dataset.quarantine)
    known = NO_COLUMNS
    if not replaces and session.store.version(table) is not None:
        known = session.store.snapshot(table).schema
    return Output(session.store.staging(table), prefix, schema=known)
