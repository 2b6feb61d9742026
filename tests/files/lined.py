"""NDJSON files, with Python's `json` as the other reader."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

from qanat.model.name import Names
from tests.files.kind import Read, Row

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

    def options(self, rng: random.Random) -> dict[str, Any]:
        """Every value as text, as it was written."""
        del rng
        return {"infer_schema": False}

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: none is found out."""
        return dict(options)

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> bytes:
        """Some objects, mutated."""
        del options
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
            values = _parse(raw)
            if values is None:
                malformed.append(line)
                continue
            rows.append((line, values))
            for name in values:
                names.add(name)
        full = tuple((line, {n: row.get(n) for n in names}) for line, row in rows)
        return Read(tuple(names), full, tuple(malformed))


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


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
            return f"[{','.join(_number(rng) for _ in range(rng.randrange(3)))}]"
    return _number(rng)


def _number(rng: random.Random) -> str:
    whole = str(rng.choice([0, 7, 2**53 + 1, 2**64, 10**40]))
    return (
        rng.choice(["", "-"]) + whole + rng.choice(["", "", ".10", ".93", "e5", "E-3", ".5e400"])
    )


def _parse(raw: bytes) -> dict[str, str | None] | None:
    try:
        pairs = json.loads(
            raw.decode(), parse_float=_Number, parse_int=_whole, object_pairs_hook=_Pairs
        )
    except ValueError:
        return None
    if not isinstance(pairs, _Pairs) or len(Names(k for k, _ in pairs)) < len(pairs):
        return None
    return {key or "_": _shown(value) for key, value in pairs}


def _whole(text: str) -> _Number:
    # No whole number is -0, and DuckDB writes it without the sign.
    return _Number("0" if text == "-0" else text)


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values."""


def _shown(value: Any) -> str | None:
    """A value as text, compact."""
    if value is None or type(value) is str:
        return value
    return _compact(value)


def _compact(value: Any) -> str:
    match value:
        case _Number():
            return str(value)
        case _Pairs():
            return "{" + ",".join(f"{_compact(k)}:{_compact(v)}" for k, v in value) + "}"
        case list():
            return f"[{','.join(map(_compact, value))}]"
    return json.dumps(value, ensure_ascii=False)
