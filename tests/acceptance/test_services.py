"""Whole updates over real services: files in S3, the ledger in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pytest
from deltalake import DeltaTable

from qanat.testing.object_store import ObjectStore, object_store
from qanat.testing.postgresql import postgresql

pytestmark = pytest.mark.services

SQL = """
CREATE STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount, _metadata.file_path AS file
FROM STREAM read_files('s3://lake/orders/*.csv', format => 'csv', header => true);
CREATE STREAMING TABLE packed AS SELECT * FROM STREAM read_files('s3://lake/packed/*.orc');
CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS amount FROM bronze;
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStore]:
    with object_store() as store:
        store.create_bucket("lake")
        yield store


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgresql() as url:
        yield url


def qanat(project: Path, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "qanat", *arguments, "--output", "json"]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rows(project: Path, table: str) -> list[tuple[Any, ...]]:
    found = DeltaTable(project / "storage" / "tables" / table).to_pyarrow_table().to_pylist()
    return sorted(tuple(r.values()) for r in found)


def orc(ids: list[int]) -> bytes:
    buffer = BytesIO()
    pyarrow.orc.write_table(pa.table({"id": ids}), buffer)
    return buffer.getvalue()


def test_files_in_s3_with_the_ledger_in_postgresql(
    tmp_path: Path, s3: ObjectStore, postgres: str
) -> None:
    s3.put("lake", "orders/1.csv", b"id,amount\n1,10\n2,-5\n3,oops,9\n4,1\n")
    s3.put("lake", "packed/1.orc", orc([1, 2]))
    (tmp_path / "transformations").mkdir()
    (tmp_path / "transformations" / "all.sql").write_text(SQL)
    (tmp_path / "qanat.yml").write_text(f"name: cloud\nstorage: storage\nledger: {postgres}\n")

    assert not qanat(tmp_path, s3.environment, "validate")["problems"]
    first = qanat(tmp_path, s3.environment, "run")
    assert first["status"] == "succeeded"
    path = "s3://lake/orders/1.csv"
    assert rows(tmp_path, "bronze") == [(1, 10, path), (4, 1, path)]
    assert rows(tmp_path, "packed") == [(1,), (2,)]
    quarantined = DeltaTable(tmp_path / "storage" / "tables" / "bronze__quarantine")
    found = quarantined.to_pyarrow_table().to_pylist()
    sources = sorted(
        (r["_quarantine_source"]["file"], r["_quarantine_source"]["row"]) for r in found
    )
    assert sources == [(path, 3), (path, 4)]
    assert not (tmp_path / "storage" / "_qanat" / "ledger.db").exists()

    again = qanat(tmp_path, s3.environment, "run")
    assert {d["status"] for d in again["datasets"]} == {"unchanged"}

    s3.put("lake", "orders/2.csv", b"id,amount\n5,7\n")
    s3.put("lake", "packed/2.orc", orc([3]))
    third = qanat(tmp_path, s3.environment, "run")
    files = {d["dataset"]: d["files"] for d in third["datasets"]}
    assert (files["bronze"], files["packed"]) == (1, 1), "only what is new is fetched"
    assert rows(tmp_path, "packed") == [(1,), (2,), (3,)]
    assert rows(tmp_path, "total") == [(18,)]
    assert len(qanat(tmp_path, s3.environment, "history")["updates"]) == 2
