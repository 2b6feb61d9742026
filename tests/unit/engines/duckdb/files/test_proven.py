"""JSON with proofs gives what the careful reader gives, row by row: drawn messages, mutated."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from qanat.engines.duckdb.files import json as careful, proven
from qanat.engines.duckdb.files.bound import BoundFiles
from qanat.engines.duckdb.files.wide import FEW
from qanat.errors import SchemaDriftError
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS, STRING, Array, Field, Primitive, Schema, Struct
from qanat.model.work import LocalFile
from tests.unit.engines.duckdb.files.conftest import Bench, columns
from tests.unit.engines.duckdb.files.test_payloads import bind, malformed, partition, plain

TYPES = {
    "id": "long",
    "small": "short",
    "n": "integer",
    "name": "string",
    "price": "double",
    "amount": "decimal(12,2)",
    "ok": "boolean",
    "at": "timestamp",
    "local": "timestamp_ntz",
    "day": "date",
    "tags": "array<string>",
}
NUMBERS = (
    *("0", "-0", "1", "-1", "100", "12e2", "1.0", "1.7", "1.10", "1.5e3", "1E5", "-0.0", "0.1"),
    *(
        "1e400",
        "NaN",
        "-Infinity",
        "Infinity",
        "nan",
        "9223372036854775807",
        "9223372036854775808",
    ),
    *("99999999999999999999", "12345678901234567.5", "0.30000000000000004", "90071992547409.93"),
    *("5.00000000000000000000001", "32768", "2147483648", "00", "+1", "1.", ".5", "0x10", "1_0"),
    *("20240101", "1e-7", "0.1000000000000000055", "123456789012345", "100000.0"),
)
STRINGS = (
    *('"x"', '""', '"5"', '" 5"', '"5.0"', '"1.7"', '"true"', '"NaN"', '"\\u00e9"', '"\\ud800"'),
    *('"\\ud83d\\ude00"', '"\\u0000"', '"a\\"b"', '"\\"name\\":\\"x\\""', '"{}"', '"[1]"', '"数"'),
    *('"2024-01-02"', '"2024-01-02 03:04:05"', '"2024-01-02T03:04:05.123Z"', '"9.50"', '"null"'),
    *('"2024-01-02 03:04:05.1234567"', '"2024-01-02 03:04:05+02:00"', '"epoch"', '"infinity"'),
    *('"Nobody"', '"Item"', '"[x"', '"\x01"', '"\\n"', '"~"', '"0001-01-01"', '"24-01-02"'),
)
OTHERS = ("null", "true", "false", "{}", "[]", '{"a":1.10}', "[1.10]", '["a","b"]', "[1,null]")
MARKS = (*'"\\{}[]:, \n', "1", "e", ".", "-", "null", "\x00", "\xff")
INNER = {"x": "long", "label": "string", "rate": "double"}


def value(rng: random.Random, type_: str) -> str:
    if rng.random() < 0.06:
        return rng.choice((*NUMBERS, *STRINGS, *OTHERS))
    if rng.random() < 0.05:
        return "null"
    number = rng.choice((rng.randrange(10), rng.randrange(10**4), rng.randrange(10**9)))
    whole = str(rng.choice((1, -1)) * number)
    moments = STRINGS[17:20]
    texts = [json.dumps(t) for t in ("Google", "9 lives", "né", "", "true", "-", "Zoo", "o", "{")]
    choices: dict[str, Sequence[str]] = {
        "long": [whole],
        "integer": [whole],
        "short": [str(number % 30_000)],
        "double": [repr(number / divisor) for divisor in (1, 7, 100)],
        "decimal(12,2)": [str(number), f"{number / 100:.2f}", str(number / 100)],
        "boolean": ["true", "false"],
        "timestamp": moments,
        "timestamp_ntz": moments,
        "date": ['"2024-02-29"'],
        "array<string>": ['["a"]'],
    }
    return rng.choice(choices.get(type_, texts))


def message(rng: random.Random, types: dict[str, str], colon: str) -> bytes:
    pairs = [(k, value(rng, t)) for k, t in types.items()]
    if rng.random() < 0.05:
        pairs.append((rng.choice(("new", "ID", "id", "Name", "", "_metadata", "a/b")), "1"))
    if rng.random() < 0.05:
        pairs.pop(rng.randrange(len(pairs)))
    if rng.random() < 0.05:
        rng.shuffle(pairs)
    comma = ", " if colon == ": " else ","
    text = "{" + comma.join(f'"{k}"{colon}{v}' for k, v in pairs) + "}"
    if rng.random() < 0.05:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(MARKS) + text[at + rng.choice((0, 1)) :]
    if rng.random() < 0.02:
        text = rng.choice(("", "  ", "null", "[]", "5", "{}", '"x"', "[" * 500, '{"id":' * 200))
    return text.encode("latin-1" if rng.random() < 0.01 and text.isascii() else "utf-8")


def seen(bench: Bench, bound: BoundFiles) -> tuple[Any, ...]:
    # In the order that a table gets them in: of equal rows, UNIQUE keeps the first.
    found = bench.con.execute(bound.relation).fetchall()
    places = bench.con.execute(f"SELECT __qanat_rid FROM ({bound.relation})").fetchall()
    assert places == sorted(places)
    wider = bound.wider() if bound.wider else {}
    return bound.schema, repr(found), malformed(bench, bound), bound.rows, bound.missing, wider


@pytest.mark.parametrize("seed", range(24))
def test_it_gives_what_care_gives(
    bench: Bench, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)  # noqa: S311 - what is drawn keeps no secret
    names = rng.sample(list(TYPES), rng.randrange(2, len(TYPES)))
    types = {n: TYPES[n] for n in names}
    if nested := rng.random() < 0.3:
        types["inner"] = "struct<x:long>"
    messages = []
    colon = rng.choice((":", ": "))
    for offset in range(300):
        data = message(rng, {n: t for n, t in types.items() if n != "inner"}, colon)
        if nested and data.endswith(b"}"):
            inner = message(rng, INNER, colon) if rng.random() < 0.9 else b"null"
            data = data[:-1] + b',"inner"' + colon.encode() + inner + b"}"
        messages.append(plain(offset, None if rng.random() < 0.02 else data))
    file = partition(bench, "t/0", *messages)
    known = _columns({n: t for n, t in types.items() if n != "inner"}, nested)
    declared = known if rng.random() < 0.6 else NO_COLUMNS
    drift = rng.choice((Drift.EVOLVE, Drift.RESCUE, Drift.FREEZE))
    if drift is Drift.FREEZE and rng.random() < 0.5:
        known = declared = NO_COLUMNS
    outcomes, proofs = both_ways(
        bench, monkeypatch, file, known=known, declared=declared, drift=drift
    )
    assert outcomes[0] == outcomes[1]
    assert proofs[0] > 20 or "tags" in names or nested or known == NO_COLUMNS


def both_ways(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, file: LocalFile, **more: Any
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """What is read with proofs, and what without; how many rows each round of them proved."""
    outcomes: list[tuple[Any, ...]] = []
    proofs = []
    prove = proven.prove

    def counted(*arguments: Any) -> proven.Proven | None:
        found = prove(*arguments)
        proofs.append(found.rows if found else 0)
        return found

    monkeypatch.setattr(proven, "LEAST", 1)
    for reader in (counted, lambda *_: None):
        monkeypatch.setattr(careful, "prove", reader)
        try:
            bound = bind(bench, file, **more)
        except SchemaDriftError as error:
            outcomes.append(("drift", sorted(str(error.got).split(", "))))
        else:
            outcomes.append(seen(bench, bound))
    return outcomes, proofs


def _orders_of_keys() -> list[bytes]:
    keys = [f"k{i}" for i in range(16)]
    turned = (keys[n % 16 :] + keys[: n % 16] for n in range(160))
    found = [json.dumps(dict.fromkeys(order, n)).encode() for n, order in enumerate(turned)]
    return [*found, *[b'{"new":5}'] * 20]


@pytest.mark.parametrize(
    ("messages", "known"),
    [
        # No proof knows a key like that.
        ([*[b'{"id":7,"name":"Google"}'] * 20, b'{"a/b":1}'], "id long, name string"),
        ([*[b'{"id":7,"name":"Google"}'] * 20, b'{"x":{"y":{"z":1}}}'], "id long, name string"),
        # Too many columns.
        (
            [json.dumps({f"c{i}": i for i in range(FEW)}).encode()] * 20 + [b'{"more":1}'],
            ", ".join(f"c{i} long" for i in range(FEW)),
        ),
        # Two places have the same key now.
        ([*[b'{"id":7,"inner":{"label":"9x"}}'] * 20, b'{"label":"x"}'], "id long, inner"),
        # One order of keys more than are known.
        (_orders_of_keys(), ", ".join(f"k{i} long" for i in range(16))),
    ],
    ids=["name", "nested", "many", "twice", "orders"],
)
def test_a_new_key_takes_nothing_from_rows_that_were_proven_without_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, messages: list[bytes], known: str
) -> None:
    file = partition(bench, "t/0", *(plain(n, line) for n, line in enumerate(messages)))
    plainly = ", ".join(part for part in known.split(", ") if part != "inner")
    schema = columns(plainly)
    if plainly != known:
        inner = Field("inner", Struct((Field("label", STRING),)))
        schema = Schema((*schema.fields, inner))
    outcomes, proofs = both_ways(bench, monkeypatch, file, known=schema)
    assert outcomes[0] == outcomes[1]
    assert proofs[0] >= 20


def _columns(types: dict[str, str], nested: bool) -> Schema:
    text = ", ".join(f"{n} {t}" for n, t in types.items() if t != "array<string>")
    found = columns(text)
    more = [Field("tags", Array(STRING))] if "tags" in types else []
    if nested:
        inner = Struct(tuple(Field(n, Primitive(t)) for n, t in INNER.items()))
        more.append(Field("inner", inner))
    return Schema((*found.fields, *more))


def test_clean_messages_are_all_proven(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        b'{"id":%d,"name":"Google","at":"2024-01-02 03:04:05.125","price":%d.25}' % (n, n)
        for n in range(50)
    ]
    file = partition(bench, "t/0", *(plain(n, line) for n, line in enumerate(lines)))
    monkeypatch.setattr(proven, "LEAST", 1)
    found = []
    prove = proven.prove

    def noted(*arguments: Any) -> proven.Proven | None:
        found.append(prove(*arguments))
        return found[-1]

    monkeypatch.setattr(careful, "prove", noted)
    known = columns("id long, name string, at timestamp_ntz, price double")
    bind(bench, file, declared=known)
    assert [(p.rows, p.left) for p in found if p] == [(50, 0)]
