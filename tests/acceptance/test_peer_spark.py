"""Facts of Spark's suites of auto CDC (Scd1ForeachBatchExec, Scd2ForeachBatchHandler, the graphs).

Each case is what comes in, epoch by epoch, and the rows that are there in the end. All cases go
into one table: their name is a part of the key, and keys do not touch each other. Where Qanat
means something else, a test of its own says so.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from qanat.errors import SequenceTieError
from tests.acceptance.peers import Row, merged
from tests.acceptance.projects import Shop

Case = tuple[list[str], list[Row]]

TYPE_2: dict[str, Case] = {
    # One word is an epoch's events: `a10` is the value `a` at 10, `-20` a deletion at 20.
    "an insert is open": (["a10"], [("a", 10, None)]),
    "an update ends what was": (["a10 b20"], [("a", 10, 20), ("b", 20, None)]),
    "the same in two epochs": (["a10", "b20"], [("a", 10, 20), ("b", 20, None)]),
    "a deletion leaves nothing open": (["a10 -20"], [("a", 10, 20)]),
    "a deletion of what is stored": (["a10", "-20"], [("a", 10, 20)]),
    "each value has its time": (
        ["a10 b20 -30 c40"],
        [("a", 10, 20), ("b", 20, 30), ("c", 40, None)],
    ),
    "a repeated value is one version": (["a10 a20"], [("a", 10, None)]),
    "also over epochs, until it changes": (
        ["a10", "a20", "b30"],
        [("a", 10, 30), ("b", 30, None)],
    ),
    "a deletion of nothing": (["-5"], []),
    "what is ended stays": (["a5", "b10", "c20"], [("a", 5, 10), ("b", 10, 20), ("c", 20, None)]),
    "the earliest comes last": (["a10", "b5"], [("a", 10, None), ("b", 5, 10)]),
    "a late one splits": (["a10 c20", "b15"], [("a", 10, 15), ("b", 15, 20), ("c", 20, None)]),
    "a late deletion shortens": (["a10 b30", "-20"], [("a", 10, 20), ("b", 30, None)]),
    "a late deletion before another": (["a10 -20", "-15"], [("a", 10, 15)]),
    "two late ones split two": (
        ["a1 b5 c10 d20", "x7 y15"],
        [("a", 1, 5), ("b", 5, 7), ("c", 10, 15), ("d", 20, None), ("x", 7, 10), ("y", 15, 20)],
    ),
    "again after a deletion": (["-20", "x30"], [("x", 30, None)]),
    "before a known deletion": (["-20", "x10"], [("x", 10, 20)]),
    "a late one within a repeated value": (
        ["a5 a10 a15", "c20", "b12"],
        [("a", 15, 20), ("a", 5, 12), ("b", 12, 15), ("c", 20, None)],
    ),
    "an equal value before begins earlier": (
        ["a10 b20", "a5 a15"],
        [("a", 5, 20), ("b", 20, None)],
    ),
    "an equal value within changes nothing": (
        ["a5 a10 b20", "a15"],
        [("a", 5, 20), ("b", 20, None)],
    ),
    "after a gap": (["a10 a11", "-12", "b20"], [("a", 10, 12), ("b", 20, None)]),
    "twice at once": (["a10 a10"], [("a", 10, None)]),
    "twice, one after the other": (["a10", "a10"], [("a", 10, None)]),
}

TYPE_1: dict[str, Case] = {
    "the latest counts": (["a1 -2 b3"], [("b",)]),
    "an older one after a deletion": (["-10", "a5"], []),
    "a deletion": (["a10", "-20"], []),
    "the latest of an epoch": (["a10", "b15 c20"], [("c",)]),
    "late upserts and a late deletion": (["a1 b4", "c2", "d5", "-3"], [("d",)]),
    "a deletion that is later, and an upsert that is not": (["a1 b3", "d4", "-5", "e2"], []),
    "a newer one": (["a1", "b2"], [("b",)]),
    "a deletion of nothing, and an older one": (["-1", "a0"], []),
    "a late upsert": (["a5", "b2"], [("a",)]),
    "a late deletion": (["a5", "-2"], [("a",)]),
    "a deletion and what follows": (["-2 b3"], [("b",)]),
}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def epochs(cases: dict[str, Case]) -> list[list[str]]:
    """The events of all cases, epoch by epoch, as lines of CSV."""
    lines = (
        [[_line(name, word) for word in words.split()] for words in given]
        for name, (given, _) in cases.items()
    )
    return [
        [line for part in parts for line in part] for parts in zip_longest(*lines, fillvalue=[])
    ]


def _line(name: str, word: str) -> str:
    gone = word[0] == "-"
    return f'"{name}",1,{"" if gone else word[0]},{word[1:]},{"D" if gone else "U"}'


def test_type_2(shop: Shop) -> None:
    found = merged(shop, epochs(TYPE_2), "KEYS (name, id) STORED AS SCD TYPE 2")
    by_case = {n: sorted((r[2:] for r in found if r[0] == n), key=repr) for n in TYPE_2}
    assert by_case == {n: sorted(rows, key=repr) for n, (_, rows) in TYPE_2.items()}


def test_type_1(shop: Shop) -> None:
    found = merged(shop, epochs(TYPE_1), "KEYS (name, id)")
    assert {n: [r[2:] for r in found if r[0] == n] for n in TYPE_1} == {
        n: rows for n, (_, rows) in TYPE_1.items()
    }


def test_type_1_is_what_is_open_in_type_2(shop: Shop, tmp_path: Path) -> None:
    cases = TYPE_1 | TYPE_2
    one = merged(shop, epochs(cases), "KEYS (name, id)")
    two = merged(Shop(tmp_path / "two"), epochs(cases), "KEYS (name, id) STORED AS SCD TYPE 2")
    assert one == [r[:3] for r in two if r[-1] is None]


def test_columns_without_a_history(shop: Shop) -> None:
    given = [
        ["one,1,al,39,39,U", "two,1,al,100,10,U", "two,1,al,200,20,U", "three,1,al,7,10,U"],
        ["one,1,al,41,41,U", "two,1,al,300,30,U", "three,1,bo,7,20,U"],
        ["one,1,bo,42,42,U", "three,1,ca,7,30,U"],
        ["one,1,ca,43,43,U"],
    ]
    target = "KEYS (name, id) STORED AS SCD TYPE 2 TRACK HISTORY ON (value)"
    assert merged(shop, given, target, "name,id,value,score,at,op") == [
        ("one", 1, "al", 41, 39, 42), ("one", 1, "bo", 42, 42, 43), ("one", 1, "ca", 43, 43, None),
        ("three", 1, "al", 7, 10, 20), ("three", 1, "bo", 7, 20, 30),
        ("three", 1, "ca", 7, 30, None), ("two", 1, "al", 300, 10, None),
    ]  # fmt: skip


def test_keys_of_several_columns_in_any_case(shop: Shop) -> None:
    given = [["US,1,a,10,U", "CA,1,b,10,U", "US,1,c,20,U"]]
    assert merged(shop, given, "KEYS (NAME, Id) STORED AS SCD TYPE 2") == [
        ("CA", 1, "b", 10, None), ("US", 1, "a", 10, 20), ("US", 1, "c", 20, None),
    ]  # fmt: skip


# -- what Qanat means otherwise ----------------------------------------------------------------


@pytest.mark.parametrize("scd", [1, 2])
@pytest.mark.parametrize(
    "given",
    [
        [["x,1,a,10,U", "x,1,b,10,U"]],
        [["x,1,a,10,U"], ["x,1,b,10,U"]],
        [["x,1,a,10,U", "x,1,,10,D"]],
    ],
)
def test_equal_sequences_are_an_error(shop: Shop, scd: int, given: list[list[str]]) -> None:
    """Spark keeps any of two values, and of a value and a deletion the deletion (type 2).

    Which is right, nothing says; a table that may be another each time is none to rely on.
    """
    with pytest.raises(AssertionError, match="have the same sequence"):
        merged(shop, given, f"KEYS (name, id) STORED AS SCD TYPE {scd}")
    assert isinstance(shop.failures()["t"], SequenceTieError)


@pytest.mark.parametrize("scd", [1, 2])
def test_rows_without_key_or_sequence_wait(shop: Shop, scd: int) -> None:
    """In Spark they fail the whole batch, again and again; here the others are taken."""
    given = [["x,1,a,10,U", ",1,no,5,U", "x,,no,6,U", "x,2,ok,7,U", "x,3,no,,U", ",,no,,U"]]
    found = merged(shop, given, f"KEYS (name, id) STORED AS SCD TYPE {scd}")
    assert [r[:3] for r in found] == [("x", 1, "a"), ("x", 2, "ok")]
    rules = sorted(rules for _, rules in shop.quarantined("t"))
    assert rules == [["_key"], ["_key"], ["_key", "_sequence"], ["_sequence"]]
