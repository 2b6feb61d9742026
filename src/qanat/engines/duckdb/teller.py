"""Tells the progress of what runs, from one thread for all epochs.

Starting a thread for each costs a small epoch several per cent of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread

from qanat.ports.engine import Progress

_TICK = 0.25
"""Seconds between two looks."""


class Teller:
    """Asks what runs how far it is, in a thread that ends when nothing runs any more."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running: dict[object, tuple[Callable[[], float], Progress]] = {}
        self._thread: Thread | None = None
        self._closed = False

    @contextmanager
    def telling(self, percent: Callable[[], float], progress: Progress) -> Iterator[None]:
        """Tell progress until the block ends.

        Args:
            percent: how far it is, 0 to 100; negative if that cannot be known.
            progress: is told.
        """
        key = object()
        with self._changed:
            self._running[key] = percent, progress
            if self._thread is None:
                self._thread = Thread(target=self._tell, daemon=True, name="qanat-progress")
                self._thread.start()
        try:
            yield
        finally:
            # The lock is held while progress is asked: no connection is asked once its work ended.
            with self._changed:
                del self._running[key]

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _tell(self) -> None:
        with self._changed:
            try:
                while not self._changed.wait_for(lambda: self._closed, _TICK) and self._running:
                    for percent, progress in self._running.values():
                        found = percent()
                        progress(found / 100 if found >= 0 else None)
            finally:
                self._thread = None
