"""The runner: what fails stops only what depends on it; events balance; retries are for some."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from qanat.connectors.files.source import FilesSource
from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import (
    FileChangedError,
    LedgerError,
    QanatError,
    RunError,
    SourceUnavailableError,
    UpdateRunningError,
)
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.event import (
    DatasetEnded,
    DatasetProgress,
    DatasetStarted,
    EpochCommitted,
    Event,
    Retried,
    UpdateEnded,
    UpdateStarted,
    Warned,
)
from qanat.model.record import EpochStatus, UpdateStatus
from qanat.model.staged import Staged
from qanat.model.work import Work
from qanat.run import attempt, lease
from qanat.run.plan import plan
from qanat.run.results import Selection, UpdateResult
from qanat.run.session import Session
from qanat.run.update import update

SPEC = """\
name: unit
storage: env=dev/storage
threads: 2
retries: 2
libraries:
  - glob:
      include: "*.sql"
"""


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def on(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)

    def of(self, *kinds: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, kinds)]


class Project:
    """A project on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.heard = Heard()
        self.write("qanat.yml", SPEC)
        (root / "in").mkdir()

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text, encoding="utf-8")

    def run(self, **selection: Any) -> UpdateResult:
        self.heard = Heard()
        with Session.open(self.root) as session:
            return update(session, Selection(**selection), [self.heard])

    def check_diary(self) -> None:
        """The ledger has kept what the last update told, unless it found nothing to do."""
        (started,) = self.heard.of(UpdateStarted)
        kept = [e for e in self.heard.events if not isinstance(e, DatasetProgress)]
        with Session.open(self.root) as session:
            if session.ledger.update(started.update) is None:
                assert session.ledger.events(started.update) == []
                return
            told = session.ledger.events(started.update)
        assert [r.number for r in told] == list(range(1, len(kept) + 1))
        # Threads may tell the diary and another observer in another order.
        assert sorted(map(repr, kept)) == sorted(repr(r.event) for r in told)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with Session.open(self.root) as session:
            return sorted(
                session.engine.fetch(session.store.snapshot(session.table(table)).batch).values
            )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(attempt, "_FIRST_WAIT", 0.001)
    made = Project(tmp_path)
    yield made
    starts = Counter(e.dataset for e in made.heard.of(DatasetStarted))
    ends = Counter(e.dataset for e in made.heard.of(DatasetEnded) if e.status != "skipped")
    assert starts == ends
    assert len(made.heard.of(UpdateStarted)) == len(made.heard.of(UpdateEnded))
    left = tmp_path / "env=dev" / "storage" / "_qanat"
    assert list(left.glob("scratch/*")) == []
    if made.heard.events:
        made.check_diary()


STREAM = """CREATE OR REFRESH STREAMING TABLE {0}
AS SELECT id FROM STREAM read_files('in/*.csv', format => 'csv', header => true{1});
"""


def statuses(result: UpdateResult) -> dict[str, str]:
    return {d.dataset: d.status for d in result.datasets}


def test_what_fails_stops_only_what_reads_it(project: Project) -> None:
    project.write(
        "a.sql",
        """CREATE MATERIALIZED VIEW bad AS SELECT error('no') AS x;
CREATE TEMPORARY VIEW middle AS SELECT * FROM bad;
CREATE MATERIALIZED VIEW below AS SELECT * FROM middle;
CREATE MATERIALIZED VIEW further AS SELECT * FROM below;
CREATE MATERIALIZED VIEW good AS SELECT 1 AS x;
CREATE MATERIALIZED VIEW better AS SELECT * FROM good;
""",
    )
    result = project.run()
    assert statuses(result) == {
        "bad": "failed",
        "below": "skipped",
        "further": "skipped",
        "good": "updated",
        "better": "updated",
    }
    assert result.status == "failed"
    with Session.open(project.root) as session:
        assert [u.status for u in session.ledger.updates()] == [UpdateStatus.FAILED]
        assert not session.ledger.open_epochs()
        assert [e.status for e in session.ledger.epochs(dataset="bad")] == [EpochStatus.FAILED]


def test_independent_datasets_run_at_the_same_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "a.sql",
        "CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;\n"
        "CREATE MATERIALIZED VIEW b AS SELECT 2 AS x;",
    )
    both = threading.Barrier(2, timeout=30)
    stage = DuckDBEngine.stage

    def meeting(self: DuckDBEngine, work: Work, progress: Any) -> Staged:
        both.wait()  # raises where they come one after the other
        return stage(self, work, progress)

    monkeypatch.setattr(DuckDBEngine, "stage", meeting)
    assert statuses(project.run()) == {"a": "updated", "b": "updated"}


def failing(times: int, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    left = [times]

    def call(*args: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return real(*args, **named)

    return call


@pytest.mark.parametrize("where", ["plan", "bind", "verify"])
def test_a_busy_store_is_asked_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    project.write("in/1.csv", "id\n1\n")
    busy = SourceUnavailableError("timed out")
    monkeypatch.setattr(FilesSource, where, failing(2, busy, getattr(FilesSource, where)))
    assert statuses(project.run()) == {"t": "updated"}
    assert [(e.attempt, e.error) for e in project.heard.of(Retried)] == [
        (1, "timed out"),
        (2, "timed out"),
    ]
    assert project.rows("t") == [(1,)]


def test_retries_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    project.write("in/1.csv", "id\n1\n")
    busy = SourceUnavailableError("timed out")
    with monkeypatch.context() as patched:
        patched.setattr(FilesSource, "bind", failing(9, busy, FilesSource.bind))
        assert project.run().failed[0].error is busy
    assert len(project.heard.of(Retried)) == 2
    assert statuses(project.run()) == {"t": "updated"}


def test_other_errors_are_not_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    project.write("in/1.csv", "id\n1\n")
    error = QanatError("wrong")
    with monkeypatch.context() as patched:
        patched.setattr(FilesSource, "bind", failing(1, error, FilesSource.bind))
        assert project.run().failed[0].error is error
    assert project.heard.of(Retried) == []


def test_a_file_that_grows_while_it_is_read_is_taken_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    project.write("in/1.csv", "id\n1\n")
    project.write("in/2.csv", "id\n2\n")
    stage = DuckDBEngine.stage

    def growing(self: DuckDBEngine, work: Work, progress: Any) -> Staged:
        staged = stage(self, work, progress)
        if not (project.root / "grown").exists():
            project.write("in/2.csv", "id\n2\n3\n")
            project.write("grown", "")
        return staged

    monkeypatch.setattr(DuckDBEngine, "stage", growing)
    assert statuses(project.run()) == {"t": "updated"}
    assert "2.csv is still being written" in project.heard.of(Warned)[0].message
    assert project.rows("t") == [(1,)]
    with Session.open(project.root) as session:
        # The first attempt's files are gone with it.
        assert session.store.orphans(session.table("t")) == 0
    project.run()
    assert project.rows("t") == [(1,), (2,), (3,)]


def test_a_flow_that_runs_once_takes_all_or_is_not_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "t.sql",
        "CREATE STREAMING TABLE t; CREATE FLOW old AS INSERT INTO ONCE t BY NAME SELECT * FROM"
        " STREAM read_files('in/*.csv', schema => 'id BIGINT', max_files_per_trigger => 1);"
        "CREATE FLOW new AS INSERT INTO t BY NAME SELECT * FROM"
        " STREAM read_files('new/*.csv', schema => 'id BIGINT');",
    )
    for number in (1, 2):
        project.write(f"in/{number}.csv", f"id\n{number}\n")
    (project.root / "new").mkdir()
    project.write("new/9.csv", "id\n9\n")
    stage = DuckDBEngine.stage

    def growing(self: DuckDBEngine, work: Work, progress: Any) -> Staged:
        staged = stage(self, work, progress)
        project.write("in/2.csv", "id\n2\n3\n")
        return staged

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBEngine, "stage", growing)
        (failed,) = project.run().failed
    assert "in/2.csv' changed while it was read" in failed.reason
    project.run()
    assert project.rows("t") == [(1,), (2,), (3,), (9,)]
    project.write("in/4.csv", "id\n4\n")
    with Session.open(project.root) as session:
        (decision,) = plan(session).datasets
    assert (decision.reason, decision.waiting) == ("nothing new", ())
    assert statuses(project.run()) == {"t": "unchanged"}


def test_what_arrives_meanwhile_is_for_the_next_update(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "t.sql",
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('in/*.csv',"
        " schema => 'id BIGINT');",
    )
    project.write("in/0.csv", "id\n0\n")
    stage, arrived = DuckDBEngine.stage, iter(range(1, 5))

    def meanwhile(self: DuckDBEngine, work: Work, progress: Any) -> Staged:
        for n in (next(arrived, None),):
            if n is not None:
                project.write(f"in/{n}.csv", f"id\n{n}\n")
        return stage(self, work, progress)

    monkeypatch.setattr(DuckDBEngine, "stage", meanwhile)
    for n in range(3):
        project.run()
        assert project.rows("t") == [(i,) for i in range(n + 1)]


@pytest.mark.parametrize("change", ["grow", "vanish"])
def test_a_file_that_changes_before_it_is_read_keeps_no_other_waiting(
    project: Project, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    project.write(
        "t.sql",
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('in/*.csv',"
        " schema => 'id BIGINT', max_files_per_trigger => 1);",
    )
    project.write("in/0.csv", "id\n0\n")
    project.write("in/1.csv", "id\n1\n")
    fetch, first = FilesSource.bind, project.root / "in/0.csv"

    def late(self: FilesSource, *arguments: Any) -> Any:
        monkeypatch.setattr(FilesSource, "bind", fetch)
        first.unlink() if change == "vanish" else project.write("in/0.csv", "id\n0\n9\n")
        return fetch(self, *arguments)

    monkeypatch.setattr(FilesSource, "bind", late)
    assert statuses(project.run()) == {"t": "updated"}
    assert project.rows("t") == [(1,)]
    project.run()
    assert project.rows("t") == ([(1,)] if change == "vanish" else [(0,), (1,), (9,)])


def test_a_file_that_comes_back_with_other_content(project: Project) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    project.write("in/1.csv", "id\n1\n")
    project.run()
    project.write("in/1.csv", "id\n1\n2\n")
    assert isinstance(project.run().failed[0].error, FileChangedError)
    assert project.rows("t") == [(1,)]
    project.write("a.sql", STREAM.format("t", ", allowOverwrites => true"))
    assert statuses(project.run()) == {"t": "updated"}
    assert project.rows("t") == [(1,), (1,), (2,)]
    assert statuses(project.run()) == {"t": "unchanged"}


def test_a_few_files_an_epoch_until_none_is_left(project: Project) -> None:
    project.write("a.sql", STREAM.format("t", ", maxFilesPerTrigger => 2"))
    for n in range(5):
        project.write(f"in/{n}.csv", f"id\n{n}\n")
    result = project.run()
    assert [e.files_read for e in project.heard.of(EpochCommitted)] == [2, 2, 1]
    assert (result.datasets[0].counts.written, result.datasets[0].files) == (5, 5)
    assert project.rows("t") == [(n,) for n in range(5)]


def test_thousands_of_small_files(project: Project) -> None:
    project.write("a.sql", STREAM.format("t", ""))
    for n in range(2000):
        project.write(f"in/{n}.csv", f"id\n{n}\n")
    assert project.run().datasets[0].files == 2000
    project.write("in/2000.csv", "id\n2000\n")
    assert project.run().datasets[0].files == 1
    assert project.rows("t") == [(n,) for n in range(2001)]


def test_the_memory_limit_reaches_the_engine(project: Project) -> None:
    project.write("qanat.yml", SPEC + "memory_limit: 64MiB\n")
    project.write(
        "a.sql", "CREATE MATERIALIZED VIEW m AS SELECT current_setting('memory_limit') AS m;"
    )
    assert statuses(project.run()) == {"m": "updated"}
    assert project.rows("m") == [("64.0 MiB",)]


def test_an_interrupt_stops_at_once_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        "a.sql",
        "CREATE MATERIALIZED VIEW slow AS SELECT max(a.range * b.range % 7) AS x "
        "FROM range(10000000) AS a, range(10000000) AS b;\n"
        "CREATE MATERIALIZED VIEW quick AS SELECT 1 AS x;\n",
    )

    heard = Heard()
    monkeypatch.setattr("qanat.run.update.SimpleQueue", _Interrupted)
    with Session.open(project.root) as session, pytest.raises(KeyboardInterrupt):
        update(session, None, [heard])
    ended = {e.dataset: e.status for e in heard.of(DatasetEnded)}
    assert ended == {"slow": "failed", "quick": "updated"}
    assert [e.status for e in heard.of(UpdateEnded)] == ["failed"]
    monkeypatch.undo()
    with Session.open(project.root) as session:
        assert not session.ledger.open_epochs()
        assert not session.ledger.held()
        assert session.store.orphans(session.table("slow")) == 0
    project.write("a.sql", "CREATE MATERIALIZED VIEW slow AS SELECT 1 AS x;")
    assert statuses(project.run()) == {"slow": "updated"}


class _Interrupted(SimpleQueue[Any]):
    """Ctrl-C once the quick one is done and the slow one computes."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        super().get(block, timeout)
        raise KeyboardInterrupt


def test_a_ledger_that_fails_hides_no_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.sql", "CREATE MATERIALIZED VIEW m AS SELECT error('the first') AS x;")
    with monkeypatch.context() as patched:
        broken = LedgerError("the ledger is gone")
        patched.setattr(SqlLedger, "give_up", failing(9, broken, SqlLedger.give_up))
        error = project.run().failed[0].error
    assert error is not None
    assert "the first" in str(error)
    assert "the ledger is gone" in error.__notes__[0]
    # It stayed open, and is brought to an end by the next update.
    project.write("a.sql", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;")
    assert statuses(project.run()) == {"m": "updated"}


def test_a_busy_ledger_does_not_cost_the_lease(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 0.3)
    renewed = threading.Event()
    renew = SqlLedger.renew
    tries = iter(range(1000))

    def busy(self: SqlLedger, *args: Any) -> Any:
        keeping = threading.current_thread().name == "qanat-lease"
        if keeping and next(tries) == 0:
            raise LedgerError("locked")
        if keeping:
            renewed.set()
        return renew(self, *args)

    monkeypatch.setattr(SqlLedger, "renew", busy)
    stage = DuckDBEngine.stage

    def slow(self: DuckDBEngine, work: Work, progress: Any) -> Staged:
        assert renewed.wait(30)
        return stage(self, work, progress)

    monkeypatch.setattr(DuckDBEngine, "stage", slow)
    project.write("a.sql", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;")
    assert statuses(project.run()) == {"m": "updated"}


def test_a_second_update_is_refused_while_one_runs(project: Project) -> None:
    project.write("a.sql", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;")
    with Session.open(project.root) as session:
        held = session.ledger.acquire("somebody", 60)
        with pytest.raises(UpdateRunningError):
            project.run()
        session.ledger.release(held)


def test_rows_of_a_view_are_quarantined_once_however_often_it_is_computed(
    project: Project,
) -> None:
    project.write("in/1.csv", "id\n1\n-2\n")
    view = """CREATE TEMPORARY VIEW v (
  CONSTRAINT pos EXPECT (id > {0}) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM read_files('in/*.csv', format => 'csv', header => true);
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM v;
CREATE MATERIALIZED VIEW k AS SELECT max(id) AS n FROM v;
"""
    project.write("a.sql", view.format(0))
    project.run()
    assert len(project.rows("v__quarantine")) == 2  # once for each reader
    project.write("in/2.csv", "id\n3\n")
    project.run()
    project.run(refresh=("m",))
    assert len(project.rows("v__quarantine")) == 2
    project.write("a.sql", view.format(-9))
    project.run()
    assert project.rows("v__quarantine") == []


def test_a_broken_rule_is_told_with_its_own_place(project: Project) -> None:
    """A view may have a rule of the same name."""
    project.write(
        "a.sql",
        """CREATE TEMPORARY VIEW v (CONSTRAINT positive EXPECT (id > -100) ON VIOLATION DROP ROW)
AS SELECT -1 AS id;
CREATE MATERIALIZED VIEW t (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION FAIL UPDATE)
AS SELECT * FROM v;
""",
    )
    (failed,) = project.run().failed
    assert failed.error is not None
    assert failed.error.wanted == "id > 0"
    assert failed.error.location is not None
    assert failed.error.location.line == 3


def test_a_wait_is_capped_and_ends_with_ctrl_c(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_LONGEST_WAIT", 0.002)
    monkeypatch.setenv("QANAT__RETRIES", "9")
    project.write("a.sql", "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id;")
    told: list[Event] = []
    calls: list[int] = []

    def fail() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            current.stopping.set()
        raise SourceUnavailableError("away")

    with Session.open(project.root) as session, lease.HeldLease(session.ledger, "u") as held:
        current = attempt.RunningUpdate(session, held, project.root, "u", 0, told.append)
        with pytest.raises(RunError, match="interrupted"):
            attempt.retrying(fail, current, "t")
    assert [e.wait_seconds for e in told if isinstance(e, Retried)] == [0.001, 0.002, 0.002]
    assert len(calls) == 3
