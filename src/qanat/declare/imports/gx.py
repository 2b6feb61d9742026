"""Suites of Great Expectations, as JSON: version 1 and the ones before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.declare.imports.filtered import filter_of
from qanat.declare.imports.reading import Imported, Make, listed, made, part, share, text

_SOFT = ("warning", "info")
_PARSERS = (None, "great_expectations", "great_expectations__experimental__", "pandas")
"""The languages of `row_condition` that are known; one there is besides is an engine's own."""


def read_gx(document: Entry, dataset: str | None) -> Imported:
    """The checks of a suite.

    Args:
        dataset: that they are for; default: the suite's name.
    """
    found = Imported()
    target = dataset or text(document, "name", "expectation_suite_name") or "dataset"
    for each in listed(document, "expectations"):
        kind = text(each, "type", "expectation_type") or ""
        given = part(each, "kwargs")
        plain = given.plain if given else {}
        check = expected(kind, plain if isinstance(plain, dict) else {})
        if check is None:
            found.note(kind or "an expectation", "no check means the same", each.at)
            continue
        soft = (text(each, "severity") or "").lower() in _SOFT
        notes = text(part(each, "meta"), "notes") or text(each, "description")
        found.add(target, check.having(action="warn" if soft else "fail", comment=notes))
    return found


def expected(kind: str, given: Mapping[str, Any]) -> Check | None:
    """The check that an expectation is; None if there is none.

    Args:
        kind: its type, such as `expect_column_values_to_not_be_null`.
        given: its arguments.
    """
    make = _EXPECTED.get(kind)
    check = None if make is None else make(given)
    if check is None:
        return None
    if given.get("row_condition"):
        known = given.get("condition_parser") in _PARSERS
        where = filter_of(given["row_condition"]) if known else None
        if where is None or check.kind == "columns":
            return None
        check = check.where(where)
    mostly = given.get("mostly")
    return check if mostly is None else check.having(tolerate=share(float(mostly)))


def _bounds(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"min": given.get("min_value"), "max": given.get("max_value")}


def _between(given: Mapping[str, Any]) -> Check | None:
    low, high = given.get("min_value"), given.get("max_value")
    if low is None and high is None:
        return None
    strict = [bool(given.get(key)) for key in ("strict_min", "strict_max")]
    wanted = [s for s, bound in zip(strict, (low, high), strict=True) if bound is not None]
    if len(set(wanted)) > 1:
        return None
    return made(
        "between", null=True, column=given["column"], **_bounds(given), strict=wanted[0] or None
    )


def _measured(kind: str) -> Make:
    def make(given: Mapping[str, Any]) -> Check | None:
        if not any(value is not None for value in _bounds(given).values()):
            return None
        return made(kind, column=given.get("column"), **_bounds(given))

    return make


def _pair(given: Mapping[str, Any]) -> Check:
    operator = ">=" if given.get("or_equal") else ">"
    mine, theirs = given["column_A"], given["column_B"]
    return made("compare", null=True, column=mine, operator=operator, other=theirs)


def _rows_equal(given: Mapping[str, Any]) -> Check:
    return made("row_count", min=given["value"], max=given["value"])


def _values(kind: str) -> Make:
    return lambda g: made(kind, null=True, column=g["column"], values=g.get("value_set"))


def _lengths_equal(given: Mapping[str, Any]) -> Check:
    return made(
        "length", null=True, column=given["column"], min=given["value"], max=given["value"]
    )


_EXPECTED: Mapping[str, Make] = {
    "expect_column_values_to_not_be_null": lambda g: made("not_null", columns=[g["column"]]),
    "expect_column_values_to_be_unique": lambda g: made("unique", columns=[g["column"]]),
    "expect_compound_columns_to_be_unique": lambda g: made("unique", columns=g["column_list"]),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _values("one_of"),
    "expect_column_values_to_not_be_in_set": _values("none_of"),
    "expect_column_values_to_match_regex": lambda g: made(
        "matches", null=True, column=g["column"], pattern=g["regex"]
    ),
    "expect_column_values_to_not_match_regex": lambda g: made(
        "not_matches", null=True, column=g["column"], pattern=g["regex"]
    ),
    "expect_column_value_lengths_to_be_between": lambda g: made(
        "length", null=True, column=g["column"], **_bounds(g)
    ),
    "expect_column_value_lengths_to_equal": _lengths_equal,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair,
    "expect_column_pair_values_to_be_equal": lambda g: made(
        "compare", null=True, column=g["column_A"], operator="=", other=g["column_B"]
    ),
    "expect_column_values_to_be_increasing": lambda g: made(
        "increasing", column=g["column"], strict=g.get("strictly") or None
    ),
    "expect_column_values_to_be_decreasing": lambda g: made(
        "decreasing", column=g["column"], strict=g.get("strictly") or None
    ),
    "expect_table_row_count_to_be_between": _measured("row_count"),
    "expect_table_row_count_to_equal": _rows_equal,
    "expect_column_mean_to_be_between": _measured("mean"),
    "expect_column_median_to_be_between": _measured("median"),
    "expect_column_stdev_to_be_between": _measured("stddev"),
    "expect_column_sum_to_be_between": _measured("sum"),
    "expect_column_min_to_be_between": _measured("lowest"),
    "expect_column_max_to_be_between": _measured("highest"),
    "expect_column_unique_value_count_to_be_between": _measured("distinct"),
    "expect_column_to_exist": lambda g: made("columns", columns=[g["column"]]).named(
        f"{g['column']}_exists"
    ),
    "expect_table_columns_to_match_ordered_list": lambda g: made(
        "columns", columns=g["column_list"], ordered=True, only=True
    ),
    "expect_table_columns_to_match_set": lambda g: made(
        "columns", columns=g["column_set"], only=g.get("exact_match", True) or None
    ),
}
"""By type of an expectation, the check that it is."""
