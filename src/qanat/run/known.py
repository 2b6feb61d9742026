"""Which datasets a project knows: those that it declares, and those of its history."""

from __future__ import annotations

from qanat.planning.lineage import dataset_of
from qanat.run.session import Session


def remembered(session: Session, dataset: str) -> str:
    """The name of a dataset that is declared, or no longer declared but in the history.

    Raises:
        DatasetNotFoundError: it is neither.
    """
    if session.recorded.epochs(dataset=dataset, limit=1):
        return dataset
    return dataset_of(session.pipeline, dataset).name
