"""The documents of `qanat init`, `validate`, `test` and `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from qanat.cli.documents import VERSION
from qanat.run.results import Finding, RuleCheck, Validation


class InitDocument(TypedDict):
    """The folder of the new project and the files written, relative to it."""

    version: int
    folder: str
    files: list[str]


class NamedDataset(TypedDict):
    """A declared dataset."""

    dataset: str
    kind: str


class ValidationDocument(TypedDict):
    """`datasets` in the order an update would take them; `problems` as error facts."""

    version: int
    valid: bool
    problems: list[dict[str, Any]]
    datasets: list[NamedDataset]
    flows: int
    expectations: int


class CheckDocument(TypedDict):
    """One expectation against the rows its table holds."""

    dataset: str
    rule: str
    text: str
    action: str
    rows: int
    violations: int


class TestDocument(TypedDict):
    """`passed` is false when an expectation other than `warn` is violated."""

    version: int
    passed: bool
    checks: list[CheckDocument]


class FindingDocument(TypedDict):
    """`level`: `ok`, `warning` or `error`; `hint` is empty when nothing is wrong."""

    level: str
    what: str
    detail: str
    hint: str


class DoctorDocument(TypedDict):
    """`healthy` is false when a finding is an error."""

    version: int
    healthy: bool
    findings: list[FindingDocument]


def init_document(folder: str, files: Sequence[str]) -> InitDocument:
    """The document of a new project."""
    return {"version": VERSION, "folder": folder, "files": list(files)}


def validation_document(result: Validation) -> ValidationDocument:
    """The document of a validation."""
    return {
        "version": VERSION,
        "valid": not result.problems,
        "problems": [p.facts() for p in result.problems],
        "datasets": [{"dataset": name, "kind": kind} for name, kind in result.datasets],
        "flows": result.flows,
        "expectations": result.expectations,
    }


def check_document(checks: Sequence[RuleCheck], passed: bool) -> TestDocument:
    """The document of `qanat test`."""
    return {
        "version": VERSION,
        "passed": passed,
        "checks": [
            {
                "dataset": c.dataset,
                "rule": c.rule,
                "text": c.text,
                "action": c.action,
                "rows": c.rows,
                "violations": c.violations,
            }
            for c in checks
        ],
    }


def doctor_document(findings: Sequence[Finding]) -> DoctorDocument:
    """The document of an examination."""
    return {
        "version": VERSION,
        "healthy": all(f.level != "error" for f in findings),
        "findings": [
            {"level": f.level, "what": f.what, "detail": f.detail, "hint": f.hint}
            for f in findings
        ],
    }
