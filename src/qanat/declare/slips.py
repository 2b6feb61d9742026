"""Slips that are known by their form, so that an error can say more than what is unexpected."""

from __future__ import annotations

from qanat.errors import Location, SqlSyntaxError

_TEMPLATES = ("{{", "{%", "{#")


def is_template(text: str, start: int) -> bool:
    """True if Jinja stands at an offset, as in models of dbt.

    >>> is_template("SELECT * FROM {{ ref('orders') }}", 14)
    True
    """
    return text.startswith(_TEMPLATES, start)


def template(location: Location) -> SqlSyntaxError:
    """The error for Jinja."""
    return SqlSyntaxError(
        "there are no Jinja templates here",
        location=location,
        hint="read a dataset by its name (FROM orders), and a value of the spec's configuration"
        " as ${key}; what loops make, a Python file can declare",
    )


def unended(location: Location) -> SqlSyntaxError:
    """The error for a statement that goes on into the next one, which begins at `location`."""
    return SqlSyntaxError(
        "';' is missing before CREATE",
        location=location,
        hint="end the statement before it with a semicolon",
    )
