"""`qanat doctor --crash-test`: kill, starve and lie to a copy of the project."""

from __future__ import annotations

import os
import random
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from qanat import __version__
from qanat.cli import screen
from qanat.cli.bar import Bar
from qanat.cli.options import ProjectRef
from qanat.crash.campaign import Extent, Outcome, crash_test
from qanat.crash.case import Case, Verdict
from qanat.crash.document import crash_document
from qanat.crash.ending import ends_cleanly
from qanat.crash.page import Subject
from qanat.crash.quarters import places, quarters, sweep_quarters
from qanat.crash.replica import roomy
from qanat.crash.report import Report
from qanat.disk import whole_file
from qanat.frozen import Frozen
from qanat.report.failure import dumps
from qanat.run.session import Session
from qanat.text import Value, count, duration, grid, printable

_SHOWN = 10
"""Failures that are shown in full."""


class Wish(Frozen):
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


def run(ref: ProjectRef, wish: Wish, json: bool) -> int:
    """Run the crash test and print its result; returns the exit code."""
    seed = random.SystemRandom().randrange(10**6) if wish.seed is None else wish.seed
    # A case that is repeated brings its own seed.
    only = tuple(Case.parse(c) for c in wish.only)
    extent = Extent(seed, chains=50, revivals=50, most=wish.cases, only=only)
    again = _again(ref)
    with ends_cleanly():
        with ref.open() as project:
            facts = {"project": str(project.root), "environment": project.environment}
            outcome = _outcome(
                project.session, extent, wish.jobs or len(os.sched_getaffinity(0)), again
            )
        report = outcome.report
        if json:
            screen.write(dumps(crash_document(report)))
        else:
            screen.write("\n".join(_lines(report, bool(only), again)))
        if wish.report is not None:
            page = outcome.page(Subject({**facts, **_now()}, again))
            with whole_file(wish.report) as part:
                part.write_text(page, encoding="utf-8")
            if not json:
                screen.write(f"\nThe page that shows it: {printable(str(wish.report))}")
    return 1 if report.failures or not report.tried else 0


def _outcome(session: Session, extent: Extent, jobs: int, again: str) -> Outcome:
    """What came of it; if it is interrupted, what had come of it until then is told."""
    told: list[Verdict] = []
    total = 0
    live = screen.interactive(sys.stderr)
    bar = Bar(sys.stderr, live=live, colour=screen.coloured(sys.stderr))

    def begin(cases: int) -> None:
        nonlocal total
        total = cases
        bar.begin("crash test", cases)

    def tell(verdict: Verdict) -> None:
        told.append(verdict)
        failed = sum(bool(v.complaints) for v in told)
        bar.advance(f"{failed} failed" if failed else "")

    try:
        with bar:
            bar.prepare("running everything undisturbed")
            sweep_quarters(places())
            with quarters(roomy(session, jobs)) as folder:
                return crash_test(session, folder, extent, jobs, begin, tell)
    except SystemExit:
        screen.note("\n".join(so_far(told, total, again)))
        raise


def so_far(told: Sequence[Verdict], total: int, again: str) -> Iterator[str]:
    """What is said when it is interrupted.

    Args:
        told: the verdicts until then.
        total: how many there were to be; 0 when nothing was tried yet.
        again: the command that tries a case again, but for the case.
    """
    failures = [v for v in told if v.complaints]
    tried = f"{len(told):,} of {count(total, 'case')} tried, {len(failures):,} failed"
    yield f"Interrupted: {tried if total else 'nothing was tried yet'}. The project is untouched."
    yield from _failures(failures, again)


def _again(ref: ProjectRef) -> str:
    """The command that tries a case of this project again, but for the case."""
    parts = ["qanat", "doctor", "--crash-test"]
    if ref.start != Path():
        parts += ["--project", str(ref.start)]
    if ref.environment is not None:
        parts += ["--env", ref.environment]
    return shlex.join(parts)


def _now() -> dict[str, str]:
    return {
        "command": shlex.join(["qanat", *sys.argv[1:]]),
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Qanat": __version__,
    }


def _lines(report: Report, chosen: bool, again: str) -> Iterator[str]:
    """The result in words.

    Args:
        chosen: cases were given, and not drawn.
    """
    tried = f"{count(report.tried, 'fault')} at {count(report.sites, 'site')}"
    if not report.tried:
        why = "no update of this project writes anything"
        if chosen:
            why = "the update ended before, or the fault cannot happen at that call"
        yield f"Nothing was tried: {why}."
        return
    rows: list[list[Value]] = [[line.kind, line.tried, line.survived] for line in report.lines]
    yield from grid(["Fault", "Tried", "Survived"], rows)
    yield ""
    if report.failures:
        sign = screen.paint("✗", "red")
        yield f"{sign} {tried}, {report.tried - report.survived:,} not survived"
    else:
        yield f"{screen.paint('✓', 'green')} {tried}, all survived"
    yield (
        f"  rows lost: {report.lost:,}, doubled: {report.doubled:,}; deaths in a row: up to"
        f" {report.deepest}"
    )
    yield (
        f"  recovery with verification: median {duration(report.median)}, p99"
        f" {duration(report.p99)}, slowest {duration(report.slowest)}"
    )
    if not chosen:
        yield f"  seed: {report.seed}"
    yield from _failures(report.failures, again)


def _failures(failures: Sequence[Verdict], again: str) -> Iterator[str]:
    for verdict in failures[:_SHOWN]:
        yield ""
        yield f"{screen.paint('✗', 'red')} {verdict.case}"
        yield from (f"  at {printable(site)}" for site in verdict.sites)
        yield from (f"  {printable(line)}" for c in verdict.complaints for line in c.splitlines())
        yield f'  = hint: again: {again} --case "{verdict.case}"'
    if len(failures) > _SHOWN:
        yield f"\n{len(failures) - _SHOWN:,} more; the page of --report shows all"
