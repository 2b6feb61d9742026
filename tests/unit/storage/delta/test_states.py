"""How the state of a table becomes that of a later version."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from qanat.storage.delta.log import Log
from qanat.storage.delta.state import TableState, reconciled
from qanat.storage.delta.states import States, advanced
from qanat.storage.delta.table import load

META = {
    "id": "t",
    "format": {"provider": "parquet", "options": {}},
    "schemaString": json.dumps(
        {
            "type": "struct",
            "fields": [{"name": "n", "type": "long", "nullable": True, "metadata": {}}],
        }
    ),
    "partitionColumns": [],
    "configuration": {},
}
PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}


class Table:
    """A log, written entry by entry."""

    def __init__(self, folder: Path) -> None:
        self.log = Log(folder)
        self.log.folder.mkdir(parents=True)
        self.version = -1
        self.commit({"protocol": PROTOCOL}, {"metaData": META})

    def commit(self, *actions: dict[str, Any]) -> None:
        self.version += 1
        text = "\n".join(json.dumps(a) for a in actions)
        self.log.path(self.version).write_text(text)

    def stamped(self, version: int) -> Any:
        stamp, state = self.log.stamp(version), reconciled(self.log, version)
        assert stamp is not None
        assert state is not None
        return stamp, state


def add(path: str, at: int, **more: Any) -> dict[str, Any]:
    stats = json.dumps({"numRecords": at})
    facts = {"path": path, "size": 1, "partitionValues": {}, "modificationTime": at}
    return {"add": {**facts, "dataChange": True, "stats": stats, **more}}


def remove(path: str) -> dict[str, Any]:
    return {"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True}}


def test_any_version_from_any_earlier_one(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)  # noqa: S311
    table, live, number = Table(tmp_path), list[str](), 0
    for _ in range(40):
        actions: list[dict[str, Any]] = [{"commitInfo": {"operation": "WRITE"}}]
        # One entry may not add and remove the same file.
        for path in chance.sample(live, min(len(live), chance.randrange(3))):
            actions.append(remove(path))
            live.remove(path)
        if live and chance.random() < 0.2:
            actions.append(add(live[0], 5000 + number))  # the same file, with other statistics
        for _ in range(chance.randrange(4)):
            number += 1
            actions.append(add(f"{number}.parquet", chance.randrange(1000)))
            live.append(f"{number}.parquet")
        if chance.random() < 0.7:
            application = chance.choice("ab")
            actions.append({"txn": {"appId": application, "version": table.version}})
        table.commit(*actions)
    states = [table.stamped(v)[1] for v in range(table.version + 1)]
    for first in range(table.version):
        stamp = table.log.stamp(first)
        assert stamp is not None
        for later in (first + 1, chance.randrange(first + 1, table.version + 1)):
            assert advanced(table.log, stamp, states[first], later) == states[later], seed
    assert {f.path for f in load(str(tmp_path)).files} == {f.path for f in states[-1].files}


@pytest.mark.parametrize(
    "action",
    [
        {"metaData": META},
        {"protocol": PROTOCOL},
        {"domainMetadata": {"domain": "d", "configuration": "", "removed": False}},
        add("2.parquet", 1, deletionVector={"storageType": "u"}),
        remove("of which nothing is known.parquet"),
        {"add": {"path": "3.parquet"}},
    ],
    ids=["metaData", "protocol", "domainMetadata", "deletionVector", "unknown", "incomplete"],
)
def test_what_changes_more_than_files_is_loaded(tmp_path: Path, action: dict[str, Any]) -> None:
    table = Table(tmp_path)
    stamp, state = table.stamped(0)
    table.commit(action)
    assert advanced(table.log, stamp, state, 1) is None


def test_another_table_in_the_same_place_is_loaded(tmp_path: Path) -> None:
    table = Table(tmp_path)
    stamp, state = table.stamped(0)
    table.log.path(0).write_text(json.dumps({"protocol": PROTOCOL}) + " ")
    table.commit(add("1.parquet", 1))
    assert advanced(table.log, stamp, state, 1) is None


def test_an_entry_that_is_gone(tmp_path: Path) -> None:
    table = Table(tmp_path)
    stamp, state = table.stamped(0)
    table.commit(add("1.parquet", 1))
    table.commit(add("2.parquet", 2))
    table.log.path(1).unlink()
    assert advanced(table.log, stamp, state, 2) is None


def test_a_table_that_grows_is_loaded_once(tmp_path: Path) -> None:
    loaded: list[int | None] = []

    def loads(table: str, version: int | None, application: str | None) -> TableState:
        loaded.append(version)
        return load(table, version, application)

    table, states = Table(tmp_path), States(loads)
    for n in range(150):
        table.commit(add(f"{n}.parquet", n), {"txn": {"appId": "a", "version": n}})
    first = states.at(table.log, 150, exact=False, application="a")
    assert (loaded, first.transactions) == ([None], {"a": 149})
    for n in range(150, 400):
        table.commit(add(f"{n}.parquet", n), {"txn": {"appId": "a", "version": n}})
        found = states.at(table.log, n + 1, exact=False, application="a")
        assert (found.version, found.transactions) == (n + 1, {"a": n})
    assert len(loaded) == 1
    assert found == load(str(tmp_path), None, "a")
