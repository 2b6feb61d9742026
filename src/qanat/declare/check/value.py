"""The checks that `from qanat import check` gives: immutable, and the same as in `checks/*.yml`.

    from qanat import check, pipelines as dp


    @dp.table
    @dp.expect_all(
        [
            check.not_null("id").fail(),
            check.between("price", 0, 10_000).where("status <> 'test'").quarantine(),
            check.unique("id", "line"),
        ]
    )
    def orders() -> str:
        return "SELECT * FROM STREAM read_files('data/*.csv')"

Each function makes a check of one kind; each method of a check gives a new one that says more.
What does not fit is told when the project is read, with the place of the decorator. Nothing here
needs a parser, so that importing it costs next to nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from qanat.frozen import Frozen

Value: TypeAlias = "str | int | float | bool | Decimal | datetime.date | datetime.datetime"
"""A value that a column is compared with; dates and decimals are compared as SQL does it."""


class Check(Frozen):
    """A rule before it is known for which dataset and in which dialect it is.

    Args:
        kind: its name in `checks/*.yml`: `not_null`, `between`, …
        arguments: by name, in the order of the kind; without those that were not given.
        said: what was said of it beside its rule, by name: `action`, `where`, …

    >>> not_null("id").fail().severity("high")
    check.not_null(columns=['id']).fail().severity('high')
    """

    kind: str
    arguments: tuple[tuple[str, Any], ...] = ()
    said: tuple[tuple[str, Any], ...] = ()

    def argument(self, name: str) -> Any:
        """The value of an argument; None if it was not given."""
        return dict(self.arguments).get(name)

    def get(self, key: str) -> Any:
        """What was said under that key; None if nothing was."""
        return dict(self.said).get(key)

    def having(self, **said: Any) -> Check:
        """The same check with more said of it, by the keys of `checks/*.yml`; None takes back."""
        kept = {k: v for k, v in {**dict(self.said), **said}.items() if v is not None}
        return Check(self.kind, self.arguments, tuple(kept.items()))

    def named(self, name: str) -> Check:
        """The check under a name; default: its columns and its kind, such as `id_not_null`."""
        return self.having(name=name)

    def warn(self) -> Check:
        """Count violations, and keep the rows; so it is unless another action is said."""
        return self.having(action="warn")

    def drop(self) -> Check:
        """Leave out the rows that violate it."""
        return self.having(action="drop")

    def quarantine(self) -> Check:
        """Move the rows that violate it to the dataset's quarantine."""
        return self.having(action="quarantine")

    def fail(self) -> Check:
        """Publish nothing and fail the dataset if a row violates it."""
        return self.having(action="fail")

    def where(self, condition: str) -> Check:
        """Only for the rows that a condition in SQL is true of; others pass and do not count."""
        return self.having(where=condition)

    def nulls_pass(self) -> Check:
        """A row passes where the rule is NULL; else that is a violation."""
        return self.having(nulls="pass")

    def tolerate(self, most: int | str) -> Check:
        """Accept up to so many violations: a number of rows, or a share such as `"5 %"`."""
        return self.having(tolerate=most)

    def severity(self, level: str) -> Check:
        """How bad a violation is: `low`, `medium`, `high` or `critical`."""
        return self.having(severity=level)

    def dimension(self, name: str) -> Check:
        """The quality dimension: `completeness`, `conformity`, `uniqueness`, …"""
        return self.having(dimension=name)

    def owner(self, who: str) -> Check:
        """Who looks after it."""
        return self.having(owner=who)

    def comment(self, text: str) -> Check:
        """Why it is there."""
        return self.having(comment=text)

    def tagged(self, *tags: str) -> Check:
        """Words to find it by."""
        return self.having(tags=tags)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={_shown(v)}" for k, v in self.arguments)
        more = "".join(f".{_METHODS.get(k, k)}{_called(k, v)}" for k, v in self.said)
        return f"check.{self.kind}({given}){more}".replace(".action", "")


_METHODS = {"name": "named", "tags": "tagged", "nulls": "nulls_pass"}


def _shown(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _called(key: str, value: Any) -> str:
    if key == "action":
        return f".{value}()"
    if key == "nulls":
        return "()"
    return f"({', '.join(map(repr, value)) if isinstance(value, tuple) else repr(value)})"


def _check(kind: str, **arguments: Any) -> Check:
    given = ((k, _plain(v)) for k, v in arguments.items() if v is not None and v is not False)
    return Check(kind, tuple(given))


def _plain(value: Any) -> Any:
    """A value as YAML has it, too: dates and decimals are text, which SQL reads as such."""
    if isinstance(value, datetime.date | Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(_plain(each) for each in value)
    return value


# -- rows ------------------------------------------------------------------------------------


def not_null(*columns: str) -> Check:
    """No value of the columns is NULL."""
    return _check("not_null", columns=columns)


def not_missing(column: str, values: Iterable[Value] = ("",)) -> Check:
    """No value is NULL or one of `values`, which stand for a missing one, such as `"N/A"`."""
    return _check("not_missing", column=column, values=values)


def between(
    column: str, min: Value | None = None, max: Value | None = None, *, strict: bool = False
) -> Check:
    """Values lie between two bounds.

    Args:
        min, max: the bounds; one of them may be left out.
        strict: the bounds themselves are not allowed.
    """
    return _check("between", column=column, min=min, max=max, strict=strict)


def one_of(column: str, values: Iterable[Value]) -> Check:
    """Values are some of a set."""
    return _check("one_of", column=column, values=values)


def none_of(column: str, values: Iterable[Value]) -> Check:
    """Values are none of a set."""
    return _check("none_of", column=column, values=values)


def matches(column: str, pattern: str) -> Check:
    """A regular expression matches somewhere in each text; `^…$` is for the whole text."""
    return _check("matches", column=column, pattern=pattern)


def not_matches(column: str, pattern: str) -> Check:
    """A regular expression matches nowhere in any text."""
    return _check("not_matches", column=column, pattern=pattern)


def format(column: str, name: str) -> Check:
    """Texts have a known form: `email`, `uuid`, `uri`, `ipv4`, `ipv6`, `hostname`, `date`, …"""
    return _check("format", column=column, name=name)


def length(column: str, min: int | None = None, max: int | None = None) -> Check:
    """Texts have so many characters."""
    return _check("length", column=column, min=min, max=max)


def compare(column: str, operator: str, other: str) -> Check:
    """Two columns of a row compare so: `compare("ordered_at", "<=", "shipped_at")`."""
    return _check("compare", column=column, operator=operator, other=other)


def sql(condition: str) -> Check:
    """A condition in SQL is true of each row; `UNIQUE (…)` and all that EXPECT knows, too."""
    return _check("sql", condition=condition)


# -- sets of rows ----------------------------------------------------------------------------


def unique(*columns: str) -> Check:
    """No two rows agree on all the columns; where one of them is NULL, a row passes."""
    return _check("unique", columns=columns)


def references(
    columns: str | Iterable[str], dataset: str, target: str | Iterable[str] | None = None
) -> Check:
    """Values occur in another dataset.

    Args:
        target: the columns there; default: those of the same names.
    """
    mine = (columns,) if isinstance(columns, str) else columns
    theirs = (target,) if isinstance(target, str) else target
    return _check("references", columns=mine, dataset=dataset, target=theirs)


def increasing(column: str, *, strict: bool = False) -> Check:
    """Values never become less from row to row, in the order of the table.

    Args:
        strict: nor stay equal.
    """
    return _check("increasing", column=column, strict=strict)


def decreasing(column: str, *, strict: bool = False) -> Check:
    """Values never become more from row to row, in the order of the table."""
    return _check("decreasing", column=column, strict=strict)


# -- the table -------------------------------------------------------------------------------


def row_count(min: int | None = None, max: int | None = None, *, of: str | None = None) -> Check:
    """The table has so many rows; with `of="epoch"`, each epoch brings so many."""
    return _check("row_count", min=min, max=max, of=of)


def aggregate(condition: str, *, of: str | None = None) -> Check:
    """A condition on aggregates is true: `aggregate("sum(paid) <= sum(ordered)")`.

    Args:
        of: `table` as it is after the epoch (default), or `epoch`, its rows alone.
    """
    return _check("aggregate", condition=condition, of=of)


def mean(
    column: str, min: float | None = None, max: float | None = None, *, of: str | None = None
) -> Check:
    """The mean of a column lies between two bounds."""
    return _check("mean", column=column, min=min, max=max, of=of)


def median(
    column: str, min: float | None = None, max: float | None = None, *, of: str | None = None
) -> Check:
    """The median of a column lies between two bounds."""
    return _check("median", column=column, min=min, max=max, of=of)


def stddev(
    column: str, min: float | None = None, max: float | None = None, *, of: str | None = None
) -> Check:
    """The standard deviation of a column (of a sample) lies between two bounds."""
    return _check("stddev", column=column, min=min, max=max, of=of)


def sum(
    column: str, min: float | None = None, max: float | None = None, *, of: str | None = None
) -> Check:
    """The sum of a column lies between two bounds."""
    return _check("sum", column=column, min=min, max=max, of=of)


def lowest(
    column: str, min: Value | None = None, max: Value | None = None, *, of: str | None = None
) -> Check:
    """The least value of a column lies between two bounds."""
    return _check("lowest", column=column, min=min, max=max, of=of)


def highest(
    column: str, min: Value | None = None, max: Value | None = None, *, of: str | None = None
) -> Check:
    """The greatest value of a column lies between two bounds."""
    return _check("highest", column=column, min=min, max=max, of=of)


def distinct(
    column: str, min: int | None = None, max: int | None = None, *, of: str | None = None
) -> Check:
    """A column has so many distinct values; NULL is none."""
    return _check("distinct", column=column, min=min, max=max, of=of)


def fresh(column: str, within: str) -> Check:
    """The newest value of a column of times is not older than a duration, such as `"2 hours"`."""
    return _check("fresh", column=column, within=within)


def distribution(column: str, dataset: str, at_most: float, reference: str | None = None) -> Check:
    """Values of an epoch are distributed as those of another dataset, up to a distance.

    Args:
        dataset: that it is compared with.
        at_most: the greatest distance, from 0 (the same) to 1.
        reference: the column there; default: that of the same name.
    """
    return _check(
        "distribution", column=column, dataset=dataset, at_most=at_most, reference=reference
    )


def same_rows(dataset: str, keys: Iterable[str], columns: Iterable[str] = ()) -> Check:
    """The rows are those of another dataset, compared by keys (reconciliation).

    Args:
        columns: that must agree; default: all that both have.
    """
    return _check("same_rows", dataset=dataset, keys=keys, columns=tuple(columns) or None)


def columns(
    columns: Mapping[str, str | None] | Iterable[str], *, ordered: bool = False, only: bool = False
) -> Check:
    """The query gives these columns, however its sources evolve.

    Args:
        columns: names; or names with types, as in `{"id": "BIGINT", "name": None}`.
        ordered: they stand in this order.
        only: there are no others.
    """
    return _check("columns", columns=columns, ordered=ordered, only=only)
