"""Numbers of JSON files keep their digits, inferred or not, at any depth."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from qanat.model.pipeline import Drift
from qanat.model.schema import (
    STRING,
    Array,
    Decimal as DecimalType,
    Field,
    MapType,
    Primitive,
    Schema,
)

BIG = 9007199254740993
"""The first whole number that no double has."""


@pytest.fixture(autouse=True)
def _lines(bench: Any) -> None:
    bench.format = "ndjson"


@pytest.mark.parametrize(
    ("numbers", "type_"),
    [
        (["1", "-2"], "bigint"),
        (["1", "2.5", "1e3"], "double"),
        ([str(2**63), "1"], "decimal(38,0)"),
        ([str(2**64), "-1"], "decimal(38,0)"),
        (["1" * 39, "1"], "string"),
        ([str(BIG), "1.5"], "decimal(38,6)"),
        ([str(BIG), "1.0"], "decimal(38,6)"),
        ([str(BIG - 1), "1.5"], "double"),
        (["90071992547409.93", "1"], "decimal(38,6)"),
        ([f"-{BIG}E-3", "7.5"], "decimal(38,6)"),
        (["0.1234567890123456789", "7"], "decimal(38,24)"),
        (["0.30000000000000004", "1e22", "5e-324"], "double"),
        (["1e400", "1"], "string"),
        (["1e400", "1.5"], "string"),
        (["1e-400", "1.5"], "string"),
        (["1.10", "2.20"], "double"),
    ],
)
@pytest.mark.parametrize("form", ["{}", '{{"x":{}}}', "[{}]", '[{{"x":[{}]}}]'])
def test_inferred(bench: Any, numbers: list[str], type_: str, form: str) -> None:
    lines = "".join(f'{{"v":{form.format(n)}}}\n' for n in numbers)
    bound = bench.bind(bench.put("a.ndjson", lines))
    around = str(bound.schema.fields[0].type)
    assert around.removeprefix("array<").removeprefix("struct<x:").startswith((type_, "array<"))
    assert type_ in around
    found = [_innermost(v) for (v,) in bench.rows(bound)]
    assert [Decimal(str(v)) for v in found] == [Decimal(n) for n in numbers]
    assert bench.bad(bound) == []


def _innermost(value: Any) -> Any:
    while isinstance(value, (list, dict)):
        value = value[0] if isinstance(value, list) else value["x"]
    return value


def test_text_is_as_it_was_written(bench: Any) -> None:
    content = '{"v":1.10,"o":{"k":[1.10,"1.10"]}}\n{"v":"1.10.1","o":1e5}\n'
    bound = bench.bind(bench.put("a.ndjson", content))
    assert bench.rows(bound) == [("1.10", '{"k":[1.10,"1.10"]}'), ("1.10.1", "1e5")]


def test_what_is_rescued_keeps_its_digits(bench: Any) -> None:
    content = '{"a":1,"new":[90071992547409.93]}\n{"a":90071992547409.93}\n'
    known = Schema((Field("a", Primitive("long")),))
    bound = bench.bind(bench.put("a.ndjson", content), known=known, drift=Drift.RESCUE)
    assert [json.loads(r, parse_float=str) for _, r in bench.rows(bound)] == [
        {"new": ["90071992547409.93"], "_file_path": "s3://lake/a.ndjson"},
        {"a": "90071992547409.93", "_file_path": "s3://lake/a.ndjson"},
    ]


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize(
    "sign", ["\x80", "\x80\x81", "\x80\x81\x80\x80\x81\x81", "\ufdd0", "\x01"]
)
def test_texts_with_what_might_mark_numbers(bench: Any, sign: str, escaped: bool) -> None:
    """Nothing that a text may have is taken for the mark of a number, nor taken away."""
    texts = [f"{sign}1.5", f"{sign}{sign}", f"1.5{sign}1.5", "x"]
    lines = [json.dumps({"v": t, "o": {t: [t]}}, ensure_ascii=escaped) for t in texts]
    content = "\n".join([*lines, '{"v":1.10,"n":90071992547409.93}'])
    declared = Schema((Field("o", MapType(STRING, Array(STRING))),))
    bound = bench.bind(bench.put("a.ndjson", content), declared=declared)
    assert bench.bad(bound) == []
    assert bench.rows(bound) == [
        *(({t: [t]}, t, None) for t in texts),
        (None, "1.10", Decimal("90071992547409.93")),
    ]


def test_texts_that_look_like_numbers(bench: Any) -> None:
    content = {"s": 'say "1.5", [2.5] : 90071992547409.93 \\ 1e5', "1.5": "0.1234567890123456789"}
    line = json.dumps(content)[:-1] + ',"n":90071992547409.93}'
    declared = Schema((Field("n", DecimalType(18, 2)),))
    bound = bench.bind(bench.put("a.ndjson", line), declared=declared)
    assert bound.schema.names == ("n", "s", "1.5")
    assert bench.rows(bound) == [(Decimal("90071992547409.93"), *content.values())]


@pytest.mark.parametrize("format_", ["ndjson", "json"])
def test_endless_numbers_and_deep_nesting_are_malformed_rows(bench: Any, format_: str) -> None:
    rows = [f'{{"v":{"7" * 4301}}}', f'{{"v":{"[" * 5000}{"]" * 5000}}}', '{"v":1}']
    text = "\n".join(rows) if format_ == "ndjson" else f"[{','.join(rows)}]"
    bound = bench.bind(bench.put(f"a.{format_}", text), format=format_)
    assert bench.rows(bound) == [(1,)]
    assert [(row, error) for _, row, _, error in bench.bad(bound)] == [
        (1, "a number of more than 4300 digits"),
        (2, "nested too deeply"),
    ]


def _number(source: random.Random) -> str:
    whole = str(source.choice([0, 7, 10**5, 2**53 + 1, 2**63, 10**20]) + source.randrange(9))
    part = source.choice(["", "", ".5", ".10", f".{source.randrange(10**17):017d}"])
    power = source.choice(["", "", "", "e2", "E-3", "e+05"])
    return source.choice(["", "-"]) + whole + part + power


@pytest.mark.parametrize("seed", range(4))
def test_like_python(bench: Any, seed: int) -> None:
    """Random rows, inferred and declared: each value is Python's, or its row is malformed."""
    source = random.Random(seed)  # noqa: S311 - the same rows each time
    rows = []
    for _ in range(40):
        one, many, inner = _number(source), [_number(source) for _ in range(2)], _number(source)
        rows.append(f'{{"a": {one}, "l":[{", ".join(many)}], "o":{{"x": {inner}, "s": "1.50"}}}}')
    wanted = [json.loads(r, parse_float=Decimal, parse_int=Decimal) for r in rows]
    file = bench.put("a.ndjson", "\n".join(rows))
    price = DecimalType(24, 6)
    declared = Schema((Field("a", price), Field("l", Array(STRING))))
    for schema in (Schema(()), declared):
        bound = bench.bind(file, declared=schema)
        names = bound.schema.names
        bad = {row - 1 for _, row, _, _ in bench.bad(bound)}
        good = [w for i, w in enumerate(wanted) if i not in bad]
        assert [
            dict(zip(names, r, strict=True)) for r in map(_decimals, bench.rows(bound))
        ] == good
        if schema.fields:
            assert bad == {i for i, w in enumerate(wanted) if not _fits(w["a"])}
        else:
            assert not bad


def _fits(number: Decimal) -> bool:
    return abs(number) < 10**18 and number == round(number, 6)


def _decimals(value: Any) -> Any:
    match value:
        case tuple() | list():
            return [_decimals(v) for v in value]
        case dict():
            return {k: v if k == "s" else _decimals(v) for k, v in value.items()}
    return Decimal(str(value))
