"""1,000 schedules, of which five are due each second: how late they start, and what that costs.

`qanat serve` runs for ten minutes (`QANAT_BENCH_SCHEDULE_SECONDS`) over a project of 50 small
views. A start is late by what lies between the due time and the moment at which the run's own
process has begun it. CPU and memory are those of the scheduler, without the runs.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from figure import Against, Figure
from place import QANAT, scratch

SECONDS = float(os.environ.get("QANAT_BENCH_SCHEDULE_SECONDS", "600"))
WARM = 30.0
"""Seconds at the start that do not count."""
VIEWS = 50


def lay_out(folder: Path) -> None:
    """900 schedules, each due every three minutes, and 100 that are due once a year."""
    lines = ["name: scheduled", "threads: 1", "schedules:"]
    for number in range(900):
        minute, second = divmod(number // 5, 60)
        cron = f"{second} {minute}-59/3 * * * *"
        view = number % VIEWS
        lines.append(f"  s{number}: {{cron: {cron}, timezone: Europe/Berlin, select: v{view}}}")
    lines += [f"  y{number}: {{cron: 0 0 1 1 *}}" for number in range(100)]
    (folder / "qanat.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    views = [f"CREATE MATERIALIZED VIEW v{n} AS SELECT {n} AS id;" for n in range(VIEWS)]
    (folder / "transformations").mkdir()
    (folder / "transformations" / "views.sql").write_text("\n".join(views), encoding="utf-8")


def cpu(process: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """Resident megabytes of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")


def measure() -> list[Figure]:
    """One run."""
    with scratch("schedules") as folder:
        lay_out(folder)
        subprocess.run([*QANAT, "run"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with (folder / "out").open("w") as out:
            command = [*QANAT, "serve", "--workers", "8"]
            served = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
            time.sleep(WARM)
            began, spent = time.time(), cpu(served.pid)
            time.sleep(min(60.0, SECONDS / 4))
            first = memory(served.pid)
            time.sleep(max(0.0, began + SECONDS - time.time()))
            ended, used, last = time.time(), cpu(served.pid) - spent, memory(served.pid)
            served.send_signal(signal.SIGTERM)
            served.wait()
        with sqlite3.connect(folder / "storage/_qanat/ledger.db") as ledger:
            found = ledger.execute(
                "SELECT started - due FROM qanat_runs WHERE due BETWEEN ? AND ? ORDER BY 1",
                (began, ended - 5.0),
            ).fetchall()
    late = [seconds for (seconds,) in found if seconds is not None]
    print(f"{len(found):,} due runs, {len(found) - len(late)} of them not begun")
    middle, most = late[len(late) // 2], late[int(len(late) * 0.99)]
    share = 100 * used / (ended - began)
    growth = 100 * (last / first - 1)
    name = "schedules: 5 due each second"
    return [
        Figure(f"{name}, start delay, 99 %", most, "median", middle, "s", Against.VALUE, 1.0),
        Figure(f"{name}, CPU of a core", share, "no work", 0.0, "%", Against.VALUE, 10.0),
        Figure(f"{name}, memory growth", growth, "after a minute", 0.0, "%", Against.VALUE, 1.0),
    ]
