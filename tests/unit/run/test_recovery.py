"""What recovery does with an open epoch, told by its events."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, TableFeatures

import qanat
from qanat.errors import (
    HistoryMismatchError,
    QanatError,
    RereadError,
    TableCorruptError,
    TableTooNewError,
)
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.event import Event, Recovered, Warned
from qanat.model.record import EpochStatus, UpdateRecord, UpdateStatus
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update

SPEC = 'name: unit\nstorage: storage\nlibraries:\n  - glob:\n      include: "*.sql"\n'
STREAM = (
    "CREATE OR REFRESH STREAMING TABLE t AS SELECT id"
    " FROM STREAM read_files('in/*.csv', format => 'csv', header => true);\n"
)
VIEW = "CREATE MATERIALIZED VIEW other AS SELECT 1 AS x;\n"


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.csv").write_text("id\n1\n2\n")
    (tmp_path / "qanat.yml").write_text(SPEC)
    (tmp_path / "t.sql").write_text(STREAM + VIEW)
    return tmp_path


class _Dead(BaseException):
    """The process, so to speak."""


def _raise_dead(*_: Any) -> None:
    raise _Dead


def _die_in(method: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(SqlLedger, method, _raise_dead)
        # Nothing of what a living process does when it fails: the dead do not.
        patched.setattr(SqlLedger, "give_up", lambda *_: None)
        patched.setattr(SqlLedger, "end_update", lambda *_: None)
        with Session.open(root) as session, pytest.raises(_Dead):
            update(session)


def _run(root: Path) -> tuple[Heard, dict[str, str]]:
    heard = Heard()
    with Session.open(root) as session:
        result = update(session, None, [heard])
        assert not session.ledger.open_epochs()
    assert list(result.recovered) == heard.of(Recovered)
    return heard, {d.dataset: d.status for d in result.datasets}


def _rows(root: Path) -> int | None:
    with Session.open(root) as session:
        return session.store.snapshot(session.table("t")).rows


def test_what_was_published_is_settled_with_its_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("settle", root, monkeypatch)
    heard, _ = _run(root)
    assert [(e.flow, e.epoch, e.how) for e in heard.of(Recovered)] == [("t", 1, "settled")]
    with Session.open(root) as session:
        (epoch,) = session.ledger.epochs(dataset="t")
        statuses = [u.status for u in session.ledger.updates()]
    assert epoch.counts is not None
    assert (epoch.counts.written, epoch.version, _rows(root)) == (2, 0, 2)
    assert statuses == [UpdateStatus.SUCCEEDED, UpdateStatus.FAILED]


def test_what_was_not_is_redone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("prepare", root, monkeypatch)
    foreign = root / "storage/tables/somebody/own.parquet"
    foreign.parent.mkdir()
    foreign.touch()
    heard, _ = _run(root)
    assert [e.how for e in heard.of(Recovered)] == ["redone"]
    assert _rows(root) == 2
    assert len([*(root / "storage/tables/t").glob("*.parquet")]) == 1
    assert foreign.exists()


def test_a_crash_is_remembered_however_many_updates_later(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("prepare", root, monkeypatch)
    left = root / "storage/tables/t/epoch-1-left.parquet"
    left.touch()
    with Session.open(root) as session:
        lease = session.ledger.acquire("later", 60)
        for epoch in session.ledger.open_epochs():
            session.ledger.give_up(epoch, "given up", lease)
        for n in range(25):
            session.ledger.begin_update(
                UpdateRecord(f"later-{n}", "default", "run", time.time()), lease
            )
            session.ledger.end_update(f"later-{n}", UpdateStatus.FAILED, lease)
        session.ledger.release(lease)
    _run(root)
    assert not left.exists()
    with Session.open(root) as session:
        assert session.ledger.crashed_updates() == []


def test_a_clock_that_was_set_back_lets_nothing_stay(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("prepare", root, monkeypatch)
    left = root / "storage/tables/t/epoch-1-left.parquet"
    left.touch()
    later = time.time() + 3600
    os.utime(left, (later, later))
    _run(root)
    assert not left.exists()


def test_what_cannot_be_redone_stops_nobody_else(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("prepare", root, monkeypatch)
    (root / "t.sql").write_text(STREAM + VIEW)
    (root / "in/1.csv").unlink()
    (root / "in/2.csv").write_text("id\n3\n")
    heard, statuses = _run(root)
    assert [e.how for e in heard.of(Recovered)] == ["given up"]
    assert "1.csv' is gone" in heard.of(Warned)[0].message
    assert statuses == {"t": "updated", "other": "updated"}
    assert _rows(root) == 1
    with Session.open(root) as session:
        found = [(e.number, e.status) for e in session.ledger.epochs(dataset="t")]
    assert found == [(1, EpochStatus.COMMITTED), (1, EpochStatus.FAILED)]


def test_a_flow_that_was_published_and_is_gone_is_settled_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("settle", root, monkeypatch)
    (root / "t.sql").write_text(VIEW)
    heard, _ = _run(root)
    assert [e.how for e in heard.of(Recovered)] == ["settled"]
    # So that its author may have it back.
    (root / "t.sql").write_text(STREAM + VIEW)
    _, statuses = _run(root)
    assert statuses["t"] == "unchanged"


def test_a_quarantine_that_knows_more_than_the_ledger(root: Path) -> None:
    rule = "t (CONSTRAINT small EXPECT (id < 2) ON VIOLATION QUARANTINE ROW)"
    (root / "t.sql").write_text(STREAM.replace("TABLE t", f"TABLE {rule}"))
    _run(root)
    shutil.rmtree(root / "storage" / "_qanat")
    shutil.rmtree(root / "storage" / "tables" / "t")
    with Session.open(root) as session:
        error = update(session).failed[0].error
    assert isinstance(error, HistoryMismatchError)


def _dataset(root: Path, sql: str, name: str = "v") -> list[tuple[Any, ...]]:
    """Declare, run to the end, and read a dataset."""
    (root / "t.sql").write_text(sql)
    _run(root)
    with qanat.open(root) as project:
        return project.table(name).rows()


def test_a_view_that_was_settled_by_recovery_is_that_of_its_definition(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The author goes back to the old one: the table has what the other one has computed."""
    counts = STREAM + "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS x FROM t;\n"
    sums = counts.replace("count(*)", "sum(id)")
    assert _dataset(root, counts) == [(2,)]
    (root / "t.sql").write_text(sums)
    _die_in("settle", root, monkeypatch)
    assert _dataset(root, counts) == [(2,)]
    assert _dataset(root, sums) == [(3,)]


def test_a_view_that_was_settled_by_recovery_is_that_of_its_inputs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file comes and goes: the view is computed once more, and not again after that."""
    sums = (
        "CREATE MATERIALIZED VIEW v AS SELECT sum(id) AS x"
        " FROM read_files('in/*.csv', format => 'csv', header => true);\n"
    )
    assert _dataset(root, sums) == [(3,)]
    (root / "in/2.csv").write_text("id\n4\n")
    _die_in("settle", root, monkeypatch)
    _, statuses = _run(root)
    assert statuses["v"] == "unchanged"
    assert _dataset(root, sums) == [(7,)]
    (root / "in/3.csv").write_text("id\n5\n")
    _die_in("settle", root, monkeypatch)
    (root / "in/3.csv").unlink()
    assert _dataset(root, sums) == [(7,)]


def test_what_has_sent_rows_is_known_though_its_update_failed(root: Path) -> None:
    """A sink of two flows, the second of which fails: under another name it would send again."""
    sink = (
        "from qanat import pipelines as sdp\n"
        "sdp.create_sink('out', 'csv', {{'path': 'sent'}})\n"
        "@sdp.append_flow(target='{0}')\n"
        "def one() -> str:\n"
        "    return 'SELECT * FROM STREAM t'\n"
        "@sdp.append_flow(target='{0}')\n"
        "def two() -> str:\n"
        "    return 'SELECT id // (id - 1) AS id FROM STREAM u'\n"
    )
    sink = sink.replace("'out'", "'{0}'")
    (root / "t.sql").write_text(STREAM + STREAM.replace("TABLE t", "TABLE u"))
    (root / "sink.py").write_text(sink.format("out"))
    spec = SPEC.replace('"*.sql"', '"*.sql"\n  - glob:\n      include: "*.py"')
    spec += "configuration:\n  qanat.on_row_error: fail\n"
    (root / "qanat.yml").write_text(spec)
    assert _ended(root)["out"] is not None
    with Session.open(root) as session:
        assert session.recorded.last_epochs("one")
    (root / "sink.py").write_text(sink.format("other"))
    assert isinstance(_ended(root)["other"], RereadError)


def _declare(root: Path, path: str = "in/*.csv", options: str = "", more: str = "") -> None:
    stream = (
        f"CREATE OR REFRESH STREAMING TABLE t AS SELECT id FROM STREAM read_files('{path}',"
        f" format => 'csv', header => true, schema => 'id BIGINT'{options}){more};\n"
    )
    (root / "t.sql").write_text(stream + VIEW)


CHANGED = {
    "another glob": {"path": "in/[0-9].csv"},
    "another option": {"options": ", recursive => false"},
    "one more input": {
        "more": " JOIN read_files('dim/*.csv', format => 'csv', header => true,"
        " schema => 'id BIGINT, name STRING') AS d USING (id)"
    },
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_reads_otherwise_now_is_not_redone(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The range of then says nothing about the inputs of now: they would be taken as empty."""
    (root / "dim").mkdir()
    (root / "dim/1.csv").write_text("id,name\n1,a\n2,b\n3,c\n")
    _declare(root)
    _run(root)
    (root / "in/2.csv").write_text("id\n3\n")
    _die_in("prepare", root, monkeypatch)
    _declare(root, **CHANGED[change])
    heard, statuses = _run(root)
    assert [e.how for e in heard.of(Recovered)] == ["given up"]
    assert not heard.of(Warned)
    assert statuses == {"t": "updated", "other": "unchanged"}
    assert _rows(root) == 3


def _ended(root: Path, selection: Selection | None = None) -> dict[str, QanatError | None]:
    with Session.open(root) as session:
        return {d.dataset: d.error for d in update(session, selection).datasets}


@pytest.mark.parametrize("method", ["prepare", "settle"])
def test_a_table_that_was_lost_while_an_epoch_was_open(
    root: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    _declare(root)
    _run(root)
    (root / "in/2.csv").write_text("id\n3\n")
    _die_in(method, root, monkeypatch)
    shutil.rmtree(root / "storage/tables/t")
    for _ in range(2):
        ended = _ended(root)
        assert isinstance(ended["t"], HistoryMismatchError)
        assert "qanat run --full-refresh t" in str(ended["t"])
        assert ended["other"] is None
    assert _ended(root, Selection(full_refresh=("t",))) == {"t": None}
    assert _rows(root) == 3
    assert len([*(root / "storage/tables/t").glob("*.parquet")]) == 1


def test_a_damaged_table_stops_nobody_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(root)
    _run(root)
    (root / "in/2.csv").write_text("id\n3\n")
    _run(root)
    (root / "in/3.csv").write_text("id\n4\n")
    _die_in("prepare", root, monkeypatch)
    first = root / f"storage/tables/t/_delta_log/{0:020}.json"
    whole = first.read_bytes()
    first.write_bytes(b"{")
    ended = _ended(root)
    assert isinstance(ended["t"], TableCorruptError)
    assert ended["other"] is None
    first.write_bytes(whole)
    _run(root)
    assert _rows(root) == 4


def test_damage_that_a_full_refresh_need_not_read_does_not_stop_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = "TABLE t TBLPROPERTIES ('delta.checkpointInterval' = '2')"
    (root / "t.sql").write_text(STREAM.replace("TABLE t", declared))
    for number in (2, 3, 4):
        _run(root)
        (root / f"in/{number}.csv").write_text("id\n7\n")
    _die_in("prepare", root, monkeypatch)
    (root / f"storage/tables/t/_delta_log/{1:020}.json").write_bytes(b"{")
    assert isinstance(_ended(root)["t"], TableCorruptError)
    assert _ended(root, Selection(full_refresh=("t",))) == {"t": None}
    assert _rows(root) == 5


def test_what_the_store_refuses_is_given_up(root: Path) -> None:
    """It would refuse it each time, and whatever else is run."""
    properties = "t TBLPROPERTIES ('delta.appendOnly' = '{}')"
    declared = STREAM.replace("TABLE t", f"TABLE {properties.format('true')}") + VIEW
    (root / "t.sql").write_text(declared)
    _run(root)
    for _ in range(2):
        ended = _ended(root, Selection(full_refresh=("t", "other")))
        assert "may only be appended to" in str(ended["t"])
        assert ended["other"] is None
        assert len([*(root / "storage/tables/t").glob("*.parquet")]) == 1
        with Session.open(root) as session:
            assert not session.ledger.open_epochs()
    # The way out that it names.
    (root / "t.sql").write_text(declared.replace("'true'", "'false'"))
    assert _ended(root, Selection(full_refresh=("t",))) == {"t": None}
    assert _rows(root) == 2


def test_a_table_that_another_tool_has_changed_stops_nobody_else(root: Path) -> None:
    (root / "t.sql").write_text(STREAM + VIEW)
    _run(root)
    table = DeltaTable(root / "storage/tables/t")
    table.alter.add_feature(TableFeatures.DomainMetadata, allow_protocol_versions_increase=True)
    (root / "in/2.csv").write_text("id\n3\n")
    for _ in range(2):
        ended = _ended(root)
        assert isinstance(ended["t"], TableTooNewError)
        assert ended["other"] is None
    assert len([*(root / "storage/tables/t").glob("*.parquet")]) == 1


def _refuse(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_what_the_disk_kept_of_a_commit_is_removed_by_the_next_update(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "qanat.yml").write_text(f"{SPEC}table_format: iceberg\n")
    _run(root)
    # In a copy, the first commit writes all metadata anew, and removes what it had.
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    (copy / "in/2.csv").write_text("id\n3\n")
    with monkeypatch.context() as patched:
        patched.setattr("qanat.storage.iceberg.moving._remove", _refuse)
        with Session.open(copy) as session:
            (failed,) = update(session).failed
            assert session.store.orphans(session.table("t"))
    assert "cannot commit to" in str(failed.error)
    _, statuses = _run(copy)
    assert statuses["t"] == "updated"
    assert _rows(copy) == 3
    with Session.open(copy) as session:
        assert not session.store.orphans(session.table("t"))


def test_what_could_not_be_swept_is_remembered_once_no_epoch_is_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    _die_in("prepare", root, monkeypatch)
    with Session.open(root) as session:
        # As if the update had ended by itself, with its epoch still open.
        lease = session.ledger.acquire("ended", 60)
        for crashed in session.ledger.crashed_updates():
            session.ledger.end_update(crashed.id, UpdateStatus.FAILED, lease)
        session.ledger.release(lease)
    left = root / "storage/tables/t/epoch-1-left.parquet"
    left.touch()
    with monkeypatch.context() as patched:
        patched.setattr("qanat.storage.delta.local.sweep", _refuse)
        for _ in range(2):
            heard, statuses = _run(root)
            assert "cannot sweep" in heard.of(Warned)[0].message
            assert statuses == {"t": "failed"}
    assert left.exists()
    _run(root)
    assert not left.exists()
    assert _rows(root) == 2
    with Session.open(root) as session:
        assert session.ledger.crashed_updates() == []
        first, second, third = session.ledger.updates()[:3]
    assert (first.status, second.status, third.status) == ("succeeded", "failed", "failed")
    assert third.error is not None
    assert "cannot sweep" in third.error


def test_what_the_disk_kept_of_a_computation_is_removed_by_the_next_update(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "t.sql").write_text(STREAM)
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("epoch-"):
            _refuse()
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        patched.setattr("qanat.engines.duckdb.write._sync", _refuse)
        with Session.open(root) as session:
            assert update(session).failed
            assert session.store.orphans(session.table("t"))
            (epoch,) = session.ledger.open_epochs()
    assert epoch.number == 1
    _, statuses = _run(root)
    assert (statuses, _rows(root)) == ({"t": "updated"}, 2)
    with Session.open(root) as session:
        assert not session.store.orphans(session.table("t"))
