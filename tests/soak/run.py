"""`make soak`: a day's worth of epochs of a continuous update, as fast as they go.

Files come into a folder one by one, each as soon as the one before is in the last table; they go
through two tables, with rules and a quarantine, and are deleted once they were read. Tables are
maintained as ever. Printed now and then: memory, CPU and wall time of an epoch, and how long it
takes to open the last table. At the end every row must be there once, and memory and opening
times of the last tenth must be those of the second.

python -m tests.soak.run                 100,000 epochs of each table
python -m tests.soak.run --epochs 2000   fewer
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from deltalake import DeltaTable

import qanat
from qanat.frozen import Frozen
from qanat.model.event import DatasetEnded, EpochCommitted, Event

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT known EXPECT (v IS NOT NULL) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT low EXPECT (v < 1000000000) ON VIOLATION DROP ROW
) AS SELECT id, v FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v BIGINT');
CREATE OR REFRESH STREAMING TABLE silver AS SELECT id, v * 2 AS w FROM STREAM bronze;
"""
ROWS = 20
"""In each file; one of them goes to quarantine."""
_PATIENCE = 300.0
GROWTH = 0.01
"""What memory may grow by after the first tenth."""


class Look(Frozen):
    """What was measured after some epochs.

    Args:
        epochs: of each table.
        memory: MB that the process has in memory.
        cpu, wall: milliseconds for one file, through both tables.
        opened: milliseconds to open the last table, as any reader does.
    """

    epochs: int
    memory: float
    cpu: float
    wall: float
    opened: float

    def __str__(self) -> str:
        return (
            f"{self.epochs:>8,} epochs: {self.memory:6.1f} MB, {self.cpu:5.1f} ms CPU and"
            f" {self.wall:5.1f} ms for a file through both tables, {self.opened:5.1f} ms to open"
        )


class Epochs:
    """An observer that counts the epochs of the last table, and hears of failures."""

    def __init__(self) -> None:
        self.count = 0
        self.failures: list[str] = []
        self._changed = threading.Condition()

    def on(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, EpochCommitted) and event.dataset == "silver":
            with self._changed:
                self.count += 1
                self._changed.notify_all()
        elif isinstance(event, DatasetEnded) and event.failure is not None:
            self.failures.append(f"{event.dataset}: {event.reason}")

    def wait(self, count: int) -> None:
        """Wait until there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, _PATIENCE):
                raise TimeoutError(f"epoch {count} did not come; {self.failures}")


def main() -> int:
    """Run the soak; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        looks, complaints = soak(Path(folder), options.epochs)
    for complaint in (*complaints, *grown(looks)):
        print(f"FAILED: {complaint}")
    return 1 if complaints or grown(looks) else 0


def soak(folder: Path, epochs: int) -> tuple[list[Look], list[str]]:
    """Keep a project up to date while files come; what was measured, and what is wrong."""
    (folder / "qanat.yml").write_text("name: soak\nthreads: 2\n", encoding="utf-8")
    (folder / "transformations").mkdir()
    (folder / "transformations/all.sql").write_text(SQL, encoding="utf-8")
    (folder / "in").mkdir()
    heard, stop, looks = Epochs(), threading.Event(), list[Look]()

    def keep() -> None:
        with qanat.open(folder) as project:
            project.run_continuously(stop=stop, observers=[heard])

    thread = threading.Thread(target=keep)
    thread.start()
    every, began = max(1, epochs // 50), _now()
    try:
        for number in range(epochs):
            file = put(folder, number)
            heard.wait(number + 1)
            file.unlink()
            if (number + 1) % every == 0:
                looks.append(look(folder, number + 1, began, every))
                print(looks[-1], flush=True)
                began = _now()
    finally:
        stop.set()
        thread.join(_PATIENCE)
    return looks, [*heard.failures, *judged(folder, epochs)]


def put(folder: Path, number: int) -> Path:
    """A file that appears whole."""
    first = number * ROWS
    rows = ({"id": n, "v": n % 1000 if n > first else None} for n in range(first, first + ROWS))
    hidden = folder / f"in/.{number}"
    hidden.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return hidden.rename(folder / f"in/{number}.json")


def look(folder: Path, epochs: int, began: tuple[float, float], every: int) -> Look:
    """Measure."""
    cpu, wall = (1000 * (b - a) / every for a, b in zip(began, _now(), strict=True))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    times = []
    for _ in range(5):
        start = time.perf_counter()
        DeltaTable(folder / "storage/tables/silver").version()
        times.append(1000 * (time.perf_counter() - start))
    return Look(epochs, memory, cpu, wall, median(times))


def _now() -> tuple[float, float]:
    return time.process_time(), time.monotonic()


def judged(folder: Path, epochs: int) -> list[str]:
    """What is wrong with the rows that are there."""
    every = range(epochs * ROWS)
    wanted = {
        "bronze": [n for n in every if n % ROWS],
        "silver": [n for n in every if n % ROWS],
        "bronze__quarantine": [n for n in every if n % ROWS == 0],
    }
    complaints = []
    for name, ids in wanted.items():
        table = DeltaTable(folder / "storage/tables" / name).to_pyarrow_table(columns=["id"])
        found = sorted(table["id"].to_pylist())
        if found != ids:
            doubled, lost = len(found) - len(set(found)), len(set(ids) - set(found))
            complaints.append(f"{name}: {lost:,} rows lost, {doubled:,} doubled")
        print(f"{name}: {len(found):,} rows")
    return complaints


def grown(looks: Sequence[Look]) -> list[str]:
    """What has grown from the second tenth to the last one; nothing of a soak that was short."""
    tenth = len(looks) // 10
    if tenth < 5:
        return []
    early, late = looks[tenth : 2 * tenth], looks[-tenth:]
    complaints = []
    before, after = (median(k.memory for k in part) for part in (early, late))
    if after > before * (1 + GROWTH):
        complaints.append(f"memory grew from {before:.1f} to {after:.1f} MB")
    before, after = (median(k.opened for k in part) for part in (early, late))
    if after > 2 * before:
        complaints.append(f"the time to open the table grew from {before:.1f} to {after:.1f} ms")
    return complaints


if __name__ == "__main__":
    sys.exit(main())
