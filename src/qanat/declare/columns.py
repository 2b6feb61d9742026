"""Parses the list of columns and constraints behind a dataset's name."""

from __future__ import annotations

from dataclasses import dataclass, field

from qanat.declare.cursor import Cursor
from qanat.declare.names import quoted
from qanat.declare.rules import parse_rule
from qanat.declare.types import parse_type
from qanat.errors import (
    DuplicateNameError,
    QanatError,
    SqlSyntaxError,
    UnsupportedError,
)
from qanat.model.expectation import Action, Expectation, Predicate
from qanat.model.project import Project
from qanat.model.schema import Field, Primitive, Schema

ACTIONS = {
    "DROP ROW": Action.DROP,
    "QUARANTINE ROW": Action.QUARANTINE,
    "FAIL UPDATE": Action.FAIL,
}
"""The actions that ON VIOLATION can name."""

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
    problems: list[QanatError] = field(default_factory=list)

    @property
    def schema(self) -> Schema:
        """The columns as a schema, in order."""
        return Schema(tuple(self.fields))


def parse_columns(cursor: Cursor, project: Project) -> Columns:
    """Parse `( … )` and move the cursor behind it.

    A wrong type or predicate is added to `problems`, and parsing continues.

    Args:
        cursor: stands before `(`.
        project: for the dialect and the prefixes of names.

    Raises:
        SqlSyntaxError, UnsupportedError: the list cannot be parsed to its end.
    """
    found = Columns()
    cursor.expect("(")
    while True:
        if cursor.take("CONSTRAINT"):
            _constraint(cursor, project, found)
        else:
            _column(cursor, project, found)
        if not cursor.take(","):
            break
    if cursor.word is None:
        raise SqlSyntaxError("')' is missing", location=cursor.here)
    cursor.expect(")", ",")
    return found


def _constraint(cursor: Cursor, project: Project, found: Columns) -> None:
    location = cursor.here
    name = cursor.name("the expectation's name").text
    _refuse(cursor)
    cursor.expect("EXPECT")
    rule = None
    before = cursor.index
    try:
        rule = parse_rule(cursor, project)
    except QanatError as error:
        found.problems.append(error)
        cursor.index = before
        cursor.skip_to("ON", ",", ")")
    action = Action.WARN
    if cursor.take("ON VIOLATION"):
        action = ACTIONS[cursor.expect(*ACTIONS)]
    elif cursor.sees("ON") or not (cursor.sees(",") or cursor.sees(")")):
        raise cursor.unexpected("ON VIOLATION", ",", ")")
    if rule is not None:
        found.expectations.append(Expectation(name, rule, action, location))


def _column(cursor: Cursor, project: Project, found: Columns) -> None:
    location = cursor.here
    word = cursor.name("a column, or CONSTRAINT name EXPECT (…)")
    type_at, start = cursor.here, cursor.word
    if start is None or cursor.sees(",") or cursor.sees(")"):
        raise SqlSyntaxError(f"column {word.text!r} has no type", location=location)
    end = cursor.skip_to("NOT", "NULL", "COMMENT", *REFUSED, "CONSTRAINT", ",", ")", angles=True)
    text = cursor.source.text[start.start : end]
    kind = None
    try:
        kind = parse_type(text, project.dialect, type_at)
    except QanatError as error:
        found.problems.append(error)
    nullable, comment = True, None
    while not (cursor.sees(",") or cursor.sees(")")) and cursor.word is not None:
        at = cursor.here
        _refuse(cursor)
        if cursor.take("NOT NULL"):
            nullable = False
            rule = Predicate(f"{_quoted(word.text, project.dialect)} IS NOT NULL", project.dialect)
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
