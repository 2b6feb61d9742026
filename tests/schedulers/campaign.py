"""Schedulers in processes of their own over one ledger, and what is left when they are done.

Each worker decides, claims, begins and ends runs as `qanat serve` does, without updates in
between, and writes a line for each begin and each end. Meanwhile workers are killed and started
anew, stopped for longer than their claims hold, and the clocks of some go wrong.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from ctypes import c_double
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from qanat.model.schedule import Catchup, RunState, Schedule
from qanat.model.trigger import Every
from qanat.plugins import open_ledger
from qanat.ports.ledger import Ledger
from qanat.run.scheduling import Scheduling
from tests.forked import FORKED

CLAIM = 2.0
"""Seconds that a claim of the workers holds."""
_JUMPS = (-30.0, -3.0, 0.0, 0.0, 3.0, 30.0)
_REAL = time.time


@dataclass
class Found:
    """What is left.

    Args:
        faults: what is wrong, in words.
        due: due times that were recorded.
        begins: attempts that began.
        again: those of runs that had begun before.
        slowest: the longest real time between a due time and the first begin of its run.
    """

    faults: list[str] = field(default_factory=list)
    due: int = 0
    begins: int = 0
    again: int = 0
    slowest: float = 0.0
    kills: int = 0
    sleeps: int = 0
    jumps: int = 0


def schedules(number: int) -> list[Schedule]:
    """Schedules that are due each second."""
    names = (f"s{n:03}" for n in range(number))
    return [Schedule(n, Every(1.0), catchup=Catchup.ALL, max_concurrent_runs=5) for n in names]


def work(
    url: str | None, folder: str, scope: str, number: int, offset: Synchronized[float]
) -> None:
    """What a worker does until it is killed."""
    time.time = lambda: _REAL() + offset.value
    ledger = open_ledger(url, Path(folder), scope)
    scheduling = Scheduling(schedules(number), {})
    lines = os.open(Path(folder, "lines"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        _, changes = ledger.advance(lambda board: scheduling.decide(board, 20), CLAIM)
        for run in changes.starts:
            begun = ledger.begin_run(run, CLAIM)
            if begun is None:
                continue
            line = f"begin {run.schedule} {run.due} {begun.token} {_REAL() - run.due:.3f}\n"
            os.write(lines, line.encode())
            if ledger.end_run(replace(begun, state=RunState.SUCCEEDED)):
                os.write(lines, f"end {run.schedule} {run.due} {begun.token} 0\n".encode())
        if not changes.starts:
            time.sleep(0.05)


def campaign(
    url: str | None,
    folder: Path,
    scope: str,
    *,
    number: int,
    seconds: float,
    workers: int = 2,
    seed: int = 0,
    faults: bool = True,
) -> Found:
    """Let workers share the due times of so many schedules for so many seconds.

    Args:
        faults: whether there are kills, sleeps, and jumps of clocks.
    """
    chance, found = random.Random(seed), Found()
    folder.mkdir(parents=True, exist_ok=True)
    ledger = open_ledger(url, folder, scope)
    scheduling = Scheduling(schedules(number), {})
    ledger.advance(lambda board: scheduling.decide(board, 0), CLAIM)
    began = {name: r.cursor for name, r in ledger.schedule_records().items()}
    offsets = [FORKED.Value(c_double, 0.0) for _ in range(workers)]

    def start(place: int) -> ForkServerProcess:
        offset = offsets[place]
        arguments = (url, str(folder), scope, number, offset)
        process = FORKED.Process(target=work, args=arguments, daemon=True)
        process.start()
        return process

    crew = [start(n) for n in range(workers)]
    end = _REAL() + seconds
    while _REAL() < end:
        time.sleep(chance.uniform(0.3, 1.0))
        place, what = chance.randrange(workers), chance.random() if faults else 1.0
        process = crew[place]
        if what < 0.4:
            process.kill()
            process.join()
            crew[place] = start(place)
            found.kills += 1
        elif what < 0.6 and process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(CLAIM * 1.5)
            os.kill(process.pid, signal.SIGCONT)
            found.sleeps += 1
        elif what < 0.9:
            offsets[place].value = chance.choice(_JUMPS)
            found.jumps += 1
    for offset in offsets:
        offset.value = 0.0
    _settle(ledger)
    for process in crew:
        process.kill()
        process.join()
    _judge(ledger, folder, began, end, found)
    ledger.close()
    return found


def _settle(ledger: Ledger) -> None:
    """Wait until nothing that is due by now is left to do, as long as there is any progress."""
    now, left, progress = ledger.board().now, -1, time.monotonic()
    while time.monotonic() < progress + 60.0:
        board = ledger.board()
        waiting = sum(run.due <= now for run in board.open)
        if min(r.cursor for r in board.schedules.values()) >= now - 1.0 and not waiting:
            return
        if waiting != left:
            left, progress = waiting, time.monotonic()
        time.sleep(0.1)


def _judge(
    ledger: Ledger, folder: Path, began: dict[str, float], end: float, found: Found
) -> None:
    """Find what is missing, doubled or left open."""
    runs = ledger.runs(limit=1_000_000)
    known = {(r.schedule, r.due): r for r in runs}
    found.due = len(runs)
    board = ledger.board()
    for name, record in board.schedules.items():
        # What a clock that went ahead has made due early is there, too.
        last = max(record.cursor, end - 2.0)
        wanted = {float(t) for t in range(int(began[name] // 1) + 1, int(last // 1) + 1)}
        have = {due for schedule, due in known if schedule == name}
        if wanted != have:
            missed, more = sorted(wanted - have), sorted(have - wanted)
            found.faults.append(f"{name}: missed {missed[:5]}, not due {more[:5]}")
    begins, ends = Counter[tuple[str, float]](), Counter[tuple[str, float]]()
    for line in (folder / "lines").read_text().splitlines():
        what, name, due, _, late = line.split(" ")
        key = name, float(due)
        if what == "begin":
            if not begins[key]:
                found.slowest = max(found.slowest, float(late))
            begins[key] += 1
        else:
            ends[key] += 1
    found.begins = begins.total()
    found.again = found.begins - len(begins)
    found.faults += [f"{key} ended {n} times" for key, n in ends.items() if n > 1]
    found.faults += [
        f"{r.schedule} {r.due} is {r.state.value}"
        for r in runs
        if r.state is not RunState.SUCCEEDED and r.due <= end
    ]
    for key, number in begins.items():
        if known[key].attempt < number:
            found.faults.append(f"{key} began {number} times, and counts {known[key].attempt}")
