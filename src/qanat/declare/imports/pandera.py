"""Schemas of Pandera, as `schema.to_yaml()` and `schema.to_json()` write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.declare.imports.reading import Imported, listed, made, part, text

_KEYS = (
    *("dtype", "nullable", "unique", "coerce", "required", "regex", "checks", "title"),
    *("description", "default", "metadata", "report_duplicates", "drop_invalid_rows"),
)
"""What a column has beside its checks."""
_BOUNDS: Mapping[str, tuple[str, bool]] = {
    "greater_than": ("min", True),
    "greater_than_or_equal_to": ("min", False),
    "less_than": ("max", True),
    "less_than_or_equal_to": ("max", False),
}


def read_pandera(document: Entry, dataset: str | None) -> Imported:
    """The checks of a schema.

    Args:
        dataset: that they are for; default: the schema's name.
    """
    found = Imported()
    target = dataset or text(document, "name") or "dataset"
    columns = part(document, "columns")
    entries = columns.value if columns is not None and isinstance(columns.value, dict) else {}
    for name, column in entries.items():
        for check in _column(name, column, found):
            found.add(target, check.fail())
    unique = [str(each.text) for each in listed(document, "unique")]
    if unique:
        found.add(target, made("unique", columns=unique).fail())
    for key in ("index", "checks"):
        if (rest := part(document, key)) is not None and rest.value:
            found.note(f"{key} of the schema", "no check means the same", rest.key_at)
    return found


def _column(name: str, column: Entry, found: Imported) -> Iterator[Check]:
    plain = column.plain if isinstance(column.value, dict) else {}
    if plain.get("nullable", False) is False:
        yield made("not_null", columns=[name])
    if plain.get("unique"):
        yield made("unique", columns=[name])
    if plain.get("regex"):
        found.note(f"column {name}", "it is a pattern of names", column.key_at)
        return
    for kind, entry in _checks(column):
        check = _check(kind, name, _value(entry.plain))
        if check is None:
            found.note(f"{kind} of {name}", "no check means the same", entry.key_at)
        else:
            yield check


def _checks(column: Entry) -> list[tuple[str, Entry]]:
    """The checks of a column, which newer versions write among its other keys."""
    fields = column.value if isinstance(column.value, dict) else {}
    found = [(key, each) for key, each in fields.items() if key not in _KEYS]
    checks = part(column, "checks")
    given = checks.value if checks is not None else None
    if isinstance(given, dict):
        found += given.items()
    elif isinstance(given, list):
        found += [_one(each) for each in given]
    return found


def _one(entry: Entry) -> tuple[str, Entry]:
    """A check in a list: a mapping of its name, or one with its name among its options."""
    if isinstance(entry.value, dict):
        name = text(part(entry, "options"), "check_name")
        return (name, entry) if name else next(iter(entry.value.items()))
    return str(entry.text), entry


def _value(plain: Any) -> Any:
    """The argument of a check, which may stand beside its options."""
    if isinstance(plain, dict):
        rest = {k: v for k, v in plain.items() if k != "options"}
        return rest["value"] if set(rest) == {"value"} else rest
    return plain


def _check(kind: str, column: str, value: Any) -> Check | None:
    if kind in _BOUNDS and not isinstance(value, dict):
        bound, strict = _BOUNDS[kind]
        return made("between", null=True, column=column, strict=strict or None, **{bound: value})
    if kind == "equal_to" and not isinstance(value, dict):
        return made("one_of", null=True, column=column, values=[value])
    if kind == "not_equal_to" and not isinstance(value, dict):
        return made("none_of", null=True, column=column, values=[value])
    given = value if isinstance(value, dict) else {}
    if kind == "in_range":
        low, high = given.get("min_value"), given.get("max_value")
        ends = {given.get("include_min", True), given.get("include_max", True)}
        if len(ends) > 1:
            return None
        outside = None if True in ends else True
        return made("between", null=True, column=column, min=low, max=high, strict=outside)
    if kind in ("isin", "notin"):
        listed_ = value if isinstance(value, list) else next(iter(given.values()), None)
        word = "one_of" if kind == "isin" else "none_of"
        return made(word, null=True, column=column, values=listed_) if listed_ else None
    return _of_text(kind, column, value, given)


def _of_text(kind: str, column: str, value: Any, given: Mapping[str, Any]) -> Check | None:
    if kind == "str_length":
        if not given:
            return made("length", null=True, column=column, min=value, max=value)
        low, high = given.get("min_value"), given.get("max_value")
        exact = given.get("exact_value")
        return made(
            "length",
            null=True,
            column=column,
            min=low if exact is None else exact,
            max=high if exact is None else exact,
        )
    pattern = given.get("pattern", value) if not isinstance(value, dict) or given else value
    if not isinstance(pattern, str):
        return None
    # `str_matches` begins at the beginning of a text, as Python's `re.match` does.
    forms = {"str_matches": f"^(?:{pattern})", "str_contains": pattern}
    return (
        made("matches", null=True, column=column, pattern=forms[kind]) if kind in forms else None
    )
