"""Parses the columns behind a dataset's name, and its constraints."""

from __future__ import annotations

from dataclasses import dataclass, field

from qanat.declare.checks import parse_check
from qanat.declare.cursor import Cursor
from qanat.declare.registry import Registry, quoted
from qanat.declare.types import parse_type
from qanat.errors import (
    DuplicateNameError,
    Problems,
    QanatError,
    SqlSyntaxError,
    UnsupportedError,
)
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate
from qanat.model.schema import Field, Primitive, Schema

REFUSED = {
    "MASK": "leave the column out, or hash it in the query",
    "GENERATED": "compute the column in the query",
    "DEFAULT": "use coalesce(column, default) in the query",
    "PRIMARY": "CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update",
    "FOREIGN": "CONSTRAINT name EXPECT (columns) REFERENCES dataset (columns) is checked",
    "REFERENCES": "CONSTRAINT name EXPECT (columns) REFERENCES dataset (columns) is checked",
    "UNIQUE": "CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update",
    "CHECK": "CONSTRAINT name EXPECT (condition) ON VIOLATION FAIL UPDATE",
}
"""Constraints of other systems that are not supported, each with a hint."""


@dataclass(slots=True)
class Columns:
    """The contents of a column list.

    Args:
        fields: the columns, in order.
        expectations: the constraints, in order.
        problems: what is wrong with the list.
    """

    fields: list[Field] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    @property
    def schema(self) -> Schema:
        """The columns as a schema, in order."""
        return Schema(tuple(self.fields))


def parse_columns(cursor: Cursor, registry: Registry) -> Columns:
    """Parse `( … )` and move the cursor behind it.

    What is wrong with a column or constraint is added to `problems`, and parsing continues with
    the next.

    Args:
        cursor: stands before `(`.
        registry: for the dialect, the prefixes of names and what queries may read.

    Raises:
        SqlSyntaxError, UnsupportedError: the list cannot be parsed to its end.
    """
    found = Columns()
    cursor.expect("(")
    while True:
        before, constraint = cursor.index, cursor.take("CONSTRAINT")
        try:
            (_constraint if constraint else _column)(cursor, registry, found)
        except QanatError as error:
            found.problems.append(error)
            cursor.index = before
            # Elsewhere `<` and `>` may be those of a condition.
            typed = cursor.words[before + 1 : before + 2]
            nested = any(w.upper in ("ARRAY", "MAP", "STRUCT") for w in typed)
            cursor.skip_to(",", ")", angles=nested and not constraint)
        if not cursor.take(","):
            break
    if cursor.word is None:
        raise SqlSyntaxError("')' is missing", location=cursor.here)
    cursor.expect(")", ",")
    return found


def _constraint(cursor: Cursor, registry: Registry, found: Columns) -> None:
    location = cursor.here
    name = cursor.name("the expectation's name").text
    _refuse(cursor)
    cursor.expect("EXPECT")
    made = parse_check(cursor, name, location, registry, found.problems)
    if made is not None:
        found.expectations.append(made)


def _column(cursor: Cursor, registry: Registry, found: Columns) -> None:
    location = cursor.here
    # A constraint of the table without a name, not a column named PRIMARY of the type KEY.
    if any(map(cursor.sees, ("PRIMARY KEY", "FOREIGN KEY", "UNIQUE ("))):
        _refuse(cursor)
    word = cursor.name("a column, or CONSTRAINT name EXPECT (…)")
    if word.upper in ("EXPECT", "CHECK") and cursor.sees("("):
        raise SqlSyntaxError(
            "an expectation needs a name",
            location=location,
            hint="CONSTRAINT name EXPECT (condition)",
        )
    type_at, start = cursor.here, cursor.word
    if start is None or cursor.sees(",") or cursor.sees(")"):
        raise SqlSyntaxError(f"column {word.text!r} has no type", location=location)
    end = cursor.skip_to("NOT", "NULL", "COMMENT", *REFUSED, "CONSTRAINT", ",", ")", angles=True)
    text = cursor.sql.text[start.start : end]
    kind = None
    with found.problems.collecting():
        kind = parse_type(text, registry.project.dialect, type_at)
    nullable, comment = True, None
    while not (cursor.sees(",") or cursor.sees(")")) and cursor.word is not None:
        at = cursor.here
        _refuse(cursor)
        if cursor.take("NOT NULL"):
            nullable = False
            rule = Predicate(
                f"{_quoted(word.text, registry.project.dialect)} IS NOT NULL",
                registry.project.dialect,
            )
            name = f"{word.text}_not_null"
            found.expectations.append(Expectation(name, rule, Action.FAIL, at))
        elif cursor.take("COMMENT"):
            comment = cursor.string("the comment in quotes")
        elif not cursor.take("NULL"):
            raise cursor.unexpected("NOT NULL", "COMMENT", ",", ")")
    other = found.schema.get(word.text)
    if other is not None:
        found.problems.append(
            DuplicateNameError(f"two columns are named {word.text!r}", location=location)
        )
    found.fields.append(Field(word.text, kind or Primitive("string"), nullable, comment))


def _refuse(cursor: Cursor) -> None:
    word = cursor.word
    if word is not None and word.upper in REFUSED:
        raise UnsupportedError(
            f"{word.upper} in a column list is not supported",
            location=cursor.here,
            hint=REFUSED[word.upper],
        )


def _quoted(name: str, dialect: str) -> str:
    """A name for use in a predicate; quoted only if SQL requires it."""
    if name.isidentifier() and name.isascii() and name.islower():
        return name
    return quoted(name, dialect)
