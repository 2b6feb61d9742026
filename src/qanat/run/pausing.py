"""Datasets that stand still until somebody tells them to go on.

People pause a dataset, and a dataset pauses by itself once too many of its rows of the last
minutes went to quarantine (`qanat.quarantine_limit` with `qanat.quarantine_window`). The epoch
that was too much is published, so that its rows can be looked at; no other follows. Told to go on,
a dataset counts anew.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from qanat.errors import DatasetNotFoundError, nearest
from qanat.model.event import DatasetPaused, Warned
from qanat.model.pipeline import DatasetKind, is_declared
from qanat.model.record import Epoch, EpochStatus, Pause
from qanat.model.staged import Counts, RuleWindow
from qanat.model.upkeep import parse_duration
from qanat.run.attempt import RunningUpdate
from qanat.run.limit import limit_of, window_of
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.run.windows import rule_windows, told
from qanat.text import count

_MOST = 5000
"""Epochs of earlier updates that are looked at, at most, for the rows of the last minutes."""


class Recent:
    """How many rows of a dataset came, and went to quarantine, in the last minutes.

    Args:
        seconds: how long a row counts.
        generation: of the table; a full refresh begins the next one, which takes all rows again.
    """

    def __init__(self, seconds: float, generation: int = 0) -> None:
        self.seconds, self.generation = seconds, generation
        self._epochs: deque[tuple[float, int, int]] = deque()
        self._aside = self._total = 0

    def add(self, at: float, counts: Counts) -> None:
        """Add an epoch that ended then (seconds since 1970)."""
        added = at, counts.set_aside, counts.out + counts.malformed
        late = bool(self._epochs) and self._epochs[-1][0] > at
        self._epochs.append(added)
        if late:
            # The clock was set back.
            self._epochs = deque(sorted(self._epochs))
        self._aside, self._total = self._aside + added[1], self._total + added[2]
        while self._epochs[0][0] < at - self.seconds:
            _, aside, total = self._epochs.popleft()
            self._aside, self._total = self._aside - aside, self._total - total

    def since(self, at: float) -> tuple[int, int]:
        """Rows that went to quarantine, and all rows, of epochs that ended after a moment.

        >>> recent = Recent(60.0)
        >>> recent.add(100.0, Counts(out=10, written=4, quarantined=6))
        >>> recent.add(150.0, Counts(out=10, written=9, quarantined=1))
        >>> recent.since(0.0), recent.since(120.0)
        ((7, 20), (1, 10))
        """
        # From what is known of all: it is asked after each epoch, and there may be very many.
        aside, total = self._aside, self._total
        for ended, its_aside, its_total in self._epochs:
            if ended > at:
                break
            aside, total = aside - its_aside, total - its_total
        return aside, total


def pause_beyond(running: RunningUpdate, compiled: CompiledFlow, epoch: Epoch) -> None:
    """Pause a dataset if too many of its rows of the last minutes went to quarantine.

    Args:
        epoch: that has just been settled.
    """
    session, dataset = running.session, compiled.dataset
    limit, window = limit_of(session, dataset), window_of(session, dataset)
    if limit is None or window is None or not compiled.brings_rows:
        return
    seconds = parse_duration(window)
    recent = session.recent.get(dataset.name)
    if recent is None or (recent.seconds, recent.generation) != (seconds, epoch.generation):
        recent = session.recent[dataset.name] = _earlier(session, epoch, seconds)
    ended = epoch.ended or time.time()
    recent.add(ended, epoch.counts or Counts())
    if limit.allows(*recent.since(ended - seconds)):
        return
    known = session.ledger.pauses().get(dataset.name)
    resumed = None if known is None else known.resumed
    aside, total = recent.since(max(ended - seconds, resumed or 0.0))
    if limit.allows(aside, total):
        return
    reason = (
        f"{aside:,} of the {count(total, 'row')} of the last {window} went to"
        f" quarantine (at most {limit} may)"
    )
    session.ledger.pause(dataset.name, reason)
    session.look_at_pauses()
    running.tell(DatasetPaused(dataset.name, reason))


def settle_windows(
    running: RunningUpdate, compiled: CompiledFlow, epoch: Epoch, windows: Sequence[RuleWindow]
) -> None:
    """Add an epoch to the windows of its checks; tell, or pause, where they are beyond.

    What is beyond is told when it begins, and again once it has ended in between. A dataset that
    goes on after a pause counts anew.
    """
    session, name = running.session, compiled.dataset.name
    known = rule_windows(session, compiled, epoch)
    if known is None:
        return
    known.add(epoch, epoch.ended or time.time())
    now_beyond = set[str]()
    for rule, text, pauses in told(windows, compiled):
        now_beyond.add(rule)
        if pauses:
            known.windows.clear()
            session.ledger.pause(name, text)
            session.look_at_pauses()
            running.tell(DatasetPaused(name, text))
        elif rule not in known.told:
            running.tell(Warned(name, text))
    known.told.clear()
    known.told.update(now_beyond)


def _earlier(session: Session, epoch: Epoch, seconds: float) -> Recent:
    """What the ledger knows of the minutes before an epoch, since the last full refresh."""
    recent = Recent(seconds, epoch.generation)
    found = session.ledger.epochs(dataset=epoch.dataset, limit=_MOST)
    for each in reversed(found):
        done = each.status is EpochStatus.COMMITTED and each.id != epoch.id
        if each.generation != epoch.generation:
            continue
        if done and each.ended is not None and each.counts and is_declared(each.flow):
            recent.add(each.ended, each.counts)
    return recent


def pause(session: Session, names: Sequence[str], reason: str) -> Sequence[Pause]:
    """Let no update work on datasets until they are told to go on.

    An epoch that has begun comes to its end.

    Raises:
        DatasetNotFoundError: one is not declared, or is a temporary view.
    """
    session.begin_writing()
    for name in [_stored(session, n) for n in names]:
        session.ledger.pause(name, reason)
    return paused(session)


def resume(session: Session, names: Sequence[str]) -> Sequence[str]:
    """Let updates work on datasets again; which of them were paused.

    Args:
        names: also of datasets that are no longer declared; empty: of all that are paused.

    Raises:
        DatasetNotFoundError: one is neither declared nor paused.
    """
    if not session.has_ledger:
        return []
    known = session.ledger.pauses()
    chosen = [known[n].dataset if n in known else _stored(session, n) for n in names]
    resumed = session.ledger.resume(chosen or [pause.dataset for pause in known.values()])
    session.look_at_pauses()
    return resumed


def paused(session: Session) -> Sequence[Pause]:
    """The datasets that are paused, with the reasons."""
    session.look_at_pauses()
    return list(session.paused.values())


def _stored(session: Session, name: str) -> str:
    found = session.pipeline.get(name)
    if found is None or found.kind is DatasetKind.TEMPORARY_VIEW:
        views = DatasetKind.TEMPORARY_VIEW
        known = [d.name for d in session.pipeline.datasets if d.kind is not views]
        what = "is computed where it is read" if found else "is not declared"
        raise DatasetNotFoundError(f"{name} {what}", nearest=nearest(name, known))
    return found.name
