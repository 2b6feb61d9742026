"""Proofs from lengths and sizes that a text is written plainly: what is proved is exactly so."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.schema import type_from_json
from qanat.text import literal
from tests.files.fitting import fitted

WHOLE = re.compile("[1-9][0-9]*|0")
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?[\s]*")
DAY = re.compile(r"[1-9][0-9]*[-/ \\][0-9]+[-/ \\][0-9]+\s*")


def proof(text: str, value: str, type_: str) -> str:
    """SQL of the proof for a type."""
    digits = re.fullmatch(r"decimal\(([0-9]+),([0-9]+)\)", type_)
    if digits:
        return plainly.decimal(text, value, int(digits[1]), int(digits[2]), underscores=True)
    if type_ == "double":
        return plainly.double(text, value, underscores=True)
    if type_ == "date":
        return plainly.day(text, value)
    return plainly.whole(text, value, to_duckdb(type_from_json(type_)))


def proved(bench: Any, texts: Sequence[str], type_: str) -> list[tuple[str, Any]]:
    """The texts that are proved to be plain, each with DuckDB's own cast."""
    target = to_duckdb(type_from_json(type_))
    rows = ", ".join(f"({literal(text)})" for text in texts)
    found: list[tuple[str, Any]] = bench.con.execute(
        f"SELECT t, v FROM (SELECT t, TRY_CAST(t AS {target}) AS v FROM (VALUES {rows}) AS r(t)) "
        f"WHERE v IS NOT NULL AND {proof('t', 'v', type_)}"
    ).fetchall()
    return found


def written() -> Iterator[str]:
    """Numbers and days, and what somebody made of them by mistake."""
    for length in range(1, 4):
        yield from map("".join, itertools.product("0159.-+eE_ x\t/", repeat=length))
    rng = random.Random(3)  # noqa: S311 - the same texts each time
    for _ in range(6000):
        whole = "".join(rng.choices("0123456789", k=rng.choice((1, 2, 3, 5, 9, 14, 18, 19))))
        part = "." + "".join(rng.choices("0012599", k=rng.choice((0, 1, 2, 2, 3, 4, 7))))
        power = rng.choice("eE") + rng.choice(("", "+", "-")) + rng.choice(("2", "3", "03", "11"))
        text = whole + rng.choice(("", part, part)) + rng.choice(("", "", power, power + "."))
        if rng.random() < 0.3:
            year, month = rng.choice(("1992", "1000", "0999")), rng.randint(1, 12)
            text = f"{year}-{month}-{rng.randint(1, 29):02}"
        if rng.random() < 0.3:
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice("0_. \t\v-+e:T9") + text[at:]
        yield text


TYPES = ("long", "integer", "short", "double", "date")
DECIMALS = ("decimal(15,2)", "decimal(18,4)", "decimal(9,0)", "decimal(5,5)", "decimal(3,1)")


@pytest.mark.parametrize("type_", [*TYPES, *DECIMALS])
def test_what_is_proved_is_the_number_that_the_text_says(bench: Any, type_: str) -> None:
    form = {"double": NUMBER, "date": DAY}.get(type_, None if "(" in type_ else WHOLE)
    found = proved(bench, [*dict.fromkeys(written())], type_)
    assert found
    for text, value in found:
        assert form is None or form.fullmatch(text), text
        if type_ != "date":
            assert fitted(text, type_) == value, text


@pytest.mark.parametrize(
    ("type_", "texts"),
    [
        ("long", ("0", "7", "10", "155190", "9223372036854775807", "2013")),
        ("integer", ("1", "42", "2147483647")),
        ("double", ("17.00", "0.04", "0.00", "0.0", "21168.23", "3", "1e5")),
        ("decimal(15,2)", ("0.04", "0.00", "21168.23", "17.5", "1.01", "9999999999999.99")),
        ("decimal(18,4)", ("1.2345", "12345678901234.5678")),
        ("date", ("1996-03-13", "1000-01-01", "9999-12-31", "1970-01-01")),
    ],
)
def test_what_databases_write_is_proved(bench: Any, type_: str, texts: tuple[str, ...]) -> None:
    assert {text for text, _ in proved(bench, texts, type_)} == set(texts)


def test_an_underscore_is_looked_for_only_where_there_may_be_one(
    instance: duckdb.DuckDBPyConnection,
) -> None:
    assert "contains" in plainly.double("t", "v", underscores=True)
    assert "contains" not in plainly.double("t", "v", underscores=False)
    [(took,)] = instance.execute(
        "SELECT TRY_CAST('1_2.5' AS DECIMAL(15, 2)) IS NOT NULL"
    ).fetchall()
    assert took, "DuckDB takes it for a number"
