"""What the readers of other tools' files share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.errors import Location
from qanat.model.contract import Note

Make = Callable[[Mapping[str, Any]], Check | None]


class Imported:
    """The checks that a file has, by the names of their datasets, and what is not carried over."""

    def __init__(self) -> None:
        self.checks: dict[str, list[Check]] = {}
        self.notes: list[Note] = []

    def add(self, dataset: str, check: Check) -> None:
        """Keep a check; one that is there already is left out."""
        mine = self.checks.setdefault(dataset, [])
        if check not in mine:
            mine.append(check)

    def note(self, what: str, why: str, at: Location) -> None:
        """Say that something is not carried over."""
        self.notes.append(Note(what, why, at))


def made(kind: str, *, null: bool = False, **arguments: Any) -> Check:
    """A check with the arguments that are not None.

    Args:
        null: rows pass where the rule is NULL.
    """
    check = Check(kind, tuple((k, v) for k, v in arguments.items() if v is not None))
    return check.nulls_pass() if null else check


def part(entry: Entry | None, *names: str) -> Entry | None:
    """The value under the first of several keys that there is."""
    given = entry.value if entry is not None and isinstance(entry.value, dict) else {}
    found = (given[name] for name in names if name in given)
    return next((each for each in found if each.value is not None), None)


def listed(entry: Entry | None, *names: str) -> list[Entry]:
    """The elements of the list under a key."""
    found = part(entry, *names)
    return found.value if found is not None and isinstance(found.value, list) else []


def text(entry: Entry | None, *names: str) -> str | None:
    """The text under a key."""
    found = part(entry, *names)
    return None if found is None else str(found.text)


def share(kept: float) -> str | None:
    """What is tolerated if at least such a share of rows keeps a rule; None: nothing is.

    >>> share(0.95)
    '5 %'
    """
    rest = round((1 - kept) * 100, 6)
    return f"{rest:g} %" if rest > 0 else None
