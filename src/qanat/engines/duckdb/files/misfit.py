"""Values that do not fit their column: described in an error text, or rescued as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qanat.engines.duckdb.types import literal, to_duckdb
from qanat.model.schema import Field

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Value:
    """How one visible column is read from a file.

    Args:
        original: SQL for the value as it is in the file; NULL if the file has none.
        json: SQL for the original as JSON text.
        typed: SQL for the value in the column's type; NULL if the original does not fit.
        checked: True if `typed` may be NULL where `original` is not.
    """

    original: str
    json: str
    typed: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A column whose values may not fit.

    Args:
        field: the column.
        value: how it is read.
        result: SQL for the typed value, once it has been computed.
    """

    field: Field
    value: Value
    result: str

    @property
    def failed(self) -> str:
        """SQL that is true if the value does not fit; reads the original only where it must."""
        return (
            f"(CASE WHEN {self.result} IS NULL THEN {self.value.original} IS NOT NULL "
            "ELSE false END)"
        )


def typed_columns(
    fields: Sequence[Field], values: Sequence[Value | None]
) -> tuple[list[str], list[Check]]:
    """The columns v0, v1, … of some fields as SQL, and those of them that may not fit.

    Args:
        values: one for each field; None if the files have no such column.
    """
    typed: list[str] = []
    checks: list[Check] = []
    for i, (f, value) in enumerate(zip(fields, values, strict=True)):
        if value is None:
            typed.append(f"CAST(NULL AS {to_duckdb(f.type)}) AS v{i}")
            continue
        typed.append(f"{value.typed} AS v{i}")
        if value.checked:
            checks.append(Check(f, value, f"v{i}"))
    return typed, checks


def failed(checks: Sequence[Check]) -> str:
    """SQL that is true if a value of the row does not fit."""
    return " OR ".join(c.failed for c in checks) or "false"


def error(checks: Sequence[Check]) -> str:
    """SQL for the error text of a row; NULL if every value fits."""
    if not checks:
        return "CAST(NULL AS VARCHAR)"
    texts = ", ".join(
        f"CASE WHEN {c.failed} THEN {literal(f'column {c.field.name!r}: ')} || "
        f"left({c.value.json}, {_SHOWN}) || {literal(f' does not fit {c.field.type}')} END"
        for c in checks
    )
    return f"CASE WHEN {failed(checks)} THEN concat_ws('; ', {texts}) END"


def rescued(checks: Sequence[Check], extras: Sequence[tuple[str, str]], path: str) -> str:
    """SQL for `_rescued_data`: a JSON object, or NULL if there is nothing to rescue.

    Args:
        checks: the columns whose values may not fit.
        extras: the unexpected columns: each name, with SQL for the value as JSON text.
        path: SQL for the path of the file.
    """
    parts = [
        f"CASE WHEN {c.failed} THEN {literal(key(c.field.name))} || {c.value.json} END"
        for c in checks
    ]
    parts += [f"{literal(key(name))} || {json}" for name, json in extras]
    if not parts:
        return "CAST(NULL AS VARCHAR)"
    body = f"nullif(concat_ws(',', {', '.join(parts)}), '')"
    return f"'{{' || {body} || ',\"_file_path\":' || to_json({path}) || '}}'"


def key(name: str) -> str:
    """A name as the key of a JSON object, with the colon behind it.

    >>> key('a"b')
    '"a\\\\"b":'
    """
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 32 else "\\" + c if c in '"\\' else c for c in name
    )
    return f'"{escaped}":'
