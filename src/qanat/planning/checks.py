"""Where checks cannot stand: on what has no table, or not the rows that they are about."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import FlowError, QanatError
from qanat.model.expectation import Expectation
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.rule import ORDERED, HasColumns, of_table


def problems_of_check(dataset: Dataset, expectation: Expectation) -> Iterator[QanatError]:
    """The reason why a dataset cannot have a check; none if it can."""
    rule = expectation.rule
    if dataset.kind is DatasetKind.SINK and (isinstance(rule, ORDERED) or of_table(rule)):
        yield _error(
            expectation,
            f"sink {dataset.name} does not know what it has sent",
            "put the rule on a streaming table and let the sink read that",
        )
    elif dataset.kind is DatasetKind.TEMPORARY_VIEW and of_table(rule):
        yield _error(
            expectation,
            f"temporary view {dataset.name} has no table",
            f"make it a MATERIALIZED VIEW: CREATE OR REFRESH MATERIALIZED VIEW {dataset.name}",
        )
    elif dataset.kind is DatasetKind.TEMPORARY_VIEW and isinstance(rule, HasColumns):
        yield _error(
            expectation,
            f"temporary view {dataset.name} has no table",
            "put the rule on a dataset that reads it",
        )


def _error(expectation: Expectation, reason: str, hint: str) -> FlowError:
    return FlowError(
        f"expectation {expectation.name}: {reason}",
        location=expectation.location,
        got=str(expectation.rule),
        hint=hint,
    )
