"""The reference of a scenario: its calls and its result without a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qanat.crash.trace import Call


@dataclass(slots=True)
class Reference:
    """What a scenario does without a fault.

    Args:
        calls: the calls that change the disk, in order.
        picture: what tables and sinks hold at the end.
        unstable: tables whose rows differ from run to run without any fault.
        seconds: the wall time of the operation, its repetition and the checks.
        modules: the modules that it imports.
        books: the ledger's counts at the end.
    """

    calls: list[Call]
    picture: dict[str, Any]
    unstable: frozenset[str]
    seconds: float
    modules: tuple[str, ...] = ()
    books: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The reference as JSON, for the driver and the other workers."""
        calls = [
            (c.op, c.result, c.offset, c.length, c.detail, c.path, c.other) for c in self.calls
        ]
        return {
            "calls": calls,
            "picture": self.picture,
            "unstable": sorted(self.unstable),
            "seconds": self.seconds,
            "modules": self.modules,
            "books": self.books,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Reference:
        """Read what `to_json` wrote."""
        calls = [Call(*c) for c in found["calls"]]
        unstable, modules = frozenset(found["unstable"]), tuple(found["modules"])
        picture, books = found["picture"], found["books"]
        return cls(calls, picture, unstable, found["seconds"], modules, books)

    def without(self, other: Reference) -> Reference:
        """This reference, with what differs in another run of the scenario marked as unstable."""
        unstable = {
            name
            for name in {*self.picture, *other.picture}
            if self.picture.get(name) != other.picture.get(name)
        }
        # Counts of a table whose rows differ may differ, too.
        differing = {n.removeprefix("sink ").removesuffix("__quarantine") for n in unstable}
        books = {
            name: text
            for name, text in self.books.items()
            if text == other.books.get(name) and name not in differing
        }
        return Reference(
            self.calls, self.picture, frozenset(unstable), self.seconds, self.modules, books
        )

    def miscounted(self, books: Mapping[str, str]) -> Iterator[str]:
        """A sentence for each dataset whose counts differ from the reference."""
        for name, text in self.books.items():
            if (there := books.get(name)) != text:
                yield f"the ledger counts {there} for {name} instead of {text}"
