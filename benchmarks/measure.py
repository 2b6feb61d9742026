"""What a command costs: wall time, CPU time of its whole process tree, peak memory.

This module and all that `run.py` imports stay small on purpose: a child process inherits its
parent's peak memory at `exec`, so a parent that had loaded DuckDB would hide what the child used.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS = int(os.environ.get("QANAT_BENCH_ROUNDS", "1"))
"""`compare.py` calls a benchmark this often, so that each call needs that many repeats less."""
BASELINES = "QANAT_BENCH_NO_BASELINES" not in os.environ
"""`compare.py` holds Qanat against Qanat, and does not wait for others."""


# What is installed is compiled already; with this variable each run of a checkout compiles anew.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


class CommandError(Exception):
    """A measured command ended with another exit code than it should; shows its output."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took.

    Args:
        wall: seconds from start to exit.
        cpu: seconds of user and system time, of the process and all its children.
        peak: most memory that one process of the tree held, bytes.
        output: what it printed on standard output.
    """

    wall: float
    cpu: float
    peak: float
    output: str = ""

    def document(self) -> dict[str, float]:
        """The cost as JSON: seconds, seconds, MB."""
        return {
            "wall": round(self.wall, 3),
            "cpu": round(self.cpu, 3),
            "peak": round(self.peak / 1e6, 1),
        }


def spend(
    command: Sequence[str | Path],
    cwd: Path,
    *,
    env: Mapping[str, str] | None = None,
    expected: int = 0,
) -> Cost:
    """Run a command in a fresh process and see what it took.

    Raises:
        CommandError: it exits with another code than `expected`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**_ENVIRONMENT, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode(errors="replace")
        if code != expected:
            err.seek(0)
            said = err.read().decode(errors="replace")[-4000:]
            text = " ".join(str(part) for part in command)
            raise CommandError(f"{text}: exit code {code}\n{output[-4000:]}{said}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output)


def baseline(case: Callable[[int], Cost]) -> Callable[[int], Cost]:
    """Mark a case that runs no Qanat: when two commits are compared, it is left out."""
    return case if BASELINES else lambda _: Cost(math.nan, math.nan, math.nan)


def medians(repeats: int, *cases: Callable[[int], Cost], warm: bool = True) -> tuple[Cost, ...]:
    """The median cost of each case over several repeats.

    The cases take turns, so that a busy moment of the machine hits all of them alike. A case is
    called with the number of the repeat; with `warm`, first once (with -1) without counting.
    """
    if warm:
        for case in cases:
            case(-1)
    taken = [[case(repeat) for case in cases] for repeat in range(math.ceil(repeats / ROUNDS))]
    return tuple(median(costs) for costs in zip(*taken, strict=True))


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each part of several costs."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        statistics.median(c.peak for c in costs),
        costs[-1].output,
    )
