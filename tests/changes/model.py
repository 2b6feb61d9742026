"""What a table holds after changes, said with a dict and a sort; and histories to try it with."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

KEYS = ("id", "site")
VALUES = ("a", "b")


@dataclass(frozen=True, slots=True)
class Event:
    """One change: an upsert (`U`), a deletion (`D`), or that everything goes (`T`)."""

    key: tuple[int | None, str | None]
    at: tuple[int, int]
    op: str = "U"
    a: int | None = None
    b: str | None = None

    @property
    def row(self) -> tuple[object, ...]:
        """Its columns: id, site, seq, lsn, op, a, b."""
        return (*self.key, *self.at, self.op, self.a, self.b)


@dataclass(frozen=True, slots=True)
class Case:
    """A table with changes, and the epochs in which its events come.

    Args:
        keeps: columns in which NULL leaves the value as it was.
        tracked: columns whose change makes a version; None: all.
        two: whether it has a row for each version (SCD type 2).
        shown: whether the table has the columns of the sequence.
    """

    seed: int
    keeps: tuple[str, ...]
    tracked: tuple[str, ...] | None
    two: bool
    shown: bool
    epochs: tuple[tuple[Event, ...], ...] = field(repr=False)


Row: TypeAlias = tuple[object, ...]


def draw(seed: int) -> Case:
    """A case: few keys and much lateness, so that everything happens to each of them."""
    chance = random.Random(seed)  # noqa: S311
    two = chance.random() < 0.5
    keeps = chance.choice([(), (), ("a",), ("a", "b")])
    tracked = chance.choice([None, None, ("a",), ("b",)]) if two else None
    shown = not two and chance.random() < 0.4
    events = draw_events(chance, truncates=not two and chance.random() < 0.4)
    epochs: list[list[Event]] = [[] for _ in range(chance.randint(1, 6))]
    for number, event in enumerate(events):
        # Mostly in order, some much too late, some long before their time.
        wanted = number * len(epochs) // max(1, len(events))
        late = chance.random() < 0.3
        epochs[chance.randrange(len(epochs)) if late else wanted].append(event)
        if chance.random() < 0.05:
            epochs[chance.randrange(len(epochs))].append(event)  # delivered twice
    for epoch in epochs:
        chance.shuffle(epoch)
    return Case(seed, keeps, tracked, two, shown, tuple(map(tuple, epochs)))


def draw_events(
    chance: random.Random, truncates: bool, least: int = 1, most: int = 40
) -> list[Event]:
    """Events in their order.

    Args:
        truncates: whether some of them empty the table.
        least, most: how many there are.
    """
    keys = [(n % 5, "ab"[n % 2]) for n in range(chance.randint(1, 6))]
    found = []
    for number in range(chance.randint(least, most)):
        at = (number // 3, number % 3)
        if truncates and chance.random() < 0.06:
            found.append(Event((None, None), at, "T"))
        elif chance.random() < 0.25:
            # What else a deletion says does not count.
            found.append(Event(chance.choice(keys), at, "D", chance.choice([None, 7])))
        else:
            a, b = chance.choice([None, 1, 1, 2]), chance.choice([None, "x", "y"])
            found.append(Event(chance.choice(keys), at, "U", a, b))
    return found


def rows_after(case: Case, epochs: int) -> list[Row]:
    """The rows of the table after so many epochs, sorted: keys, values, and bounds or sequence."""
    known = {e for epoch in case.epochs[:epochs] for e in epoch}
    ordered = sorted(known, key=lambda e: e.at)
    emptied = max((e.at for e in ordered if e.op == "T"), default=(-1, -1))
    mine = sorted((e for e in ordered if e.op != "T" and e.at > emptied), key=_key)
    found = [r for key, some in groupby(mine, key=_key) for r in _of_key(case, key, list(some))]
    return sorted(found, key=repr)


def _key(event: Event) -> tuple[str, str]:
    return str(event.key[0]), str(event.key[1])


def _of_key(case: Case, key: tuple[str, str], events: Sequence[Event]) -> Iterator[Row]:
    """The rows of one key."""
    events = sorted(events, key=lambda e: e.at)
    versions: list[list[object]] = []
    alive = False
    for event in events:
        if event.op == "D":
            if alive:
                versions[-1][-1] = event.at
            alive = False
            continue
        new = {"a": event.a, "b": event.b}
        if alive:
            old = dict(zip(VALUES, versions[-1][2:4], strict=True))
            new |= {n: old[n] for n in case.keeps if new[n] is None}
            same = all(new[n] == old[n] for n in case.tracked or VALUES)
            if not case.two or same:
                start = versions[-1][-2] if case.two else event.at
                versions[-1] = [*event.key, new["a"], new["b"], start, None]
                continue
            versions[-1][-1] = event.at
        versions.append([*event.key, new["a"], new["b"], event.at, None])
        alive = True
    if case.two:
        yield from map(tuple, versions)
    elif alive:
        last = versions[-1]
        yield (*last[:4], *last[4]) if case.shown else tuple(last[:4])
