"""Tables of which another tool has deleted rows by deletion vectors, as Spark does by default."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import qanat
from tests.acceptance.projects import Shop

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
FILES = "STREAM read_files('data/*.csv')"
KEYS = f"CREATE STREAMING TABLE t KEYS (id) AS SELECT * FROM {FILES};"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def bitmap(*rows: int) -> bytes:
    """Rows as a portable 64-bit Roaring bitmap, as Delta has it."""
    some = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16)
    some += b"".join(struct.pack("<H", row) for row in rows)
    data = struct.pack("<IQI", 1681511377, 1, 0) + some
    return data + b"\0" * (-len(data) % 4)


def z85(data: bytes) -> str:
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(_Z85[word // 85**n % 85] for n in range(4, -1, -1))
    return text


def vector(*rows: int) -> dict[str, Any]:
    """Rows as an inline deletion vector."""
    data = bitmap(*rows)
    return {
        "storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": len(data),
        "cardinality": len(rows),
    }  # fmt: skip


def actions(shop: Shop, version: int, dataset: str = "t") -> list[dict[str, Any]]:
    log = Path(shop.table(dataset)) / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in log.read_text().splitlines()]


def named(shop: Shop, kind: str, version: int, dataset: str = "t") -> list[dict[str, Any]]:
    return [a[kind] for a in actions(shop, version, dataset) if kind in a]


def adds(shop: Shop, dataset: str) -> Iterator[dict[str, Any]]:
    live: dict[str, dict[str, Any]] = {}
    for version in range(DeltaTable(shop.table(dataset)).version() + 1):
        for action in actions(shop, version, dataset):
            if "remove" in action:
                live.pop(action["remove"]["path"], None)
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
    yield from live.values()


def vectors(shop: Shop) -> dict[str, Any]:
    return {a["path"]: v for a in adds(shop, "t") if (v := a.get("deletionVector"))}


def delete(shop: Shop, *ids: int, dataset: str = "t") -> None:
    """Delete rows as Spark does: their files stay, and get deletion vectors."""
    table = DeltaTable(shop.table(dataset))
    before = table.protocol()
    features = {"deletionVectors"}
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": sorted({*(before.reader_features or ()), *features}),
        "writerFeatures": sorted(
            {*(before.writer_features or ("appendOnly", "invariants")), *features}
        ),
    }
    made: list[dict[str, Any]] = [{"commitInfo": {"operation": "DELETE"}}, {"protocol": protocol}]
    for add in list(adds(shop, dataset)):
        rows = pq.read_table(Path(shop.table(dataset)) / add["path"], partitioning=None)
        gone = [n for n, id_ in enumerate(rows.column("id").to_pylist()) if id_ in ids]
        if gone:
            old = add.get("deletionVector")
            removed = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
            made.append({"remove": removed | ({"deletionVector": old} if old else {})})
            made.append({"add": add | {"deletionVector": vector(*gone)}})
    log = Path(shop.table(dataset)) / "_delta_log" / f"{table.version() + 1:020}.json"
    log.write_text("\n".join(map(json.dumps, made)) + "\n")


def read(shop: Shop, dataset: str = "t") -> list[tuple[Any, ...]]:
    """The rows as delta-rs reads them."""
    rows = pa.table(DeltaTable(shop.table(dataset)).scan()).to_pylist()
    return sorted((tuple(r.values()) for r in rows), key=repr)


@pytest.mark.parametrize("kind", ["keys", "cdc", "merge"])
def test_rows_that_others_deleted_stay_deleted(shop: Shop, kind: str) -> None:
    """Files with rows that change are written whole; the others keep their vector."""
    shop.sql({
        "keys": KEYS,
        "cdc": "CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM"
        f" {FILES} KEYS (id) SEQUENCE BY seq;",
        "merge": "CREATE STREAMING TABLE t; CREATE FLOW f AS MERGE INTO t USING"
        f" {FILES} AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *"
        " WHEN NOT MATCHED THEN INSERT *;",
    }[kind])  # fmt: skip
    shop.file("data/1.csv", "id,v,seq\n1,a,1\n2,b,1\n3,c,1\n")
    shop.run()
    shop.file("data/2.csv", "id,v,seq\n4,d,1\n5,e,1\n6,f,1\n")
    shop.run()
    delete(shop, 2, 4)
    hidden = vectors(shop)
    assert len(hidden) == 2
    left = [(1, "a", 1), (3, "c", 1), (5, "e", 1), (6, "f", 1)]
    assert shop.rows("t") == read(shop) == left
    shop.file("data/3.csv", "id,v,seq\n3,cc,2\n7,g,1\n")
    result = shop.run()["t"]
    assert dict(result.counts.effects) == {"inserted": 1, "updated": 1}
    wanted = [(1, "a", 1), (3, "cc", 2), (5, "e", 1), (6, "f", 1), (7, "g", 1)]
    assert shop.rows("t") == read(shop) == wanted
    (removed,) = named(shop, "remove", DeltaTable(shop.table("t")).version())
    assert removed["deletionVector"] == hidden.pop(removed["path"])
    assert vectors(shop) == hidden
    # A row that was deleted comes again, and one of the file that still has a vector changes.
    shop.file("data/4.csv", "id,v,seq\n2,bb,2\n6,ff,2\n")
    shop.run()
    assert shop.rows("t") == read(shop) == [
        (1, "a", 1), (2, "bb", 2), (3, "cc", 2), (5, "e", 1), (6, "ff", 2), (7, "g", 1),
    ]  # fmt: skip
    assert not vectors(shop)


def test_types_widen_without_deleted_rows(shop: Shop) -> None:
    shop.sql(KEYS)
    shop.file("data/1.csv", "id,v\n1,1\n2,2\n")
    shop.run()
    delete(shop, 1)
    shop.file("data/2.csv", "id,v\n3,0.5\n")
    shop.run()
    assert [r[0] for r in read(shop)] == [2, 3]
    assert shop.columns("t")[1] == "v decimal(38,6)"


def test_rows_are_appended_and_replaced(shop: Shop) -> None:
    """Also a table that only grows, and a view that is computed anew."""
    shop.sql(
        f"CREATE STREAMING TABLE t AS SELECT * FROM {FILES};"
        "CREATE MATERIALIZED VIEW v AS SELECT sum(id) AS id FROM t;"
    )
    shop.file("data/1.csv", "id,v\n1,a\n2,b\n")
    shop.run()
    delete(shop, 1)
    delete(shop, 3, dataset="v")
    shop.file("data/2.csv", "id,v\n3,c\n")
    shop.run()
    assert read(shop) == [(2, "b"), (3, "c")]
    assert read(shop, "v") == [(5,)]
    shop.run(full_refresh=("t",))
    assert read(shop) == [(1, "a"), (2, "b"), (3, "c")]


def test_compaction_leaves_deleted_rows_out(shop: Shop) -> None:
    shop.sql(f"CREATE STREAMING TABLE t AS SELECT * FROM {FILES};")
    for number in range(4):
        shop.file(f"data/{number}.csv", f"id,v\n{2 * number},a\n{2 * number + 1},b\n")
        shop.run()
    delete(shop, 0, 3, 7)
    before = read(shop)
    assert [r[0] for r in before] == [1, 2, 4, 5, 6]
    with qanat.open(shop.folder) as project:
        project.maintain()
    assert read(shop) == shop.rows("t") == before
    (file,) = adds(shop, "t")
    assert "deletionVector" not in file
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_a_corrected_file_takes_the_place_of_what_is_left_of_it(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM"
        " read_files('data/*.csv', on_overwrite => 'replace');"
    )
    shop.file("data/1.csv", "id,v\n1,a\n2,b\n")
    shop.file("data/2.csv", "id,v\n3,c\n4,d\n")
    shop.run()
    delete(shop, 1, 3)
    assert read(shop) == [(2, "b"), (4, "d")]
    shop.file("data/1.csv", "id,v\n1,a\n2,bb\n5,e\n")
    shop.run()
    assert read(shop) == shop.rows("t") == [(1, "a"), (2, "bb"), (4, "d"), (5, "e")]


def test_a_checkpoint_tells_them_as_well(shop: Shop) -> None:
    shop.sql(KEYS)
    shop.file("data/1.csv", "id,v\n1,a\n2,b\n")
    shop.run()
    delete(shop, 1)
    DeltaTable(shop.table("t")).create_checkpoint()
    for entry in sorted((Path(shop.table("t")) / "_delta_log").glob("*.json"))[:-1]:
        entry.unlink()
    assert shop.rows("t") == [(2, "b")]
    shop.file("data/2.csv", "id,v\n2,bb\n3,c\n")
    shop.run()
    assert shop.rows("t") == read(shop) == [(2, "bb"), (3, "c")]
