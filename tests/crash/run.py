"""`make crash-test`: every fault at every call; `make crash-sample`: a random part of that.

python -m tests.crash.run            everything; continues where it was interrupted
python -m tests.crash.run --sample   as much as fits into five minutes, drawn by a printed seed
python -m tests.crash.run --case "append kill@17 #1"   one case, as a failure names it
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from qanat.cli.bar import Bar
from qanat.crash.campaign import KINDS, Extent, Outcome, carry_out, prepare
from qanat.crash.case import Case, Verdict
from qanat.crash.crew import Crew
from qanat.crash.ending import ends_cleanly
from qanat.crash.journal import Journal
from qanat.crash.page import Subject
from qanat.crash.quarters import places, quarters, sweep_quarters
from qanat.crash.report import Report
from tests.crash.projects import scenarios

ROOT = Path(__file__).parents[2]
AGAIN = "python -m tests.crash.run"
SAMPLE_SECONDS = 205.0
"""Seconds in which a sample starts cases; with preparation it takes at most five minutes."""


def main() -> int:
    """Run the crash test; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="five minutes of it")
    parser.add_argument("--seed", type=int, help="of all that is drawn")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of " + ", ".join(KINDS))
    parser.add_argument("--scenarios", default="", help="some of the scenarios")
    parser.add_argument("--most", type=int, help="so many cases at most")
    parser.add_argument("--case", action="append", default=[], help="only this case")
    parser.add_argument("--report", type=Path, help="where to write the page")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6) if options.sample else 1
    print(f"seed {seed}, {options.jobs} processes at a time", flush=True)
    extent = Extent(
        seed,
        options.kinds.split(","),
        most=options.most,
        seconds=SAMPLE_SECONDS if options.sample else None,
        only=[Case.parse(c) for c in options.case],
    )
    kept = not (options.sample or options.case)
    with ends_cleanly():
        sweep_quarters(places())
        with quarters(places()[0]) as folder:
            chosen = options.scenarios.split(",") if options.scenarios else []
            outcome = run(folder, extent, options.jobs, chosen, kept)
    found = outcome.report
    say(found)
    target = options.report or cache() / "report.html"
    target.write_text(outcome.page(subject()), encoding="utf-8")
    print(f"page: {target}")
    return 1 if found.failures or not found.tried else 0


def run(folder: Path, extent: Extent, jobs: int, wanted: list[str], kept: bool) -> Outcome:
    """Prepare the scenarios, try the cases, and add up the verdicts.

    Args:
        wanted: names of scenarios; none means all.
    """
    images = folder / "images"
    images.mkdir()
    chosen = scenarios(images, {*wanted, *(c.scenario for c in extent.only)})
    journal = Journal(cache() / "journal.jsonl" if kept else None, key(extent))
    with Crew(folder, jobs) as crew, Bar(sys.stderr, live=sys.stderr.isatty()) as bar:
        prepared = prepare(crew, chosen, extent)
        left = [c for c in prepared.cases if str(c) not in journal.verdicts]
        print(f"{len(prepared.cases):,} cases in {len(chosen)} scenarios, {len(left):,} to try")
        bar.begin("crash test", len(left))
        failed = 0

        def tell(verdict: Verdict) -> None:
            nonlocal failed
            if verdict.complaints:
                failed += 1
                complain(verdict)
            bar.advance(f"{failed} failed" if failed else "")

        return carry_out(crew, prepared, extent, journal, tell)


def subject() -> Subject:
    """What the page is about."""
    facts = {
        "project": "those of Qanat's own tests",
        "command": shlex.join(["python", "-m", "tests.crash.run", *sys.argv[1:]]),
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Qanat": version("qanat"),
    }
    return Subject(facts, AGAIN)


def complain(verdict: Verdict) -> None:
    """Print what went wrong in a case, and the command that repeats it."""
    print(f"FAILED {verdict.case}")
    for line in [*(f"at {s}" for s in verdict.sites), *verdict.complaints]:
        print("    " + line.replace("\n", "\n    ")[:1000])
    print(f'    again: {AGAIN} --case "{verdict.case}"', flush=True)


def say(found: Report) -> None:
    """Print the report."""
    for line in found.lines:
        print(f"{line.kind:<10} {line.tried:>7,} tried {line.survived:>7,} survived")
    print(
        f"{found.sites:,} sites, {found.lost:,} rows lost, {found.doubled:,} doubled, up to"
        f" {found.deepest} deaths in a row"
    )
    print(
        f"recovery and verification: median {found.median:.2f} s, p99 {found.p99:.2f} s,"
        f" slowest {found.slowest:.2f} s"
    )


def cache() -> Path:
    """The folder of the journal and the page."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "qanat-crash"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key(extent: Extent) -> str:
    """The key of the journal: a digest of everything that the verdicts depend on."""
    # These packages make calls of their own.
    libraries = ("duckdb", "deltalake", "pyarrow", "pyiceberg")
    drivers = [f"{name} {version(name)}" for name in libraries]
    digest = blake2b(f"{extent.seed} {sys.version} {drivers}".encode(), digest_size=16)
    paths = [*(ROOT / "src").rglob("*"), *(ROOT / "tests" / "crash").rglob("*")]
    # Some scenarios use the project of the acceptance tests, and histories of changes.
    paths += [ROOT / "tests/acceptance/conftest.py", ROOT / "tests/changes/model.py"]
    for path in sorted(paths):
        if path.suffix in (".py", ".c"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
