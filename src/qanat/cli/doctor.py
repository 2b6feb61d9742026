"""`qanat doctor`: is everything here that Qanat needs?"""

from __future__ import annotations

import click

from qanat.cli import documents, screen
from qanat.cli.documents.project import doctor_document
from qanat.cli.options import Place, output, place
from qanat.errors import QanatError, SpecNotFoundError
from qanat.observe.terminal.characters import printable
from qanat.run.doctor import examine
from qanat.run.results import Finding
from qanat.run.workspace import Workspace

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


@click.command("doctor", short_help="Check the installation and the project's storage.")
@place
@output
def command(place: Place, json: bool) -> int:
    """Check the installation, and the project's spec, storage and ledger if there is one here."""
    findings = _examine(place)
    if json:
        screen.write(documents.dumps(doctor_document(findings)))
    else:
        screen.write("\n".join(line for f in findings for line in _finding(f)))
    return 1 if any(f.level == "error" for f in findings) else 0


def _examine(place: Place) -> tuple[Finding, ...]:
    try:
        with Workspace.open(place.start, place.environment) as workspace:
            return examine(workspace, place.start)
    except SpecNotFoundError:
        return examine(None, place.start)
    except QanatError as error:
        # A project that cannot be opened is a finding; the installation is still examined.
        broken = Finding("error", "project", str(error), error.hint or "")
        return (*examine(None, place.start), broken)


def _finding(finding: Finding) -> list[str]:
    sign, colour = SIGNS[finding.level]
    head = f"{screen.paint(sign, fg=colour)} {printable(finding.what)}"
    lines = [f"{head}: {printable(finding.detail)}"]
    return [*lines, f"  = hint: {printable(finding.hint)}"] if finding.hint else lines
