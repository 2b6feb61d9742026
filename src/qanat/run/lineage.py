"""What a table or a column is made from; nothing is written."""

from __future__ import annotations

from qanat.model.schema import Schema
from qanat.planning.column_lineage import column_lineage, split_target
from qanat.planning.lineage import Lineage, table_lineage
from qanat.run.workspace import Workspace


def lineage(ws: Workspace, target: str | None = None) -> Lineage:
    """What `table` or `table.column` is made from; without a target: every table.

    Columns are those of the stored tables, else the declared ones, else what the queries tell.

    Raises:
        DatasetNotFoundError: nobody declares the dataset.
        ColumnNotFoundError: it is known to have no such column.
    """
    if target is None:
        return table_lineage(ws.pipeline, ws.graph)
    dataset, column = split_target(ws.pipeline, target)
    if column is None:
        return table_lineage(ws.pipeline, ws.graph, target)
    return column_lineage(ws.pipeline, ws.graph, _schemas(ws, dataset.name), dataset, column)


def _schemas(ws: Workspace, name: str) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for each in (name, *ws.graph.upstream(name)):
        folder = str(ws.folder(each))
        if ws.pipeline.dataset(each).stored and ws.store.version(folder) is not None:
            found[each] = ws.store.snapshot(folder).schema
    return found
