"""One update: every selected dataset, each after what it reads, in parallel where it may be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from qanat.disk import explained
from qanat.errors import QanatError
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.event import DatasetEnded, DatasetStarted, UpdateEnded, UpdateStarted
from qanat.model.record import Definition, UpdateStatus
from qanat.model.work import Counts
from qanat.ports.observer import Observer
from qanat.run.attempt import Current
from qanat.run.diary import failure_of
from qanat.run.entry import Entry, new_id, telling
from qanat.run.gate import Gate
from qanat.run.lease import HeldLease
from qanat.run.recovery import start_clean
from qanat.run.refresh import DatasetRun
from qanat.run.results import DatasetResult, Selection, UpdateResult
from qanat.run.selection import Chosen, choose_datasets
from qanat.run.session import Session


def update(
    session: Session, selection: Selection | None = None, observers: Sequence[Observer] = ()
) -> UpdateResult:
    """Bring datasets up to date.

    Args:
        selection: which ones, and how; default: all, only what is new.
        observers: get every event as it happens.

    Raises:
        ProblemsError: the declarations are wrong; nothing was run.
        SelectionError: the selection names something that is not there.
        UpdateRunningError: another update of the project and environment is running.
    """
    session.require()
    chosen = choose_datasets(session, selection or Selection())
    started = time.monotonic()
    id = new_id()
    with HeldLease(session.ledger, id) as lease:
        gate = Gate(session.gates, lease)
        entry = Entry(session, id, gate)
        tell = telling((entry.diary, *observers))
        current = Current(session, lease, gate.folder, entry.id, time.time_ns(), tell)
        tell(UpdateStarted(id, session.project.environment, chosen.datasets))
        status, error, failure = UpdateStatus.FAILED, None, None
        try:
            with explained("use"):
                start_clean(current, entry.begin, chosen.full_refresh)
            results = _walk(current, chosen, entry, session.ledger.definitions())
            failed = [f"{r.dataset}: {r.reason}" for r in results if r.status == "failed"]
            status = UpdateStatus.FAILED if failed else UpdateStatus.SUCCEEDED
            error = "; ".join(failed) or None
        except QanatError as caught:
            told = lease.judged(caught)
            error, failure = told.message, failure_of(told)
            raise told from told.__cause__
        finally:
            seconds = time.monotonic() - started
            ended = UpdateEnded(id, str(status), seconds, failure)
            entry.end(ended, error)
            tell(ended)
    return UpdateResult(entry.id if entry.begun else "", str(status), seconds, results)


def _walk(
    current: Current, chosen: Chosen, entry: Entry, definitions: Mapping[str, Definition]
) -> tuple[DatasetResult, ...]:
    """Run datasets as soon as what they read is done, in as many threads as cores."""
    session = current.session
    waiting = {n: set(session.graph.upstream(n)) & set(chosen.runnable) for n in chosen.runnable}
    results: dict[str, DatasetResult] = {}
    running: dict[Future[DatasetResult], str] = {}
    with ThreadPoolExecutor(session.threads, thread_name_prefix="qanat") as pool:
        try:
            while waiting or running:
                for name in [n for n, upstream in waiting.items() if not upstream]:
                    del waiting[name]
                    running[
                        pool.submit(_run_dataset, current, chosen, name, entry, definitions)
                    ] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    results[name] = future.result()
                    good = results[name].status not in ("failed", "skipped")
                    for other in [n for n, upstream in waiting.items() if name in upstream]:
                        if good:
                            waiting[other].discard(name)
                        else:
                            _skip(current, chosen, other, name, waiting, results)
        except BaseException:
            # Ctrl-C: stop what computes; its epochs are given up or redone by the next update.
            current.stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            session.interrupt()
            raise
    return tuple(results[n] for n in session.graph.order if n in results and n in chosen.datasets)


def _skip(
    current: Current,
    chosen: Chosen,
    name: str,
    because: str,
    waiting: dict[str, set[str]],
    results: dict[str, DatasetResult],
) -> None:
    """Leave out a dataset because something above it, at any distance, failed."""
    del waiting[name]
    dataset = current.session.pipeline.dataset(name)
    reason = f"{because} failed"
    results[name] = _result(dataset, "skipped", reason, 0.0)
    if name in chosen.datasets:
        current.tell(DatasetEnded(dataset.name, "skipped", reason, 0.0))


def _run_dataset(
    current: Current,
    chosen: Chosen,
    name: str,
    entry: Entry,
    definitions: Mapping[str, Definition],
) -> DatasetResult:
    dataset = current.session.pipeline.dataset(name)
    if dataset.kind is DatasetKind.TEMPORARY_VIEW:
        # Nothing to do by itself: it is computed inside whatever reads it.
        return _result(dataset, "unchanged", "computed where it is read", 0.0)
    current.tell(DatasetStarted(dataset.name, str(dataset.kind)))
    started = time.monotonic()
    run = DatasetRun(current, dataset, chosen, definitions, entry.begin)
    try:
        if (stuck := current.stuck.get(dataset.name.casefold())) is not None:
            raise stuck
        run.run()
        status = "updated" if run.epochs else "unchanged"
        error = None
        reason = run.reason
    except QanatError as caught:
        error = current.lease.judged(caught)
        status, reason = "failed", error.message
    except Exception as caught:  # noqa: BLE001 - one dataset's defect must not take the rest
        error = current.lease.judged(run.explain(caught))
        status, reason = "failed", error.message
    seconds = time.monotonic() - started
    failure = None if error is None else failure_of(error)
    current.tell(DatasetEnded(dataset.name, status, reason, seconds, failure))
    return DatasetResult(
        dataset=dataset.name,
        kind=str(dataset.kind),
        status=status,
        reason=reason,
        counts=run.counts,
        rules=run.rules,
        files=run.files,
        seconds=seconds,
        version=run.version,
        read=run.read,
        error=error,
    )


def _result(dataset: Dataset, status: str, reason: str, seconds: float) -> DatasetResult:
    return DatasetResult(dataset.name, str(dataset.kind), status, reason, Counts(), (), 0, seconds)
