"""The checks that a contract's `quality` makes: the metrics of the standard's library, and SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.declare.check.reading import column_text, literal_text, match_text
from qanat.declare.check.schema import field
from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.errors import OptionError, UnsupportedError
from qanat.frozen import Frozen
from qanat.model.name import same

OPERATORS: Mapping[str, str] = {
    "mustBe": "{} = {}",
    "mustNotBe": "{} <> {}",
    "mustBeGreaterThan": "{} > {}",
    "mustBeGreaterOrEqualTo": "{} >= {}",
    "mustBeLessThan": "{} < {}",
    "mustBeLessOrEqualTo": "{} <= {}",
    "mustBeBetween": "{} BETWEEN {} AND {}",
    "mustNotBeBetween": "NOT {} BETWEEN {} AND {}",
}
"""By operator of the standard, the condition that it means."""
_PERCENT = ("percent", "percentage", "%")
_SELF = re.compile(r"\$?\{(?:object|table|model)\}", re.IGNORECASE)
_COLUMN = re.compile(r"\$?\{(?:property|column|field)\}", re.IGNORECASE)
_TABLE = "qanat_self"


class About(Frozen):
    """What a rule of a contract is about.

    Args:
        dataset: its name, and the name that the contract has for it.
        column: None for a rule on the whole dataset.
        dialect: of the project.
    """

    dataset: tuple[str, ...]
    column: str | None
    dialect: str

    @property
    def quoted(self) -> str:
        """The column as SQL has it.

        Raises:
            UnsupportedError: it is about no column.
        """
        if self.column is None:
            raise UnsupportedError("it is about a property, and stands on an object")
        return column_text(self.column, self.dialect)


def check_of_quality(quality: Entry, about: About) -> Check:
    """The check that an element of `quality` makes, without what is said of it.

    Raises:
        UnsupportedError: there is none that means the same.
        OptionError: something in it does not fit.
    """
    kind = field(quality, "type")
    metric = field(quality, "metric") or field(quality, "rule")
    word = "library" if metric is not None else str(kind.text) if kind else "library"
    if word == "text":
        raise UnsupportedError("it is text, for people")
    if word == "custom":
        raise UnsupportedError(f"it is for the engine {_text(quality, 'engine')}")
    if word == "sql":
        return _sql(quality, about)
    name = str(metric.text) if metric else ""
    if name not in _METRICS:
        raise UnsupportedError(f"there is no metric {name!r}")
    return _METRICS[name](quality, about)


def _text(entry: Entry, key: str) -> str:
    found = field(entry, key)
    return "" if found is None else str(found.text)


def _operator(quality: Entry) -> tuple[str, list[Any]]:
    for name in OPERATORS:
        given = field(quality, name)
        if given is not None:
            return name, given.plain if isinstance(given.value, list) else [given.plain]
    raise OptionError(
        "the rule compares with nothing", location=quality.at, wanted=", ".join(OPERATORS)
    )


def _compared(what: str, quality: Entry, about: About) -> str:
    name, values = _operator(quality)
    return OPERATORS[name].format(what, *(literal_text(v, about.dialect) for v in values))


def _percent(quality: Entry) -> bool:
    return _text(quality, "unit").lower() in _PERCENT


def _none(quality: Entry) -> bool:
    """True if a count must be zero: then each row keeps the rule by itself."""
    name, values = _operator(quality)
    return (
        (name == "mustBe" and values == [0])
        or (name == "mustBeLessOrEqualTo" and values == [0])
        or (name == "mustBeLessThan" and values == [1] and not _percent(quality))
    )


def _tolerated(quality: Entry) -> bool:
    """True if the rule is one of rows, for which Qanat has written down what it tolerates."""
    return any(_text(each, "property") == "qanat.tolerate" for each in _listed(quality))


def _listed(quality: Entry) -> list[Entry]:
    found = field(quality, "customProperties")
    return found.value if found is not None and isinstance(found.value, list) else []


def _counted(check: Check, broken: str, quality: Entry, about: About) -> Check:
    """A check of rows if none may break it; else one of how many do."""
    if _none(quality) or _tolerated(quality):
        return check
    number = f"count(*) FILTER (WHERE {broken})"
    if _percent(quality):
        number = f"coalesce(100.0 * {number} / nullif(count(*), 0), 0)"
    return Check("aggregate", (("condition", _compared(number, quality, about)),))


def _null_values(quality: Entry, about: About) -> Check:
    check = Check("not_null", (("columns", (about.column,)),))
    return _counted(check, f"{about.quoted} IS NULL", quality, about)


def _missing_values(quality: Entry, about: About) -> Check:
    given = _argument(quality, "missingValues")
    values = tuple(v for v in given if v is not None) if isinstance(given, list) else ()
    if not values:
        return _null_values(quality, about)
    column = about.quoted
    listed = ", ".join(literal_text(v, about.dialect) for v in values)
    check = Check("not_missing", (("column", about.column), ("values", values)))
    return _counted(check, f"{column} IS NULL OR {column} IN ({listed})", quality, about)


def _invalid_values(quality: Entry, about: About) -> Check:
    valid, pattern = _argument(quality, "validValues"), _argument(quality, "pattern")
    column = about.quoted
    if isinstance(valid, list) and valid:
        values = tuple(v for v in valid if v is not None)
        listed = ", ".join(literal_text(v, about.dialect) for v in values)
        check = Check("one_of", (("column", about.column), ("values", values)))
        broken = f"{column} NOT IN ({listed})"
    elif isinstance(pattern, str):
        check = Check("matches", (("column", about.column), ("pattern", pattern)))
        broken = f"NOT {match_text(str(about.column), pattern, about.dialect)}"
    else:
        raise UnsupportedError("it has neither validValues nor a pattern")
    # A value that is not there is missing, and not invalid.
    return _counted(check.nulls_pass(), broken, quality, about)


def _duplicate_values(quality: Entry, about: About) -> Check:
    given = _argument(quality, "properties")
    names = tuple(map(str, given)) if isinstance(given, list) and given else (about.column,)
    if None in names:
        raise UnsupportedError("it names no properties")
    check = Check("unique", (("columns", names),))
    if _none(quality) or _tolerated(quality):
        return check
    columns = [column_text(str(name), about.dialect) for name in names]
    whole = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
    present = " AND ".join(f"{each} IS NOT NULL" for each in columns)
    only = f"FILTER (WHERE {present})"
    number = f"(count(*) {only} - count(DISTINCT {whole}) {only})"
    if _percent(quality):
        number = f"coalesce(100.0 * {number} / nullif(count(*), 0), 0)"
    return Check("aggregate", (("condition", _compared(number, quality, about)),))


def _row_count(quality: Entry, about: About) -> Check:
    name, values = _operator(quality)
    if name == "mustBeBetween":
        return Check("row_count", (("min", values[0]), ("max", values[1])))
    bound = {"mustBeGreaterOrEqualTo": "min", "mustBeLessOrEqualTo": "max"}.get(name)
    if bound is not None and isinstance(values[0], int):
        return Check("row_count", ((bound, values[0]),))
    return Check("aggregate", (("condition", _compared("count(*)", quality, about)),))


def _argument(quality: Entry, name: str) -> Any:
    found = field(field(quality, "arguments"), name)
    return None if found is None else found.plain


_METRICS: Mapping[str, Callable[[Entry, About], Check]] = {
    "nullValues": _null_values,
    "missingValues": _missing_values,
    "invalidValues": _invalid_values,
    "duplicateValues": _duplicate_values,
    "rowCount": _row_count,
}


def _sql(quality: Entry, about: About) -> Check:
    """The check of a query over the dataset alone: its aggregates, with its WHERE as a filter."""
    text = _SELF.sub(_TABLE, _text(quality, "query"))
    if _COLUMN.search(text):
        text = _COLUMN.sub(about.quoted.replace("\\", "\\\\"), text)
    try:
        tree = parse_one(text.strip().rstrip(";"), dialect=about.dialect)
    except SqlglotError as error:
        raise UnsupportedError("its query does not parse in the project's dialect") from error
    condition, value = _simple(tree, about)
    counts = isinstance(value, exp.Count) and isinstance(value.this, exp.Star)
    if counts and condition is not None and _none(quality):
        return _as_written(text, condition, about) or _of_rows(condition, about)
    if condition is not None:
        for aggregate in [*value.find_all(exp.AggFunc)]:
            filtered = exp.Filter(this=aggregate.copy(), expression=exp.Where(this=condition))
            if aggregate is value:
                value = filtered
            else:
                aggregate.replace(filtered)
    what = value.sql(dialect=about.dialect)
    what = what if isinstance(value, exp.Filter | exp.Func) else f"({what})"
    return Check("aggregate", (("condition", _compared(what, quality, about)),))


def _simple(tree: exp.Expr, about: About) -> tuple[exp.Expr | None, exp.Expr]:
    """The condition and the value of a query that reads the dataset and nothing else.

    Raises:
        UnsupportedError: the query does more.
    """
    allowed = {"expressions", "from", "from_", "where", "kind"}
    more = [key for key, value in tree.args.items() if value and key not in allowed]
    if not isinstance(tree, exp.Select) or more:
        raise UnsupportedError("its query joins, groups or limits rows: compute that in a view")
    tables = [*tree.find_all(exp.Table)]
    own = (_TABLE, *about.dataset)
    if len(tables) != 1 or not any(same(tables[0].name, name) for name in own):
        raise UnsupportedError("its query reads other tables: compute that in a view")
    where = tree.args.get("where")
    condition = None if where is None else where.this
    if len(tree.expressions) != 1 or len([*tree.find_all(exp.Query)]) > 1:
        raise UnsupportedError("its query has more than one value, or subqueries")
    value = tree.expressions[0].unalias()
    if value.find(exp.AggFunc) is None:
        raise UnsupportedError("its query has no aggregate")
    for column in tree.find_all(exp.Column):
        # A rule sees columns without the name of a table in front.
        column.set("table", None)
    return condition, value


_OURS = re.compile(
    r"SELECT COUNT\(\*\) FROM \w+ WHERE (?P<not>NOT )?\((?P<kept>.*)\)(?P<is> IS NOT TRUE)?",
    re.DOTALL | re.IGNORECASE,
)
"""A query as Qanat itself writes it for a rule of each row."""


def _as_written(text: str, condition: exp.Expr, about: About) -> Check | None:
    """A check of each row, in the words of its author; None if the query has another form."""
    found = _OURS.fullmatch(text.strip().rstrip(";"))
    if found is None or bool(found["not"]) is bool(found["is"]):
        return None
    try:
        kept = parse_one(found["kept"], dialect=about.dialect)
    except SqlglotError:
        return None
    whole = exp.Paren(this=kept)
    again: exp.Expr = exp.Not(this=whole)
    if found["is"]:
        again = exp.Not(this=exp.Is(this=whole, expression=exp.true()))
    if again != condition:
        return None
    check = Check("sql", (("condition", found["kept"]),))
    return check if found["is"] else check.nulls_pass()


def _of_rows(condition: exp.Expr, about: About) -> Check:
    """That no row fulfils a condition, as a check of each row."""
    inner = condition
    if isinstance(inner, exp.Not) and isinstance(inner.this, exp.Is):
        is_true = inner.this
        if isinstance(is_true.expression, exp.Boolean) and is_true.expression.this:
            return _condition(is_true.this, about)  # WHERE (p) IS NOT TRUE
    if isinstance(inner, exp.Not):
        return _condition(inner.this, about).nulls_pass()
    return _condition(exp.Not(this=exp.Paren(this=inner)), about).nulls_pass()


def _condition(tree: exp.Expr, about: About) -> Check:
    text = tree.unnest().sql(dialect=about.dialect)
    return Check("sql", (("condition", text),))
