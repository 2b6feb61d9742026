"""`qanat doctor`: is everything here that Qanat needs?"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from qanat.cli import failure, screen
from qanat.cli.options import ProjectRef, output, positive, project_ref
from qanat.errors import CommandLineError
from qanat.project import doctor
from qanat.report.doctor import doctor_text
from qanat.report.documents import document
from qanat.report.failure import dumps

CASES = 200
"""What a crash test tries unless it is told how much."""


@click.command("doctor", short_help="Check the installation and the project's storage.")
@click.option(
    "--crash-test",
    is_flag=True,
    help="Kill, starve and lie to updates of a copy of the project, at every call by which they"
    " change the disk; compare what they leave with what they lead to undisturbed.",
)
@click.option(
    "--cases",
    type=int,
    callback=positive,
    metavar="N",
    help="How many cases the crash test tries, at most: each a fault, or the up to four disks that"
    " a power loss may leave.  [default: 200]",
)
@click.option("--seed", type=int, metavar="N", help="Draw the same faults as that crash test.")
@click.option(
    "--jobs",
    type=int,
    callback=positive,
    metavar="N",
    help="How many cases are tried at a time.  [default: cores]",
)
@click.option(
    "--case",
    "only",
    multiple=True,
    metavar="CASE",
    help="Only this case, as a failure names it: 'run kill@17'. Repeatable.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a page that shows the crash test: what was tried where, and what came of it.",
)
@project_ref
@output
def command(
    ref: ProjectRef,
    json: bool,
    crash_test: bool,
    cases: int | None,
    seed: int | None,
    jobs: int | None,
    only: tuple[str, ...],
    report: Path | None,
) -> int:
    """Check the installation, and the project's spec, storage and ledger if there is one here."""
    if crash_test:
        if report is not None:
            _try(report)
        # With it come the engine and half of the standard library.
        module = import_module("qanat.cli.crash_test")
        return int(module.run(ref, module.Wish(cases or CASES, seed, jobs, only, report), json))
    if only or any(each is not None for each in (cases, seed, jobs, report)):
        raise CommandLineError("--cases, --seed, --jobs, --case and --report need --crash-test")
    findings = doctor(ref.start, ref.environment)
    if json:
        screen.write(dumps(document("doctor", findings)))
    else:
        screen.write(doctor_text(findings, screen.layout(), ref.options))
    wrong = [f.errors or (None,) for f in findings if f.level == "error"]
    return failure.exit_code(each for errors in wrong for each in errors)


def _try(report: Path) -> None:
    """Find out now, and not after minutes, whether a page can be written."""
    if not report.parent.is_dir():
        raise CommandLineError(f"--report: there is no folder {report.parent}")
    new = not report.exists()
    try:
        report.open("a").close()
    except OSError as error:
        raise CommandLineError(
            f"--report: cannot write {str(report)!r}", got=error.strerror
        ) from error
    if new:
        report.unlink()
