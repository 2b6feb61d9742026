"""Rounds of processes that update parts of one project side by side, some killed or put to sleep.

A round brings new files to some of the ten groups, and starts eight processes, each with datasets
of its own choice. Most wait for each other, others give up at once; a few are killed at a random
moment, and a few stopped for longer than their lease lasts. In the end every row must be where an
undisturbed project of the same files has it.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from qanat.errors import LeaseLostError, QanatError, UpdateRunningError
from qanat.run import lease
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from tests.acceptance.ledgered import check, picture
from tests.forked import FORKED

GROUPS = 10
PROCESSES = 8
_LEASE = 0.2
"""Seconds that the lease of a process lasts that is put to sleep."""

_ORIGIN = re.compile(r"\('_quarantine_source', \{[^}]*\}\), ")

SQL = """
CREATE STREAMING TABLE bronze_{n} AS
SELECT id, amount FROM STREAM read_files('in/{n}/*.csv', format => 'csv',
  header => true, schema => 'id BIGINT, amount BIGINT');

CREATE STREAMING TABLE silver_{n} (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount FROM STREAM bronze_{n};

CREATE TEMPORARY VIEW odd_{n} (
  CONSTRAINT known EXPECT (id % 7 <> 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount FROM STREAM bronze_{n} WHERE id % 2 = 1;

CREATE STREAMING TABLE picked_{n} AS SELECT id FROM STREAM odd_{m};
CREATE MATERIALIZED VIEW total_{n} AS SELECT sum(amount) AS amount FROM silver_{n};
"""
KINDS = ("bronze", "silver", "picked", "total")


def lay_out(root: Path, ledger: str | None = None) -> None:
    """A project of 40 datasets and 10 temporary views, each of which two flows read."""
    where = f"ledger: {ledger}\n" if ledger else ""
    (root / "transformations").mkdir(parents=True)
    (root / "qanat.yml").write_text(f"name: {root.name}\nstorage: storage\nthreads: 1\n{where}")
    for n in range(GROUPS):
        # Two groups read the view of one: their updates put rows into the same quarantine.
        text = SQL.format(n=n, m=n - n % 2)
        (root / "transformations" / f"group_{n}.sql").write_text(text)
        (root / "in" / str(n)).mkdir(parents=True)
        (root / "in" / str(n) / "first.csv").write_text("id,amount\n-1,1\n")


def bring(root: Path, number: int, draw: random.Random) -> None:
    """A new file for some of the groups, with rows that no other file has."""
    for group in draw.sample(range(GROUPS), 4):
        folder = root / "in" / str(group)
        rows = (f"{100 * number + i},{draw.randint(-3, 9)}\n" for i in range(draw.randint(1, 30)))
        path = folder / f"{number:05}.csv"
        path.with_suffix(".new").write_text("id,amount\n" + "".join(rows))
        path.with_suffix(".new").rename(path)


def play(root: Path, rounds: int, seed: int, first: int = 0) -> Counter[str]:
    """Play rounds on a project that is laid out, from the one of number `first` on.

    Returns:
        How many processes were left alone, killed, or put to sleep, before they had ended.
    """
    met: Counter[str] = Counter()
    draw = random.Random(seed)
    for number in range(first, first + rounds):
        bring(root, number, draw)
        children = [_start(root, draw) for _ in range(PROCESSES)]
        for child, fate, moment in children:
            time.sleep(moment)
            met[fate] += child.is_alive()
            if fate == "killed":
                child.kill()
            elif fate == "asleep":
                _send(child, signal.SIGSTOP)
        time.sleep(2 * _LEASE)
        for child, fate, _ in children:
            if fate == "asleep":
                _send(child, signal.SIGCONT)
        for child, _, _ in children:
            child.join(120)
        for child, fate, _ in children:
            wanted = (0, -signal.SIGKILL) if fate == "killed" else (0,)
            assert child.exitcode in wanted, f"round {number}: {fate}: code {child.exitcode}"
    return met


def settle(root: Path) -> None:
    """Bring a project to rest, and check that nothing is left over."""
    for _ in range(2):
        with Session.open(root) as session:
            for failed in update(session).failed:
                raise AssertionError(f"{failed.dataset}: {failed.error}") from failed.error
    check(root)


def compare(root: Path, undisturbed: Path) -> None:
    """Fail if one of two projects has a row that the other does not have."""
    ours, wanted = _rows(root), _rows(undisturbed)
    assert ours.keys() == wanted.keys()
    for name in wanted:
        lost, more = wanted[name] - ours[name], ours[name] - wanted[name]
        assert not lost, f"{name}: lost {dict(lost)}"
        assert not more, f"{name}: doubled, or of nowhere: {dict(more)}"


def _rows(root: Path) -> dict[str, Counter[str]]:
    # The undisturbed project has other epochs, and its rows lie in other files.
    found = picture(root)
    for name, rows in found.items():
        found[name] = Counter()
        for row, times in rows.items():
            found[name][_ORIGIN.sub("", row)] += times
    return found


def _send(child: Any, signal_: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.kill(child.pid, signal_)


def _start(root: Path, draw: random.Random) -> tuple[Any, str, float]:
    fate = draw.choices(["left alone", "killed", "asleep"], [6, 1, 1])[0]
    names = [f"{draw.choice(KINDS)}_{draw.randrange(GROUPS)}" for _ in range(draw.randint(1, 5))]
    names = [n + draw.choice(["", "", "+"]) for n in names]
    wait = draw.random() < 0.8
    replays = draw.random() < 0.1
    args = (str(root), tuple(names), wait, replays, fate)
    child = FORKED.Process(target=_update, args=args)
    child.start()
    return child, fate, draw.uniform(0.0, 0.15)


def _update(root: str, names: tuple[str, ...], wait: bool, replays: bool, fate: str) -> None:
    if fate == "asleep":
        lease.SECONDS = _LEASE
    refused = (UpdateRunningError, LeaseLostError)
    try:
        with Session.open(Path(root)) as session:
            if replays:
                replay(session, f"silver_{names[0].rstrip('+').rpartition('_')[2]}", wait=wait)
                return
            result = update(session, Selection(names), wait=wait)
    except QanatError as error:
        # Who does not wait may be refused, and who sleeps loses its lease.
        if isinstance(error, refused) or (replays and "has no table" in str(error)):
            return
        raise
    for failed in result.failed:
        if not isinstance(failed.error, refused):
            raise AssertionError(f"{failed.dataset}: {failed.error}")
