"""CSV files, with Python's `csv` as the other reader."""

from __future__ import annotations

import csv
import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from qanat.engines.duckdb.files.dialect import name_columns
from qanat.model.schema import Field, Schema, type_from_json
from tests.files.fitting import MISFIT, fitted
from tests.files.kind import Drawn, Read, Row

csv.field_size_limit(sys.maxsize)

_PLAIN = (
    "1",
    "-2.5",
    "0017",
    "x",
    "two words",
    "é",
    "数",
    "",
    "",
    "2013-01-01",
    " sp ",
    "NA",
    "\\",
)
_ODD = (
    *('a"b', '5" disk', ' "z"', '"w" ', "a\rb", "\0", "'q'", "#c", "a#c", "\t", "\\"),
    *('"', '""', "\ufeff", "\x1a", ", ", "=", "\u2028", '"a"b', "\x0b", "\x85"),
)
_QUOTED = (
    *("", "a,b", 'x"y', '"', '""', "l\nm", "c\r\nd", "r\rs", " ", ";", "a|b\tc", "\n", "\r\n"),
    *("1", "NA", 'he said, "hi"', ' "z" ', "é\n数", "#c", "\0"),
)
_TYPED = 0.5
"""The share of batches whose columns have declared types."""
_MARKS = (
    b'"',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3",
    b'""',
    b"#",
    b"\\",
)
_NUMBERS = (
    *("1", "0", "7", "10", "42", "100", "155190", "-3", "20000", "9007199254740993"),
    *("17.00", "0.04", "0.00", "0.5", "21168.23", "-2.50", "10.00", "0.125", "100.0"),
)
_DAYS = ("1996-03-13", "2000-01-01", "1970-01-01", "9999-12-31", "1000-01-01", "0001-01-04")
_VALUES = {
    "long": (*_NUMBERS[:10], "9223372036854775807", "-9223372036854775808"),
    "integer": (*_NUMBERS[:9], "2147483647"),
    "short": (*_NUMBERS[:6], "32767"),
    "double": (*_NUMBERS[:9], *_NUMBERS[10:], "1e22", "123456789012345"),
    "decimal(15,2)": (*_NUMBERS[:9], *_NUMBERS[10:17], "9999999999999.99"),
    "decimal(18,4)": (*_NUMBERS[:9], *_NUMBERS[10:], "0.0001", "12345678901234.5678"),
    "decimal(9,0)": (*_NUMBERS[:9], "999999999"),
    "decimal(38,10)": (*_NUMBERS, "0.0000000001"),
    "date": _DAYS,
    "timestamp_ntz": tuple(f"{day} 10:20:30" for day in _DAYS),
    "string": ("A", "TRUCK", "ly final: bold", "1.50", "2 e"),
}
"""Values as a database writes them, by type."""
_MISTAKES = (
    *("1.005", "9.999", "0.001", "99.995", "1.5", "1e2", "12e2", "1e-1", "15e-1", "1E3", "11e0."),
    *("1_0", "1_2.5", "0xFFFFF", "0b11", "007", "00.5", "+5", " 5", "5 ", "5\t", "5.", ".5", "-0"),
    *("2147483648", "32768", "9223372036854775808", "12345678901234567", "1e400", "1e-400", "1e"),
    *("1996-03-13 10:00:00", "1996-03-13 00:00:00", "1996-02-30", "10000-01-01", "epoch"),
    *("1996-03-13 00:00:00+02:00", "epoch     ", "x", "1996-03-1x", "9.9995e3", "12e00002"),
)
"""Texts of which some fit a type, and others look as if they did."""
# Stands for what to `csv` would end the line: a CR alone, or LF where lines end with CR.
_ALONE = "\u0100"


class Delimited:
    """CSV files."""

    name = "csv"
    places = False

    def options(self, rng: random.Random) -> dict[str, Any]:
        options: dict[str, Any] = {
            "delimiter": rng.choice((",", ",", ",", ";", "\t", "|")),
            "header": rng.random() < 0.8,
            "quote": '"',
            "infer_schema": False,
        }
        rare = (
            {"null_value": "NA"},
            {"comment": "#"},
            {"skip": rng.randint(1, 2)},
            {"quote": "'"},
            {"quote": ""},
            {"escape": "\\"},
        )
        for more in rare:
            if rng.random() < 0.06:
                options |= more
        if rng.random() < _TYPED:
            types = rng.choices(list(_VALUES), k=5)
            fields = (Field(f"c{n}", type_from_json(t)) for n, t in enumerate(types))
            options |= {"header": True, "schema": Schema(tuple(fields))}
        return options

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in options.items() if k not in ("delimiter", "quote", "escape")}

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> Drawn:
        data = self._written(rng, options)
        return Drawn(data, self.expect(data, options))

    def same(self, wanted: Any, got: Any) -> bool:
        return bool(wanted == got)

    def _written(self, rng: random.Random, options: Mapping[str, Any]) -> bytes:
        if "schema" in options and rng.random() < _CLEAN:
            return _clean(rng, options)
        width = rng.choice((1, 2, 2, 3, 3, 5))
        end = rng.choice(("\n", "\n", "\n", "\r\n", "\r\n", "\r"))
        odd = rng.choice((0, 0, 0.05, 0.3))
        quoting = rng.choice((0, 0.1, 0.5, 1))
        pool = [_cell(rng, options, quoting, odd) for _ in range(rng.randint(1, 8))]
        lines = ["#1" + rng.choice((",", '"', "")) for _ in range(options.get("skip", 0))]
        if options["header"]:
            lines.append(options["delimiter"].join(f"c{n}" for n in range(width)))
        ragged = rng.choice((0, 0, 0.1, 0.3))
        for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 40))):
            count = rng.randint(0, width + 2) if rng.random() < ragged else width
            lines.append(options["delimiter"].join(rng.choice(pool) for _ in range(count)))
        mixed = rng.random() < 0.15
        ends = ("\n", "\r\n", "\r", "\n\n")
        text = "".join(line + (rng.choice(ends) if mixed else end) for line in lines)
        if rng.random() < 0.3:
            text = text.rstrip("\r\n")
        data = (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + text.encode()
        return _mutated(rng, data) if rng.random() < 0.4 else data

    def expect(self, data: bytes, options: Mapping[str, Any]) -> Read | None:
        """What `csv` finds in a file; None if it cannot tell."""
        if "escape" in options:
            return None  # to `csv` it escapes outside quotes, too
        # Latin-1 keeps each byte; the fields are decoded one by one.
        text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
        text, back = _with_feeds(text, options["quote"])
        records = list(_records(text, options))
        first = next((r for r in records if r.fields != []), None)
        if first is None:
            return Read(())
        delimiter = options["delimiter"]
        cells = first.text.split(delimiter) if first.fields is None else first.fields
        if options["header"]:
            head = [c.translate(back).encode("latin-1") for c in cells]
            names = name_columns([c.decode(errors="backslashreplace") for c in head])
            records = [r for r in records if r.line > first.line]
        else:
            names = tuple(f"column{n}" for n in range(len(cells)))
        rows: list[Row] = []
        malformed: list[int] = []
        for record in records:
            if record.fields == [] and (len(names) != 1 or options.get("null_value")):
                continue
            values = _fit(record, len(names), options, back)
            row = (
                None if values is None else _typed(dict(zip(names, values, strict=True)), options)
            )
            if row is None:
                malformed.append(record.line)
            else:
                rows.append((record.line, row))
        return Read(names, tuple(rows), tuple(malformed))


_CLEAN = 0.8
"""The share of typed files whose values are of their types, but for a mistake or none."""


def _clean(rng: random.Random, options: Mapping[str, Any]) -> bytes:
    """A file as a database writes it; in some, one value is spoiled."""
    delimiter, quote = str(options["delimiter"]), str(options["quote"])
    types = [str(field.type) for field in options["schema"].fields]
    pools = [rng.choices(_VALUES[_NAMES.get(t, t)], k=rng.randint(1, 6)) for t in types]
    gaps = rng.choice((0, 0, 0.1))
    rows = [
        ["" if rng.random() < gaps else rng.choice(pool) for pool in pools]
        for _ in range(rng.choice((1, 3, 20, 20, 300)))
    ]
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        rng.choice(rows)[rng.randrange(len(types))] = rng.choice((*_MISTAKES, "NA", '""'))
    if quote and rng.random() < 0.2:
        rows = [[f"{quote}{cell}{quote}" for cell in row] for row in rows]
    end = rng.choice(("\n", "\n", "\r\n"))
    lines = ["#1"] * options.get("skip", 0)
    lines += [delimiter.join(f"c{n}" for n in range(len(types)))]
    lines += [delimiter.join(row) for row in rows]
    return (end.join(lines) + rng.choice(("", end))).encode()


_NAMES = {"bigint": "long", "int": "integer", "smallint": "short"}
"""Types as the model writes them, and as a schema's JSON does."""


def _typed(row: dict[str, str | None], options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A row with its values in the types of their columns; None if one does not fit.

    A text that means NULL is none to other types than texts, in quotes or not.
    """
    declared: Sequence[Field] = options["schema"].fields if "schema" in options else ()
    types = {field.name: str(field.type) for field in declared}
    nulls = (None, "", options.get("null_value", ""))
    found: dict[str, Any] = {}
    for name, text in row.items():
        type_ = types.get(name, "string")
        absent = type_ != "string" and text in nulls
        found[name] = None if absent else text if type_ == "string" else fitted(text, type_)
    return None if any(value is MISFIT for value in found.values()) else found


class _Record(NamedTuple):
    """A record: `fields` is None if `csv` refuses it, and empty for a blank line."""

    line: int
    text: str
    fields: list[str] | None


def _cell(rng: random.Random, options: Mapping[str, Any], quoting: float, odd: float) -> str:
    if rng.random() < odd:
        return rng.choice(_ODD)
    quote = str(options["quote"])
    if rng.random() >= quoting or not quote:
        return rng.choice(_PLAIN)
    text = rng.choice(_QUOTED) if rng.random() < 0.995 else "long " * rng.randint(1, 60_000)
    return quote + text.replace(quote, str(options.get("escape", quote)) + quote) + quote


def _mutated(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randint(0, len(data))
        what = rng.randrange(4)
        if what == 0:
            data = data[:at] + rng.choice(_MARKS) + data[at:]
        elif what == 1:
            data = data[:at] + data[at + rng.choice((1, 1, 3)) :]
        elif what == 2:
            data = data[:at] + rng.choice(_MARKS) + data[at + 1 :]
        else:
            data = data[:at] + data[rng.randint(0, at) : at] + data[at:]
    return data


def _with_feeds(text: str, quote: str) -> tuple[str, dict[int, int]]:
    """The text with LF where its lines end and nothing else that `csv` takes for an end.

    Also how to translate back.
    """
    outside = re.sub(f"{quote}[^{quote}]*{quote}", "", text) if quote else text
    if re.search(r"\r(?!\n)", text) and "\r" in outside and "\n" not in outside:
        return text.translate({10: ord(_ALONE), 13: 10}), {10: 13, ord(_ALONE): 10}
    return re.sub(r"\r(?!\n|\Z)", _ALONE, text), {ord(_ALONE): 13}


def _records(text: str, options: Mapping[str, Any]) -> Iterator[_Record]:
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    at = options.get("skip", 0)
    comment = options.get("comment")
    while at < len(lines):
        if comment and lines[at].startswith(comment):
            at += 1
            continue
        used, fields = _next_record(lines, at, options)
        raw = "".join(lines[at : at + used]).removesuffix("\n").removesuffix("\r")
        yield _Record(at + 1, raw, fields)
        at += used


def _next_record(
    lines: list[str], at: int, options: Mapping[str, Any]
) -> tuple[int, list[str] | None]:
    quote = options["quote"]
    reader = csv.reader(
        (lines[n] for n in range(at, len(lines))),
        delimiter=options["delimiter"],
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        fields = next(reader)
    except csv.Error:
        return 1, None
    return reader.line_num, fields


def _fit(
    record: _Record, width: int, options: Mapping[str, Any], back: dict[int, int]
) -> list[str | None] | None:
    """The values of a record; None if it is ragged, or not UTF-8."""
    if record.fields is None:
        return None
    fields = record.fields or [""]
    bare = _bare(record.text, options)
    assert len(bare) == len(fields)
    null = options.get("null_value", "")
    while len(fields) > width and fields[-1] == null and bare[-1]:
        fields, bare = fields[:-1], bare[:-1]
    if len(fields) != width:
        return None
    try:
        texts = [f.translate(back).encode("latin-1").decode() for f in fields]
    except UnicodeDecodeError:
        return None
    return [None if b and t == null else t for b, t in zip(bare, texts, strict=True)]


def _bare(text: str, options: Mapping[str, Any]) -> list[bool]:
    """For each field of a record whether it stands without quotes, which `csv` does not tell."""
    quote, delimiter = options["quote"], re.escape(options["delimiter"])
    if not quote:
        return [True] * (text.count(options["delimiter"]) + 1)
    field = re.compile(f"({quote}(?:[^{quote}]|{quote}{quote})*+{quote})|[^{delimiter}]*+")
    found, at = [], 0
    while at <= len(text):
        match = field.match(text, at)
        assert match
        found.append(match[1] is None)
        at = match.end() + 1
    return found
