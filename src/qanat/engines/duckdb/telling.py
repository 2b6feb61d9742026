"""Tells how far what runs is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qanat.ports.engine import Progress

_GLANCE = 0.25
"""Seconds between two looks how far a query is."""


class Teller:
    """Asks what runs how far it is, in one thread that ends when nothing runs any more.

    A thread for each epoch would cost a small one several per cent of its time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[object, tuple[Callable[[], float], Progress]] = {}
        self._thread: threading.Thread | None = None
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
                self._thread = threading.Thread(
                    target=self._tell, daemon=True, name="qanat-progress"
                )
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
                while not self._changed.wait_for(lambda: self._closed, _GLANCE) and self._running:
                    for percent, progress in self._running.values():
                        found = percent()
                        progress(found / 100 if found >= 0 else None)
            finally:
                self._thread = None
