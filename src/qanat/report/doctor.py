"""What `qanat doctor` found."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.report.aim import aimed
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.results import Finding
from qanat.text import PLAIN, Layout, printable, printable_lines

FINDING = Shape(
    "Finding",
    Finding,
    ("level", "what", "detail", "hint"),
    "`level`: `ok`, `absent` (an optional package), `warning` or `error`; `hint` is empty when\n"
    "nothing is wrong.",
)
DOCTOR = Shape(
    "DoctorDocument",
    Sequence[Finding],
    (
        VERSION_KEY,
        Key("healthy", of=bool, make=lambda findings: healthy(findings)),
        Key("findings", of=list[Finding], make=list),
    ),
    "`healthy` is false when a finding is an error.",
)
PARTS = (FINDING,)

_SIGNS = {
    "ok": ("✓", "green"),
    "absent": ("–", "dim"),
    "warning": ("!", "yellow"),
    "error": ("✗", "red"),
}


def healthy(findings: Sequence[Finding]) -> bool:
    """True if no finding is an error."""
    return all(f.level != "error" for f in findings)


def doctor_text(findings: Sequence[Finding], layout: Layout = PLAIN, options: str = "") -> str:
    """The findings, one after the other.

    Args:
        options: of the user's command, for those in the hints; as `aimed` takes them.
    """
    return "\n".join(line for f in findings for line in _finding(f, layout, options))


def _finding(finding: Finding, layout: Layout, options: str) -> list[str]:
    sign, colour = _SIGNS[finding.level]
    head = f"{layout.paint(sign, colour)} {printable(finding.what)}"
    first, *rest = printable_lines(finding.detail)
    lines = [f"{head}: {first}", *(f"  {line}" for line in rest)]
    if finding.hint:
        first, *rest = printable_lines(aimed(finding.hint, options))
        lines += [f"  = hint: {first}", *(f"          {line}" for line in rest)]
    return lines
