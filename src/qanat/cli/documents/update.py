"""The document of `qanat run`."""

from __future__ import annotations

from typing import Any, TypedDict

from qanat.cli.documents import VERSION
from qanat.model.work import RuleCount
from qanat.run.results import DatasetResult, UpdateResult


class RuleDocument(TypedDict):
    """How many rows violated one expectation; `action` is what happened to them."""

    dataset: str
    rule: str
    action: str
    violations: int


class DatasetDocument(TypedDict):
    """One dataset of an update.

    `status`: `updated`, `unchanged`, `failed` or `skipped`; `reason` says why. `read` is null
    where the engine does not know it. `out` is what the query gave, and always equals
    `written + dropped + quarantined`; `malformed` rows could not be parsed and were
    quarantined before the query. `version` is the table's after the update.
    """

    dataset: str
    kind: str
    status: str
    reason: str
    read: int | None
    files: int
    out: int
    written: int
    dropped: int
    quarantined: int
    malformed: int
    seconds: float
    version: int | None
    rules: list[RuleDocument]
    error: dict[str, Any] | None


class UpdateDocument(TypedDict):
    """`status`: `succeeded` or `failed`; `update` is null when nothing had to be written."""

    version: int
    update: str | None
    status: str
    seconds: float
    datasets: list[DatasetDocument]


def update_document(result: UpdateResult) -> UpdateDocument:
    """The document of an update's result."""
    return {
        "version": VERSION,
        "update": result.id or None,
        "status": result.status,
        "seconds": round(result.seconds, 6),
        "datasets": [_dataset(d) for d in result.datasets],
    }


def _dataset(result: DatasetResult) -> DatasetDocument:
    counts = result.counts
    return {
        "dataset": result.dataset,
        "kind": result.kind,
        "status": result.status,
        "reason": result.reason,
        "read": result.read,
        "files": result.files,
        "out": counts.out,
        "written": counts.written,
        "dropped": counts.dropped,
        "quarantined": counts.quarantined,
        "malformed": counts.malformed,
        "seconds": round(result.seconds, 6),
        "version": result.version,
        "rules": [rule_document(r) for r in result.rules],
        "error": result.error.facts() if result.error else None,
    }


def rule_document(rule: RuleCount) -> RuleDocument:
    """The document of one expectation's violations."""
    return {
        "dataset": rule.dataset,
        "rule": rule.rule,
        "action": rule.action,
        "violations": rule.violations,
    }
