"""What `qanat doctor` found."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.results import Finding
from qanat.text import PLAIN, Layout, printable

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


def doctor_text(findings: Sequence[Finding], layout: Layout = PLAIN) -> str:
    """The findings, one after the other."""
    return "\n".join(line for f in findings for line in _finding(f, layout))


def _finding(finding: Finding, layout: Layout) -> list[str]:
    sign, colour = _SIGNS[finding.level]
    head = f"{layout.paint(sign, colour)} {printable(finding.what)}"
    lines = [f"{head}: {printable(finding.detail)}"]
    return [*lines, f"  = hint: {printable(finding.hint)}"] if finding.hint else lines
