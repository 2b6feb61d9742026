"""What the scenarios of corrected files, keys, MERGE INTO and snapshots come to undisturbed."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import qanat
from tests.crash import changing
from tests.crash.projects import operate

_D = Decimal
_BOTH = [(6, "b", 60), (7, "c", 700), (8, "z", 80), (2, "b", 0), (5, "a", 55)]
_LATEST = [(1, "a", 10), (2, "b", 0), (4, "z", 40), (5, "a", 55), (6, "b", 60), (8, "z", 80)]
_SMALL = [(1, "a", 11), (3, "c", 30), (5, "a", 50), (6, "b", 60), (2, "b", 0), (5, "a", 55)]
_WIDE = [(1, "a", _D("1.5")), (3, "d", _D(3)), (5, "a", _D(55)), (6, "b", _D(60))]
WANTED: dict[str, dict[str, list[Any]]] = {
    "correct": {"bronze": [*_SMALL, (2, "b", 200), (7, "c", 700)], "silver": _SMALL},
    "correct-widen": {"silver": [*_WIDE, (2, "b", _D(0))]},
    "keyed": {
        "latest": _LATEST,
        "groups": _BOTH,
        "parts": _BOTH,
        "totals": [(1, 10), (3, 300), (4, 40), (5, 105), (6, 60), (7, 700), (8, 80)],
        "mirror": [(1, 10), (2, 20), (3, 300), (4, 40), (5, 55), (6, 60), (7, 700), (8, 80)],
    },
    "keyed-widen": {
        "latest": [
            *_WIDE[:2], (2, "b", _D(20)), (4, "z", _D(40)), (5, "a", _D(50)), (10, "z", _D(1)),
        ],
    },
    "keyed-replay": {"latest": [*_LATEST, (3, "c", 300)]},
}  # fmt: skip


def tables_of(image: Path) -> list[str]:
    return [p.name for p in (image / "storage/tables").iterdir() if "__" not in p.name]


def test_undisturbed_scenarios_come_to_what_their_files_say(tmp_path: Path) -> None:
    made = {s.name: s for s in changing.scenarios(tmp_path, operate)}
    assert tuple(made) == changing.NAMES
    found: dict[str, dict[str, list[Any]]] = {}
    for name, scenario in made.items():
        for operation in (scenario.operation, *scenario.then):
            operate(scenario.image, operation)
        found[name] = {}
        project = qanat.open(scenario.image)
        for table in tables_of(scenario.image):
            rows = project.table(table).arrow().to_pylist()
            found[name][table] = sorted((tuple(r.values()) for r in rows), key=repr)
    for name, tables in WANTED.items():
        for table, rows in tables.items():
            assert found[name][table] == sorted(rows, key=repr), (name, table)
    # What readers of changes were told, taken together, are the rows that are there.
    for name, table in (("correct", "silver"), ("keyed", "latest"), ("keyed-replay", "latest")):
        net: Counter[tuple[Any, ...]] = Counter()
        for *row, change in found[name]["told"]:
            net[tuple(row)] += 1 if change in ("insert", "update_postimage") else -1
        assert +net == Counter(found[name][table])
        assert not -net
