"""Two relations compared by keys, against a comparison in plain Python."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import ColumnNotFoundError, ConversionError, Location
from qanat.model.comparison import Closeness, Comparing, Differences, Relation
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate

Row = tuple[object, ...]
NAMES = ("id", "x", "name")
TYPES = ("BIGINT", "DOUBLE", "VARCHAR")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(tmp_path / "scratch", threads=1)
    yield engine
    engine.close()


def sql_of(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE"
    if isinstance(value, str):
        return "'{}'".format(value.replace("'", "''"))
    return str(value)


def relation(
    rows: Sequence[Row], names: Sequence[str] = NAMES, types: Sequence[str] = TYPES
) -> Relation:
    lines = ", ".join(f"({', '.join(map(sql_of, row))})" for row in rows)
    columns = ", ".join(f"v{i}" for i in range(len(names)))
    casts = ", ".join(
        f'v{i}::{t} AS "{n}"' for i, (n, t) in enumerate(zip(names, types, strict=True))
    )
    sql = f"SELECT {casts} FROM (VALUES {lines}) AS t ({columns})"
    return Relation(SqlQuery(sql, sql, "duckdb", (), Location("side", 1, 1)), {})


def test_random_tables_with_duplicates_and_nulls(engine: DuckDBEngine) -> None:
    draw = random.Random(7)  # noqa: S311
    values = (0.0, -0.0, 1.5, math.nan, math.inf, None)
    for _ in range(60):
        keys = [None, *range(draw.choice((3, 12, 40)))]
        left, right = (
            [
                (draw.choice(keys), draw.choice(values), draw.choice(("a", "b", None)))
                for _ in range(draw.randint(1, 40))
            ]
            for _ in range(2)
        )
        if draw.random() < 0.7:
            shared = draw.sample(left, draw.randint(0, len(left)))
            right = draw.sample(shared + right[:3], len(shared) + len(right[:3]))
        found = engine.compare(relation(left), relation(right or left), Comparing(("id",)))
        assert_counts(found, left, right or left)


KEYS = {
    "BIGINT": lambda n: n - 50,
    "HUGEINT": lambda n: n - 50,
    "UBIGINT": lambda n: n,
    "VARCHAR": lambda n: f"key {n}",
    "UUID": lambda n: f"00000000-0000-0000-0000-{n:012}",
    "DATE": lambda n: f"{2000 + n // 28}-01-{n % 28 + 1:02}",
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("alone", [0, 1])
def test_changes_in_few_of_many_columns(engine: DuckDBEngine, key: str, alone: int) -> None:
    """Columns that are the same everywhere are not read twice; the others are found."""
    draw = random.Random(f"{key} {alone}")  # noqa: S311
    names = ("id", "n", *"abcde")
    types = (key, "INTEGER", "VARCHAR", "VARCHAR[]", "STRUCT(f VARCHAR)", "VARCHAR", "BLOB")
    other = (-1, None, "[]", None, "{'f': 'd'}", "text")
    left: list[Row] = [
        (KEYS[key](n), n, f"a{n}", f"[b{n}]", f"{{'f': 'c{n}'}}", None, f"e{n}")
        for n in range(200)
    ]
    for _ in range(6):
        right, wanted = left[alone:], Counter[str]()
        for at in draw.sample(range(len(right)), draw.randint(0, 5)):
            column = draw.randint(1, 6)
            row = list(right[at])
            row[column] = other[column - 1]
            wanted[names[column]] += row[column] != right[at][column]
            right[at] = tuple(row)
        draw.shuffle(right)
        sides = (relation(rows, names, types) for rows in (left, right))
        found = engine.compare(*sides, Comparing(("id",)))
        assert {c.column: c.rows for c in found.changes} == +wanted
        assert (found.left.only, found.right.only) == (alone, 0)
        assert [row[1:3] for row in found.left.samples] == [row[1:3] for row in left[:alone]]


def assert_counts(found: Differences, left: Sequence[Row], right: Sequence[Row]) -> None:
    """Equal rows are partners; of those that are left, as many as have one key are changed."""
    here, there = (Counter(map(repr_of, rows)) for rows in (left, right))
    lonely, others = (
        Counter(key for key, _ in (here - there).elements()),
        Counter(key for key, _ in (there - here).elements()),
    )
    changed = sum((lonely & others).values())
    assert found.changed == changed
    assert found.left.only == sum(lonely.values()) - changed
    assert found.right.only == sum(others.values()) - changed
    assert (found.left.read, found.right.read) == (len(left), len(right))
    assert found.left.null_keys == sum(row[0] is None for row in left)


def repr_of(row: Row) -> tuple[object, str]:
    """A row's key, and its values so that 0.0 is -0.0, and NaN is NaN."""
    return row[0], repr([0.0 if value == 0 else value for value in row[1:]])


def test_changed_columns_come_with_counts_and_samples(engine: DuckDBEngine) -> None:
    left = [(1, 1.0, "a"), (2, 2.0, "b"), (3, 3.0, "c"), (4, 4.0, "d")]
    right = [(1, 1.0, "z"), (2, 2.5, "y"), (3, 3.0, "c"), (5, 5.0, "e")]
    found = engine.compare(relation(left), relation(right), Comparing(("id",), samples=1))
    assert [(c.column, c.rows) for c in found.changes] == [("name", 2), ("x", 1)]
    assert found.changes[0].samples[0].key == (1,)
    assert (found.changes[0].samples[0].left, found.changes[0].samples[0].right) == ("a", "z")
    assert (found.left.samples, found.right.samples) == ([(4, 4.0, "d")], [(5, 5.0, "e")])
    assert not found.same


@pytest.mark.parametrize(
    ("tolerance", "changed"),
    [
        (Closeness(), 3),
        (Closeness(absolute=0.011), 2),
        (Closeness(relative=0.02), 1),
        (Closeness(absolute=1e300), 1),
    ],
)
def test_tolerance_is_of_numbers_and_never_of_infinities(
    engine: DuckDBEngine, tolerance: Closeness, changed: int
) -> None:
    left = [(1, 1.0, "a"), (2, 100.0, "a"), (3, math.inf, "a")]
    right = [(1, 1.01, "a"), (2, 101.0, "a"), (3, 5.0, "a")]
    how = Comparing(("id",), tolerance=tolerance)
    assert engine.compare(relation(left), relation(right), how).changed == changed


def test_columns_and_types_that_differ(engine: DuckDBEngine) -> None:
    left = relation([(1, 2.0, "a")])
    right = relation([("1", 2, 7)], ("ID", "x", "more"), ("VARCHAR", "INTEGER", "INTEGER"))
    found = engine.compare(left, right, Comparing(("id",)))
    assert (found.changed, found.left.only, found.right.only) == (0, 0, 0)
    assert [(t.column, t.left, t.right) for t in found.types] == [
        ("id", "bigint", "string"),
        ("x", "double", "int"),
    ]
    assert (found.only_left, found.only_right, found.same) == (("name",), ("more",), False)
    ignoring = Comparing(("id",), ignored=("name", "more"))
    assert engine.compare(left, right, ignoring).same


def test_a_filter_and_chosen_columns(engine: DuckDBEngine) -> None:
    left, right = relation([(1, 1.0, "a"), (2, 2.0, "b")]), relation([(1, 9.0, "a")])
    only = Comparing(("id",), columns=("name",), where=Predicate("id < 2 -- here", "duckdb"))
    assert engine.compare(left, right, only).same


def test_a_key_is_found_where_one_column_alone_tells_rows_apart(engine: DuckDBEngine) -> None:
    rows = [(n, float(n % 2), "same") for n in range(50)]
    assert engine.compare(relation(rows), relation(rows), Comparing()).keys == ("id",)
    with pytest.raises(ColumnNotFoundError, match="no column alone"):
        engine.compare(relation([(1, 1.0, "a")] * 2), relation(rows), Comparing())
    with pytest.raises(ColumnNotFoundError) as wrong:
        engine.compare(relation(rows), relation(rows), Comparing(("nam",)))
    assert wrong.value.nearest == "name"


@pytest.mark.parametrize("whole", ["BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "INTEGER"])
@pytest.mark.parametrize("floating", ["DOUBLE", "FLOAT"])
def test_whole_numbers_that_floating_point_has_no_place_for(
    engine: DuckDBEngine, whole: str, floating: str
) -> None:
    """What a detour over floating point has done to identifiers is seen."""
    large = 2**24 if whole == "INTEGER" else 2**53
    left = relation([(1, large + 1), (2, 7), (3, 0), (4, None)], ("k", "id"), ("INTEGER", whole))
    rows: list[Row] = [(1, float(large)), (2, 7.0), (3, -0.0), (4, math.nan)]
    right = relation(rows, ("k", "id"), ("INTEGER", floating))
    by_number = engine.compare(left, right, Comparing(("k",)))
    assert [s.key for s in by_number.changes[0].samples] == [(1,), (4,)]
    by_id = engine.compare(left, right, Comparing(("id",)))
    assert (by_id.left.only, by_id.right.only, by_id.changed) == (2, 2, 0)


def test_rows_of_one_key_that_are_the_same_within_a_tolerance(engine: DuckDBEngine) -> None:
    left = [(1, x / 4, name) for name in "abc" for x in range(20)]
    right = [(1, x / 4 + 0.01, name) for name in "cab" for x in reversed(range(20))]
    how = Comparing(("id",), tolerance=Closeness(0.02))
    found = engine.compare(relation(left), relation(right), how)
    assert (found.left.only, found.right.only, found.changed) == (0, 0, 0)


def test_a_value_of_which_the_condition_cannot_be_computed(engine: DuckDBEngine) -> None:
    how = Comparing(("id",), where=Predicate("name::INTEGER > 1", "duckdb"))
    with pytest.raises(ConversionError, match="a value does not fit") as raised:
        engine.compare(relation([(1, 0.5, "a")]), relation([(1, 0.5, "a")]), how)
    assert str(raised.value.location).startswith("--where")


def test_ctrl_c_while_rows_are_read(engine: DuckDBEngine) -> None:
    sql = "SELECT i AS id FROM range(1000000000000) AS t (i)"  # it takes an hour
    endless = Relation(SqlQuery(sql, sql, "duckdb", (), Location("side", 1, 1)), {})
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressed = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    pressed.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.compare(endless, endless, Comparing(("id",)))
    finally:
        signal.signal(signal.SIGINT, before)
