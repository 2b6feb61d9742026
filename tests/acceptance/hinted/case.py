"""A mistake and its way out, for `tests/acceptance/test_hints.py`; and what most of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, amount BIGINT');\n"
)
VIEW = "CREATE MATERIALIZED VIEW gold AS SELECT {} FROM orders;\n"
FAILING = "TBLPROPERTIES ('qanat.on_row_error' = 'fail')"
SQL = "transformations/all.sql"
PYTHON = "transformations/all.py"
IMPORT = "from qanat import pipelines as dp\n"

Step = str | Mapping[str, str | None] | Callable[[Path], None]
"""A command line, files to write (None: to remove), or anything else to do in the folder."""


@dataclass
class Case:
    """A mistake and the way out.

    Args:
        command: shows the error.
        hint: what the hint says, or a part of it.
        sql: the declarations, after those of `orders`.
        before: what happens before the command.
        follow: what the hint says to do; None: run the commands in it.
        again: the command that then works; default: the same.
    """

    command: str
    hint: str
    sql: str = ""
    before: tuple[Step, ...] = ()
    follow: Step | None = None
    again: str = ""
    orders: str = ORDERS


def view(query: str) -> str:
    return f"CREATE MATERIALIZED VIEW gold AS {query};\n"


def mended(hint: str, wrong: str, right: str, command: str = "qanat validate") -> Case:
    """A declaration that the hint says how to write."""
    return Case(command, hint, wrong, follow={SQL: ORDERS + right})


def stream(query: str, name: str = "silver", more: str = "") -> str:
    return f"CREATE STREAMING TABLE {name}{more} AS {query};\n"


SILVER = stream("SELECT id FROM STREAM orders")
TWICE = stream("SELECT id, amount * 2 AS twice FROM STREAM orders")
