"""Makes expectations of checks: the rule of their kind, and all that was said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from qanat.declare.check.kinds import KINDS, check_in_sql, rule_of
from qanat.declare.check.reading import Arguments, Place
from qanat.declare.check.value import Check
from qanat.declare.cursor import SqlText
from qanat.declare.rules import parse_predicate
from qanat.errors import OptionError, nearest
from qanat.model.expectation import (
    DIMENSION_SYNONYMS,
    Action,
    Dimension,
    Expectation,
    Nulls,
    Severity,
    Tolerance,
    misfit,
)
from qanat.model.limit import LIMIT, parse_limit
from qanat.model.rule import Predicate

SAID = (
    *("name", "action", "where", "nulls", "tolerate"),
    *("severity", "dimension", "owner", "comment", "tags"),
)
"""What can be said of a check beside its rule, in the order to write it."""

E = TypeVar("E", bound=StrEnum)


def expectation_of(check: Check, place: Place, action: Action | None = None) -> Expectation:
    """The expectation that a check makes where it stands.

    Args:
        action: that of a check which says none; default: warn.

    Raises:
        OptionError: an argument, or what is said of it, does not fit; names the nearest.
        SqlSyntaxError, UnsupportedError, TypeNameError: what is SQL in it is wrong.
    """
    known = KINDS.get(check.kind)
    if known is not None:
        _check_names(check.kind, dict(check.arguments), known.parameters, place)
    given, said = Arguments(check.kind, dict(check.arguments), place), dict(check.said)
    name = _text("name", said, place) or default_name(check, place)
    chosen = _word(Action, "action", said, place) or action or Action.WARN
    # Text as behind EXPECT may have clauses of its own.
    base = check_in_sql(given) if check.kind == "sql" else None
    rule = base.rule if base else rule_of(check.kind, given)
    if (reason := misfit(rule, chosen)) is not None:
        raise OptionError(
            reason, location=place.of("action"), wanted=f"{Action.WARN} or {Action.FAIL}"
        )
    base = base or Expectation(name, rule, chosen, place.at)
    told = {
        "where": _where(said, place),
        "nulls": _word(Nulls, "nulls", said, place),
        "tolerance": _tolerance(said.get("tolerate"), place),
        "severity": _word(Severity, "severity", said, place),
        "dimension": _dimension(said, place),
        "owner": _text("owner", said, place),
        "comment": _text("comment", said, place),
        "tags": _tags(said.get("tags")),
    }
    more: dict[str, Any] = {key: value for key, value in told.items() if value}
    return replace(base, name=name, action=chosen, location=place.at, origin=place.origin, **more)


def default_name(check: Check, place: Place) -> str:
    """The name of a check that has none: its columns and its kind.

    Raises:
        OptionError: it has no columns that it could be called after.
    """
    given = dict(check.arguments)
    columns = given.get("column") or given.get("columns") or given.get("keys") or ()
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if check.kind in ("sql", "aggregate"):
        raise OptionError(
            f"a check of the kind {check.kind} needs a name", location=place.at, wanted="name: …"
        )
    if check.kind == "columns":
        return "columns"
    return "_".join(place.filled(str(each), "name") for each in (*names, check.kind))


def _check_names(kind: str, given: Mapping[str, Any], known: Iterable[str], place: Place) -> None:
    for name in given:
        if name not in known:
            raise OptionError(
                f"{kind} has no argument {name!r}",
                location=place.of(name),
                wanted=", ".join(known),
                nearest=nearest(name, known),
            )


def _where(said: Mapping[str, Any], place: Place) -> Predicate | None:
    condition = _text("where", said, place)
    if condition is None:
        return None
    text = SqlText.of_function(condition, place.of("where"))
    tokens = text.tokens(place.dialect)
    return parse_predicate(text, tokens, (0, len(condition)), place.dialect)


def _tolerance(given: object, place: Place) -> Tolerance | None:
    if given is None:
        return None
    try:
        if isinstance(given, bool):
            raise ValueError(LIMIT)
        return parse_limit(place.filled(str(given), "tolerate"))
    except ValueError:
        raise OptionError(
            "tolerate does not fit", location=place.of("tolerate"), wanted=LIMIT, got=repr(given)
        ) from None


def _tags(given: Any) -> tuple[str, ...]:
    words = given.split(",") if isinstance(given, str) else given or ()
    return tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))


def _text(key: str, said: Mapping[str, Any], place: Place) -> str | None:
    given = said.get(key)
    if given is None:
        return None
    if not isinstance(given, str) or not given.strip():
        raise OptionError(
            f"{key} of a check does not fit",
            location=place.of(key),
            wanted="text",
            got=repr(given)[:80],
        )
    return place.filled(given, key)


def _dimension(said: Mapping[str, Any], place: Place) -> Dimension | None:
    given = str(said.get("dimension", "")).strip().lower()
    return DIMENSION_SYNONYMS.get(given) or _word(Dimension, "dimension", said, place)


def _word(words: type[E], key: str, said: Mapping[str, Any], place: Place) -> E | None:
    text = _text(key, said, place)
    if text is None:
        return None
    known = [each.value for each in words]
    if text.lower() not in known:
        raise OptionError(
            f"no {key} {text!r}",
            location=place.of(key),
            wanted=", ".join(known),
            nearest=nearest(text, known),
        )
    return words(text.lower())
