"""A project whose storage may only be read: a read-only mount, or another user's folder."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.projects import Shop

SQL = """
CREATE STREAMING TABLE bronze (CONSTRAINT small EXPECT (amount < 100) ON VIOLATION QUARANTINE ROW)
AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM bronze;
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.sql(SQL)
    shop.file("data/1.csv", "id,amount\n1,10\n2,200\n")
    yield shop
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755)


def obey() -> None:
    """Let this process, once it has become another program, obey permissions even as root."""
    if not os.geteuid():
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0


def typed(shop: Shop, *arguments: str) -> Any:
    """What a command prints as JSON for a user who may write nowhere in the project."""
    for path in (*shop.folder.rglob("*"), shop.folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {p: p.stat().st_mtime_ns for p in shop.folder.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-m", "qanat", *arguments, "--output", "json", "-C", str(shop.folder)],
        capture_output=True,
        check=False,
        cwd="/",
        env={**os.environ, "HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere"},
        text=True,
        preexec_fn=obey,
    )
    assert done.stdout, done.stderr
    assert {p: p.stat().st_mtime_ns for p in shop.folder.rglob("*")} == before
    return json.loads(done.stdout)


def test_what_only_asks_needs_no_right_to_write(shop: Shop) -> None:
    shop.run()
    assert typed(shop, "validate")["valid"]
    steps = {d["dataset"]: d["step"] for d in typed(shop, "plan")["datasets"]}
    assert steps == {"bronze": "skip", "gold": "skip"}
    found = typed(shop, "query", "SELECT n FROM gold JOIN bronze__quarantine ON true")
    assert found["rows"] == [{"n": 1}]
    assert typed(shop, "show", "bronze")["rows"] == [{"id": 1, "amount": 10}]
    assert typed(shop, "test")["passed"]
    assert len(typed(shop, "history")["updates"]) == 1
    (row,) = typed(shop, "quarantine", "show", "bronze")["rows"]
    assert [*row["_quarantine_rules"]] == ["small"]
    assert typed(shop, "profile", "gold")["columns"]
    assert [each["rows"] for each in typed(shop, "show")["datasets"]] == [1, 1]
    assert typed(shop, "pause")["paused"] == []


def test_a_project_that_has_never_run(shop: Shop) -> None:
    assert typed(shop, "validate")["valid"]
    assert {d["step"] for d in typed(shop, "plan")["datasets"]} == {"create"}
    assert {each["table_version"] for each in typed(shop, "show")["datasets"]} == {None}
    assert typed(shop, "pause")["paused"] == []
    assert typed(shop, "resume")["resumed"] == []


def test_an_update_says_why_it_cannot_begin(shop: Shop) -> None:
    shop.run()
    hint = "the project's storage must be a folder that this user may write to"
    assert typed(shop, "run")["error"]["hint"] == hint


def test_another_user_is_at_work(shop: Shop) -> None:
    """Its write-ahead log is there then, and has the newest of the ledger."""
    shop.run()
    ledger = shop.folder / "storage/_qanat/ledger.db"
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        ' c.execute("INSERT INTO qanat_ledger (version) SELECT 0 WHERE false"); c.commit();'
        " c.execute('PRAGMA user_version = 7'); print('written', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ledger)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        assert ledger.with_name("ledger.db-wal").exists()
        assert len(typed(shop, "history")["updates"]) == 1
        writer.communicate()
