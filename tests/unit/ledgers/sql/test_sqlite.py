"""A ledger in SQLite: damaged files, wrong URLs, durable folders, processes that hold a lease."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qanat.errors import LedgerError, OptionError
from qanat.ledgers.sql.lease import Process, this_process
from qanat.ledgers.sql.reader import epoch_from_row, mark_from_text
from qanat.model.record import FileRef, QuarantineMark
from qanat.plugins import open_ledger


@pytest.mark.parametrize(
    "content", [b"not a database, just text " * 100, b"SQLite format 3\0" * 9]
)
def test_a_damaged_file_is_named_with_a_hint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger\.db") as caught:
        open_ledger(None, tmp_path, "p/dev")
    assert "backup" in str(caught.value)
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="may write to"):
        open_ledger(None, tmp_path / "file" / "_qanat", "p/dev")


def test_an_unknown_url_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="postgres"):
        open_ledger("postgers://host/db", Path("unused"), "p/dev")


def test_the_password_is_in_no_message() -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger("postgresql://me:secret@127.0.0.1:1/db", Path("unused"), "p/dev")
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_ledger_in_sqlite_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from qanat.plugins import open_ledger\n"
        "open_ledger(None, Path(sys.argv[1]), 'p/dev').close()\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "sqlite3" in loaded
    assert not {"psycopg", "sqlalchemy", "deltalake", "duckdb", "pyarrow"} & set(loaded)


def test_its_folders_are_synced_before_the_ledger_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a killed process created the folders; an existing ledger is not synced again."""
    folder = tmp_path / "storage" / "_qanat"
    folder.mkdir(parents=True)
    (folder / "ledger.db").touch()
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        assert (folder / "ledger.db").exists()
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    open_ledger(None, folder, "p/dev").close()
    assert synced[:3] == [folder, folder.parent, tmp_path]
    synced.clear()
    open_ledger(None, folder, "p/dev").close()
    assert synced == []


def test_another_process_with_the_holders_id_does_not_hold_the_lease() -> None:
    me = this_process()
    assert not me.dead
    assert Process(me.host, me.machine, me.pid, me.started + 1).dead
    assert not Process(me.host, me.machine, me.pid, 0).dead


def test_a_process_of_another_machine_counts_as_alive() -> None:
    me = this_process()
    assert not Process(me.host, "another boot", 2**22 + 1, 1).dead
    assert Process(me.host, me.machine, 2**22 + 1, 1).dead


def test_what_earlier_ledgers_wrote_is_read() -> None:
    """Before connectors owned their ranges, a range said of which kind it was."""
    row = (1, "f", "t", 1, "u", 0, 0, "", "x", "committed", 0.0, None, None, None, "[]", "{}")
    ranges = {
        "dataset:a": {"kind": "table", "after": -1, "upto": 4},
        "now|dataset:b": {"kind": "snapshot", "version": 7},
        "files:in": {"kind": "files", "files": []},
    }
    old = (*row[:7], json.dumps(ranges), *row[8:], None, None, None)
    files = {"files:in": (FileRef("in/1.csv", 1, 2),)}
    epoch = epoch_from_row(old, files)
    assert [r.positioned for r in epoch.ranges.values()] == [True, False, False]
    assert epoch.ranges["dataset:a"].value["upto"] == 4
    assert epoch.ranges["files:in"].files == files["files:in"]
    assert mark_from_text('{"kind": "table", "after": -1, "upto": 3}') == QuarantineMark(3)
    emptied = QuarantineMark(3, emptied=True)
    assert mark_from_text('{"kind": "table", "after": 3, "upto": 3}') == emptied
