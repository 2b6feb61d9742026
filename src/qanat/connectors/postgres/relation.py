"""What is read or written: a table by its name, or a query."""

from __future__ import annotations

import re

from qanat.errors import OptionError
from qanat.frozen import Frozen

MARK = "qanat: "
"""How an error message begins that our own SQL makes a server raise."""
_PART = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_TABLE = re.compile(rf"\s*(?:({_PART})\.)?({_PART})\s*")
_QUERY = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*\(*\s*(select|with|values|table)\b", re.I | re.S
)


class Relation(Frozen):
    """A table or a query in FROM.

    Args:
        text: what stands in FROM.
        table: the table's name as an argument of `to_regclass`; None for a query.
    """

    text: str
    table: str | None = None

    @staticmethod
    def of(place: str) -> Relation:
        """The relation that an author means.

        >>> Relation.of("public.orders").text, Relation.of("SELECT 1 AS id;").table
        ('public.orders', None)

        Raises:
            OptionError: it is neither.
        """
        if _QUERY.match(place):
            # The query may end in a -- comment, so the closing parenthesis needs its own line.
            return Relation(f"({place.strip().rstrip(';')}\n)")
        if _TABLE.fullmatch(place):
            return Relation(place.strip(), place.strip())
        raise OptionError(
            "read_postgres reads a table or a query",
            wanted="'orders', 'sales.orders', '\"Orders\"' or 'SELECT …'",
            got=repr(place[:80]),
        )


class TableName(Frozen):
    """The name of a table that a sink writes to; `schema` is None where it is not given."""

    schema: str | None
    name: str

    @staticmethod
    def of(text: str) -> TableName:
        """The parts of a name as PostgreSQL reads them.

        >>> TableName.of('Sales."Orders"')
        TableName(schema='sales', name='Orders')

        Raises:
            OptionError: it is not the name of a table.
        """
        found = _TABLE.fullmatch(text)
        if found is None:
            raise OptionError(
                "the option 'table' of a sink of the format 'postgres' is not the name of a table",
                wanted='orders, sales.orders or "Orders"',
                got=repr(text[:80]),
            )
        schema, name = found[1], found[2]
        return TableName(schema and _plain(schema), _plain(name))


def _plain(part: str) -> str:
    # PostgreSQL makes names lower case that are not quoted.
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
