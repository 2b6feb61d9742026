"""Partitions of a table that are not those declared any more."""

from __future__ import annotations

from qanat.errors import FlowError, full_refresh
from qanat.model.pipeline import Dataset


def check_partitions(dataset: Dataset, stored: tuple[str, ...]) -> None:
    """Refuse to append to a table that has other partitions than are declared by now.

    Raises:
        FlowError: it has.
    """
    if stored != dataset.partition_by:
        raise FlowError(
            f"{dataset.name} is declared with other partitions than its table has",
            location=dataset.location,
            wanted=", ".join(stored) or "none",
            got=", ".join(dataset.partition_by) or "none",
            hint=f"start over: {full_refresh(dataset.name)}",
        )
