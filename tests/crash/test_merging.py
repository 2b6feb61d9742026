"""What the scenarios of merges come to without a fault is what the model of changes says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import qanat
from qanat.crash.case import Operation, Scenario
from qanat.run.session import Session
from qanat.run.upkeep import maintain
from tests.crash import merging
from tests.crash.projects import operate

EPOCHS = {"merge": 5, "merge-maintain": 5, "merge-behind": 6, "merge-refresh": 5}
"""Those that are tried: the others are steps on the way, or come to the same."""


def test_undisturbed_scenarios_come_to_what_the_model_says(tmp_path: Path) -> None:
    made = list(merging.scenarios(tmp_path, operate))
    assert tuple(s.name for s in made) == merging.NAMES
    for scenario in (s for s in made if s.name in EPOCHS):
        for operation in (scenario.operation, *scenario.then):
            _carry_out(scenario, operation)
        _compare(scenario, EPOCHS[scenario.name])


def _carry_out(scenario: Scenario, operation: Operation) -> None:
    if operation is not Operation.MAINTAIN:
        operate(scenario.image, operation)
        return
    with Session.open(scenario.image) as session:
        maintain(session)


def _compare(scenario: Scenario, epochs: int) -> None:
    project = qanat.open(scenario.image)
    for table, two in (("now", False), ("versions", True)):
        found = [
            tuple(map(_plain, row.values())) for row in project.table(table).arrow().to_pylist()
        ]
        assert sorted(found, key=repr) == merging.wanted(two, epochs), (scenario.name, table)
    if scenario.operation is Operation.REFRESH:
        return  # nobody reads its changes
    # What readers of changes were told, taken together, are the rows that are there.
    told = project.table("told").arrow().to_pylist()
    net: Counter[tuple[Any, ...]] = Counter()
    for row in told:
        change = row.pop("_change_type")
        net[tuple(row.values())] += 1 if change in ("insert", "update_postimage") else -1
    assert +net == Counter(merging.wanted(False, epochs)), scenario.name
    assert not -net, scenario.name
    waiting = project.table("now__quarantine").arrow().num_rows
    assert waiting == len(list((scenario.image / "in").glob("*.json"))), scenario.name


def _plain(value: Any) -> Any:
    return tuple(value.values()) if isinstance(value, dict) else value
