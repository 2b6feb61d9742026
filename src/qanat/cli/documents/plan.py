"""The document of `qanat plan` and `qanat run --dry-run`."""

from __future__ import annotations

from typing import TypedDict

from qanat.cli.documents import VERSION
from qanat.model.decision import Decision, UpdatePlan


class WaitingDocument(TypedDict):
    """Unread input of one source: whole files, or rows of a table (null where unknown)."""

    source: str
    files: int
    bytes: int
    rows: int | None


class DatasetPlanDocument(TypedDict):
    """One dataset of a plan.

    `change`: `new`, `changed`, `unchanged` or `removed`. `step`: `create`, `append`,
    `recompute`, `full refresh`, `skip`, `none` or `fail` (something stands in its way).
    `difference` is a unified diff of the canonical query and rules, `consequence` what a change
    means for rows already written, or the way out; both are empty where nothing changed.
    """

    dataset: str
    kind: str
    change: str
    step: str
    reason: str
    waiting: list[WaitingDocument]
    difference: str
    consequence: str


class PlanDocument(TypedDict):
    """The datasets in the order an update would take them."""

    version: int
    environment: str
    datasets: list[DatasetPlanDocument]


def plan_document(plan: UpdatePlan) -> PlanDocument:
    """The document of a plan."""
    return {
        "version": VERSION,
        "environment": plan.environment,
        "datasets": [_dataset(d) for d in plan.datasets],
    }


def _dataset(plan: Decision) -> DatasetPlanDocument:
    return {
        "dataset": plan.dataset,
        "kind": plan.kind,
        "change": plan.change.value,
        "step": plan.step.value,
        "reason": plan.reason,
        "waiting": [
            {
                "source": w.source,
                "files": w.amount.files,
                "bytes": w.amount.bytes,
                "rows": w.amount.rows,
            }
            for w in plan.waiting
        ],
        "difference": plan.difference,
        "consequence": plan.consequence,
    }
