"""The kinds of checks: for each its arguments, and the rule that a check of it makes.

Python, `checks/*.yml`, contracts and imports all make checks of these kinds; the table `KINDS` is
the whole taxonomy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qanat.declare.check.reading import NUMBER, WHOLE, Arguments, match_text
from qanat.declare.checks import check_of_text
from qanat.declare.cursor import SqlText
from qanat.declare.registry import strip_prefix
from qanat.declare.types import parse_type
from qanat.errors import OptionError, nearest
from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import (
    Distribution,
    Fresh,
    HasColumns,
    Monotonic,
    Predicate,
    References,
    Rule,
    SameRows,
    Scope,
    Unique,
)
from qanat.model.schema import DataType
from qanat.model.span import microseconds

FORMATS: Mapping[str, str] = {
    "email": r"^[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$",
    "uuid": r"^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$",
    "url": r"^https?://[^\s/?#]+[^\s]*$",
    "hostname": r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}"
    r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
    "ipv6": r"^[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}$",
    "date": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "time": r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?$",
    "timestamp": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]"
    r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$",
    "integer": r"^[+-]?[0-9]+$",
    "number": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "country_code": r"^[A-Z]{2}$",
    "currency_code": r"^[A-Z]{3}$",
    "phone": r"^\+?[0-9][0-9 ()/.-]{4,24}$",
}
"""By name of a format, the regular expression of its texts."""


class Kind(Frozen):
    """A kind of checks.

    Args:
        parameters: the names of its arguments, in order.
        make: the rule of a check with such arguments.
        short: the argument that stands for all in `checks/*.yml`: `not_null: id`.
    """

    parameters: tuple[str, ...]
    make: Callable[[Arguments], Rule]
    short: str | None = None


def _predicate(given: Arguments, sql: str) -> Predicate:
    return Predicate(sql, given.place.dialect)


def _not_null(given: Arguments) -> Rule:
    columns = [f"{given.place.column(name)} IS NOT NULL" for name in given.names()]
    return _predicate(given, " AND ".join(columns))


def _listed(given: Arguments, word: str, also: str = "") -> Rule:
    column = given.place.column(given.column())
    values = ", ".join(given.place.literal(each) for each in given.values())
    return _predicate(given, f"{also.format(column)}{column} {word} ({values})")


def _between(given: Arguments) -> Rule:
    column = given.place.column(given.column())
    low, high = given.bounds()
    return _predicate(given, bounded(column, low, high, given, given.flag("strict")))


def bounded(what: str, low: object, high: object, given: Arguments, strict: bool = False) -> str:
    """A condition that a value lies between two bounds, one of which may be None."""
    literal = given.place.literal
    if low is not None and high is not None and not strict:
        equal = low == high and isinstance(low, bool) == isinstance(high, bool)
        return (
            f"{what} = {literal(low)}"
            if equal
            else f"{what} BETWEEN {literal(low)} AND {literal(high)}"
        )
    mark = "" if strict else "="
    parts = [f"{what} >{mark} {literal(low)}"] if low is not None else []
    parts += [f"{what} <{mark} {literal(high)}"] if high is not None else []
    return " AND ".join(parts)


def _matching(given: Arguments, pattern: str, negated: bool = False) -> Rule:
    sql = match_text(given.column(), pattern, given.place.dialect)
    return _predicate(given, f"NOT {sql}" if negated else sql)


def _format(given: Arguments) -> Rule:
    return _matching(given, FORMATS[given.chosen("name", ("email", *FORMATS))])


def _length(given: Arguments) -> Rule:
    column = f"length({given.place.column(given.column())})"
    return _predicate(given, bounded(column, *given.bounds(WHOLE), given))


OPERATORS = ("<=", "<", "=", "<>", "!=", ">", ">=")


def _compare(given: Arguments) -> Rule:
    mine, theirs = given.column(), given.column("other")
    operator = given.chosen("operator", OPERATORS)
    return _predicate(given, f"{given.place.column(mine)} {operator} {given.place.column(theirs)}")


def _sql(given: Arguments) -> Rule:
    return check_in_sql(given).rule


def check_in_sql(given: Arguments, name: str = "condition") -> Expectation:
    """The check in an argument that is written as behind EXPECT, with its clauses.

    Raises:
        SqlSyntaxError, UnsupportedError, OptionError: it is none.
    """
    return _parsed(given.text(name), given, name)


def _parsed(text: str, given: Arguments, name: str) -> Expectation:
    at, registry = given.place.of(name), given.place.registry
    return check_of_text(SqlText.of_function(text, at), "", Action.WARN, at, registry)


def _references(given: Arguments) -> Rule:
    columns = given.names()
    target = given.optional_names("target") or columns
    if len(target) != len(columns):
        raise OptionError(
            f"{len(columns)} columns cannot reference {len(target)}",
            location=given.place.of("target"),
            wanted="as many columns in target as in columns",
        )
    return References(columns, _dataset(given), target)


def _dataset(given: Arguments) -> str:
    return strip_prefix(tuple(given.text("dataset").split(".")), given.place.registry.project)


def _monotonic(descending: bool) -> Callable[[Arguments], Rule]:
    return lambda given: Monotonic(given.column(), descending, given.flag("strict"))


def _scope(given: Arguments) -> Scope:
    return Scope(given.chosen("of", tuple(Scope)))


def _row_count(given: Arguments) -> Rule:
    return _of_rows(bounded("count(*)", *given.bounds(WHOLE), given), given)


def _of_rows(condition: str, given: Arguments) -> Rule:
    # The author's condition may end in a comment, so the parenthesis needs a line of its own.
    end = "\n" if "--" in condition else ""
    return _parsed(f"{_scope(given).upper()} ({condition}{end})", given, "condition").rule


def _of_column(sql: str, read: Callable[[object], object] | None = NUMBER) -> Kind:
    def make(given: Arguments) -> Rule:
        what = sql.format(given.place.column(given.column()))
        return _of_rows(bounded(what, *given.bounds(read), given), given)

    return Kind(("column", "min", "max", "of"), make)


def _aggregate(given: Arguments) -> Rule:
    return _of_rows(given.text("condition"), given)


def _fresh(given: Arguments) -> Rule:
    within = given.text("within")
    span = microseconds(within)
    if span is None or span <= 0:
        raise OptionError(
            "within of fresh does not fit",
            location=given.place.of("within"),
            wanted="a duration, as in 2 hours",
            got=repr(within),
        )
    return Fresh(given.column(), span / 1_000_000)


def _distribution(given: Arguments) -> Rule:
    column = given.column()
    reference = given.optional("reference") or column
    return Distribution(column, _dataset(given), reference, given.number("at_most"))


def _same_rows(given: Arguments) -> Rule:
    return SameRows(_dataset(given), given.names("keys"), given.optional_names("columns") or ())


def _columns(given: Arguments) -> Rule:
    types: list[tuple[str, DataType | None]] = []
    for name, text in given.mapping("columns").items():
        at = given.place.of("columns")
        kind = None if text is None else parse_type(text, given.place.dialect, at)
        types.append((name, kind))
    return HasColumns(tuple(types), given.flag("ordered"), given.flag("only"))


_COLUMN = ("column",)

KINDS: Mapping[str, Kind] = {
    "not_null": Kind(("columns",), _not_null, "columns"),
    "not_missing": Kind(
        ("column", "values"), lambda g: _listed(g, "NOT IN", "{} IS NOT NULL AND ")
    ),
    "between": Kind(("column", "min", "max", "strict"), _between),
    "one_of": Kind(("column", "values"), lambda g: _listed(g, "IN")),
    "none_of": Kind(("column", "values"), lambda g: _listed(g, "NOT IN")),
    "matches": Kind(("column", "pattern"), lambda g: _matching(g, g.pattern())),
    "not_matches": Kind(("column", "pattern"), lambda g: _matching(g, g.pattern(), True)),
    "format": Kind(("column", "name"), _format),
    "length": Kind(("column", "min", "max"), _length),
    "compare": Kind(("column", "operator", "other"), _compare),
    "sql": Kind(("condition",), _sql, "condition"),
    "unique": Kind(("columns",), lambda g: Unique(g.names()), "columns"),
    "references": Kind(("columns", "dataset", "target"), _references),
    "increasing": Kind(("column", "strict"), _monotonic(descending=False), "column"),
    "decreasing": Kind(("column", "strict"), _monotonic(descending=True), "column"),
    "row_count": Kind(("min", "max", "of"), _row_count),
    "aggregate": Kind(("condition", "of"), _aggregate, "condition"),
    "mean": _of_column("avg({})"),
    "median": _of_column("median({})"),
    "stddev": _of_column("stddev_samp({})"),
    "sum": _of_column("sum({})"),
    "lowest": _of_column("min({})", None),
    "highest": _of_column("max({})", None),
    "distinct": _of_column("count(DISTINCT {})", WHOLE),
    "fresh": Kind(("column", "within"), _fresh),
    "distribution": Kind(("column", "dataset", "at_most", "reference"), _distribution),
    "same_rows": Kind(("dataset", "keys", "columns"), _same_rows),
    "columns": Kind(("columns", "ordered", "only"), _columns, "columns"),
}
"""By name, all kinds of checks."""


def rule_of(kind: str, given: Arguments) -> Rule:
    """The rule that a check of a kind makes.

    Raises:
        OptionError: there is no such kind, or an argument does not fit; names the nearest.
        SqlSyntaxError, UnsupportedError, TypeNameError: what is SQL in it is wrong.
    """
    known = KINDS.get(kind)
    if known is None:
        raise OptionError(
            f"no check {kind!r}", location=given.place.at, nearest=nearest(kind, KINDS)
        )
    return known.make(given)
