"""Histories of changes as Debezium would tell them, in files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.changes.model import Case, Event

OPS = {"D": "d", "T": "t"}
SCHEMA = {
    "type": "struct",
    "fields": [
        {
            "type": "struct",
            "fields": [
                {"type": "int64", "optional": False, "field": "id"},
                {"type": "string", "optional": False, "field": "site"},
                {"type": "int64", "optional": True, "field": "a"},
                {"type": "string", "optional": True, "field": "b"},
            ],
            "optional": True,
            "field": part,
        }
        for part in ("before", "after")
    ],
    "optional": False,
    "name": "shop.public.things.Envelope",
}


def lsn(at: tuple[int, int]) -> int:
    """A position in one log for the sequence of an event."""
    return at[0] * 3 + at[1]


def message(event: Event, chance: random.Random) -> dict[str, Any]:
    """An event as a message; which of the optional parts it has is drawn."""
    row = dict(zip(("id", "site"), event.key, strict=True)) | {"a": event.a, "b": event.b}
    op = OPS.get(event.op) or chance.choice("cru")
    before, after = None, row
    if op == "d":
        # Only the keys, or all that the row was.
        before, after = (
            (row if chance.random() < 0.5 else {k: row[k] for k in ("id", "site")}),
            None,
        )
    elif op == "t":
        after = None
    elif op == "u" and chance.random() < 0.5:
        before = {**row, "b": "before"}
    parts: list[tuple[str, Any]] = [
        ("before", before),
        ("after", after),
        ("source", {"connector": "postgresql", "lsn": lsn(event.at), "ts_ms": 7, "xmin": None}),
        ("op", op),
        ("ts_ms", 8),
    ]
    if chance.random() < 0.2:
        chance.shuffle(parts)
    return dict(parts)


def text(events: Sequence[Event], chance: random.Random) -> str:
    """A file of messages: lines or an array, plain or with their schema, tombstones between."""
    messages = list(_messages(events, chance))
    if chance.random() < 0.3:
        return json.dumps([m for m in messages if m is not None], indent=chance.choice([None, 1]))
    dense = (",", ":") if chance.random() < 0.5 else None
    return "".join(f"{json.dumps(m, separators=dense)}\n" for m in messages)


def _messages(events: Sequence[Event], chance: random.Random) -> Iterator[Any]:
    wraps = chance.choice([0.0, 0.5, 1.0])
    for event in events:
        one = message(event, chance)
        wrapped = chance.random() < wraps
        yield {"schema": SCHEMA, "payload": one} if wrapped else one
        if one["op"] == "d":
            yield {"schema": None, "payload": None} if wrapped else None
        if chance.random() < 0.1:
            yield {"op": "m", "source": {"lsn": 1}, "message": {"prefix": "p", "content": "aGk="}}


def as_told(case: Case, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows of the model, with positions in place of sequences."""
    plain = (tuple(lsn(v) if isinstance(v, tuple) else v for v in row) for row in rows)
    return sorted(plain, key=repr)
