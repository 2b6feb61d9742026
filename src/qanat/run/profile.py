"""Describe the columns of a table by numbers; nothing is written."""

from __future__ import annotations

from qanat.run.results import FirstRows
from qanat.run.session import Session
from qanat.run.stored import stored


def profile(session: Session, dataset: str) -> FirstRows:
    """One row for each column of a table: type, missing and distinct values, range, mean.

    Reads the whole table. `distinct` and `top` are approximate, `nulls_percent` is the share that
    is NULL; `mean` and `std` leave out NaN, infinities and numbers beyond 1e150.

    Args:
        dataset: a streaming table, a materialized view, or `<dataset>__quarantine`.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        TableNotFoundError: it has no table (yet).
    """
    table = stored(session, dataset)
    rows = session.engine.profile(table.snapshot.batch)
    return table.first_rows(rows.schema, rows.values)
