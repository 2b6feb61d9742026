"""Every file of a storage either belongs to something, or is a stranger."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qanat.crash.deliveries import Delivered
from qanat.crash.inventory import Inventory
from qanat.storage.delta.witness import DeltaWitness

ENTRY = f"{0:020}.json"
EVENTS = {"files": [{"path": "_events/f.parquet", "size": 1, "rows": 1}], "schema": {}}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    actions = [
        {"txn": {"appId": "qanat:t", "version": 3}},
        {"add": {"path": "a%20b.parquet", "stats": json.dumps({"numRecords": 5})}},
        {"add": {"path": "kind=x/c.parquet", "stats": json.dumps({"numRecords": 2})}},
        {"remove": {"path": "old.parquet"}},
        {"cdc": {"path": "_change_data/kind=x/d%20e.parquet"}},
        {"metaData": {"configuration": {"qanat.events": json.dumps(EVENTS)}}},
        {"metaData": {"id": "1"}},
    ]
    known = {
        f"tables/t/_delta_log/{ENTRY}": "\n".join(map(json.dumps, actions)) + "\n",
        "tables/t/_delta_log/_last_checkpoint": "",
        "tables/t/a b.parquet": "",
        "tables/t/kind=x/c.parquet": "",
        "tables/t/old.parquet": "",
        "tables/t/_change_data/kind=x/d e.parquet": "",
        "tables/t/_events/f.parquet": "",
        "_qanat/ledger.db": "",
        "_qanat/scratch/mine.lock": "",
        "_qanat/scratch/mine/rows.parquet": "",
    }
    for name, text in known.items():
        _write(tmp_path / name, text)
    # What only a checkpoint names: its entry was cleaned up.
    checkpoint = {
        "add": [{"path": "cleaned.parquet"}],
        "remove": [None],
        "metaData": [{"configuration": None}],
    }
    columns = pa.schema(
        [
            ("add", pa.struct([("path", pa.string())])),
            ("remove", pa.struct([("path", pa.string())])),
            ("metaData", pa.struct([("configuration", pa.map_(pa.string(), pa.string()))])),
        ]
    )
    log = tmp_path / "tables/t/_delta_log"
    pq.write_table(pa.table(checkpoint, columns), log / f"{1:020}.checkpoint.parquet")
    _write(tmp_path / "tables/t/cleaned.parquet", "")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def strangers(storage: Path) -> list[str]:
    found = Inventory(storage, storage / "_qanat/scratch/mine", DeltaWitness()).strangers()
    return [str(p.relative_to(storage)) for p in found]


def test_files_that_a_project_needs_are_no_strangers(storage: Path) -> None:
    assert strangers(storage) == []


@pytest.mark.parametrize(
    "name",
    [
        "tables/t/d.parquet",
        "tables/t/kind=x/.hidden",
        "tables/t/_change_data/kind=x/d.parquet",
        "tables/t/_events/g.parquet",
        "tables/t/kind=x/a b.parquet",
        f"tables/t/_delta_log/{ENTRY}.tmp",
        "tables/t/_delta_log/_commit_1.json.tmp",
        "tables/u/e.parquet",
        "tables/f",
        "_qanat/commits/7/x.json",
        "_qanat/scratch/other.lock",
        "_qanat/replay/x/y.parquet",
        "tmp",
    ],
)
def test_a_file_that_no_log_mentions_is_a_stranger(storage: Path, name: str) -> None:
    _write(storage / name, "")
    assert strangers(storage) == [name]


def test_the_rows_of_a_commit(storage: Path) -> None:
    table = Inventory(storage, storage / "mine", DeltaWitness()).table("t")
    assert table is not None
    assert table.rows("qanat:t", 3) == 7
    assert table.rows("qanat:t", 2) is None


def test_a_merge_grows_a_table_by_what_it_adds_more_than_it_takes_away(storage: Path) -> None:
    actions = [
        {"commitInfo": {"operation": "MERGE"}},
        {"txn": {"appId": "qanat:t", "version": 4}},
        {"add": {"path": "new.parquet", "stats": json.dumps({"numRecords": 3})}},
        {"remove": {"path": "a%20b.parquet"}},
    ]
    entry = storage / f"tables/t/_delta_log/{1:020}.json"
    _write(entry, "\n".join(map(json.dumps, actions)) + "\n")
    table = Inventory(storage, storage / "mine", DeltaWitness()).table("t")
    assert table is not None
    assert table.rows("qanat:t", 4) == 3 - 5


def test_a_delivery_names_its_epoch() -> None:
    assert Delivered("f-0000000001", ()).is_of("f", 1)
    assert Delivered("f-0000000001-0.csv.gz", ()).is_of("f", 1)
    assert Delivered("%2Ef%2Fg-0000000001-0.csv", ()).is_of(".f/g", 1)
    assert Delivered(f"{'f' * 150}~{'0' * 16}-0000000001", ()).is_of("f" * 200, 1)
    for name in ("f-0000000002", "g-0000000001", "f-0000000001.csv", "f", "f-0000000001-1.csv"):
        assert not Delivered(name, ()).is_of("f", 1)


def test_rows_of_merges_whose_files_were_added_before_the_log_begins(tmp_path: Path) -> None:
    log = tmp_path / "t/_delta_log"

    def file(path: str, rows: int) -> dict[str, object]:
        return {"path": path, "stats": json.dumps({"numRecords": rows})}

    def merge(number: int, removed: str, added: str, rows: int) -> str:
        actions: list[dict[str, object]] = [
            {"commitInfo": {"operation": "MERGE"}},
            {"txn": {"appId": "flow", "version": number}},
            {"remove": {"path": removed, "dataChange": True}},
            {"add": file(added, rows)},
        ]
        return "\n".join(map(json.dumps, actions)) + "\n"

    # Of the file that the first merge removes, nothing is left that says how many rows it had.
    _write(log / f"{4:020}.json", merge(4, "a.parquet", "b.parquet", 7))
    _write(log / f"{5:020}.json", merge(5, "c%20d.parquet", "e.parquet", 4))
    _write(log / f"{6:020}.json", merge(6, "e.parquet", "f.parquet", 5))
    pq.write_table(
        pa.table(
            {
                "add": [file("b.parquet", 7), file("c%20d.parquet", 10)],
                "remove": [{"path": "a.parquet"}, None],
                "metaData": pa.array(
                    [{"configuration": None}, None],
                    pa.struct([("configuration", pa.map_(pa.string(), pa.string()))]),
                ),
            }
        ),
        log / f"{4:020}.checkpoint.parquet",
    )
    found = DeltaWitness().log(tmp_path / "t")
    assert [found.rows("flow", n) for n in (4, 5, 6)] == [None, -6, 1]
    assert found.knows("a.parquet")
    assert found.knows("c d.parquet")
