"""Texts as dates and times: what would lose a part of itself does not fit."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from qanat.engines.duckdb.files.cast import from_text
from qanat.engines.duckdb.files.infer import survey
from qanat.model.inference import OWN
from qanat.model.schema import Primitive
from qanat.text import literal

CLOCK = "2020-01-02 03:04:05"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def read(connection: duckdb.DuckDBPyConnection, text: str, type_: str) -> str | None:
    """What a text is in a type, as DuckDB shows it; None if it does not fit."""
    sql = f"CAST({from_text('t', Primitive(type_))} AS VARCHAR)"
    [(found,)] = connection.execute(f"SELECT {sql} FROM (SELECT ? AS t)", [text]).fetchall()
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("text", "clock", "instant"),
    [
        (CLOCK, CLOCK, f"{CLOCK}+00"),
        ("2020-01-02T03:04:05", CLOCK, f"{CLOCK}+00"),
        ("2020-01-02", "2020-01-02 00:00:00", "2020-01-02 00:00:00+00"),
        (f"{CLOCK}.123456", f"{CLOCK}.123456", f"{CLOCK}.123456+00"),
        (f"{CLOCK}.1234560", f"{CLOCK}.123456", f"{CLOCK}.123456+00"),
        (f"{CLOCK}.1234567", None, None),
        (f"{CLOCK}.123456789Z", None, None),
        (f" {CLOCK} ", CLOCK, f"{CLOCK}+00"),
        (f"{CLOCK}Z", None, f"{CLOCK}+00"),
        (f"{CLOCK}-08:00", None, "2020-01-02 11:04:05+00"),
        (f"{CLOCK}+0530", None, "2020-01-01 21:34:05+00"),
        (f"{CLOCK}.5+01", None, "2020-01-02 02:04:05.5+00"),
        (f"{CLOCK} UTC", None, f"{CLOCK}+00"),
        ("12000-01-01 00:00:00", None, None),
        ("0044-03-15 (BC) 00:00:00", None, None),
        ("infinity", None, None),
        ("2020-02-30", None, None),
        ("", None, None),
    ],
)
def test_times(
    connection: duckdb.DuckDBPyConnection, text: str, clock: str | None, instant: str | None
) -> None:
    assert read(connection, text, "timestamp_ntz") == clock
    assert read(connection, text, "timestamp") == instant


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-01-02", "2020-01-02"),
        ("2020-01-02 00:00:00", "2020-01-02"),
        ("2020-01-02T00:00", "2020-01-02"),
        (CLOCK, None),
        ("2020-01-02 00:00:00-08:00", None),
        ("2020-01-02 00:00:00Z", None),
        ("12000-01-01", None),
        ("0044-03-15 (BC)", None),
        ("infinity", None),
    ],
)
def test_days(connection: duckdb.DuckDBPyConnection, text: str, day: str | None) -> None:
    assert read(connection, text, "date") == day


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        ((CLOCK, "2020-01-02T00:00:00.5"), "timestamp_ntz"),
        ((f"{CLOCK}Z", f"{CLOCK}-08:00"), "timestamp"),
        ((CLOCK, f"{CLOCK}Z"), "string"),
        ((f"{CLOCK}.123456789",), "string"),
        (("2020-01-02", "0001-01-01"), "date"),
        (("2020-01-02", "0044-03-15 (BC)"), "string"),
        (("2020-01-02", "0001-01-04"), "string"),
        (("01-02-03",), "string"),
        (("2020-1-2",), "string"),
        (("infinity",), "string"),
        (("2020-01-02", CLOCK), "timestamp_ntz"),
    ],
)
def test_inference(
    connection: duckdb.DuckDBPyConnection, texts: tuple[str, ...], type_: str
) -> None:
    rows = ", ".join(f"({literal(t)})" for t in texts)
    (found,) = survey(connection, f"(VALUES {rows}) AS v(t)", ("t",))
    assert found.type_by(OWN) == Primitive(type_)
