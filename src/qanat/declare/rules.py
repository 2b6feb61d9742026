"""Parses the rules of expectations: a predicate, `UNIQUE (…)` or `(…) REFERENCES t (…)`."""

from __future__ import annotations

from sqlglot import Dialect, Token, exp
from sqlglot.errors import ParseError

from qanat.declare.cursor import Cursor
from qanat.declare.names import strip_prefix
from qanat.declare.sqltext import SqlText
from qanat.declare.syntax import syntax_error
from qanat.errors import SqlSyntaxError, UnsupportedError
from qanat.model.expectation import Predicate, References, Rule, Unique
from qanat.model.project import Project


def parse_rule(cursor: Cursor, project: Project) -> Rule:
    """Parse the rule behind EXPECT and move the cursor behind it.

    Args:
        cursor: stands behind EXPECT.
        project: for the dialect and the prefixes of names.

    Raises:
        SqlSyntaxError: the text has none of the three forms.
        UnsupportedError: a predicate reads other rows.
    """
    if cursor.take("UNIQUE"):
        return Unique(cursor.names("column"))
    start = cursor.index
    inner = cursor.inside()
    if not cursor.sees("REFERENCES"):
        return parse_predicate(cursor.source, cursor.tokens, inner, project.dialect)
    cursor.index = start
    columns = cursor.names("column")
    cursor.expect("REFERENCES")
    dataset = strip_prefix(cursor.dotted("dataset"), project)
    at = cursor.here
    targets = cursor.names("column")
    if len(targets) != len(columns):
        raise SqlSyntaxError(
            f"{len(columns)} columns cannot reference {len(targets)}",
            location=at,
            wanted="as many columns on both sides of REFERENCES",
        )
    return References(columns, dataset, targets)


def rule_of_text(text: SqlText, project: Project) -> Rule:
    """The rule in the text that a Python decorator was given.

    Raises:
        SqlSyntaxError, UnsupportedError: as `parse_rule`.
    """
    tokens = text.tokens(project.dialect)
    cursor = Cursor(text, tokens)
    keyed = any(w.upper == "REFERENCES" for w in cursor.words)
    if cursor.sees("UNIQUE (") or (cursor.sees("(") and keyed):
        rule = parse_rule(cursor, project)
        if cursor.word is not None:
            raise cursor.unexpected("the end of the rule")
        return rule
    return parse_predicate(text, tokens, (0, len(text.text)), project.dialect)


def parse_predicate(
    source: SqlText, tokens: list[Token], extent: tuple[int, int], dialect: str
) -> Predicate:
    """The predicate in a part of a text.

    Args:
        source: the text.
        tokens: its tokens.
        extent: the offsets of the part's first character and behind its last.
        dialect: the project's dialect.

    Raises:
        SqlSyntaxError: the part does not parse, or is no condition.
        UnsupportedError: it contains a subquery, an aggregate or a window.
    """
    start, end = extent
    text = source.text[start:end].strip()
    inner = [t for t in tokens if start <= t.start < end]
    if not inner:
        raise SqlSyntaxError(
            "the expectation is empty", location=source.at(start), wanted="a condition on a row"
        )
    try:
        trees = (
            Dialect.get_or_raise(dialect)
            .parser()
            .parse_into(exp.Condition, list(inner), source.text)
        )
    except ParseError as error:
        raise syntax_error(error, source, inner) from error
    except RecursionError as error:
        raise SqlSyntaxError(
            "the expectation is nested too deeply", location=source.at(inner[0].start)
        ) from error
    tree = trees[0]
    if tree is None or isinstance(tree, exp.Alias):
        raise SqlSyntaxError(f"{text!r} is not a condition", location=source.at(inner[0].start))
    if tree.find(exp.Query):
        reason, hint = "a subquery", "use (columns) REFERENCES dataset (columns), or join before"
    elif tree.find(exp.AggFunc, exp.Window):
        reason, hint = "an aggregate or window function", "compute it in the query"
    else:
        return Predicate(text, dialect)
    raise UnsupportedError(
        f"an expectation with {reason} is not supported",
        location=source.at(inner[0].start),
        wanted="a condition on one row",
        hint=hint,
    )
