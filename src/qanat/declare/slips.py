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


def late_clause(word: str, following: str) -> bool:
    """True if a clause of CREATE begins, which belongs before AS.

    >>> late_clause("TBLPROPERTIES", "("), late_clause("USING", "("), late_clause("USING", "delta")
    (True, False, True)
    """
    match word.upper():
        case "TBLPROPERTIES":
            return following == "("
        case "PARTITIONED BY" | "CLUSTER BY":
            return True
        case "USING":
            return following.isidentifier()
        case "COMMENT":
            return following[:1] in ("'", '"')
    return False


def misplaced(clause: str, location: Location) -> SqlSyntaxError:
    """The error for a clause of CREATE behind its query."""
    return SqlSyntaxError(
        f"{clause.upper()} stands behind the query",
        location=location,
        hint=f"put it before AS: CREATE … {clause.upper()} … AS SELECT …",
    )


def unended(location: Location) -> SqlSyntaxError:
    """The error for a statement that goes on into the next one, which begins at `location`."""
    return SqlSyntaxError(
        "';' is missing before CREATE",
        location=location,
        hint="end the statement before it with a semicolon",
    )
