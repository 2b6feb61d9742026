"""Names of tables, columns, flows, rules and options, compared without case as SQL does.

A name is shown as its author spelled it. Whether two spellings mean the same thing is decided here
and nowhere else: `same` compares two, `Names` and `Named` are a set and a mapping that find a name
in any spelling, and `fold` gives the text under which a name is kept in a ledger or a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import NewType, TypeVar, overload

Name = NewType("Name", str)
"""A name without its case; only `fold` makes one, so that mypy refuses a spelling as a key."""

V = TypeVar("V")
T = TypeVar("T")


def fold(spelling: str) -> Name:
    """What all spellings of a name have in common.

    >>> fold("Bronze"), fold("STRASSE") == fold("Straße")
    ('bronze', True)
    """
    # `Name(…)` would cost more than the folding itself.
    return spelling.casefold()  # type: ignore[return-value]


def same(a: str, b: str) -> bool:
    """True if two spellings mean the same thing.

    >>> same("Straße", "STRASSE"), same("strasse", "strase")
    (True, False)
    """
    return fold(a) == fold(b)


def same_in_query(a: str, b: str) -> bool:
    """True if two names of one query mean the same thing there: engines fold only ASCII letters.

    >>> same_in_query("Orders", "ORDERS"), same_in_query("Straße", "STRASSE")
    (True, False)
    """
    return a.encode(errors="surrogatepass").lower() == b.encode(errors="surrogatepass").lower()


class Names:
    """A set of names, each kept in the spelling that came first.

    >>> names = Names(["Id", "ID", "größe"])
    >>> list(names), "id" in names, "GRÖSSE" in names
    (['Id', 'größe'], True, True)
    """

    __slots__ = ("_spelled",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._spelled: dict[Name, str] = {}
        for name in names:
            self._spelled.setdefault(fold(name), name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and fold(name) in self._spelled

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Names):
            return NotImplemented
        return self._spelled.keys() == other._spelled.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._spelled.values())

    def __len__(self) -> int:
        return len(self._spelled)

    def __repr__(self) -> str:
        return f"Names({list(self)!r})"

    def add(self, name: str) -> None:
        """Add a name, unless the set has it in any spelling."""
        self._spelled.setdefault(fold(name), name)

    def find(self, name: str) -> str | None:
        """A name in the spelling that the set has; None if it is not there."""
        return self._spelled.get(fold(name))


class Named(MutableMapping[str, V]):
    """A mapping by name, each name kept in the spelling that came first.

    Args:
        items: names and values; as in a dict, the last value of a name counts.

    >>> types = Named({"Id": "long", "größe": "double"})
    >>> types["ID"], types.get("GRÖSSE"), list(types)
    ('long', 'double', ['Id', 'größe'])
    """

    __slots__ = ("_spelled", "_values")

    def __init__(self, items: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._spelled: dict[Name, str] = {}
        self._values: dict[Name, V] = {}
        for name, value in items.items() if isinstance(items, Mapping) else items:
            key = fold(name)
            self._spelled.setdefault(key, name)
            self._values[key] = value

    def __getitem__(self, name: str) -> V:
        return self._values[fold(name)]

    def __setitem__(self, name: str, value: V) -> None:
        key = fold(name)
        self._spelled.setdefault(key, name)
        self._values[key] = value

    def __delitem__(self, name: str) -> None:
        key = fold(name)
        del self._values[key], self._spelled[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spelled.values())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Named({dict(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._values == {fold(name): value for name, value in other.items()}

    # Those of `MutableMapping` raise and catch a `KeyError`, or look each value up by its name.

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and fold(name) in self._values

    @overload
    def get(self, name: str, /) -> V | None: ...
    @overload
    def get(self, name: str, /, default: V | T) -> V | T: ...
    def get(self, name: str, /, default: T | None = None) -> V | T | None:
        """The value of a name in any spelling; the default if there is none."""
        return self._values.get(fold(name), default)

    def values(self) -> ValuesView[V]:
        """The values, in the order in which their names came."""
        return self._values.values()
