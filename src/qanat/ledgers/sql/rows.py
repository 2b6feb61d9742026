"""Records of the ledger as the rows of its tables, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from typing import Any

from qanat.ledgers.sql.database import Row, Transaction
from qanat.model.record import (
    Epoch,
    EpochStatus,
    FileRef,
    QuarantineMark,
    Range,
    UpdateRecord,
    UpdateStatus,
)
from qanat.model.schema import Schema
from qanat.model.staged import ColumnMetrics, Counts, RuleCount

UPDATE_COLUMNS = "id, environment, command, started, ended, status, error, leaves, origin"

EPOCH_COLUMNS = (
    "id, flow, dataset, number, update_id, generation, replaces, ranges, fingerprint, status,"
    " started, ended, version, counts, rules, source_schemas, bytes_written, error, columns"
)

FILE_COLUMNS = "path, size, modified_ns, digest"


def epoch_from_row(row: Row, files: Mapping[str, tuple[FileRef, ...]]) -> Epoch:
    """The epoch of a row.

    Args:
        row: the values of `EPOCH_COLUMNS`.
        files: the files of its ranges, by source; the ranges of absent sources stay empty.
    """
    counts, rules, schemas = row[13:16]
    return Epoch(
        id=row[0],
        flow=row[1],
        dataset=row[2],
        number=row[3],
        update=row[4],
        generation=row[5],
        replaces=bool(row[6]),
        ranges=_ranges(json.loads(row[7]), files),
        fingerprint=row[8],
        status=EpochStatus(row[9]),
        started=row[10],
        ended=row[11],
        version=row[12],
        counts=None if counts is None else Counts(**json.loads(counts)),
        rules=tuple(RuleCount(*rule) for rule in json.loads(rules)),
        source_schemas={k: schema_from_text(v) for k, v in json.loads(schemas).items()},
        bytes_written=row[16],
        error=row[17],
        columns={} if row[18] is None else columns_of(json.loads(row[18])),
    )


def ranges_to_text(ranges: Mapping[str, Range]) -> str:
    """Ranges as JSON, without the files of file ranges: those have rows of their own."""
    return json.dumps({k: {"value": r.value, "moves": r.positioned} for k, r in ranges.items()})


def file_rows(scope: str, epoch: int, ranges: Mapping[str, Range]) -> Iterator[Row]:
    """The rows of `qanat_epoch_files`: one for each file of each file range."""
    for source, range_ in ranges.items():
        for n, file in enumerate(range_.files):
            yield (scope, epoch, source, n, *_file_values(file))


def digest_rows(scope: str, epoch: int, ranges: Mapping[str, Range]) -> Iterator[Row]:
    """The digest of each file that has one, followed by the key of the file's row."""
    for *place, _path, _size, _modified, digest in file_rows(scope, epoch, ranges):
        if digest is not None:
            yield (digest, *place)


def files_of(transaction: Transaction, scope: str, epoch: int) -> dict[str, tuple[FileRef, ...]]:
    """The files of an epoch, by source, in the order of the range."""
    found: dict[str, list[FileRef]] = {}
    for source, *values in transaction.read(
        f"SELECT source, {FILE_COLUMNS} FROM qanat_epoch_files"
        " WHERE scope = ? AND epoch_id = ? ORDER BY source, ordinal",
        (scope, epoch),
    ):
        found.setdefault(source, []).append(FileRef(*values))
    return {source: tuple(files) for source, files in found.items()}


def counts_to_text(counts: Counts | None) -> str | None:
    """Counts as JSON."""
    return None if counts is None else json.dumps(vars(counts))


def rules_to_text(rules: tuple[RuleCount, ...]) -> str:
    """The counts of violations as JSON."""
    return json.dumps(rules_as_json(rules))


def rules_as_json(rules: tuple[RuleCount, ...]) -> list[list[Any]]:
    """The counts of violations as JSON has them: the fields of each up to the last that counts."""
    return [_up_to_defaults(list(astuple(rule))) for rule in rules]


def _up_to_defaults(values: list[Any]) -> list[Any]:
    last = max(n for n, (v, d) in enumerate(zip(values, _RULE_DEFAULTS, strict=True)) if v != d)
    return values[: last + 1]


_RULE_DEFAULTS = tuple(f.default for f in fields(RuleCount))


def columns_to_text(columns: Mapping[str, ColumnMetrics]) -> str | None:
    """The metrics of columns as JSON; None if there are none."""
    return json.dumps(columns_as_json(columns)) if columns else None


def columns_as_json(columns: Mapping[str, ColumnMetrics]) -> dict[str, list[Any]]:
    """The metrics of columns as JSON has them, by name."""
    return {name: [c.rows, c.nulls, c.low, c.high] for name, c in columns.items()}


def columns_of(value: Mapping[str, Any]) -> dict[str, ColumnMetrics]:
    """What `columns_as_json` was made of."""
    return {name: ColumnMetrics(*values) for name, values in value.items()}


def schemas_to_text(schemas: Mapping[str, Schema]) -> str:
    """The columns of several sources as JSON, by source."""
    return json.dumps({name: schema_to_text(schema) for name, schema in schemas.items()})


def schema_to_text(schema: Schema) -> str:
    """Columns as JSON, in Delta's form."""
    return json.dumps(schema.to_json())


def schema_from_text(text: str) -> Schema:
    """Read what `schema_to_text` wrote."""
    return Schema.from_json(json.loads(text))


def position_to_text(value: Mapping[str, Any]) -> str:
    """A position, which only its connector opens, as JSON."""
    return json.dumps(value)


def mark_from_text(text: str) -> QuarantineMark:
    """Read what `position_to_text` wrote of a quarantine.

    Earlier ledgers hold a range of epochs, which is empty where the quarantine was emptied.
    """
    found = json.loads(text)
    if "number" in found:
        return QuarantineMark(**found)
    return QuarantineMark(found["upto"], emptied=found["after"] == found["upto"])


def position_from_text(text: str) -> Mapping[str, Any]:
    """Read what `position_to_text` wrote."""
    found: Mapping[str, Any] = json.loads(text)
    return found


def _ranges(
    values: Mapping[str, Any], files: Mapping[str, tuple[FileRef, ...]]
) -> dict[str, Range]:
    found = {}
    for source, value in values.items():
        # Ledgers from before connectors owned their ranges hold the value alone, with its kind.
        inner = value.get("value", value)
        positioned = value.get("moves", value.get("kind") == "table")
        found[source] = Range(inner, files.get(source, ()), positioned)
    return found


def _file_values(file: FileRef) -> Row:
    return (file.path, file.size, file.modified_ns, file.digest)


def update_from_row(row: Row) -> UpdateRecord:
    """The update of a row: the values of `UPDATE_COLUMNS`."""
    id, environment, command, started, ended, status, error, leaves, origin = row
    known = None if leaves is None else tuple(json.loads(leaves))
    return UpdateRecord(
        id, environment, command, started, ended, UpdateStatus(status), error, known, origin
    )


def update_row(update: UpdateRecord) -> Row:
    """The values of `UPDATE_COLUMNS`."""
    leaves = None if update.leaves is None else json.dumps(update.leaves)
    times = (update.started, update.ended)
    return (
        update.id,
        update.environment,
        update.command,
        *times,
        update.status.value,
        update.error,
        leaves,
        update.origin,
    )
