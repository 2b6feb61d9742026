"""Tables in S3 and the ledger in PostgreSQL: any machine may go on where another has stopped."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import deltalake
import polars
import pytest

import qanat
from qanat.errors import HistoryMismatchError, ProblemsError
from qanat.run.doctor import examine
from qanat.testing.object_store import ObjectStore
from qanat.testing.postgresql import postgresql
from tests.acceptance.test_deletion_vectors import bitmap, vector, z85

pytestmark = pytest.mark.services

SQL = """
CREATE STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > {least}) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM read_files('s3://lake/{place}/in/*.csv', schema => 'id INT, amount INT');
CREATE STREAMING TABLE silver AS SELECT id, amount FROM STREAM bronze;
CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS amount FROM silver;
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def place(tmp_path: Path, server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path.name


def machine(root: Path, place: str, ledger: str = "", least: int = 0) -> Path:
    (root / "transformations").mkdir(parents=True, exist_ok=True)
    spec = f"name: shop\nstorage: s3://lake/{place}/lake\n"
    (root / "qanat.yml").write_text(spec + (f"ledger: {ledger}\n" if ledger else ""))
    text = SQL.format(place=place, least=least)
    (root / "transformations" / "all.sql").write_text(text)
    return root


def test_machines_take_turns(
    tmp_path: Path, server: ObjectStore, postgres: str, place: str
) -> None:
    roots = [machine(tmp_path / name, place, postgres) for name in ("one", "two")]
    for day, root in enumerate([*roots, *roots]):
        rows = f"id,amount\n{day},{10 + day}\n{day},-{day + 1}\n"
        server.put("lake", f"{place}/in/{day}.csv", rows.encode())
        with qanat.open(root) as project:
            done = {d.dataset: d for d in project.run().datasets}
            assert (done["bronze"].counts.written, done["bronze"].counts.quarantined) == (1, 1)
            assert not project.run().counts.written, "nothing is new"
            assert project.quarantine("bronze").rows().total == day + 1
    for root in roots:
        machine(root, place, postgres, least=-3)
    with qanat.open(roots[0]) as one, qanat.open(roots[1]) as other:
        assert [r.replayed for r in one.replay()] == [2]
        assert [r.replayed for r in other.replay()] == [0]
        other.run()
        assert one.table("total").polars()["amount"].to_list() == [10 + 11 + 12 + 13 - 1 - 2]
    found = polars.read_delta(f"s3://lake/{place}/lake/tables/silver")
    assert sorted(found["amount"].to_list()) == [-2, -1, 10, 11, 12, 13]


def test_a_machine_without_the_ledger_is_stopped(
    tmp_path: Path, server: ObjectStore, place: str
) -> None:
    """Each has a ledger of its own: the second would read everything again."""
    server.put("lake", f"{place}/in/1.csv", b"id,amount\n1,10\n")
    with qanat.open(machine(tmp_path / "one", place)) as project:
        project.run()
    with qanat.open(machine(tmp_path / "two", place)) as project:
        failed = {d.dataset: d.error for d in project.run().failed}
        assert isinstance(failed["bronze"], HistoryMismatchError)
    assert polars.read_delta(f"s3://lake/{place}/lake/tables/bronze").height == 1


def test_another_environment_reads_what_is_there_and_promotes(
    tmp_path: Path, server: ObjectStore, place: str
) -> None:
    server.put("lake", f"{place}/in/1.csv", b"id,amount\n1,10\n2,-5\n")
    root = machine(tmp_path / "one", place)
    spec = (root / "qanat.yml").read_text()
    (root / "qanat.yml").write_text(f"{spec}environments: {{feature: {{from: dev}}}}\n")
    with qanat.open(root) as project:
        project.run()
    with (root / "transformations" / "all.sql").open("a") as file:
        file.write("CREATE MATERIALIZED VIEW most AS SELECT max(amount) AS m FROM silver;\n")
    with qanat.open(root, "feature") as project:
        done = project.run(select=["most"])
        assert [d.dataset for d in done.datasets] == ["most"]
        assert project.table("most").polars()["m"].to_list() == [10]
    with qanat.open(root) as project:
        project.promote("most", origin="feature")
        assert project.run().counts.written == 0
    assert polars.read_delta(f"s3://lake/{place}/lake/tables/most")["m"].to_list() == [10]


def test_a_bucket_that_is_not_there_is_named(
    tmp_path: Path, place: str, server: ObjectStore
) -> None:
    root = machine(tmp_path / "one", place)
    server.put("lake", f"{place}/in/1.csv", b"id,amount\n1,10\n")
    text = (root / "qanat.yml").read_text().replace("s3://lake/", "s3://lakke/")
    (root / "qanat.yml").write_text(text)
    with qanat.open(root) as project:
        failed = {d.dataset: str(d.error) for d in project.run().failed}
        gone = "there is no bucket 's3://lakke'"
        assert gone in failed["bronze"]
        # What asks no store tells nothing of it; the others do, each in its way.
        assert not project.validate().problems
        planned = {d.dataset: d for d in project.plan().datasets}
        assert (str(planned["bronze"].step), planned["bronze"].reason) == ("fail", gone)
        (found,) = [f for f in examine(project.session, root) if f.what == "storage"]
        assert (found.level, found.detail) == ("error", gone)
    (root / "qanat.yml").write_text("name: shop\nstorage: s3:///lake\n")
    with pytest.raises(ProblemsError, match="storage does not fit"):
        qanat.open(root)


TRACED = """
CREATE STREAMING TABLE bronze AS
SELECT * FROM STREAM read_files('s3://lake/{place}/in/*.csv', schema => 'id INT, amount INT');
CREATE STREAMING TABLE silver (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount FROM STREAM bronze;
"""


def test_rows_name_the_lines_of_objects(tmp_path: Path, server: ObjectStore, place: str) -> None:
    """Also through tables in the store, and on a machine that has fetched nothing yet."""
    root = machine(tmp_path / "one", place)
    (root / "transformations" / "all.sql").write_text(TRACED.format(place=place))
    server.put("lake", f"{place}/in/1.csv", b"id,amount\n1,10\n2,-1\n")
    server.put("lake", f"{place}/in/2.csv", b"id,amount\n3,-7\n")
    for _ in range(2):
        with qanat.open(root) as project:
            project.run()
            rows = project.quarantine("silver").traced().arrow().to_pylist()
        found = sorted(
            (o["file"], o["row"], o["through"], o["note"])
            for o in (row["_quarantine_origin"] for row in rows)
        )
        source = f"s3://lake/{place}/in"
        assert found == [
            (f"{source}/1.csv", 3, ["bronze"], None),
            (f"{source}/2.csv", 2, ["bronze"], None),
        ]
        shutil.rmtree(root / ".qanat" / "cache", ignore_errors=True)
        for folder in root.glob(".qanat/*/cache"):
            shutil.rmtree(folder)


CHANGING = """
CREATE STREAMING TABLE raw AS SELECT * FROM STREAM read_files('s3://lake/{place}/in/*.csv');
CREATE STREAMING TABLE people;
CREATE FLOW keep AS AUTO CDC INTO people FROM STREAM raw KEYS (id)
APPLY AS DELETE WHEN op = 'd' SEQUENCE BY seq COLUMNS * EXCEPT (op);
CREATE STREAMING TABLE told AS SELECT * FROM STREAM table_changes('people');
CREATE STREAMING TABLE theirs AS SELECT * FROM
STREAM delta_scan('s3://lake/{place}/theirs', readChangeFeed => true);
"""


def test_changes_are_told_wherever_tables_lie(
    tmp_path: Path, server: ObjectStore, place: str
) -> None:
    url = f"s3://lake/{place}/theirs"
    feed = {"delta.enableChangeDataFeed": "true"}
    frame = polars.DataFrame({"id": [1, 2]})
    deltalake.write_deltalake(url, frame.to_arrow(), configuration=feed)
    root = machine(tmp_path, place)
    (root / "transformations" / "all.sql").write_text(CHANGING.format(place=place))
    for day, rows in enumerate(("1,ada,i,1\n2,bob,i,1\n", "1,Ada,u,2\n2,,d,2\n3,cy,i,2\n")):
        server.put("lake", f"{place}/in/{day}.csv", f"id,name,op,seq\n{rows}".encode())
        with qanat.open(root) as project:
            project.run()
        if not day:
            deltalake.DeltaTable(url).delete("id = 1")
    with qanat.open(root) as project:
        found = project.table("told").polars().sort("_commit_version", "id", "_change_type")
        assert found["_change_type"].to_list() == [
            *("insert", "insert"),
            *("update_postimage", "update_preimage", "delete", "insert"),
        ]
        assert found["name"].to_list() == ["ada", "bob", "Ada", "ada", "bob", "cy"]
        other = project.table("theirs").polars().sort("_commit_version", "id")
        assert other["_change_type"].to_list() == ["insert", "insert", "delete"]
        assert other["id"].to_list() == [1, 2, 1]


def test_a_file_that_comes_back_replaces_its_rows(
    tmp_path: Path, server: ObjectStore, place: str
) -> None:
    root = machine(tmp_path / "one", place)
    for name, rows in (("1", "1,1\n2,-2\n"), ("2", "3,3\n")):
        server.put("lake", f"{place}/in/{name}.csv", f"id,amount\n{rows}".encode())
    with qanat.open(root) as project:
        project.run()
    server.put("lake", f"{place}/in/1.csv", b"id,amount\n1,5\n4,4\n")
    file = f"s3://lake/{place}/in/1.csv"
    with qanat.open(root) as project:
        assert project.run(replace=file)["silver"].counts.effects == {"inserted": 2, "deleted": 1}
        assert project.quarantine("bronze").rows().total == 0
        assert project.table("total").polars()["amount"].to_list() == [3 + 5 + 4]
    found = polars.read_delta(f"s3://lake/{place}/lake/tables/silver")
    assert sorted(found["id"].to_list()) == [1, 3, 4]


@pytest.mark.parametrize("stored", ["inline", "file"])
def test_rows_that_others_deleted_stay_deleted(
    tmp_path: Path, server: ObjectStore, place: str, stored: str
) -> None:
    """As on a disk (`test_deletion_vectors`): merges and compaction leave them out."""
    root = machine(tmp_path, place)
    (root / "transformations" / "all.sql").write_text(
        "CREATE STREAMING TABLE t KEYS (id) AS SELECT * FROM "
        f"STREAM read_files('s3://lake/{place}/in/*.csv', schema => 'id INT, v STRING');"
    )

    def arrive(name: str, rows: str) -> None:
        server.put("lake", f"{place}/in/{name}.csv", f"id,v\n{rows}".encode())
        with qanat.open(root) as project:
            project.run()

    def read() -> list[tuple[int, str]]:
        with qanat.open(root) as project:
            return sorted(project.table("t").polars().rows())

    arrive("1", "1,a\n2,b\n3,c\n4,d\n")
    arrive("2", "5,e\n6,f\n7,g\n")
    key = f"{place}/lake/tables/t"
    table = deltalake.DeltaTable(f"s3://lake/{key}")
    found = table.get_add_actions(flatten=True)
    columns = [found[name].to_pylist() for name in ("path", "size_bytes", "num_records")]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    features = {kind: ["deletionVectors"] for kind in ("readerFeatures", "writerFeatures")}
    made = [{"commitInfo": {"operation": "DELETE"}}, {"protocol": protocol | features}]
    content, name = b"\x01", UUID("d2c639aa-8816-431a-aaf6-d3fe2512ff61")
    for path, size, rows in sorted(zip(*columns, strict=True)):
        said = vector(1, 2)
        if stored == "file":
            data = bitmap(1, 2)
            said |= {"storageType": "u", "pathOrInlineDv": f"ab{z85(name.bytes)}"}
            said |= {"offset": len(content), "sizeInBytes": len(data)}
            content += struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))
        add = {"path": path, "size": size, "partitionValues": {}, "modificationTime": 1}
        add |= {"stats": json.dumps({"numRecords": rows})}
        made.append({"remove": {"path": path, "dataChange": True, "deletionTimestamp": 1}})
        made.append({"add": add | {"dataChange": True, "deletionVector": said}})
    server.put("lake", f"{key}/ab/deletion_vector_{name}.bin", content)
    log = f"{key}/_delta_log/{table.version() + 1:020}.json"
    server.put("lake", log, "\n".join(map(json.dumps, made)).encode())

    left = [(1, "a"), (4, "d"), (5, "e")]
    assert read() == left
    arrive("3", "4,dd\n8,h\n")
    wanted = [(1, "a"), (4, "dd"), (5, "e"), (8, "h")]
    assert read() == wanted
    with qanat.open(root) as project:
        project.maintain()
    assert read() == wanted
    newest = deltalake.DeltaTable(f"s3://lake/{key}")
    assert len(newest.file_uris()) == 1
    assert not any(batch.num_rows for batch in newest.deletion_vectors())
    assert sorted(polars.read_delta(f"s3://lake/{key}").rows()) == wanted
