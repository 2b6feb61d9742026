"""`qanat show`: rows and columns of a table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from qanat.cli import documents, screen
from qanat.cli.documents.table import plain, table_document
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.options import Place, limit, output, place
from qanat.observe.terminal.amounts import count, size
from qanat.observe.terminal.characters import printable
from qanat.run.look import show
from qanat.run.results import TableView
from qanat.run.session import Session


@click.command("show", short_help="Look at the rows and columns of a table.")
@click.argument("dataset")
@limit
@click.option("--where", metavar="SQL", help="Only rows for which this condition is true.")
@click.option("--version", type=int, metavar="N", help="The table as it was at this version.")
@click.option("--schema", "columns", is_flag=True, help="The columns instead of the rows.")
@place
@output
def command(
    dataset: str,
    limit: int,
    where: str | None,
    version: int | None,
    columns: bool,
    place: Place,
    json: bool,
) -> int:
    """Look at the rows and columns of a table.

    DATASET may also be a quarantine table, `<dataset>__quarantine`. A missing value is shown as
    NULL, the text "NULL" and an empty text in quotes.
    """
    with Session.open(place.start, place.environment) as workspace:
        view = show(workspace, dataset, limit=limit, where=where, version=version)
    if json:
        screen.write(documents.dumps(table_document(view)))
        return 0
    body = schema_lines(view) if columns else row_lines(view)
    screen.write("\n".join([_title(view), "", *body]))
    if not columns:
        screen.write("\n" + _shown(view, where))
    return 0


def _title(view: TableView) -> str:
    parts = [printable(view.kind), f"version {view.version}"]
    if view.total is not None:
        parts.append(count(view.total, "row"))
    parts += [count(view.files, "file"), size(view.bytes)]
    if view.partition_by:
        parts.append("partitioned by " + printable(", ".join(view.partition_by)))
    title = screen.paint(printable(view.dataset), bold=True) + f": {', '.join(parts)}"
    return f"{title}\n{printable(view.comment)}" if view.comment else title


def _shown(view: TableView, where: str | None) -> str:
    rows = len(view.rows)
    if where is not None:
        return f"{count(rows, 'row')} where {printable(where)}"
    if view.total is None or view.total == rows:
        return count(rows, "row")
    return f"{rows:,} of {count(view.total, 'row')}"


def schema_lines(view: TableView) -> list[str]:
    """The columns of a table, one a line."""
    rows: list[list[Value]] = [
        [f.name, str(f.type), "yes" if f.nullable else "no", f.comment or ""]
        for f in view.schema.fields
    ]
    return grid(["Column", "Type", "Nullable", "Comment"], rows, width=screen.width())


def row_lines(view: TableView) -> list[str]:
    """The rows of a table, aligned; numbers to the right."""
    rows = [[value_cell(value) for value in row] for row in view.rows]
    return grid(view.schema.names, rows, width=screen.width())


def value_cell(value: Any) -> Cell:
    """A value of a row as people read it."""
    match value:
        case None:
            return Cell("NULL", "dim", right=True)
        case bool():
            return Cell("true" if value else "false")
        case str() if value in ("", "NULL"):
            return Cell(repr(value))
        case int() | float():
            return Cell(str(value), right=True)
        case datetime():
            return Cell(str(plain(value)).replace("T", " "))
        case bytes():
            return Cell(f"0x{value.hex()}")
        case dict() | list() | tuple():
            return Cell(nested(value))
    return Cell(str(value), right=isinstance(value, Decimal))


def nested(value: Any) -> str:
    """A struct, map or list on one line.

    >>> nested({"file": "a.csv", "rows": [1, None]})
    '{file: a.csv, rows: [1, NULL]}'
    """
    match value:
        case dict():
            return "{" + ", ".join(f"{k}: {nested(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(nested(v) for v in value) + "]"
    return value_cell(value).text
