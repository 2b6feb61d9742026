"""What a scenario does undisturbed, and what is to be there afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qanat.crash.trace import Call


@dataclass(slots=True)
class Reference:
    """What a scenario does undisturbed.

    Args:
        calls: what it does to the disk, in order.
        picture: what the tables hold at the end.
        unstable: tables whose rows differ from run to run by themselves.
        seconds: how long it takes, with doing it again and the verification.
        modules: what it imports on the way.
        books: what the ledger has counted.
    """

    calls: list[Call]
    picture: dict[str, Any]
    unstable: frozenset[str]
    seconds: float
    modules: tuple[str, ...] = ()
    books: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the driver and other workers."""
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
        """What `to_json` gave."""
        calls = [Call(*c) for c in found["calls"]]
        unstable, modules = frozenset(found["unstable"]), tuple(found["modules"])
        picture, books = found["picture"], found["books"]
        return cls(calls, picture, unstable, found["seconds"], modules, books)

    def without(self, other: Reference) -> Reference:
        """The same, knowing what differed in another one."""
        unstable = {
            name
            for name in {*self.picture, *other.picture}
            if self.picture.get(name) != other.picture.get(name)
        }
        # Where rows differ, so may what is counted of them.
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
        """Where the ledger has counted something else."""
        for name, text in self.books.items():
            if (there := books.get(name)) != text:
                yield f"the ledger counts {there} for {name} instead of {text}"
