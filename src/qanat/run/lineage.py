"""What a table or a column is made from; nothing is written."""

from __future__ import annotations

from qanat.model.schema import Schema
from qanat.planning.column_lineage import column_lineage, split_target
from qanat.planning.lineage import Lineage, table_lineage
from qanat.run.session import Session


def lineage(session: Session, target: str | None = None) -> Lineage:
    """What `table` or `table.column` is made from; without a target: every table.

    Columns are those of the stored tables, else the declared ones, else what the queries tell.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        ColumnNotFoundError: it is known to have no such column.
    """
    if target is None:
        return table_lineage(session.pipeline, session.graph)
    dataset, column = split_target(session.pipeline, target)
    if column is None:
        return table_lineage(session.pipeline, session.graph, target)
    return column_lineage(
        session.pipeline, session.graph, _schemas(session, dataset.name), dataset, column
    )


def _schemas(session: Session, name: str) -> dict[str, Schema]:
    schemas: dict[str, Schema] = {}
    for each in (name, *session.graph.upstream(name)):
        table = session.table(each)
        if session.pipeline.dataset(each).stored and session.store.version(table) is not None:
            schemas[each] = session.store.snapshot(table).schema
    return schemas
