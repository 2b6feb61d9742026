"""Adds events to a file, as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qanat.disk import append_line
from qanat.model.observer import Told
from qanat.observe.cloudevents.event import line, source_of
from qanat.ports.observer import Observed


class EventLines:
    """An observer that writes each event into a file; see `FILE` for its options."""

    def __init__(self, name: str, options: Mapping[str, Any], observed: Observed) -> None:
        del name
        self._path = observed.root / options["path"]
        self._source = source_of(observed, options.get("source"))

    def deliver(self, told: Told) -> None:
        """Write one event.

        Raises:
            OSError: the disk refuses it.
        """
        append_line(self._path, line(told, self._source))

    def close(self) -> None:
        """Nothing is open between two events."""
