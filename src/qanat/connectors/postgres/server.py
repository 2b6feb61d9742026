"""Connections to a server, and what their errors mean for people and for retries.

Two drivers share the work: psycopg asks and books (statements, types, error codes), ADBC moves
rows as Arrow. Both sit on libpq, so one URL serves both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast
from urllib.parse import urlencode

from qanat.connectors.postgres.drivers import (
    adbc_driver_manager,
    conninfo_to_dict,
    dbapi,
    psycopg,
)
from qanat.connectors.postgres.relation import MARK
from qanat.connectors.postgres.url import Url
from qanat.errors import (
    AdapterError,
    ConversionError,
    QanatError,
    SourceNotFoundError,
    SourceUnavailableError,
)

NAME = "qanat"
"""How our sessions call themselves in `pg_stat_activity`."""

SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""Begins a transaction that sees one state and cannot write."""

# A server that has died is noticed within a minute, not after the system's two hours.
_ALIVE: dict[str, int | str] = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,
}
# Text forms of values must be exact, and the same in every session.
_EXACT = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD';"
    " SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1;"
    " SET LOCAL bytea_output = 'hex'; SET LOCAL standard_conforming_strings = on"
)
# SQLSTATE classes: connection, resources, rolled back, taken away by an operator, system.
_FOR_NOW = ("08", "53", "40", "57", "58")
_LOCKED = "55P03"
_NOT_UNDERSTOOD = "08P01"
_BEGINNING = re.compile(r"^.*?(?:ERROR|FATAL):\s+", re.DOTALL)
_GONE = re.compile(
    r"refused|timed? ?out|closed the connection|could not (translate|receive|send)|"
    r"terminat|starting up|shutting down|no connection|reset|unreachable|"
    r"too many|lost",
    re.IGNORECASE,
)

Control: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Bulk: TypeAlias = dbapi.Cursor


@contextmanager
def reading(url: Url) -> Iterator[Control]:
    """One snapshot of a database, for questions.

    Raises:
        QanatError: as `explained` tells.
    """
    with control(url) as connection:
        connection.execute(SNAPSHOT)
        connection.execute(_EXACT)
        yield connection


@contextmanager
def control(url: Url) -> Iterator[Control]:
    """A session in which each statement is a transaction of its own, unless it says otherwise.

    Raises:
        QanatError: as `explained` tells.
    """
    with explained(url):
        connection = psycopg.connect(
            _complete(url),
            autocommit=True,
            prepare_threshold=None,  # poolers between us and the server mix sessions
        )
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def bulk(url: Url, begin: str = "BEGIN") -> Iterator[Bulk]:
    """A transaction of an ADBC session; what is not committed is rolled back.

    Raises:
        QanatError: as `explained` tells.
    """
    with (
        explained(url),
        # With autocommit off, ADBC would begin the next transaction right after a commit.
        dbapi.connect(_complete(url), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(begin)
        for setting in _EXACT.split(";"):
            cursor.execute(setting)
        yield cursor


def batches(cursor: Bulk, url: Url) -> Iterator[Any]:
    """The rows of the last statement as Arrow record batches.

    Raises:
        QanatError: as `explained` tells.
    """
    reader = cursor.fetch_record_batch()
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        # PyArrow knows nothing of ADBC's errors and raises its own, by the system's error number.
        except (OSError, ValueError) as error:
            raise explain(error, url) from error
        yield batch


def _complete(url: Url) -> str:
    """The URL with what keeps a connection alive, as far as the author has not said."""
    given = conninfo_to_dict(url.text)
    missing = {k: v for k, v in {**_ALIVE, "application_name": NAME}.items() if k not in given}
    return f"{url.text}{'&' if '?' in url.text else '?'}{urlencode(missing)}"


@contextmanager
def explained(url: Url) -> Iterator[None]:
    """Turn the drivers' errors into ours.

    Raises:
        SourceUnavailableError: the server or the way to it fails for now; trying again may help.
        SourceNotFoundError: there is no such table, schema or database.
        ConversionError: a value does not fit.
        AdapterError: anything else that the server refuses.
    """
    try:
        yield
    except (psycopg.Error, adbc_driver_manager.Error) as error:
        raise explain(error, url) from error


def explain(error: Exception, url: Url) -> QanatError:
    """The error to raise for a driver's error."""
    state = getattr(error, "sqlstate", None) or ""
    text = url.hidden(_first_line(str(error)))
    place = url.place
    if MARK in text:
        found = text.partition(MARK)[2].rstrip('"')
        return ConversionError(found, hint="read it as text: schema => '… STRING', or in a query")
    if (state.startswith(_FOR_NOW) and state != _NOT_UNDERSTOOD) or (
        not state and _GONE.search(str(error))
    ):
        return SourceUnavailableError(f"PostgreSQL at {place} does not serve now", got=text)
    if state == _LOCKED:
        return SourceUnavailableError(
            f"PostgreSQL at {place} keeps a lock",
            got=text,
            hint="find the session that holds it: SELECT * FROM pg_stat_activity",
        )
    if state in ("42P01", "3F000", "3D000"):
        return SourceNotFoundError(f"not found in {place}", got=text)
    if state == "42501" or state.startswith("28"):
        return AdapterError(f"PostgreSQL at {place} does not permit this", got=text)
    if state.startswith("22"):
        return ConversionError(f"PostgreSQL at {place} cannot convert a value", got=text)
    if state.startswith("23"):
        return AdapterError(
            f"a constraint in {place} refuses a row",
            got=text,
            hint="nothing of the epoch was written; mend the rows, or let the flow leave them out",
        )
    return AdapterError(f"PostgreSQL at {place} refuses", got=text)


def _first_line(text: str) -> str:
    """What the server says, without what the drivers put around it."""
    lines = [line.strip() for line in _BEGINNING.sub("", text, count=1).strip().splitlines()]
    kept = [line for line in lines if line.startswith(("DETAIL:", "CONTEXT:"))]
    return "; ".join([*lines[:1], *kept])


def ask(cursor: Bulk, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a statement gives."""
    cursor.execute(sql)
    return cast("list[tuple[Any, ...]]", cursor.fetchall())
