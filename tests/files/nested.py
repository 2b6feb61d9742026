"""JSON files (arrays, lines, documents), with Python's `json` as the other reader."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.files.kind import Drawn, Read
from tests.files.trees import number, parse, same

_KEYS = (
    "a",
    "b",
    "c d",
    "é",
    'q"q',
    "a/b~c",
    "",
    "A",
    "數",
    "$",
    "a.b",
    "x'y",
    "[0]",
    "_metadata",
)
_TEXTS = (
    *("", "x", "1.5", "null", 'say "1.5", [2.5] : 3e5', "\\", "数\n\t", "{}", "[", "]", "},{"),
    *("\u0000", "a\u0000b", "\U0001f600", "\u2028", "\ufeff", "\x7f", "\x1f", "/", "é", "</s>"),
    *("2013-01-01", "true", "0017", " ", ",", '"', "\\u0041", "\r\n", "90071992547409.93"),
)
_WRONG = (
    *('{"a" 1}', '{"a":}', "{a:1}", '{"a":tru}', "{'a':1}", '{"a":01}', '{"a":1 "b":2}'),
    *('{"a":+1}', '{"a":.5}', '{"a":1.}', r'{"a":"\x"}', '{"a":"\\ud800"}', '{"a":"\x01"}'),
    *('{"a":1,"a":2}', '{"a":1,"A":2}', '{"a\\u0000b":1}', "{:1}", '{"a":1,,"b":2}', '{"a":-}'),
    *("1", '"x"', "null", "[1]", '[{"a":1}]', "true", "{}x", '{"a":"\ufdd0", "b":1.5}'),
)
_DEEP, _TOO_DEEP = (5, 20, 60), (150, 400)


class Nested:
    """JSON files."""

    name = "json"
    places = True

    def options(self, rng: random.Random) -> dict[str, Any]:
        """Types inferred or not; an array, lines or documents."""
        options: dict[str, Any] = {"infer_schema": rng.random() < 0.5}
        if rng.random() < 0.2:
            options["multi_line"] = True
        return options

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: none is found out."""
        return dict(options)

    def same(self, wanted: Any, got: Any) -> bool:
        """True for equal numbers, texts and structures; or for JSON text that means the same."""
        return same(wanted, got)

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> Drawn:
        """A file in one of the layouts; in some an element is wrong, some are cut off."""
        wrong = rng.choice((0, 0, 0.1, 0.4))
        elements = [_element(rng, wrong) for _ in range(rng.choice((0, 1, 2, 3, 5, 8)))]
        layouts = (_array, _documents) if options.get("multi_line") else (_array, _array, _lines)
        drawn = rng.choice(layouts)(rng, elements)
        if rng.random() < 0.1:
            return Drawn(b"\xef\xbb\xbf" + drawn.data, drawn.wanted)
        return drawn


class _Element(NamedTuple):
    """One element: its text, in which one character may be none of UTF-8."""

    text: str

    @property
    def data(self) -> bytes:
        return self.text.encode("utf-8", "surrogateescape")

    @property
    def values(self) -> Mapping[str, Any] | None:
        """What `json` finds; None if it is no row."""
        return parse(self.data)


def _element(rng: random.Random, wrong: float) -> _Element:
    if rng.random() < wrong:
        text = rng.choice(_WRONG)
        return _Element('{"a":"\udcff"}' if rng.random() < 0.1 else text)
    keys = rng.sample(_KEYS, rng.randrange(0, 4))
    if len({k.lower() for k in keys}) < len(keys):
        keys = keys[:1]
    parts = (f"{_string(k, rng)}{_space(rng)}:{_space(rng)}{_value(rng)}" for k in keys)
    return _Element("{" + f"{_space(rng)},{_space(rng)}".join(parts) + _space(rng) + "}")


def _space(rng: random.Random) -> str:
    return rng.choice(("", "", "", "", " ", "\t", "  "))


def _string(text: str, rng: random.Random) -> str:
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


def _value(rng: random.Random, depth: int = 0) -> str:
    if rng.random() < 0.01:
        levels = rng.choice(_DEEP)
        return "[" * levels + number(rng) + "]" * levels
    if rng.random() < 0.003:
        levels = rng.choice(_TOO_DEEP)
        return "[" * levels + "]" * levels
    match rng.randrange(8 if depth < 4 else 5):
        case 0:
            return rng.choice(["null", "true", "false"])
        case 1 | 2:
            return _string(rng.choice(_TEXTS), rng)
        case 3 | 4:
            return number(rng)
        case 5 | 6:
            values = (_value(rng, depth + 1) for _ in range(rng.randrange(4)))
            return "[" + ",".join(values) + "]"
    keys = rng.sample(_KEYS, rng.randrange(4))
    return "{" + ",".join(f"{_string(k, rng)}:{_value(rng, depth + 1)}" for k in keys) + "}"


def _array(rng: random.Random, elements: Sequence[_Element]) -> Drawn:
    """An array; or what is left of one that was cut off within an element."""
    between = rng.choice((b",", b",\n", b", ", b" ,\r\n  ", b",\n\n"))
    start, end = rng.choice(((b"[", b"]"), (b"[\n", b"\n]\n"), (b" [ ", b" ]  ")))
    if elements and rng.random() < 0.1:
        at = rng.randrange(len(elements))
        data = start + b"".join(e.data + between for e in elements[:at])
        # At least the first bytes: else nothing tells that there was one more.
        part = elements[at].data
        part = part[: rng.randrange(1, len(part))] if len(part) > 1 else b"{"
        left = _Element(part.decode("utf-8", "surrogateescape"))
        # The bracket that closes the array is missed in any case.
        whole = [*elements[:at], *([left] if left.values is not None else [])]
        return Drawn(data + part, _read(whole, len(whole) + 1))
    return Drawn(start + between.join(e.data for e in elements) + end, _read(elements))


def _lines(rng: random.Random, elements: Sequence[_Element]) -> Drawn:
    """A line for each element, and blank ones."""
    end = rng.choice((b"\n", b"\n", b"\r\n"))
    # What the first line begins with tells the layout.
    first = [_Element('{"a":1}')] if elements else []
    data, places = b"", []
    for element in (*first, *elements):
        blank = rng.choice((0, 0, 0, 0, 1))
        data += end * blank + element.data + end
        places.append((places[-1] if places else 0) + blank + 1)
    return Drawn(data, _read((*first, *elements), places=places))


def _documents(rng: random.Random, elements: Sequence[_Element]) -> Drawn:
    """Objects one after another, written over several lines."""
    whole = [e for e in elements if e.values is not None]
    pretty = [json.dumps(_plain(e), indent=rng.choice((1, 4)), ensure_ascii=False) for e in whole]
    again = [_Element(text) for text in pretty]
    return Drawn(b"\n".join(e.data for e in again), _read(again))


def _plain(element: _Element) -> Any:
    # Numbers that Python would write otherwise become texts.
    return json.loads(element.text, parse_float=str, parse_int=str)


def _read(
    elements: Sequence[_Element], cut: int | None = None, places: Sequence[int] | None = None
) -> Read:
    """What is found in elements, and in one that was cut off."""
    rows, malformed, names = [], [], dict[str, None]()
    for place, element in enumerate(elements, start=1):
        values = element.values
        line = place if places is None else places[place - 1]
        if values is None:
            malformed.append(line)
        else:
            rows.append((line, values))
            names |= dict.fromkeys(values)
    if cut:
        malformed.append(cut)
    return Read(tuple(names), tuple(rows), tuple(malformed))
