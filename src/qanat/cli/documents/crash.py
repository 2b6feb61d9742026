"""The document of `qanat doctor --crash-test`."""

from __future__ import annotations

from typing import TypedDict

from qanat.cli.documents import VERSION
from qanat.crash.report import Report


class CrashKind(TypedDict):
    """One kind of fault: `tried` happened, after `survived` of them nothing was wrong."""

    kind: str
    tried: int
    survived: int


class CrashFailure(TypedDict):
    """One case after which something was wrong; `case` is what `--case` takes."""

    case: str
    sites: list[str]
    complaints: list[str]


class CrashDocument(TypedDict):
    """`sites` are the different calls at which something went wrong on purpose; `errors` counts
    the errors with which updates ended because of it, by code; times are of a recovery with the
    verification after it."""

    version: int
    seed: int
    tried: int
    survived: int
    sites: int
    rows_lost: int
    rows_doubled: int
    deepest: int
    kinds: list[CrashKind]
    errors: dict[str, int]
    recovery_median_seconds: float
    recovery_p99_seconds: float
    recovery_slowest_seconds: float
    failures: list[CrashFailure]


def crash_document(report: Report) -> CrashDocument:
    """The document of a crash test."""
    return {
        "version": VERSION,
        "seed": report.seed,
        "tried": report.tried,
        "survived": report.survived,
        "sites": report.sites,
        "rows_lost": report.lost,
        "rows_doubled": report.doubled,
        "deepest": report.deepest,
        "kinds": [
            {"kind": line.kind, "tried": line.tried, "survived": line.survived}
            for line in report.lines
        ],
        "errors": report.errors,
        "recovery_median_seconds": round(report.median, 3),
        "recovery_p99_seconds": round(report.p99, 3),
        "recovery_slowest_seconds": round(report.slowest, 3),
        "failures": [
            {"case": v.case, "sites": list(v.sites), "complaints": list(v.complaints)}
            for v in report.failures
        ],
    }
