"""A thread that brings events to one observer, and tries again what it does not take."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qanat.errors import Again, QanatError, UndeliveredError
from qanat.model.event import EventRecord, Failure, UpdateEnded
from qanat.model.observer import CRASHED, DeclaredObserver, Told
from qanat.model.outbox import CLAIM_SECONDS, Owed
from qanat.model.record import UpdateRecord, UpdateStatus
from qanat.ports.ledger import Ledger
from qanat.run.diary import error_of
from qanat.text import count

WAITING = 1000
"""Events that wait in memory at most; those beyond that are read from the ledger in their turn."""
_PAGE = 500
"""Events that are read from the ledger at once."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
"""Seconds before an event is sent again, first and at most."""
_SAVE = 5.0
"""Seconds between two writes to the ledger that say how far the observer has got."""
_LOOK = 0.5
"""Seconds between two looks into the ledger for events that are about to be written there."""


class _StopError(Exception):
    """Nothing more is delivered in this update."""


class Courier:
    """Brings the events of an update to one observer, after those of earlier updates.

    Args:
        declared: the observer.
        later: whether what is left is owed to it.
        make: makes the observer, in its own thread.
        warn: is told what goes wrong, once.
    """

    def __init__(
        self,
        declared: DeclaredObserver,
        later: bool,
        make: Callable[[], Any],
        ledger: Ledger,
        warn: Callable[[str], None],
    ) -> None:
        self.name, self.later = declared.name, later
        self._declared, self._make, self._ledger, self._warn = declared, make, ledger, warn
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, daemon=True, name=f"qanat-observer-{declared.name}"
        )
        self._update: UpdateRecord | None = None
        self._waiting: deque[EventRecord] = deque()
        self._told = 0
        self._position = 0
        self._owed: list[Owed] = []
        self._outstanding = 0
        self._refused = 0
        self._outdated = 0
        self._ended = False
        self._deadline: float | None = None
        self._calling_since: float | None = None
        self._left = False
        self._warned = False
        self._saved = time.monotonic()

    # -- what the update calls -----------------------------------------------------------------

    def catch_up(self, owed: Sequence[Owed]) -> None:
        """Deliver first what is left of earlier updates."""
        if owed:
            self._owed = list(owed)
            self._thread.start()

    def begin(self, update: UpdateRecord) -> None:
        """The events of that update are to be delivered."""
        with self._changed:
            self._update = update
            if self.later:
                self._owed.append(Owed(self.name, update.id, 0, update.started))
        if not self._thread.is_alive() and not self._thread.ident:
            self._thread.start()

    def take(self, records: Sequence[EventRecord]) -> None:
        """Take the next events of the update; returns at once."""
        with self._changed:
            for record in records:
                self._told = record.number
                self._outstanding += self._declared.wants(record.event)
                if len(self._waiting) < WAITING:
                    self._waiting.append(record)
                self._ended |= isinstance(record.event, UpdateEnded)
            self._changed.notify()

    def close(self, now: float) -> None:
        """No more events come: deliver what is there, for as long as the observer's `wait` says.

        Args:
            now: when the update ended, by the monotonic clock.
        """
        with self._changed:
            # One that hangs since before the end has had its time.
            since = self._calling_since
            used = 0.0 if since is None else now - since
            self._deadline = now + max(0.0, self._declared.wait - used)
            self._changed.notify()

    def wait(self) -> None:
        """Wait until it has delivered everything, or its time is over."""
        if self._thread.ident and self._deadline is not None:
            self._thread.join(max(0.0, self._deadline - time.monotonic()))

    def leave(self) -> list[Owed]:
        """Let it write nothing from now on; what is still owed."""
        with self._changed:
            self._left = True
            self._changed.notify()
            return self._positions()

    @property
    def outstanding(self) -> int:
        """How many events it has still to deliver of the update at hand."""
        return self._outstanding

    @property
    def undelivered(self) -> str:
        """What was not delivered, as a warning; empty if everything was."""
        parts = []
        earlier = len(self._owed) - any(self._is_own(o) for o in self._owed)
        if self._outstanding and not self.later:
            parts.append(f"{count(self._outstanding, 'event')} could not be delivered")
        elif self._outstanding or earlier:
            left = [count(self._outstanding, "event")] if self._outstanding else []
            left += [f"events of {count(earlier, 'earlier update')}"] if earlier else []
            are = "is" if self._outstanding == 1 and not earlier else "are"
            text = f"{' and '.join(left)} {are} still to be delivered: the next update tries again"
            parts.append(text)
        if self._refused:
            parts.append(f"it refused {count(self._refused, 'event')}")
        if self._outdated:
            old = count(self._outdated, "update")
            parts.append(f"events of {old} are too old and are given up")
        return f"observer {self.name}: {'; '.join(parts)}" if parts else ""

    def _is_own(self, owed: Owed) -> bool:
        return self._update is not None and owed.update == self._update.id

    def _positions(self) -> list[Owed]:
        return [replace(o, number=self._position) if self._is_own(o) else o for o in self._owed]

    # -- its thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        error = error_of(self._work)
        if error is not None and not isinstance(error, _StopError):
            self._complain(error, "it is told no more of this update")

    def _work(self) -> None:
        observer = self._make()
        try:
            unended = [o for o in list(self._owed) if not self._is_own(o)]
            unended = [o for o in unended if not self._deliver_earlier(observer, o)]
            self._deliver_own(observer)
            # By now, this update may have found out that they have crashed.
            for owed in unended:
                self._deliver_earlier(observer, self._now(owed))
        finally:
            error_of(observer.close)

    def _now(self, owed: Owed) -> Owed:
        return next(o for o in self._owed if (o.update, o.observer) == (owed.update, self.name))

    def _deliver_earlier(self, observer: Any, owed: Owed) -> bool:
        """Deliver what is left of an earlier update; False if that has not come to its end yet."""
        update = self._ledger.update(owed.update)
        if update is None or time.time() - owed.since > self._declared.keep:
            self._outdated += update is not None
            self._done(owed)
            return True
        for record in self._stored(owed.update, owed.number):
            self._deliver(observer, Told(update, record))
            if isinstance(record.event, UpdateEnded):
                self._done(owed)
                return True
            self._reached(owed, record.number)
        if update.status is UpdateStatus.RUNNING:
            return False
        self._deliver(observer, Told(update, crash_of(update)))
        self._done(owed)
        return True

    def _deliver_own(self, observer: Any) -> None:
        while (record := self._next()) is not None:
            if (update := self._update) is not None:
                self._deliver(observer, Told(update, record))
            with self._changed:
                self._position = record.number
                self._outstanding -= self._declared.wants(record.event)
            self._save()
            if isinstance(record.event, UpdateEnded) and self.later:
                own = next(o for o in self._owed if self._is_own(o))
                self._done(own)

    def _next(self) -> EventRecord | None:
        """The next event of the update; None at its end."""
        while True:
            with self._changed:
                while self._waiting and self._waiting[0].number <= self._position:
                    self._waiting.popleft()
                if self._waiting and self._waiting[0].number == self._position + 1:
                    return self._waiting.popleft()
                behind = self._told > self._position
                if not behind and (self._deadline is not None or self._left):
                    return None
                update = self._update
            if behind and update is not None:
                # There was no room for it in memory; it may not be in the ledger yet.
                page = self._ledger.events(update.id, self._position, 1)
                if page:
                    return page[0]
            self._pause(_LOOK if behind else _SAVE, or_told=not behind)

    def _stored(self, update: str, after: int) -> Iterator[EventRecord]:
        while page := self._ledger.events(update, after, _PAGE):
            yield from page
            after = page[-1].number

    def _deliver(self, observer: Any, told: Told) -> None:
        """Deliver one event, or find that the observer does not want it.

        Raises:
            _StopError: it cannot be delivered in this update.
        """
        if not self._declared.wants(told.record.event):
            return
        pause = _FIRST_PAUSE
        while True:
            self._go_on()
            self._calling_since = time.monotonic()
            error = error_of(partial(observer.deliver, told))
            self._calling_since = None
            if error is None:
                return
            again, after = _again(error)
            if again is Again.NEVER:
                self._refused += 1
                self._complain(error, "that event is not sent again")
                return
            if again is Again.LATER:
                again_by = "the next update tries again" if self.later else "it is told no more"
                self._complain(error, again_by)
                raise _StopError
            self._complain(error, "it is tried again")
            if self._deadline is not None:
                # The update has ended, and the last try has failed.
                raise _StopError
            jittered = random.uniform(pause / 2, pause)  # noqa: S311
            waited = self._pause(max(after or 0.0, jittered))
            if after is not None and not waited:
                # The update has ended before the observer wanted to be asked again.
                raise _StopError
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _go_on(self) -> None:
        """Raise if it is to deliver nothing more."""
        if self._left:
            raise _StopError

    def _pause(self, seconds: float, or_told: bool = False) -> bool:
        """Wait, but not beyond the end of the update; claims are prolonged meanwhile.

        Args:
            or_told: wait no longer than until an event is told.

        Returns:
            True if the time is over.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with self._changed:
                if self._deadline is not None or self._left:
                    return False
                if or_told and self._told > self._position:
                    return False
                self._changed.wait(min(left, CLAIM_SECONDS / 3))
            self._save(CLAIM_SECONDS / 3)
        return True

    # -- how far it has got --------------------------------------------------------------------

    def _reached(self, owed: Owed, number: int) -> None:
        with self._changed:
            place = self._owed.index(self._now(owed))
            self._owed[place] = replace(owed, number=number)
        self._save()

    def _save(self, every: float = _SAVE) -> None:
        now = time.monotonic()
        if now - self._saved < every:
            return
        self._go_on()
        with self._changed:
            positions = self._positions()
        if positions:
            self._ledger.renew_claims(positions, CLAIM_SECONDS)
        self._saved = now

    def _done(self, owed: Owed) -> None:
        self._go_on()
        self._ledger.delivered(owed)
        with self._changed:
            self._owed = [o for o in self._owed if o.update != owed.update]

    def _complain(self, error: BaseException, consequence: str) -> None:
        if not self._warned and not self._left:
            self._warned = True
            text = error.message if isinstance(error, QanatError) else repr(error)
            got = f" ({error.got})" if isinstance(error, QanatError) and error.got else ""
            self._warn(f"observer {self.name}: {text}{got}; {consequence}")


def _again(error: BaseException) -> tuple[Again, float | None]:
    """Whether an event is sent again after an error, and the seconds to wait before that."""
    if isinstance(error, UndeliveredError):
        return error.again, error.after
    if isinstance(error, QanatError):
        return (Again.SOON if error.retryable else Again.LATER), None
    return (Again.SOON if isinstance(error, OSError) else Again.NEVER), None


def crash_of(update: UpdateRecord) -> EventRecord:
    """The end of an update whose process could not tell of it."""
    error = update.error or update.as_crashed.error or ""
    ended = update.started if update.ended is None else update.ended
    failure = Failure("Q5000", "RunError", error)
    seconds = max(0.0, ended - update.started)
    event = UpdateEnded(update.id, str(UpdateStatus.FAILED), seconds, failure)
    return EventRecord(CRASHED, ended, event)
