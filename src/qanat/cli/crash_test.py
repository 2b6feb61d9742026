"""`qanat doctor --crash-test`: kill, starve and lie to a copy of the project."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qanat.cli import documents, screen
from qanat.cli.documents.crash import crash_document
from qanat.cli.grid import Value, grid
from qanat.cli.options import Place
from qanat.crash.case import Case, Verdict
from qanat.crash.replica import roomy
from qanat.crash.report import Report
from qanat.crash.sweep import Extent, crash_test
from qanat.disk import explained
from qanat.observe.terminal.amounts import count, duration
from qanat.observe.terminal.bar import Bar
from qanat.observe.terminal.characters import printable
from qanat.run.workspace import Workspace

_SHOWN = 10
"""Failures that are shown in full."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for.

    Args:
        cases: how many at most.
        seed: None to draw one.
        jobs: processes at a time; None for as many as there are cores.
        only: cases to try again, as a failure names them; empty for all.
        report: where to write the page that shows it; None for nowhere.
    """

    cases: int
    seed: int | None
    jobs: int | None
    only: tuple[str, ...]
    report: Path | None


def run(place: Place, wish: Wish, json: bool) -> int:
    """Do it; the exit code."""
    seed = random.SystemRandom().randrange(10**6) if wish.seed is None else wish.seed
    # A case that is repeated brings its own seed.
    only = tuple(Case.parse(c) for c in wish.only)
    extent = Extent(seed, chains=50, revivals=50, most=wish.cases, only=only)
    jobs = wish.jobs or len(os.sched_getaffinity(0))
    colour = screen.coloured(sys.stderr)
    live = screen.interactive(sys.stderr)
    with Workspace.open(place.start, place.environment) as ws:
        bar = Bar(sys.stderr, live=live, colour=colour)
        with tempfile.TemporaryDirectory(prefix="qanat-crash-", dir=roomy(ws, jobs)) as name:
            failed = 0

            def tell(verdict: Verdict) -> None:
                nonlocal failed
                failed += bool(verdict.complaints)
                bar.advance(f"{failed} failed" if failed else "")

            with bar:
                bar.prepare("running everything undisturbed")
                outcome = crash_test(
                    ws, Path(name), extent, jobs, lambda n: bar.begin("crash test", n), tell
                )
    report = outcome.report
    if wish.report is not None:
        with explained("write", wish.report):
            wish.report.write_text(outcome.page(), encoding="utf-8")
    if json:
        screen.write(documents.dumps(crash_document(report)))
    else:
        screen.write("\n".join(_lines(report, wish.report)))
    return 1 if report.failures or not report.tried else 0


def _lines(report: Report, page: Path | None) -> Iterator[str]:
    tried = f"{count(report.tried, 'fault')} at {count(report.sites, 'site')}"
    if not report.tried:
        yield "Nothing was tried: no update of this project writes anything."
        return
    rows: list[list[Value]] = [[line.kind, line.tried, line.survived] for line in report.lines]
    yield from grid(["Fault", "Tried", "Survived"], rows)
    yield ""
    if report.failures:
        sign = screen.paint("✗", fg="red")
        yield f"{sign} {tried}, {report.tried - report.survived:,} not survived"
    else:
        yield f"{screen.paint('✓', fg='green')} {tried}, all survived"
    yield (
        f"  rows lost: {report.lost:,}, doubled: {report.doubled:,}; deaths in a row: up to"
        f" {report.deepest}"
    )
    yield (
        f"  recovery with verification: median {duration(report.median)}, p99"
        f" {duration(report.p99)}, slowest {duration(report.slowest)}"
    )
    yield f"  seed: {report.seed}"
    if page is not None:
        yield f"  page: {printable(str(page))}"
    for verdict in report.failures[:_SHOWN]:
        yield ""
        yield f"{screen.paint('✗', fg='red')} {verdict.case}"
        yield from (f"  at {printable(site)}" for site in verdict.sites)
        yield from (f"  {printable(line)}" for c in verdict.complaints for line in c.splitlines())
        yield f'  = hint: again: qanat doctor --crash-test --case "{verdict.case}"'
