"""The state that is read from log entries alone, compared with the one that delta-rs loads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from qanat.storage.delta import table
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import reconciled


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "part": [f"p {i % 2}/ü" for i in ids]})


def append(folder: Path) -> None:
    properties = CommitProperties(app_transactions=[Transaction("app", 7)])
    write_deltalake(folder, rows(1, 2), description="größe", name="t")
    write_deltalake(folder, rows(3), mode="append", commit_properties=properties)


def partitions(folder: Path) -> None:
    write_deltalake(folder, rows(1, 2, 3), partition_by=["part"])


def overwrite(folder: Path) -> None:
    append(folder)
    write_deltalake(folder, rows(9), mode="overwrite")


def delete(folder: Path) -> None:
    append(folder)
    DeltaTable(folder).delete("id = 1")


def compact(folder: Path) -> None:
    append(folder)
    DeltaTable(folder).optimize.compact()


def evolve(folder: Path) -> None:
    append(folder)
    wider = pa.table({"id": [4], "part": ["x"], "more": [{"a": 1}]})
    write_deltalake(folder, wider, mode="append", schema_mode="merge")


def times(folder: Path) -> None:
    write_deltalake(folder, pa.table({"at": pa.array([0], pa.timestamp("us"))}))


def configure(folder: Path) -> None:
    append(folder)
    DeltaTable(folder).alter.set_table_properties({"delta.logRetentionDuration": "interval 1 day"})


@pytest.mark.parametrize(
    "make", [append, partitions, overwrite, delete, compact, evolve, times, configure]
)
def test_the_state_equals_delta_rs_at_every_version(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    for version in range(DeltaTable(tmp_path).version() + 1):
        mine = reconciled(Log(tmp_path), version)
        theirs = table.load(str(tmp_path), version, "app")
        assert mine is not None
        assert {k: v for k, v in mine.transactions.items() if k == "app"} == theirs.transactions
        assert replace(mine, transactions={}) == replace(theirs, transactions={})
    assert reconciled(Log(tmp_path), None) == mine


def test_unknown_features_are_left_to_delta_rs(tmp_path: Path) -> None:
    append(tmp_path)
    entry = tmp_path / "_delta_log" / f"{1:020}.json"
    text = entry.read_text()
    for line in ('{"domainMetadata":{"domain":"x"}}', '{"add":{}}', '{"protocol":{}}'):
        entry.write_text(f"{text}\n{line}\n")
        assert reconciled(Log(tmp_path), None) is None
    entry.write_text(text)
    assert reconciled(Log(tmp_path), None) is not None
    assert reconciled(Log(tmp_path), 5) is None
    DeltaTable(tmp_path).create_checkpoint()
    assert reconciled(Log(tmp_path), None) is None
