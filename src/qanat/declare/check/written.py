"""Writes checks as YAML: files of checks, and contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from qanat.declare.check.kinds import KINDS
from qanat.declare.check.making import SAID
from qanat.declare.check.recognised import check_of
from qanat.declare.check.value import Check
from qanat.model.expectation import Action, Expectation, Nulls, Severity
from qanat.model.name import Name, fold
from qanat.model.pipeline import Dataset
from qanat.model.schema import Array, DataType, Decimal, Field, MapType, Schema, Struct

_LOGICAL = {
    **dict.fromkeys(("byte", "short", "integer", "long"), "integer"),
    **dict.fromkeys(("float", "double"), "number"),
    **dict.fromkeys(("timestamp", "timestamp_ntz"), "timestamp"),
    **dict.fromkeys(("string", "binary"), "string"),
}


def checks_text(found: Mapping[str, Sequence[Check]]) -> str:
    """A file of checks.

    Args:
        found: checks by the names of their datasets.
    """
    groups = [{"dataset": k, "checks": [mapping(c) for c in v]} for k, v in found.items() if v]
    return dumped({"checks": groups})


def mapping(check: Check) -> dict[str, Any]:
    """A check as a file of checks has it."""
    given = {name: _plain(value) for name, value in check.arguments}
    short = KINDS[check.kind].short
    value: Any = given
    if short is not None and list(given) == [short]:
        value = given[short]
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
    said = {key: _plain(check.get(key)) for key in SAID if check.get(key) is not None}
    return {check.kind: value, **said}


def contract_text(dataset: Dataset, schema: Schema, version: str, dialect: str) -> str:
    """A contract of the Open Data Contract Standard for a dataset as it is declared.

    Args:
        schema: its columns.
        version: of the contract.
        dialect: of the project.
    """
    keys = [fold(key) for key in dataset.keys]
    properties = {f.name: _property(f, keys) for f in schema.fields}
    quality: list[dict[str, Any]] = []
    for each in dataset.expectations:
        if each.name != "contract_columns":
            column, rule = _quality(each, dialect)
            home = properties.get(column or "")
            (quality if home is None else home.setdefault("quality", [])).append(rule)
    table: dict[str, Any] = {"name": dataset.name, "physicalType": "table"}
    if dataset.comment:
        table["description"] = dataset.comment
    if dataset.tags:
        table["tags"] = [*dataset.tags]
    table["properties"] = [*properties.values()]
    if quality:
        table["quality"] = quality
    return dumped(
        {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": dataset.name,
            "name": dataset.name,
            "version": version,
            "status": "active",
            "schema": [table],
        }
    )


def _property(field: Field, keys: Sequence[Name]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": field.name,
        "logicalType": _logical(field.type),
        "physicalType": str(field.type).upper(),
    }
    if field.comment:
        found["description"] = field.comment
    if fold(field.name) in keys:
        found |= {"primaryKey": True, "primaryKeyPosition": keys.index(fold(field.name)) + 1}
    return found


def _logical(kind: DataType) -> str:
    if isinstance(kind, Decimal):
        return "number"
    if isinstance(kind, Struct | MapType):
        return "object"
    if isinstance(kind, Array):
        return "array"
    return _LOGICAL.get(kind.name, kind.name)


def _quality(expectation: Expectation, dialect: str) -> tuple[str | None, dict[str, Any]]:
    """The column that a rule is about, and the rule as an element of `quality`."""
    check = check_of(expectation)
    found: dict[str, Any] = {"name": expectation.name}
    column, standard = _standard(check, expectation)
    if standard is None:
        # The standard has no words for it: other tools leave it out, Qanat reads it as it is.
        return None, found | {
            "type": "custom",
            "engine": "qanat",
            "implementation": mapping(check.having(action=str(expectation.action))),
        }
    found |= standard
    if expectation.comment:
        found["description"] = expectation.comment
    if expectation.dimension:
        found["dimension"] = str(expectation.dimension)
    found["severity"] = str(expectation.severity)
    if expectation.tags:
        found["tags"] = list(expectation.tags)
    said: dict[str, Any] = {}
    # A rule of a low severity would only warn, if it did not say otherwise.
    if expectation.action is not Action.FAIL or expectation.severity is Severity.LOW:
        said["action"] = str(expectation.action)
    if expectation.owner:
        said["owner"] = expectation.owner
    if expectation.tolerance is not None:
        said["tolerate"] = str(expectation.tolerance)
    if said:
        found["customProperties"] = [
            {"property": f"qanat.{key}", "value": value} for key, value in said.items()
        ]
    del dialect
    return column, found


def _standard(check: Check, expectation: Expectation) -> tuple[str | None, dict[str, Any] | None]:
    """A check by a metric of the standard's library, or by SQL; None if that says less."""
    if expectation.where is not None:
        return None, None
    passes = expectation.nulls is Nulls.PASS
    most = _most(expectation)
    columns = check.argument("columns") or [check.argument("column")]
    one = columns[0] if len(columns) == 1 else None
    metric: dict[str, Any] | None = None
    if check.kind == "not_null" and one and not passes:
        metric = {"metric": "nullValues", **most}
    elif check.kind == "one_of" and passes:
        values = {"validValues": list(check.argument("values"))}
        metric = {"metric": "invalidValues", "arguments": values, **most}
    elif check.kind == "matches" and passes:
        pattern = {"pattern": check.argument("pattern")}
        metric = {"metric": "invalidValues", "arguments": pattern, **most}
    elif check.kind == "unique" and not passes:
        named = {} if one else {"arguments": {"properties": list(columns)}}
        metric = {"metric": "duplicateValues", **named, **most}
    elif check.kind == "row_count" and check.argument("of") is None:
        metric = {"metric": "rowCount", **_rows(check)}
    if metric is not None:
        return one if check.kind != "row_count" else None, {"type": "library", **metric}
    if check.kind == "sql" and expectation.rule.level == "row" and not expectation.tolerance:
        broken = "NOT ({})" if passes else "({}) IS NOT TRUE"
        query = f"SELECT COUNT(*) FROM ${{object}} WHERE {broken.format(expectation.rule)}"
        return None, {"type": "sql", "query": query, "mustBe": 0}
    return None, None


def _most(expectation: Expectation) -> dict[str, Any]:
    tolerance = expectation.tolerance
    if tolerance is None:
        return {"mustBe": 0}
    if tolerance.share is not None:
        return {"mustBeLessOrEqualTo": float(f"{tolerance.share * 100:g}"), "unit": "percent"}
    return {"mustBeLessOrEqualTo": tolerance.rows}


def _rows(check: Check) -> dict[str, Any]:
    low, high = check.argument("min"), check.argument("max")
    if low is not None and high is not None and low != high:
        return {"mustBeBetween": [low, high]}
    if low is not None and high is not None:
        return {"mustBe": low}
    operator = "mustBeGreaterOrEqualTo" if high is None else "mustBeLessOrEqualTo"
    return {operator: low if high is None else high}


def dumped(content: Any) -> str:
    """YAML in the order of its keys."""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=99)
    return str(text)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
