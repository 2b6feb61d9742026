"""Validates contracts against the schema that the Open Data Contract Standard publishes.

The schema comes with the package `open-data-contract-standard`, which its keepers publish with
each version of the standard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module, resources
from typing import Any

from qanat.declare.document import Entry
from qanat.errors import (
    Location,
    QanatError,
    SpecError,
    UnsupportedError,
    check_installed,
    nearest,
)

_PACKAGE = "open_data_contract_standard"
_UNKNOWN = ("additionalProperties", "unevaluatedProperties")


def check_contract(document: Entry) -> Iterator[QanatError]:
    """An error for each place of a contract that the standard does not allow.

    Raises:
        MissingExtraError: the packages that know the standard are not installed.
        UnsupportedError: the contract is of version 2.
    """
    check_installed("a data contract", (_PACKAGE, "jsonschema"), "contracts", document.at)
    version = field(document, "apiVersion")
    if version is not None and str(version.text).startswith("v2"):
        raise UnsupportedError(
            f"contracts of version {version.text} are not supported",
            location=version.at,
            wanted="apiVersion: v3.0.0 or later",
        )
    found = _validator().iter_errors(document.plain)
    told = [each for error in found for each in _told(error, document)]
    # A misspelt key makes its whole element wrong in many ways: then it is the only one told.
    misspelt = [each for each in told if each.nearest is not None]
    seen = set[Location | None]()
    for each in misspelt or told:
        if each.location not in seen:
            seen.add(each.location)
            yield each


def field(entry: Entry | None, name: str) -> Entry | None:
    """The value of a key; None if there is none, or it is empty."""
    found = entry.value.get(name) if entry and isinstance(entry.value, dict) else None
    return None if found is None or found.value is None else found


def items(entry: Entry | None, name: str) -> list[Entry]:
    """The elements of a list under a key; none if there is none."""
    found = field(entry, name)
    return found.value if found is not None and isinstance(found.value, list) else []


@cache
def _validator() -> Any:
    text = resources.files(_PACKAGE).joinpath("schema.json").read_text("utf-8")
    # Imported only here: only projects with contracts need it.
    return import_module("jsonschema").Draft201909Validator(json.loads(text))


def _told(error: Any, document: Entry) -> Iterator[QanatError]:
    """One error of the validator in our words; those that say where it lies deeper, instead."""
    if error.validator in ("anyOf", "oneOf", "allOf") and error.context:
        # All alternatives fail: the one that came furthest is what the author meant.
        deepest = max(error.context, key=lambda e: len(e.absolute_path))
        if len(deepest.absolute_path) > len(error.absolute_path):
            yield from _told(deepest, document)
            return
    at, entry = _found(error, document)
    if error.validator in _UNKNOWN and isinstance(error.instance, dict):
        known = _keys_near(error.schema)
        wrong = [
            key for key in error.instance if f"'{key}'" in error.message and key not in _all_keys()
        ]
        for key in wrong:
            place = entry.value[key].key_at if isinstance(entry.value, dict) else at
            near = nearest(key, known)
            yield SpecError(f"the standard has no key {key!r} here", location=place, nearest=near)
        if wrong:
            return
    yield SpecError(f"not as the standard has it: {_short(error.message)}", location=at)


def _short(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:70]} … {message[-70:]}"


def _found(error: Any, document: Entry) -> tuple[Location, Entry]:
    entry = document
    for step in error.absolute_path:
        inner = entry.value
        if (isinstance(inner, dict) and step in inner) or isinstance(inner, list):
            entry = inner[step]
    return entry.at, entry


@cache
def _all_keys() -> tuple[str, ...]:
    found: dict[str, None] = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            inner = node.get("properties")
            if isinstance(inner, dict):
                found.update(dict.fromkeys(inner))
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(_validator().schema)
    return tuple(found)


def _keys_near(schema: Any) -> tuple[str, ...]:
    """The keys that a part of the schema knows by itself; else all keys of the standard."""
    own = tuple(schema.get("properties", ())) if isinstance(schema, dict) else ()
    return own if schema.get("additionalProperties") is False else _all_keys()
