"""The document of `qanat doctor --crash-test`."""

from __future__ import annotations

from typing import Any

from qanat.crash.case import Verdict
from qanat.crash.report import Line, Report
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape, Shapes


def _rounded(name: str) -> Key:
    return Key(
        f"recovery_{name}_seconds", of=float, make=lambda report: round(getattr(report, name), 3)
    )


KIND = Shape(
    "CrashKind",
    Line,
    ("kind", "tried", "survived"),
    "One kind of fault: `tried` happened, after `survived` of them nothing was wrong.",
)
FAILED = Shape(
    "CrashFailure",
    Verdict,
    ("case", "sites", "complaints"),
    "One case after which something was wrong; `case` is what `--case` takes.",
)
CRASH = Shape(
    "CrashDocument",
    Report,
    (
        *(VERSION_KEY, "seed", "tried", "survived", "sites"),
        *(Key("rows_lost", "lost"), Key("rows_doubled", "doubled"), "deepest"),
        *(Key("kinds", "lines"), "errors"),
        *(_rounded(name) for name in ("median", "p99", "slowest")),
        "failures",
    ),
    "`sites` are the different calls at which something went wrong on purpose; `errors` counts\n"
    "the errors with which updates ended because of it, by code; times are of a recovery with\n"
    "the verification after it.",
)
SHAPES = Shapes(CRASH, KIND, FAILED)


def crash_document(report: Report) -> dict[str, Any]:
    """The document of a crash test."""
    return SHAPES.write(CRASH, report)
