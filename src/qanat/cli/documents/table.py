"""The documents of `qanat show`, `profile` and `quarantine`."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, TypedDict

from qanat.cli.documents import VERSION
from qanat.run.results import QuarantineSummary, ReplayResult, TableView


class ColumnDocument(TypedDict):
    """A column. `type` is its SQL name, such as `bigint` or `array<string>`."""

    name: str
    type: str
    nullable: bool
    comment: str | None


class TableDocument(TypedDict):
    """The first rows of a table, each an object by column name.

    `table_version` is the version looked at, `total` its number of rows (null where the table
    does not know it), `folder` where it lies. Values are JSON's where JSON has them; decimals
    are text with all their digits, times ISO 8601, binary base64, NaN and infinities the text
    `NaN`, `Infinity` and `-Infinity`.
    """

    version: int
    dataset: str
    kind: str
    folder: str
    table_version: int
    columns: list[ColumnDocument]
    partition_by: list[str]
    comment: str | None
    total: int | None
    bytes: int
    files: int
    rows: list[dict[str, Any]]


class QuarantineEntry(TypedDict):
    """Rows of one dataset in quarantine; by rule, where a row may have broken several."""

    dataset: str
    rows: int
    rules: dict[str, int]


class QuarantineListDocument(TypedDict):
    """The datasets that have rows in quarantine."""

    version: int
    datasets: list[QuarantineEntry]


class ReplayEntry(TypedDict):
    """One dataset's replay: rows examined = replayed into the table + remaining."""

    dataset: str
    examined: int
    replayed: int
    remaining: int
    version: int | None


class ReplayDocument(TypedDict):
    """What a replay did."""

    version: int
    datasets: list[ReplayEntry]


def table_document(view: TableView) -> TableDocument:
    """The document of a table's rows."""
    names = view.schema.names
    return {
        "version": VERSION,
        "dataset": view.dataset,
        "kind": view.kind,
        "folder": view.folder,
        "table_version": view.version,
        "columns": [
            {
                "name": f.name,
                "type": str(f.type),
                "nullable": f.nullable,
                "comment": f.comment,
            }
            for f in view.schema.fields
        ],
        "partition_by": list(view.partition_by),
        "comment": view.comment,
        "total": view.total,
        "bytes": view.bytes,
        "files": view.files,
        "rows": [{n: plain(v) for n, v in zip(names, row, strict=True)} for row in view.rows],
    }


def quarantine_document(summaries: Sequence[QuarantineSummary]) -> QuarantineListDocument:
    """The document of `qanat quarantine list`."""
    return {
        "version": VERSION,
        "datasets": [
            {"dataset": s.dataset, "rows": s.rows, "rules": dict(s.rules)} for s in summaries
        ],
    }


def replay_document(results: Sequence[ReplayResult]) -> ReplayDocument:
    """The document of `qanat quarantine replay`."""
    return {
        "version": VERSION,
        "datasets": [
            {
                "dataset": r.dataset,
                "examined": r.examined,
                "replayed": r.replayed,
                "remaining": r.remaining,
                "version": r.version,
            }
            for r in results
        ],
    }


def plain(value: Any) -> Any:
    """A value of a row as JSON has it.

    >>> plain(float("nan")), plain(b"\\x00\\xff"), plain({"day": date(2013, 1, 1)})
    ('NaN', 'AP8=', {'day': '2013-01-01'})
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case float():
            return value
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():  # a datetime without time zone is a date as well
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return b64encode(bytes(value)).decode("ascii")
        case Mapping():
            return {str(plain(k)): plain(v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(v) for v in value]
    return str(value)
