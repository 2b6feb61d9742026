"""The observers of the spec, each with a thread of its own that no update waits for.

What the ledger keeps of an update's events, they get: at once what is told now, and before that
what earlier updates could not deliver. How far each has got, the ledger remembers (`Outbox`), so
a crash loses nothing, and what was delivered right before it comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Self

from qanat import plugins
from qanat.errors import QanatError
from qanat.model.event import Event, EventRecord, Warned
from qanat.model.observer import DeclaredObserver
from qanat.model.outbox import CLAIM_SECONDS, Owed
from qanat.model.record import UpdateRecord
from qanat.run.courier import Courier
from qanat.run.portraits import Portraits
from qanat.run.session import Session


class Observing:
    """The observers of the spec, while an update works; use it as a context manager.

    At the end of the block they may finish what they have begun, for as long as each one's option
    `wait` says. What is left then is told, and the next update delivers it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._observed = Portraits(session)
        self._couriers = [self._courier(each) for each in session.project.observers]
        self._tell: Callable[[Event], None] = lambda event: None
        self._later = [c.name for c in self._couriers if c.later]

    def _courier(self, declared: DeclaredObserver) -> Courier:
        kind = plugins.observer_kind(declared.kind)

        def make() -> object:
            made = plugins.imported(kind.observer)
            return made(declared.name, declared.options, self._observed)

        return Courier(declared, kind.later, make, self._session.ledger, self._warn)

    def start(self, tell: Callable[[Event], None]) -> None:
        """Begin to deliver what is left of earlier updates.

        Args:
            tell: is told, once, what is wrong with an observer.
        """
        self._tell = tell
        if not self._later:
            return
        found: Sequence[Owed] = ()
        # Whatever is wrong with the ledger, the update itself meets, too.
        with suppress(QanatError):
            found = self._session.ledger.claim(self._later, CLAIM_SECONDS)
        for courier in self._couriers:
            courier.catch_up([owed for owed in found if owed.observer == courier.name])

    # -- what the diary hands on ---------------------------------------------------------------

    @property
    def owed(self) -> Collection[str]:
        """The observers to whom the ledger owes what they could not be told."""
        return self._later

    def begin(self, update: UpdateRecord) -> None:
        """The ledger knows of the update."""
        for courier in self._couriers:
            courier.begin(update)

    def take(self, records: Sequence[EventRecord]) -> None:
        """Take its next events."""
        for courier in self._couriers:
            courier.take(records)

    def _warn(self, text: str) -> None:
        self._tell(Warned(None, text))

    # -- the end -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        ended = time.monotonic()
        for courier in self._couriers:
            courier.close(ended)
        try:
            for courier in self._couriers:
                courier.wait()
        finally:
            left = [each for courier in self._couriers for each in courier.leave()]
            if left:
                # Whoever comes next need not wait until the claims expire.
                with suppress(QanatError):
                    self._session.ledger.give_back(left)
        for courier in self._couriers:
            if text := courier.undelivered:
                self._warn(text)
