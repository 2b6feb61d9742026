"""AUTO CDC as it is compiled, and what `validate` says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qanat.model.changes import Expression
from qanat.model.expectation import Action
from qanat.model.rule import Predicate
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.run.validate import validate

TABLES = (
    "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.json');\n"
    "CREATE STREAMING TABLE t (CONSTRAINT known EXPECT (id > 0) ON VIOLATION DROP ROW);\n"
)
F = "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM s "


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "shop"
    (root / "transformations").mkdir(parents=True)
    (root / "in").mkdir()
    row = {"id": 1, "name": "a", "op": "I", "ts": 1}
    (root / "in/1.json").write_text(json.dumps(row))
    return root


def declare(root: Path, flow: str, dialect: str = "duckdb") -> None:
    (root / "qanat.yml").write_text(f"name: shop\ndialect: {dialect}\n")
    (root / "transformations/a.sql").write_text(TABLES + flow)


def compiled(root: Path) -> CompiledFlow:
    with Session.open(root) as session:
        assert session.problems == ()
        return session.analysis.flows["f"]


def rules(flow: CompiledFlow) -> list[tuple[str, str, str, Action]]:
    return [
        (e.name, e.rule.sql, str(e.rule), e.action)
        for e in flow.expectations
        if isinstance(e.rule, Predicate)
    ]


def test_changes_without_a_key_or_sequence_go_to_quarantine(root: Path) -> None:
    declare(root, F + "KEYS (id, name) SEQUENCE BY (ts, n + 1)")
    assert rules(compiled(root)) == [
        ("known", "id > 0", "id > 0", Action.DROP),
        (
            "_key",
            '"id" IS NOT NULL AND "name" IS NOT NULL',
            "id IS NOT NULL AND name IS NOT NULL",
            Action.QUARANTINE,
        ),
        (
            "_sequence",
            '("ts") IS NOT NULL AND (n + 1) IS NOT NULL',
            "ts IS NOT NULL AND n + 1 IS NOT NULL",
            Action.QUARANTINE,
        ),
    ]


def test_what_empties_the_table_needs_no_key(root: Path) -> None:
    declare(root, F + "KEYS (id) SEQUENCE BY ts APPLY AS TRUNCATE WHEN op = 'T' -- all\n")
    assert rules(compiled(root))[1][1:3] == (
        "coalesce(op = 'T', FALSE) OR (\"id\" IS NOT NULL)",
        "op = 'T' OR (id IS NOT NULL)",
    )


def test_expressions_are_those_of_the_engine(root: Path) -> None:
    declare(
        root, F + 'KEYS (id) SEQUENCE BY ts APPLY AS DELETE WHEN size(xs) = 0 OR op = "D"', "spark"
    )
    flow = compiled(root)
    assert flow.changes is not None
    # Its name might be a word of the engine.
    assert flow.changes.sequence == (Expression('"ts"', "duckdb", "ts"),)
    assert flow.changes.deletes == Expression(
        "CAST(CARDINALITY(xs) AS INT) = 0 OR op = 'D'", "duckdb", 'size(xs) = 0 OR op = "D"'
    )
    assert flow.flow.changes is not None
    assert flow.flow.changes.deletes == Expression('size(xs) = 0 OR op = "D"', "spark")


def test_it_is_kept_as_it_is(root: Path) -> None:
    declare(root, F + "KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2 TRACK HISTORY ON (name)")
    first = compiled(root)
    assert compiled(root) == first


@pytest.mark.parametrize(
    ("clauses", "messages"),
    [
        ("KEYS (id) SEQUENCE BY ts COLUMNS * EXCEPT (op)", []),
        (
            "KEYS (idd) SEQUENCE BY ts",
            ["3:13: flow f: KEYS names column 'idd', which its source does not have"],
        ),
        (
            "KEYS (id)\nSEQUENCE BY (ts, tss) APPLY AS DELETE WHEN opp = 'D'",
            ["4:18: SEQUENCE BY: no column 'tss'", "4:44: APPLY AS DELETE WHEN: no column 'opp'"],
        ),
        (
            "KEYS (id) SEQUENCE BY ts APPLY AS TRUNCATE WHEN foo(op)",
            ["3:96: APPLY AS TRUNCATE WHEN: no function 'foo'"],
        ),
    ],
)
def test_columns_are_checked(root: Path, clauses: str, messages: list[str]) -> None:
    declare(root, F + clauses)
    with Session.open(root) as session:
        found = [str(p).partition("\n")[0] for p in validate(session).problems]
    assert [f.partition(" (did")[0] for f in found] == [
        f"transformations/a.sql:{message}" for message in messages
    ]


def test_what_the_engine_cannot_carry(root: Path) -> None:
    declare(root, F + "KEYS (id) SEQUENCE BY ts APPLY AS DELETE WHEN sise(xs) = 0", "spark")
    with Session.open(root) as session:
        (problem,) = session.problems
    assert str(problem).startswith("transformations/a.sql:3:94: ")
