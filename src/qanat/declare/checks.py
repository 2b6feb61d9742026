"""Parses checks: a rule and the clauses behind it, as in a constraint of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.registry import Registry
from qanat.declare.rules import begins_rule, parse_predicate, parse_rule
from qanat.errors import Location, OptionError, Problems, SqlSyntaxError, nearest
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
from qanat.model.name import fold

ACTIONS = {
    "DROP ROW": Action.DROP,
    "QUARANTINE ROW": Action.QUARANTINE,
    "FAIL UPDATE": Action.FAIL,
}
"""The actions that ON VIOLATION can name."""
_ENDS = (",", ")")


def parse_check(
    cursor: Cursor,
    name: str,
    location: Location,
    registry: Registry,
    problems: Problems,
    ends: tuple[str, ...] = _ENDS,
) -> Expectation | None:
    """Parse a rule and its clauses, and move the cursor behind them.

    Args:
        cursor: stands behind EXPECT.
        name: the expectation's.
        location: where that stands.
        problems: gains what is wrong with the rule or a value; parsing continues behind it.
        ends: what may stand behind it; none where the text has nothing else, and says nowhere
            what a violation does.

    Returns:
        None if the rule is wrong.

    Raises:
        SqlSyntaxError: a clause is unknown or stands twice.
    """
    rule = None
    before = cursor.index
    with problems.collecting():
        rule = parse_rule(cursor, registry)
    if rule is None:
        cursor.index = before
        cursor.skip_to("ON", *_ENDS)
    found: dict[str, Any] = {}
    seen: set[str] = set()
    where: Location | None = None
    clauses = _CLAUSES if ends else {c: p for c, p in _CLAUSES.items() if p is not _action}
    while cursor.word is not None and not any(map(cursor.sees, ends)):
        at = cursor.here
        clause = cursor.expect(*clauses, *(ends or ("the end of the rule",)))
        if clause in seen:
            raise SqlSyntaxError(f"{clause} is given twice", location=at)
        seen.add(clause)
        if clause == "ON VIOLATION":
            where = cursor.here
        found |= _CLAUSES[clause](cursor, registry, problems)
    if rule is None:
        return None
    made = Expectation(name, rule, found.pop("action", Action.WARN), location)
    made = replace(made, **found)
    with problems.collecting():
        check_action(made, where)
    return made


def check_action(expectation: Expectation, where: Location | None = None) -> None:
    """See that what an expectation does fits its rule.

    Raises:
        OptionError: it does not.
    """
    reason = misfit(expectation.rule, expectation.action)
    if reason is not None:
        raise OptionError(
            reason,
            location=where or expectation.location,
            wanted="FAIL UPDATE, or no ON VIOLATION: then it only warns",
        )


def check_of_text(
    text: SqlText, name: str, action: Action, location: Location, registry: Registry
) -> Expectation:
    """The check in a text that is no statement, such as a decorator's argument.

    It is a bare condition, or what may stand behind EXPECT, but for ON VIOLATION.

    Raises:
        SqlSyntaxError, UnsupportedError, OptionError, ProblemsError: it is none.
    """
    tokens = text.tokens(registry.project.dialect)
    cursor = Cursor(text, tokens)
    if not begins_rule(cursor):
        rule = parse_predicate(text, tokens, (0, len(text.text)), registry.project.dialect)
        return Expectation(name, rule, action, location)
    problems = Problems()
    made = parse_check(cursor, name, location, registry, problems, ends=())
    problems.require()
    if made is None:
        raise SqlSyntaxError("no rule", location=location)
    made = replace(made, action=action)
    check_action(made)
    return made


# -- the clauses ------------------------------------------------------------------------------


def _where(cursor: Cursor, registry: Registry, problems: Problems) -> dict[str, Any]:
    extent, dialect = cursor.inside(), registry.project.dialect
    with problems.collecting():
        return {"where": parse_predicate(cursor.sql, cursor.tokens, extent, dialect)}
    return {}


def _nulls(cursor: Cursor, registry: Registry, problems: Problems) -> dict[str, Any]:
    del cursor, registry, problems
    return {"nulls": Nulls.PASS}


def _tolerate(cursor: Cursor, registry: Registry, problems: Problems) -> dict[str, Any]:
    del registry
    at, first = cursor.here, cursor.word
    start = first.start if first else cursor.end
    end = cursor.skip_to("WHERE", "NULLS", "WITH", "ON", *_ENDS)
    with problems.collecting():
        return {"tolerance": parse_tolerance(cursor.sql.text[start:end].strip(), at)}
    return {}


def parse_tolerance(text: str, location: Location) -> Tolerance:
    """The tolerance that a text means.

    Raises:
        OptionError: it means none.
    """
    try:
        return parse_limit(text)
    except ValueError:
        raise OptionError(
            "TOLERATE does not fit", location=location, wanted=LIMIT, got=repr(text)
        ) from None


def _with(cursor: Cursor, registry: Registry, problems: Problems) -> dict[str, Any]:
    """`(key = 'value', …)`."""
    del registry
    found: dict[str, Any] = {}
    cursor.expect("(")
    while True:
        at = cursor.here
        key = cursor.name("severity = 'high'").text
        if not cursor.take("="):
            cursor.expect("=", ",", ")")
        value_at = cursor.here
        value = cursor.string("a value in quotes")
        with problems.collecting():
            if fold(key) in found:
                raise OptionError(f"{key} is given twice", location=at)
            found[fold(key)] = read_property(key, value, at, value_at)
        if not cursor.take(","):
            break
    cursor.expect(")", ",")
    return found


def read_property(key: str, value: str, key_at: Location, value_at: Location) -> Any:
    """What a property of a check says, such as `severity` or `owner`.

    Raises:
        OptionError: there is no such property, or it has no such value.
    """
    read = PROPERTIES.get(fold(key))
    if read is None:
        raise OptionError(
            f"a check has no property {key!r}",
            location=key_at,
            wanted=", ".join(PROPERTIES),
            nearest=nearest(key, PROPERTIES),
        )
    try:
        return read(value)
    except ValueError:
        values = _VALUES[fold(key)]
        raise OptionError(
            f"{fold(key)} does not fit",
            location=value_at,
            wanted=" or ".join(dict.fromkeys(values)),
            got=repr(value),
            nearest=nearest(value, values),
        ) from None


def _severity(value: str) -> Severity:
    return Severity(fold(value.strip()))


def _dimension(value: str) -> Dimension:
    name = fold(value.strip())
    return DIMENSION_SYNONYMS.get(name) or Dimension(name)


def _tags(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t.strip() for t in value.split(",") if t.strip()))


PROPERTIES: Mapping[str, Callable[[str], Any]] = {
    "severity": _severity,
    "dimension": _dimension,
    "owner": str,
    "comment": str,
    "tags": _tags,
}
"""What may stand in WITH (…), and how each value is read."""
_VALUES: Mapping[str, tuple[str, ...]] = {
    "severity": tuple(str(s) for s in Severity),
    "dimension": (*(str(d) for d in Dimension), *DIMENSION_SYNONYMS),
}


def _action(cursor: Cursor, registry: Registry, problems: Problems) -> dict[str, Any]:
    del registry, problems
    if cursor.sees("WARN"):
        warns = cursor.unexpected(*ACTIONS)
        warns.hint = "leave ON VIOLATION out: a violation only warns then"
        raise warns
    return {"action": ACTIONS[cursor.expect(*ACTIONS)]}


_CLAUSES: Mapping[str, Callable[[Cursor, Registry, Problems], dict[str, Any]]] = {
    "ON VIOLATION": _action,
    "WHERE": _where,
    "NULLS PASS": _nulls,
    "TOLERATE": _tolerate,
    "WITH": _with,
}
"""What may stand behind a rule, in any order."""
