"""Observers that the spec names, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from qanat.errors import Location, OptionError
from qanat.frozen import Frozen
from qanat.model.adapter import Option, OptionTable, ValueType
from qanat.model.event import Event, EventRecord, UnknownEvent, kind_of
from qanat.model.name import fold
from qanat.model.record import UpdateRecord


class ObserverOptions(OptionTable):
    """Options of an observer, of which some are secrets: no error shows what they are.

    Those called `secret`, `token`, `url` or `…_key` may be; `url` is of a web server.

    >>> table = ObserverOptions("an observer", (Option("api_key", "…", least=1),))
    >>> table.check("api_key", ["hunter2"])
    Traceback (most recent call last):
    ...
    qanat.errors.declaration.OptionError: the option 'api_key' of an observer does not fit
      wanted: text
    """

    __slots__ = ()

    def check(self, name: str, value: Any, location: Location | None = None) -> tuple[str, Any]:
        """As every option table does.

        Raises:
            OptionError: there is no such option, or the value does not fit.
        """
        try:
            canonical, checked = OptionTable.check(self, name, value, location)
        except OptionError as error:
            if self.has(name) and _is_secret(self.find(name).name):
                error.got = None
            raise
        if canonical == "url" and not is_http(str(checked)):
            raise OptionError(
                f"the option 'url' of {self.owner} is no URL of a web server",
                location=location,
                wanted="https://host/path",
            )
        return canonical, checked


def _is_secret(name: str) -> bool:
    """True if the value of an option may be one: the URLs of many web hooks are."""
    return name in ("secret", "token", "url") or name.endswith("_key")


def is_http(url: str) -> bool:
    """True if a text is a URL that can be posted to.

    >>> is_http("https://hooks.example/qanat"), is_http("hooks.example"), is_http("ftp://a")
    (True, False, False)
    >>> is_http("https://hooks.example/a b"), is_http("https://hooks.example/ü")
    (False, False)
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    with suppress(ValueError):
        parts = urlsplit(url)
        # `port` raises what is wrong with it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    return False


COMMON = OptionTable(
    "an observer",
    (
        Option(
            "kind",
            "what it is: `webhook`, `openlineage`, `file`, or a kind of another package",
            type=ValueType.NAME,
            required=True,
        ),
        Option("events", "the kinds of events that it gets; default: all"),
        Option(
            "datasets",
            "the datasets of which it gets events, by name or glob; those of the update as a whole"
            " it gets in any case; default: all",
        ),
        Option(
            "wait",
            "how long an update waits at its end for what is still to be delivered; what is left"
            " then, the next update delivers",
            type=ValueType.DURATION,
        ),
        Option(
            "keep",
            "for how long it is tried to deliver the events of an update",
            type=ValueType.DURATION,
        ),
    ),
)
"""What may be said of every observer."""
WAIT = "5 seconds"
"""The value of `wait` where nothing is said."""
KEEP = "7 days"
"""The value of `keep` where nothing is said."""


class DeclaredObserver(Frozen):
    """An observer of the spec.

    Args:
        name: the key below `observers`.
        kind: as in `ObserverKind.name`.
        options: of the kind, by canonical name. They may have secrets, so they are not shown.
        events: the kinds of events that it gets; empty: all.
        datasets: names and globs of datasets of which it gets events; empty: all.
        wait: seconds that an update waits at its end for what is to be delivered.
        keep: seconds for which it is tried to deliver the events of an update.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    events: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    wait: float = 5.0
    keep: float = 7 * 86400.0

    def wants(self, event: Event | UnknownEvent) -> bool:
        """True if it gets that event.

        >>> from qanat.model.event import DatasetStarted, Warned
        >>> gold = DeclaredObserver("alerts", "webhook", datasets=("gold_*",))
        >>> gold.wants(DatasetStarted("Gold_sales", "materialized view"))
        True
        >>> gold.wants(DatasetStarted("silver", "streaming table")), gold.wants(Warned(None, "…"))
        (False, True)
        """
        if self.events and kind_of(event) not in self.events:
            return False
        dataset = about(event)
        if dataset is None or not self.datasets:
            return True
        return any(fnmatchcase(fold(dataset), fold(pattern)) for pattern in self.datasets)


def about(event: Event | UnknownEvent) -> str | None:
    """The dataset that an event is about; None if it is about the update as a whole.

    >>> about(UnknownEvent("table_compacted", {"dataset": "silver"}))
    'silver'
    """
    if isinstance(event, UnknownEvent):
        found = event.facts.get("dataset")
        return found if isinstance(found, str) else None
    return getattr(event, "dataset", None)


CRASHED = 0
"""The number of the event that tells of the end of an update whose process could not."""


class Told(Frozen):
    """An event of an update, as an observer of the spec gets it."""

    update: UpdateRecord
    record: EventRecord

    @property
    def id(self) -> str:
        """Tells it apart from all other events of the environment; the same if it comes again.

        >>> from qanat.model.event import ProjectRead
        >>> update = UpdateRecord("20261130T010315-f4eed8", "dev", "run", 1796000595.6)
        >>> Told(update, EventRecord(3, 1796000596.0, ProjectRead())).id
        '20261130T010315-f4eed8/3'
        """
        number = self.record.number
        return f"{self.update.id}/{'crashed' if number == CRASHED else number}"
