"""Tests in dbt's `schema.yml`: the generic ones, those of dbt_utils and of dbt_expectations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.declare.imports.gx import expected
from qanat.declare.imports.reading import Imported, Make, listed, made, share, text
from qanat.model.name import same

_TESTS = ("data_tests", "tests")
_REF = re.compile(r"\s*(?:\{\{)?\s*(?:ref|source)\s*\(\s*(.+?)\s*\)\s*(?:\}\})?\s*", re.DOTALL)
_LIMIT = re.compile(r"\s*>\s*(\d+)\s*")
_CONFIG = (*("name", "description", "config", "severity", "where", "tags", "meta"), "enabled")
_MORE = ("error_if", "warn_if", "limit", "store_failures", "fail_calc")


def read_dbt(document: Entry, dataset: str | None) -> Imported:
    """The checks of a file of properties; its models and sources keep their names."""
    del dataset
    found = Imported()
    models = [m for key in ("models", "seeds", "snapshots") for m in listed(document, key)]
    models += [t for source in listed(document, "sources") for t in listed(source, "tables")]
    for model in models:
        name = text(model, "name") or ""
        for test in listed(model, *_TESTS):
            _add(found, name, None, test)
        for column in listed(model, "columns"):
            for test in listed(column, *_TESTS):
                _add(found, name, text(column, "name"), test)
    return found


def _add(found: Imported, dataset: str, column: str | None, test: Entry) -> None:
    name, given = _named(test)
    config = {**given, **(given.get("config") or {})}
    arguments = {**given, **(given.get("arguments") or {})}
    plain = {k: v for k, v in arguments.items() if k not in (*_CONFIG, *_MORE, "arguments")}
    of = f" of {dataset}.{column}" if column else f" of {dataset}"
    check = _check(name, column, plain)
    if check is None:
        found.note(f"{name}{of}", "no check means the same", test.at)
        return
    for key in ("fail_calc", "warn_if"):
        if config.get(key) is not None:
            found.note(f"{key} of {name}{of}", "no check has it", test.at)
    found.add(dataset, check.having(**dict(_said(config, check))))


def _named(test: Entry) -> tuple[str, dict[str, Any]]:
    if not isinstance(test.value, dict):
        return str(test.text), {}
    plain: dict[str, Any] = test.plain
    if "test_name" in plain:  # the long form of dbt
        return str(plain.pop("test_name")), plain
    name = next((key for key in plain if key not in _CONFIG), "")
    inner = plain.get(name)
    more = {key: value for key, value in plain.items() if key != name}
    return name, {**more, **(inner if isinstance(inner, dict) else {})}


def _said(config: Mapping[str, Any], check: Check) -> Iterator[tuple[str, Any]]:
    soft = same(str(config.get("severity", "error")), "warn")
    yield "action", "warn" if soft else "fail"
    yield "name", config.get("name") or check.get("name")
    yield "comment", config.get("description")
    yield "where", config.get("where")
    tags = config.get("tags")
    yield "tags", [tags] if isinstance(tags, str) else tags
    limit = _LIMIT.fullmatch(str(config.get("error_if", "")))
    yield "tolerate", f"{limit[1]} rows" if limit else check.get("tolerate")


def _check(name: str, column: str | None, given: Mapping[str, Any]) -> Check | None:
    package, _, test = name.rpartition(".")
    arguments = {"column": column or given.get("column_name"), **given}
    try:
        if package == "dbt_expectations":
            return expected(test.lower(), arguments)
        make = _KNOWN.get(name)
        return None if make is None else make(arguments)
    except (KeyError, TypeError, ValueError):
        return None  # an argument is missing, or is a template


def _reference(given: Mapping[str, Any]) -> Check:
    found = _REF.fullmatch(str(given["to"]))
    name = found[1].split(",")[-1].strip().strip("'\"") if found else str(given["to"])
    return made("references", columns=[given["column"]], dataset=name, target=[given["field"]])


def _range(given: Mapping[str, Any]) -> Check | None:
    bounds = {"min": given.get("min_value"), "max": given.get("max_value")}
    if any(isinstance(value, str) and "{" in value for value in bounds.values()):
        return None
    strict = None if given.get("inclusive", True) else True
    return made("between", null=True, column=given["column"], **bounds, strict=strict)


def _expression(given: Mapping[str, Any]) -> Check:
    column, written = given["column"], str(given["expression"])
    words = re.sub(r"\W+", "_", written).strip("_").lower()[:40]
    name = "_".join(filter(None, (column, words)))
    whole = f"{column} {written}" if column else written
    return made("sql", null=True, condition=whole).named(name)


def _recent(given: Mapping[str, Any]) -> Check:
    within = f"{int(given['interval'])} {given['datepart']}s"
    return made("fresh", column=given["field"], within=within)


def _proportion(given: Mapping[str, Any]) -> Check:
    check = made("not_null", columns=[given["column"]])
    return check.having(tolerate=share(float(given["at_least"])))


_KNOWN: Mapping[str, Make] = {
    "not_null": lambda g: made("not_null", columns=[g["column"]]),
    "unique": lambda g: made("unique", columns=[g["column"]]),
    "accepted_values": lambda g: made(
        "one_of", null=True, column=g["column"], values=list(g["values"])
    ),
    "relationships": _reference,
    "dbt_utils.accepted_range": _range,
    "dbt_utils.expression_is_true": _expression,
    "dbt_utils.not_accepted_values": lambda g: made(
        "none_of", null=True, column=g["column"], values=list(g["values"])
    ),
    "dbt_utils.not_null_proportion": _proportion,
    "dbt_utils.not_empty_string": lambda g: made("length", null=True, column=g["column"], min=1),
    "dbt_utils.not_constant": lambda g: made("distinct", column=g["column"], min=2),
    "dbt_utils.at_least_one": lambda g: made("distinct", column=g["column"], min=1),
    "dbt_utils.unique_combination_of_columns": lambda g: made(
        "unique", columns=list(g["combination_of_columns"])
    ),
    "dbt_utils.recency": _recent,
}
"""By name of a test, the check that it is."""
