"""The rows and columns of a table, or of what a query gives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from qanat.model.dialect import DUCKDB, sql_type
from qanat.model.schema import Field, Schema
from qanat.model.staged import RuleCount
from qanat.report.html import Part, heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.severity import severity_cell
from qanat.report.shape import Key, Shape, rows_of
from qanat.run.checked import LastCheck
from qanat.run.results import FirstRows, QueryRows
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, printable, size, utc

COLUMN = Shape(
    "Column",
    Field,
    ("name", Key("type", of=str, make=lambda field: str(field.type)), "nullable", "comment"),
    "A column. `type` is its SQL name, such as `bigint` or `array<string>`.",
)
_ROWS = Key(
    "rows", of=list[dict[str, Any]], make=lambda first: rows_of(first.schema.names, first.rows)
)
TABLE = Shape(
    "TableDocument",
    FirstRows,
    (
        *(VERSION_KEY, "dataset", "kind", "folder"),
        Key("table_version", "version"),
        Key("columns", "schema.fields"),
        *("partition_by", "comment", "total", "bytes", "files", _ROWS),
        Key("environment", of=str | None, make=lambda first: first.environment or None),
        "checks",
    ),
    "The first rows of a table, each an object by column name.\n\n"
    "`table_version` is the version looked at, `total` its number of rows (null where the table\n"
    "does not know it), `folder` where it lies. Values are JSON's where JSON has them; decimals\n"
    "are text with all their digits, times ISO 8601, binary base64, NaN and infinities the text\n"
    "`NaN`, `Infinity` and `-Infinity`. `environment` is the one whose table it is, if `from`\n"
    "makes it another one's.",
)
CHECK = Shape(
    "DeclaredCheck",
    LastCheck,
    (
        *("rule", "text", "action", "severity", "tolerance", "last"),
        Key("at", of=str | None, make=lambda c: None if c.at is None else moment(c.at)),
    ),
    "An expectation of a dataset. `last` is what it found in the newest epoch that looked, which\n"
    "ended `at`; null if none has.",
)
QUERY = Shape(
    "QueryDocument",
    QueryRows,
    (VERSION_KEY, Key("columns", "schema.fields"), _ROWS, "complete"),
    "The rows that a query gives, each an object by column name, their values as in\n"
    "`TableDocument`. `complete` is false where `--limit` has left some out.",
)
PARTS = (COLUMN, CHECK)

_SCHEMA_HEADERS = ("Column", "Type", "Nullable", "Comment")
_CHECK_HEADERS = ("Check", "Last result", "Action", "Severity", "Tolerated", "At", "Rule")


def title(first: FirstRows, layout: Layout = PLAIN) -> str:
    """What is known of a table, on one line; its comment below."""
    head = layout.paint(printable(first.dataset), "bold") + f": {_facts(first)}"
    return f"{head}\n{printable(first.comment)}" if first.comment else head


def _facts(first: FirstRows) -> str:
    parts = [printable(first.kind), f"version {first.version}"]
    if first.environment:
        parts.append(f"from {printable(first.environment)}")
    if first.total is not None:
        parts.append(count(first.total, "row"))
    parts += [count(first.files, "file"), size(first.bytes)]
    if first.partition_by:
        parts.append("partitioned by " + printable(", ".join(first.partition_by)))
    return ", ".join(parts)


def shown(first: FirstRows, where: str | None = None) -> str:
    """How many rows there are below the title, and of how many."""
    rows = len(first.rows)
    if where is not None:
        return f"{count(rows, 'row')} where {printable(where)}"
    if first.total is None or first.total == rows:
        return count(rows, "row")
    return f"{rows:,} of {count(first.total, 'row')}"


def table_text(first: FirstRows, where: str | None = None, layout: Layout = PLAIN) -> str:
    """A table's title and rows.

    Args:
        where: the condition by which the rows were chosen.
    """
    body = rows_text(first.schema, first.rows, layout)
    return f"{title(first, layout)}\n\n{body}\n\n{shown(first, where)}"


def schema_text(first: FirstRows, layout: Layout = PLAIN, dialect: str = DUCKDB.name) -> str:
    """A table's title, columns and checks.

    Args:
        dialect: in which types are written.
    """
    lines = grid(_SCHEMA_HEADERS, _columns(first.schema, dialect), layout)
    if first.checks:
        checks = [_check(c) for c in first.checks]
        lines += ["", *grid(_CHECK_HEADERS, checks, layout, spare=("At", "Tolerated"))]
    return "\n".join([title(first, layout), "", *lines])


def _check(check: LastCheck) -> list[Value]:
    severity = check.severity if check.last is None else severity_cell(check.last)
    tolerated = check.tolerance or ""
    last, at = _found(check.last), "" if check.at is None else utc(check.at)
    return [check.rule, last, check.action, severity, tolerated, at, check.text]


def _found(last: RuleCount | None) -> Cell:
    """What a rule found last, in few words."""
    if last is None:
        return Cell("not checked yet", "dim")
    if not last.violations:
        return Cell("holds", "green")
    word = "violated" if last.broken else "tolerated"
    rows = f" by {count(last.violations, 'row')}" if last.of_rows else ""
    return Cell(f"{word}{rows}", "red" if last.broken else "yellow")


def query_text(rows: QueryRows, layout: Layout = PLAIN) -> str:
    """What a query gives."""
    more = "" if rows.complete else "; there are more: raise --limit"
    body = rows_text(rows.schema, rows.rows, layout)
    return f"{body}\n\n{count(len(rows.rows), 'row')}{more}"


def rows_text(schema: Schema, rows: Sequence[Sequence[Any]], layout: Layout = PLAIN) -> str:
    """Rows, aligned; numbers to the right."""
    return "\n".join(grid(schema.names, _cells(rows), layout))


def table_html(first: FirstRows) -> str:
    """A table for a notebook."""
    parts: list[Part] = [heading(first.dataset, remark=_facts(first))]
    if first.comment:
        parts.append(heading("", remark=first.comment))
    parts.append(table(first.schema.names, _cells(first.rows)))
    return page(*parts, heading("", remark=shown(first)))


def rows_html(rows: QueryRows) -> str:
    """What a query gives, for a notebook."""
    more = "" if rows.complete else " shown; there are more"
    note = heading("", remark=count(len(rows.rows), "row") + more)
    return page(table(rows.schema.names, _cells(rows.rows)), note)


def _columns(schema: Schema, dialect: str) -> list[list[Value]]:
    return [
        [f.name, sql_type(f.type, dialect), "yes" if f.nullable else "no", f.comment or ""]
        for f in schema.fields
    ]


def _cells(rows: Sequence[Sequence[Any]]) -> list[list[Value]]:
    return [[value_cell(value) for value in row] for row in rows]


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
        case datetime() if value.tzinfo is not None:
            return Cell(value.astimezone(UTC).isoformat(sep=" ").replace("+00:00", "Z"))
        case datetime():
            return Cell(value.isoformat(sep=" "))
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
