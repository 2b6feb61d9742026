"""One update: every selected dataset, each after what it reads, in parallel where it may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from queue import SimpleQueue

from qanat.disk import explained
from qanat.errors import QanatError, naming
from qanat.model.event import DatasetEnded, DatasetStarted, Warned
from qanat.model.name import Names, fold
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.profile import PROFILED
from qanat.model.staged import Counts
from qanat.ports.observer import Observer
from qanat.run.attempt import RunningUpdate
from qanat.run.blame import explain, is_panic
from qanat.run.dataset import Around, DatasetRun
from qanat.run.defined import changed_definitions
from qanat.run.entry import LedgerEntry, OpenUpdate, failure_of, open_update
from qanat.run.identity import past_sources
from qanat.run.recovery import start_clean
from qanat.run.results import Chosen, DatasetResult, Selection, UpdateResult, choose_datasets
from qanat.run.session import Session
from qanat.run.silence import tell_of_silence
from qanat.run.snapshots import takes_snapshots
from qanat.run.sums import Sums


def update(
    session: Session,
    selection: Selection | None = None,
    observers: Sequence[Observer] = (),
    wait: float | bool = False,
    origin: str | None = None,
) -> UpdateResult:
    """Bring datasets up to date.

    Args:
        selection: which ones, and how; default: all, only what is new.
        observers: get every event as it happens.
        wait: seconds to wait for other updates of the same datasets; True: as long as it takes.
        origin: what starts it, for the history; default: a person.

    Raises:
        ProblemsError: the declarations are wrong; nothing was run.
        SelectionError: the selection names something that is not there.
        ResetError, RowsLostError: a full refresh is not possible, see `choose_datasets`.
        UpdateRunningError: another update works on one of the datasets.
    """
    session.require()
    asked, chosen = selection or Selection(), list[Chosen]()

    def choose() -> Sequence[str]:
        chosen.append(choose_datasets(session, asked))
        return chosen[-1].datasets

    with open_update(session, choose, observers, wait=wait, origin=origin) as opened:
        results = _update(opened, chosen[-1])
        failed = [f"{r.dataset}: {r.reason}" for r in results if r.status == "failed"]
        opened.failed = "; ".join(failed) or None
    entry = opened.entry
    return UpdateResult(
        entry.id if entry.begun else "",
        str(opened.status),
        opened.seconds,
        results,
        tuple(opened.running.recovered),
    )


def _update(opened: OpenUpdate, chosen: Chosen) -> tuple[DatasetResult, ...]:
    running, entry, session = opened.running, opened.entry, opened.running.session
    with explained("use"):
        start_clean(running, entry.begin, chosen.full_refresh)
        if chosen.full_refresh:
            # All of them before anything starts: if this update is interrupted, the next one goes
            # on with the rest.
            entry.begin()
            full = sorted(chosen.full_refresh)
            session.ledger.begin_generation(full, running.lease.latest)
    with session.readables.running(chosen.datasets):
        results = _walk(running, chosen, entry, around_now(session))
    _take_back(running, chosen, results)
    results = _silent(running, results)
    grown = {r.dataset: r.epochs for r in results if r.epochs}
    if grown and session.store.maintains:
        # Loaded only where something was committed: an unchanged update does without.
        import_module("qanat.run.upkeep").maintain_after(running, entry, grown)
    for name in grown:
        if _asks_for_profile(session, name):
            _profile(running, name)
    return results


def _profile(running: RunningUpdate, name: str) -> None:
    """Profile a table that this update has changed; no error of that fails the update."""
    work = import_module("qanat.run.profile").profile_after
    error = _stopped_by(running, name, lambda: work(running, name))
    if error is not None:
        running.unless_stopping()
        running.tell(Warned(name, f"it was not profiled: {error.message}"))


def _asks_for_profile(session: Session, name: str) -> bool:
    dataset = session.pipeline.dataset(name)
    default = session.project.configuration.get(PROFILED, "false")
    return dataset.stored and fold(dataset.table_property(PROFILED) or default) == "true"


def _silent(
    running: RunningUpdate, results: tuple[DatasetResult, ...]
) -> tuple[DatasetResult, ...]:
    """Tell of datasets into which nothing has come for longer than their history lets expect."""
    quiet = [r.dataset for r in results if r.status == "unchanged" and not r.paused]
    told = tell_of_silence(running, quiet) if quiet else {}
    return tuple(
        replace(r, notes=(*r.notes, told[r.dataset])) if r.dataset in told else r for r in results
    )


def _take_back(running: RunningUpdate, chosen: Chosen, results: tuple[DatasetResult, ...]) -> None:
    """Let a full refresh that failed before anything of it was published change nothing.

    The table is as it was, and the next update goes on with what is new. What has read a table as
    a stream that did start over has to start over as well, now or later.
    """
    session, kept = running.session, set[str]()
    failed = {r.dataset for r in results if r.status in ("failed", "skipped")}
    open_ = Names(e.dataset for e in session.ledger.open_epochs()) if chosen.full_refresh else ()
    back: list[str] = []
    for name in (n for n in session.graph.order if n in chosen.full_refresh):
        generation = session.ledger.generation(name)
        started = name in open_ or session.ledger.generation_started(name, generation)
        if started or name not in failed or session.graph.upstream(name) & kept:
            kept.add(name)
        else:
            back.append(name)
    if back:
        session.ledger.take_back_generation(back, running.lease.latest)


def around_now(session: Session) -> Around:
    """What surrounds the decisions of an update that begins now."""
    definitions = session.ledger.definitions()
    changed = changed_definitions(session, definitions)
    return Around(definitions, past_sources(session), changed=changed)


def _walk(
    running: RunningUpdate, chosen: Chosen, entry: LedgerEntry, around: Around
) -> tuple[DatasetResult, ...]:
    """Run datasets as soon as what they read is done, in as many threads as cores."""
    session, runnable = running.session, frozenset(chosen.runnable)
    waiting = {n: set(session.graph.upstream(n) & runnable) for n in chosen.runnable}
    behind: dict[str, list[str]] = {n: [] for n in waiting}
    for name, upstream in waiting.items():
        for other in upstream:
            behind[other].append(name)
    ready = [n for n, upstream in waiting.items() if not upstream]
    results: dict[str, DatasetResult] = {}
    futures: dict[Future[DatasetResult], str] = {}
    # Not `concurrent.futures.wait`: it looks at all that run each time that one is done.
    finished: SimpleQueue[Future[DatasetResult]] = SimpleQueue()
    with ThreadPoolExecutor(session.threads, thread_name_prefix="qanat") as pool:
        try:
            while ready or futures:
                for name in ready:
                    future = pool.submit(_run_dataset, running, chosen, name, entry, around)
                    futures[future] = name
                    future.add_done_callback(finished.put)
                ready = []
                future = finished.get()
                name = futures.pop(future)
                results[name] = future.result()
                good = results[name].status not in ("failed", "skipped")
                # Datasets with a result were skipped because something else above them failed.
                for other in [n for n in behind[name] if n not in results]:
                    if not good:
                        results[other] = _skipped(running, chosen, other, name)
                        continue
                    waiting[other].discard(name)
                    if not waiting[other]:
                        ready.append(other)
        except BaseException:
            # Ctrl-C: stop what computes; its epochs are given up or redone by the next update.
            running.stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            session.interrupt()
            raise
    return tuple(results[n] for n in session.graph.order if n in results and n in chosen.datasets)


def _skipped(running: RunningUpdate, chosen: Chosen, name: str, because: str) -> DatasetResult:
    """Leave out a dataset because something above it, at any distance, failed."""
    dataset = running.session.pipeline.dataset(name)
    reason = f"{because} failed"
    if name in chosen.datasets:
        running.tell(DatasetEnded(dataset.name, "skipped", reason, 0.0))
    return _result(dataset, "skipped", reason, 0.0)


def _run_dataset(
    running: RunningUpdate,
    chosen: Chosen,
    name: str,
    entry: LedgerEntry,
    around: Around,
) -> DatasetResult:
    dataset = running.session.pipeline.dataset(name)
    if dataset.kind is DatasetKind.TEMPORARY_VIEW:
        # Nothing to do by itself: it is computed inside whatever reads it.
        return _result(dataset, "unchanged", "computed where it is read", 0.0)
    running.tell(DatasetStarted(dataset.name, str(dataset.kind)))
    started = time.monotonic()
    run = DatasetRun(running, dataset, chosen, around, entry.begin)
    status, reason, error = attempted(run)
    seconds = time.monotonic() - started
    failure = None if error is None else failure_of(error)
    running.tell(DatasetEnded(dataset.name, status, reason, seconds, failure))
    # Also one that this update has paused: what it put into quarantine was too much.
    paused = running.session.paused.get(name)
    told = (str(paused),) if paused is not None and status == "updated" else ()
    found = result_of(running.session, dataset, run.sums, status, reason, seconds, error)
    notes, rules = (*found.notes, *told), (*found.rules, *run.checks)
    return replace(found, notes=notes, rules=rules, paused=run.paused or paused is not None)


def result_of(
    session: Session,
    dataset: Dataset,
    sums: Sums,
    status: str,
    reason: str,
    seconds: float,
    error: QanatError | None,
) -> DatasetResult:
    """What was done with a dataset, from the sums over its epochs."""
    return DatasetResult(
        dataset=dataset.name,
        kind=str(dataset.kind),
        status=status,
        reason=reason,
        counts=sums.counts,
        rules=sums.rules,
        files=sums.files,
        seconds=seconds,
        version=sums.version,
        read=sums.read,
        error=error,
        notes=sums.notes,
        off=dataset.sink is not None and not session.project.sinks,
        epochs=sums.epochs,
        snapshots=any(map(takes_snapshots, session.analysis.flows_into(dataset.name))),
    )


def attempted(run: DatasetRun) -> tuple[str, str, QanatError | None]:
    """Bring one dataset up to date: its status, why, and what stopped it."""
    running, name = run.running, run.dataset.name

    def work() -> None:
        if (stuck := running.stuck.get(name)) is not None:
            raise stuck
        run.run()

    error = _stopped_by(running, name, work)
    if error is not None:
        return "failed", error.message, error
    return "updated" if run.epochs else "unchanged", run.reason, None


def _stopped_by(running: RunningUpdate, name: str, work: Callable[[], None]) -> QanatError | None:
    """Work on one dataset: what stopped it; None if nothing did.

    One dataset's defect must not take the rest along, nor a panic in a library's Rust.
    """
    try:
        with naming(name):
            work()
    except QanatError as caught:
        return running.lease.explain(caught)
    except BaseException as caught:
        if not isinstance(caught, Exception) and not is_panic(caught):
            raise
        return running.lease.explain(explain(caught))
    return None


def _result(dataset: Dataset, status: str, reason: str, seconds: float) -> DatasetResult:
    return DatasetResult(dataset.name, str(dataset.kind), status, reason, Counts(), (), 0, seconds)
