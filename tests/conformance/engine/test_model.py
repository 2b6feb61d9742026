"""Rows are split as by the plainest code."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate, References, Rule, Unique
from qanat.model.staged import Counts
from qanat.model.work import Output
from tests.conformance.engine.bench import Bench, violations

Row = dict[str, Any]


def _breaks(rule: Rule, row: Row, other: set[int]) -> bool:
    """True if a row alone breaks a condition, or refers to nothing."""
    if isinstance(rule, Predicate):
        column, op, bound = rule.sql.split()
        value = row[column]
        return value is None or not (value < int(bound) if op == "<" else value != int(bound))
    if isinstance(rule, References):
        value = row[rule.columns[0]]
        return value is not None and value not in other
    return False


def _repeated(
    columns: tuple[str, ...], rows: list[Row], existing: list[Row], removed: Callable[[int], bool]
) -> set[int]:
    """The rows whose key the table or a kept row before them has."""
    keys = [tuple(row[c] for c in columns) for row in rows]
    held = {tuple(r[c] for c in columns) for r in existing}
    taken, mine = set(held), set()
    for i, key in enumerate(keys):
        if None in key:
            continue
        if key in taken:
            mine.add(i)
        elif not removed(i):
            taken.add(key)
    # A row that another rule removes breaks this one too if a kept row has its key.
    first: dict[tuple[Any, ...], int] = {}
    for i, key in enumerate(keys):
        if None not in key and key not in held and not removed(i):
            first.setdefault(key, i)
    for i, key in enumerate(keys):
        if None not in key and (key in held or i > first.get(key, i)):
            mine.add(i)
    return mine


def _model(
    rows: list[Row], rules: list[Expectation], existing: list[Row], other: set[int]
) -> tuple[list[int], list[int], list[int], dict[str, int]]:
    """Written, dropped and quarantined row numbers, and violations, by the plainest code."""
    broken: list[set[str]] = [set() for _ in rows]

    def removed(i: int) -> bool:
        return any(e.name in broken[i] and e.action in ("drop", "quarantine") for e in rules)

    for e in rules:
        for i, row in enumerate(rows):
            if _breaks(e.rule, row, other):
                broken[i].add(e.name)
    for e in rules:
        if isinstance(e.rule, Unique):
            for i in _repeated(e.rule.columns, rows, existing, removed):
                broken[i].add(e.name)
    counts = {e.name: sum(e.name in b for b in broken) for e in rules}
    quarantine = {e.name for e in rules if e.action is Action.QUARANTINE}
    drop = {e.name for e in rules if e.action is Action.DROP}
    aside = [i for i, b in enumerate(broken) if b & quarantine]
    dropped = [i for i, b in enumerate(broken) if b & drop and not b & quarantine]
    written = [i for i in range(len(rows)) if i not in {*aside, *dropped}]
    return written, dropped, aside, counts


@pytest.mark.parametrize("seed", range(25))
def test_rows_are_split_as_by_a_plain_model(bench: Bench, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311

    def some(count: int) -> list[Row]:
        return [
            {c: draw.choice([None, *range(draw.choice([3, 12]))]) for c in "abc"}
            for _ in range(count)
        ]

    def rule() -> Rule:
        match draw.randrange(4):
            case 0:
                return Unique(tuple(draw.sample("abc", draw.choice([1, 2]))))
            case 1:
                return References((draw.choice("abc"),), "other", ("x",))
            case _:
                text = f"{draw.choice('abc')} {draw.choice(['<', '<>'])} {draw.randrange(10)}"
                return Predicate(text, bench.engine.dialect)

    actions = ["warn", "drop", "quarantine"]
    rules = [
        bench.expect(f"r{i}", rule(), draw.choice(actions)) for i in range(draw.randint(1, 6))
    ]
    rows, existing = some(draw.choice([0, 1, 40, 300])), some(draw.choice([0, 20]))
    other = set(range(0, 12, draw.choice([1, 2, 3])))
    columns = {c: pa.array([r[c] for r in rows], pa.int64()) for c in "abc"}
    columns["n"] = pa.array(range(len(rows)), pa.int64())
    held = pa.table({c: pa.array([r[c] for r in existing], pa.int64()) for c in "abc"})
    sql = draw.choice(["SELECT * FROM t", "SELECT * FROM t ORDER BY n"])
    inputs = {"t": bench.table(pa.table(columns), parts=draw.choice([1, 3]))}
    output = Output(bench.folder / "target", "m", existing=bench.table(held))
    staged = bench.stage(
        sql, inputs, rules, output=output,
        references={"other": bench.table({"x": sorted(other)})},
    )  # fmt: skip
    written, dropped, aside, counts = _model(rows, rules, existing, other)
    assert sorted(r["n"] for r in bench.rows(staged.table)) == written
    assert sorted(r["n"] for r in bench.quarantined(staged)) == aside
    assert staged.counts == Counts(len(rows), len(written), len(dropped), len(aside))
    assert violations(staged) == counts
    reasons = Counter(k for r in bench.quarantined(staged) for k, _ in r["_quarantine_rules"])
    assert set(reasons) <= {e.name for e in rules}
