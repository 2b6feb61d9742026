"""What `plan` says is what `run` does: over random histories, dataset by dataset."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qanat.ledgers.sql.ledger import SqlLedger
from qanat.run.decide import Decision, Step
from qanat.run.plan import plan
from qanat.run.results import DatasetResult, Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.storage.delta.store import DeltaStore

pytestmark = pytest.mark.anywhere

HISTORIES = int(os.environ.get("QANAT_HISTORIES", "4"))
STEPS = 12

TABLES = """
CREATE STREAMING TABLE a AS
SELECT id, v {more} FROM STREAM read_files('in/a/*.csv', schema => 'id BIGINT, v BIGINT'{limit});
CREATE STREAMING TABLE b (
  CONSTRAINT small EXPECT (v < {most}) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT sane  EXPECT (v >= 0)     ON VIOLATION FAIL UPDATE
) AS SELECT id, v FROM STREAM a;
CREATE TEMPORARY VIEW big AS SELECT id, v FROM b WHERE v > 10;
CREATE MATERIALIZED VIEW sums AS SELECT sum(v) {plus} AS v, count(*) AS n FROM b;
CREATE MATERIALIZED VIEW looked AS
SELECT w.id, s.n FROM read_files('in/w/*.csv', schema => 'id BIGINT') w CROSS JOIN sums s;
CREATE MATERIALIZED VIEW top AS SELECT max(v) AS v FROM big;
CREATE STREAMING TABLE both;
CREATE FLOW from_a AS INSERT INTO both BY NAME SELECT id FROM STREAM a;
CREATE FLOW at_first AS INSERT INTO ONCE both BY NAME
SELECT id FROM STREAM read_files('in/w/*.csv', schema => 'id BIGINT'{limit});
CREATE FLOW from_files AS INSERT INTO both BY NAME
SELECT id FROM STREAM read_files('in/f/*.csv', schema => 'id BIGINT');
CREATE STREAMING TABLE counted AS
SELECT v % 3 AS r, count(*) AS n, sum(id {plus}) AS s FROM STREAM a GROUP BY v % 3;
CREATE STREAMING TABLE last KEYS ({keys}) AS SELECT id, v FROM STREAM a;
CREATE STREAMING TABLE merged (id BIGINT, v BIGINT);
CREATE FLOW merging AS MERGE INTO merged AS m USING STREAM a ON m.id = a.id
WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, v) VALUES (a.id, a.v {plus});
CREATE STREAMING TABLE now (
  CONSTRAINT small EXPECT (v < {most}) ON VIOLATION QUARANTINE ROW
) FLOW AUTO CDC FROM SNAPSHOT (SELECT id, max(v) AS v FROM b GROUP BY id) KEYS (id);
CREATE STREAMING TABLE dumps FLOW AUTO CDC FROM SNAPSHOT
(SELECT DISTINCT id FROM read_files('in/f/*.csv', schema => 'id BIGINT')) KEYS (id);
"""
SINK = """
from qanat import pipelines as dp

dp.create_sink("out", "csv", {"path": "out"})


@dp.append_flow(target="out")
def to_out() -> str:
    return "SELECT id FROM STREAM b"
"""
DATASETS = (
    *("a", "b", "sums", "looked", "top", "both", "counted", "last", "merged", "now", "dumps"),
    "out",
)


class _Dead(BaseException):
    """The process, so to speak."""


class History:
    """One project, and what happens to it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.dice = random.Random(seed)  # noqa: S311 - a drawn test
        self.files = 0
        self.words = {"more": "", "limit": "", "most": "50", "plus": "", "keys": "id"}
        for folder in ("a", "w", "f"):
            (root / "in" / folder).mkdir(parents=True)
        (root / "transformations").mkdir()
        (root / "transformations/out.py").write_text(SINK)
        (root / "qanat.yml").write_text("name: p\nretries: 0\n")
        self.declare()

    def declare(self) -> None:
        text = TABLES.format(**self.words)
        (self.root / "transformations/tables.sql").write_text(text)

    def happen(self) -> None:
        """Files arrive, definitions change, or nothing does."""
        for _ in range(self.dice.randrange(3)):
            self.dice.choice((self._file, self._file, self._definition))()

    def _file(self) -> None:
        self.files += 1
        folder = self.dice.choice(("a", "a", "w", "f"))
        values = [self.dice.randrange(-1 if self.dice.random() < 0.1 else 0, 99) for _ in range(3)]
        columns = "id,v" if folder == "a" else "id"
        lines = [f"{n},{v}" if folder == "a" else f"{n}" for n, v in enumerate(values)]
        path = self.root / f"in/{folder}/{self.files:04}.csv"
        path.write_text("\n".join([columns, *lines]) + "\n")

    def _definition(self) -> None:
        name, values = self.dice.choice(
            [
                ("limit", ("", ", max_files_per_trigger => 1")),
                ("most", ("50", "60", "90")),
                ("plus", ("", "+ 1")),
                ("keys", ("id", "id", "id, v")),
            ]
        )
        self.words[name] = self.dice.choice(values)
        self.declare()

    def selection(self) -> Selection:
        chosen = self.dice.random()
        some = tuple(self.dice.sample(DATASETS, 2))
        if chosen < 0.5:
            return Selection()
        if chosen < 0.65:
            return Selection(select=(f"+{some[0]}",))
        if chosen < 0.8:
            return Selection(select=some)
        if chosen < 0.9:
            return Selection(refresh=some)
        return Selection(full_refresh=some, only=self.dice.random() < 0.4)

    def disturbed(self, patch: pytest.MonkeyPatch, selection: Selection) -> None:
        """An update that dies somewhere."""
        where: tuple[type[Any], str] = self.dice.choice(
            [
                (SqlLedger, "prepare"),
                (SqlLedger, "settle"),
                (SqlLedger, "intend"),
                (DeltaStore, "publish"),
            ]
        )
        left = self.dice.randrange(4)
        owner, name = where
        act: Callable[..., Any] = getattr(owner, name)

        def dying(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _Dead
            return act(*arguments)

        with patch.context() as patched, Session.open(self.root) as session:
            patched.setattr(owner, name, dying)
            for silent in ("give_up", "end_update"):
                patched.setattr(SqlLedger, silent, lambda *_: None)
            try:
                update(session, selection)
            except _Dead:
                return


@pytest.mark.parametrize("number", range(HISTORIES))
def test_what_plan_says_is_what_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("QANAT__THREADS", "1")
    seed = int(os.environ.get("QANAT_SEED", random.SystemRandom().randrange(10**6))) + number
    print(f"QANAT_SEED={seed - number}")  # noqa: T201 - to draw the same again
    history = History(tmp_path, seed)
    for step in range(STEPS):
        history.happen()
        selection = history.selection()
        if history.dice.random() < 0.15:
            history.disturbed(monkeypatch, selection)
        with Session.open(tmp_path) as session:
            planned = plan(session, selection)
            result = update(session, selection)
        done = {d.dataset: d for d in result.datasets}
        said = {d.dataset: d for d in planned.datasets if d.step is not Step.NONE}
        assert done.keys() == said.keys(), (seed, step)
        for name, decision in said.items():
            if done[name].status == "unchanged" and _brought_nothing(decision.reason, done):
                continue
            complaint = disagreement(decision, said, done)
            assert not complaint, (seed, step, selection, name, complaint)


def test_a_plan_sees_what_recovery_will_settle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view whose first epoch readers see, and the ledger does not know yet, has run."""
    (tmp_path / "transformations").mkdir()
    (tmp_path / "transformations/all.sql").write_text(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS x;"
        "CREATE MATERIALIZED VIEW above AS SELECT x FROM v;"
    )
    (tmp_path / "qanat.yml").write_text("name: p\n")

    def dying(*_: Any) -> None:
        raise _Dead

    with monkeypatch.context() as patched, Session.open(tmp_path) as session:
        patched.setattr(SqlLedger, "settle", dying)
        for silent in ("give_up", "end_update"):
            patched.setattr(SqlLedger, silent, lambda *_: None)
        with pytest.raises(_Dead):
            update(session)
    with Session.open(tmp_path) as session:
        said = {d.dataset: (d.step, d.reason) for d in plan(session).datasets}
        done = {d.dataset: (d.status, d.reason) for d in update(session).datasets}
    assert said["v"] == (Step.SKIP, "inputs and definition are unchanged")
    assert done["v"] == ("unchanged", "inputs and definition are unchanged")
    assert said["above"][0] is Step.CREATE
    assert done["above"][0] == "updated"


def _brought_nothing(reason: str, done: dict[str, DatasetResult]) -> bool:
    """True if a dataset was to follow others, of which a plan cannot know that no row comes."""
    names, follows, _ = reason.partition(" may bring new rows")
    if not follows:
        names, follows, _ = reason.partition(" will change")
    above = [done[n.removesuffix("__quarantine")] for n in names.split(", ")] if follows else []
    return bool(above) and all(not d.counts.written or "__quarantine" in names for d in above)


def disagreement(
    decision: Decision, said: dict[str, Decision], done: dict[str, DatasetResult]
) -> str | None:
    """What an update did otherwise than its plan said; None if nothing."""
    result = done[decision.dataset]
    if decision.step is Step.SKIP and decision.reason.endswith(" would fail"):
        return None if result.status == "skipped" else f"skip became {result.status}"
    if result.status in ("failed", "skipped"):
        # A plan cannot know before it is read that a row breaks a rule that fails the update.
        if any("violate" in d.reason for d in done.values() if d.status == "failed"):
            return None
        if decision.step is not Step.FAIL:
            return f"{decision.step} ({decision.reason}): {result.reason}"
    wanted = {Step.FAIL: "failed", Step.SKIP: "unchanged"}.get(decision.step, "updated")
    if result.status != wanted:
        return f"{decision.step} ({decision.reason}) became {result.status} ({result.reason})"
    if result.reason != as_run(decision.reason):
        return f"reason {decision.reason!r} became {result.reason!r}"
    if decision.step.works and decision.kind != "materialized view":
        files = sum(w.amount.files for w in decision.waiting if w.amount.rows is None)
        if files != result.files:
            return f"{files} files became {result.files}"
        known = [w.amount.rows for w in decision.waiting]
        settled = "may bring" not in decision.reason and not any(
            d.step.works for d in said.values() if d.dataset in ("a", "b") and d is not decision
        )
        if settled and None not in known and sum(r or 0 for r in known) != result.read:
            return f"{known} rows became {result.read}"
    return None


def as_run(reason: str) -> str:
    """What a plan's reason is once what comes before the dataset is done."""
    if reason.endswith(" may have rows by then"):
        reason, _, _ = reason.partition(", and ")
    if reason.endswith(" will change"):
        return "its inputs changed"
    return "there is unread input" if reason.endswith(" may bring new rows") else reason


QUARANTINES = """
CREATE MATERIALIZED VIEW worst AS SELECT count(*) AS n FROM seen__quarantine;
CREATE STREAMING TABLE odd AS SELECT id FROM STREAM Seen__Quarantine;
CREATE STREAMING TABLE bad AS SELECT id FROM STREAM kept__quarantine;
CREATE STREAMING TABLE kept (
  CONSTRAINT small EXPECT (v < 50) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM further;
CREATE TEMPORARY VIEW further AS SELECT * FROM STREAM seen;
CREATE TEMPORARY VIEW seen (
  CONSTRAINT sane EXPECT (v >= 0) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM read_files('in/*.csv', schema => 'id BIGINT, v BIGINT');
"""


def test_readers_of_quarantines_come_after_what_fills_them(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "transformations").mkdir()
    (tmp_path / "transformations/all.sql").write_text(QUARANTINES)
    (tmp_path / "qanat.yml").write_text("name: p\n")
    again = Selection(select=("*",), full_refresh=("kept",), only=True)
    with Session.open(tmp_path) as session:
        for number in (1, 2):
            (tmp_path / f"in/{number}.csv").write_text("id,v\n1,1\n2,-1\n3,70\n")
            said = {d.dataset: d for d in plan(session).datasets}
            assert all(d.step.works for d in said.values())
            done = {d.dataset: d for d in update(session).datasets}
            assert [done[n].read for n in ("worst", "odd", "bad")] == [number, 1, 1]
            assert {n: as_run(d.reason) for n, d in said.items()} == {
                n: d.reason for n, d in done.items()
            }
        # Both quarantines lose rows that have been read.
        said = {d.dataset: d for d in plan(session, again).datasets}
        done = {d.dataset: d for d in update(session, again).datasets}
    assert [said[n].step for n in ("odd", "bad")] == [Step.FAIL, Step.FAIL]
    assert said["odd"].reason.endswith("rebuilt, and odd has read Seen__Quarantine as a stream")
    assert [done[n].status for n in ("odd", "bad", "kept", "worst")] == [
        *("failed", "failed", "updated", "updated")
    ]
