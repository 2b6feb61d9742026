"""Types that nobody declared: no value loses a digit, a zero in front or anything else by them."""

from __future__ import annotations

import random
import string
from decimal import Decimal
from typing import Any

import pytest

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.files.infer import survey
from qanat.model.inference import OWN, SPARK, Inference
from qanat.text import literal


def inferred(bench: Any, *texts: str, by: Inference = OWN) -> str:
    rows = ", ".join(f"({literal(t)})" for t in texts)
    (seen,) = survey(bench.con, f"(VALUES {rows}) AS v(t)", ("t",))
    return str(seen.type_by(by))


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        (("1", "-20", "0"), "bigint"),
        (("9223372036854775807",), "bigint"),
        (("9223372036854775808", "1"), "decimal(38,0)"),
        (("1" * 38,), "decimal(38,0)"),
        (("1" * 39,), "string"),
        (("1.5", "-0.25", ".5", "2."), "double"),
        (("1", "2.50"), "double"),
        (("1e5", "-2.5E-3"), "double"),
        (("0.30000000000000004",), "double"),
        (("1.5", "NaN", "-inf"), "double"),
        (("-0",), "double"),
        (("90071992547409.93", "0.07"), "decimal(38,6)"),
        (("9007199254740993", "1.5"), "decimal(38,6)"),
        (("0.10000000000000001",), "decimal(38,18)"),
        (("9" * 34 + ".5", "0.25"), "decimal(38,2)"),
        (("1e400",), "string"),
        (("1e-400",), "string"),
        (("9007199254740993", "1e3"), "string"),
        (("9" * 37 + ".25",), "string"),
        (("00501", "12345"), "string"),
        (("-01",), "string"),
        (("01.5",), "string"),
        (("+49123",), "string"),
        (("1_000",), "string"),
        (("0x1F",), "string"),
        (("1,5",), "string"),
        (("NaN",), "string"),
        (("Inf", "1.5"), "double"),
        (("true", "FALSE"), "boolean"),
        (("true", "1"), "string"),
        ((" 1", "2 "), "bigint"),
    ],
)
def test_the_narrowest_type_that_keeps_every_value(
    bench: Any, texts: tuple[str, ...], type_: str
) -> None:
    assert inferred(bench, *texts) == type_


def test_long_keys_stay_distinct(bench: Any) -> None:
    keys = [f"1234567890123456789{i}" for i in range(3)]
    bound = bench.bind(bench.put("a.csv", "id\n" + "\n".join(keys) + "\n"))
    assert bench.rows(bound) == [(Decimal(k),) for k in keys]


@pytest.mark.parametrize(
    ("first", "later", "fits"),
    [
        ("12345", "517.0", True),
        ("12345", "00501", False),
        ("12345", "9223372036854775808", False),
        ("1.5", "2", True),
        ("1.5", "0.30000000000000004", True),
        ("1.5", "NaN", True),
        ("1.5", "90071992547409.93", False),
        ("1.5", "9007199254740993", False),
        ("1.5", "1e400", False),
        ("1.5", "007", False),
        ("1.5", "1_0", False),
        ("90071992547409.93", "90071992547409.9312", True),
        ("90071992547409.93", "0.0000001", False),
        ("90071992547409.93", "007.5", False),
    ],
)
def test_a_later_value_fits_by_the_same_rules(
    bench: Any, first: str, later: str, fits: bool
) -> None:
    known = bench.bind(bench.put("1.csv", f"k,v\na,{first}\n")).schema
    bound = bench.bind(bench.put("2.csv", f"k,v\nb,{later}\n"), known=known)
    assert bound.schema == known
    assert len(bench.rows(bound)) == fits
    assert len(bench.bad(bound)) == (not fits)


def test_a_declared_number_may_have_zeros_in_front(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "v\n00501\n")
    assert bench.rows(bench.bind(file, declared=schema("v long"))) == [(501,)]


def test_zeros_in_front_in_the_names_of_folders(bench: Any) -> None:
    files = [bench.put(f"m={m}/a.csv", "v\n1\n") for m in ("01", "12")]
    bound = bench.bind(*files, hive_partitioning=True)
    assert bench.rows(bound) == [(1, "01"), (1, "12")]


WIDE = 300


def test_many_columns_are_read_as_few_are(bench: Any) -> None:
    names = ",".join(f"c{i}" for i in range(WIDE))
    good = ",".join(str(i) if i % 2 else f'"{i},{i}"' for i in range(WIDE))
    bad = ",".join(str(i) if i != 7 else "007" for i in range(WIDE))
    first = bench.put("1.csv", f"{names}\n{good}\n")
    known = bench.bind(first).schema
    bound = bench.bind(first, bench.put("2.csv", f"{names}\n{bad}\n"), known=known)
    assert [str(f.type) for f in known.fields[:4]] == ["string", "bigint", "string", "bigint"]
    assert bench.rows(bound) == [tuple(i if i % 2 else f"{i},{i}" for i in range(WIDE))]
    assert bench.bad(bound) == [
        ("2.csv", 2, bad, "column 'c7': \"007\" does not fit bigint")
    ]  # fmt: skip
    again = bench.bind(bench.put("3.csv", f"{names}\n{good}\n"), delimiter=",")
    assert bench.rows(again)[0][:2] == ("0,0", 1)


@pytest.mark.parametrize("by", [OWN, SPARK], ids=["own", "spark"])
def test_a_cast_of_the_column_gives_what_a_cast_of_its_text_gives(
    bench: Any, by: Inference
) -> None:
    draw = random.Random(10)  # noqa: S311 - a seed makes it repeatable
    for number in range(60):
        texts = _texts(draw)
        file = bench.put(f"{number}.csv", "v,k\n" + "".join(f"{t},x\n" for t in texts))
        bound = bench.bind(file, inference=by)
        assert bench.bad(bound) == [], texts
        for target in ("DECIMAL(38,2)", "DECIMAL(38,12)", "BIGINT", "DOUBLE", "VARCHAR"):
            if str(bound.schema.fields[0].type) == "string" or target != "VARCHAR":
                cast = exact_casts(f"TRY_CAST(v AS {target})")
                order = "ORDER BY __qanat_row"
                got = bench.con.execute(f"SELECT {cast} FROM ({bound.relation}) {order}")
                wanted = f"SELECT TRY_CAST(v AS {target}) FROM (SELECT unnest(?::VARCHAR[]) AS v)"
                found = got.fetchall()
                assert found == bench.con.execute(wanted, [texts]).fetchall(), (texts, target)


def _texts(draw: random.Random) -> list[str]:
    """Some values of one kind, as files have them: numbers, numbers of things, anything."""
    length, places = draw.randint(1, 22), draw.randint(0, 8)
    kinds = [
        lambda: f"{Decimal(draw.randrange(10**length)).scaleb(-draw.randint(0, places)):f}",
        lambda: f"{draw.randrange(-(10**length), 10**length)}",
        lambda: repr(draw.uniform(-1, 1) * 10 ** draw.randint(-8, 8)),
        lambda: f"{draw.uniform(-9, 9):.{draw.randint(0, 16)}e}",
        lambda: "".join(draw.choices("0123456789", k=draw.randint(1, 6))),
        lambda: "".join(draw.choices(string.digits + ".-+_eE", k=draw.randint(1, 5))),
    ]
    chosen = draw.sample(kinds, draw.choice([1, 1, 2]))
    return [draw.choice(chosen)() for _ in range(draw.randint(1, 8))]
