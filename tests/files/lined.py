"""NDJSON files, with Python's `json` as the other reader."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

from qanat.model.name import Names
from tests.files.kind import Drawn, Read, Row
from tests.files.trees import number, parse, same

_KEYS = ("a", "b", "c d", "é", 'q"q', "a/b~c")
_TEXTS = (
    "",
    "x",
    "1.5",
    "null",
    'say "1.5", [2.5] : 3e5',
    "\\",
    "数\n\t",
    "90071992547409.93",
    "{}",
)
_MARKS = (
    b'"',
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n",
    b"\r\n",
    b" ",
    b"\xff",
    b"1",
    b"x",
    b"\\",
)
_SPECIAL = re.compile(rb"NaN|Infinity|nan|inf|\\u[dD]|,\s*[}\]]|\\u0000", re.I)


class Lined:
    """NDJSON files."""

    name = "ndjson"
    places = True

    def options(self, rng: random.Random) -> dict[str, Any]:
        """Every value as text, or with types."""
        return {"infer_schema": rng.random() < 0.5}

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: none is found out."""
        return dict(options)

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> Drawn:
        """Some objects, mutated."""
        data = self._written(rng)
        return Drawn(data, self.expect(data, options))

    def same(self, wanted: Any, got: Any) -> bool:
        """True if a text is that of the value."""
        return same(wanted, got)

    def _written(self, rng: random.Random) -> bytes:
        end = rng.choice(["\n", "\n", "\r\n"])
        text = end.join(_object(rng) for _ in range(rng.randrange(8)))
        data = bytearray((text + rng.choice(["", end])).encode())
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.choice([0, 0, 1])] = rng.choice(_MARKS)
        return bytes(data)

    def expect(self, data: bytes, options: Mapping[str, Any]) -> Read | None:
        """What `json` finds line by line; None where DuckDB's JSON is another dialect of it."""
        del options
        if _SPECIAL.search(data) or b"\r" in data.replace(b"\r\n", b""):
            return None
        names = Names()
        rows: list[Row] = []
        malformed: list[int] = []
        for line, raw in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), 1):
            if not raw.strip(b" "):
                continue
            values = parse(raw)
            if values is None:
                malformed.append(line)
                continue
            rows.append((line, values))
            for name in values:
                names.add(name)
        full = tuple((line, {n: row.get(n) for n in names}) for line, row in rows)
        return Read(tuple(names), full, tuple(malformed))


def _object(rng: random.Random) -> str:
    keys = rng.sample(_KEYS, rng.randrange(1, 4))
    return "{" + ",".join(f"{_string(k, rng)}:{_value(rng)}" for k in keys) + "}"


def _string(text: str, rng: random.Random) -> str:
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


def _value(rng: random.Random) -> str:
    match rng.randrange(6):
        case 0:
            return rng.choice(["null", "true", "false"])
        case 1 | 2:
            return _string(rng.choice(_TEXTS), rng)
        case 3:
            return f"[{','.join(number(rng) for _ in range(rng.randrange(3)))}]"
    return number(rng)
