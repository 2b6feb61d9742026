"""Frames that Python functions take and return: their types and values are those of the tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from qanat.engines.duckdb.functions import run_function
from qanat.errors import Location, QanatError
from qanat.model.query import FunctionQuery

TABLE = """SELECT * FROM (VALUES
  (1234567890123456.78::DECIMAL(18,2), DATE '2024-01-01', MAP {'k': 1}, [1, NULL], {'a': 1.50},
   TIMESTAMP '2024-01-01 00:00:00.123456', TIMESTAMPTZ '2024-01-01 00:00:00+00',
   9007199254740993, true, 'x'::BLOB, 'é', 'NaN'::DOUBLE, NULL::VARCHAR),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (0.1, DATE '0001-01-01', MAP {}, [], {'a': NULL}, TIMESTAMP '9999-12-31', NULL, -1, false,
   ''::BLOB, '', 'inf'::DOUBLE, NULL)
) AS t(price, day, pairs, items, part, clock, instant, id, flag, raw, name, x, nothing)"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def query(function: Callable[..., Any], *takes: str) -> FunctionQuery:
    return FunctionQuery(function, "", (), takes, "any", Location("t.py", 1))


def run(
    con: duckdb.DuckDBPyConnection, folder: Path, function: Callable[..., Any], *takes: str
) -> duckdb.DuckDBPyRelation:
    path = folder / "out.parquet"
    run_function(con, query(function, *takes), (TABLE,) * len(takes), path, threading.Event())
    return con.sql(f"FROM '{path}'")


def returned(con: duckdb.DuckDBPyConnection, folder: Path, frame: Any) -> list[tuple[Any, ...]]:
    return run(con, folder, lambda: frame).fetchall()


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_what_goes_in_comes_out(con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str) -> None:
    def same(t: Any) -> Any:
        return t

    came, wanted = run(con, tmp_path, same, kind), con.sql(TABLE)
    assert dict(zip(came.columns, came.types, strict=True)) == dict(
        zip(wanted.columns, wanted.types, strict=True)
    )
    assert repr(came.fetchall()) == repr(wanted.fetchall())


def test_frames_have_arrow_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(t: pd.DataFrame) -> pd.DataFrame:
        seen.append(t)
        return t[["id"]]

    run(con, tmp_path, look, "pandas")
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in seen[0].dtypes)
    assert seen[0].price[0] == Decimal("1234567890123456.78")


def test_frames_of_other_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    stamps = pd.to_datetime(["2024-01-01 00:00:00.123456789"])
    frame = pd.DataFrame({"n": [1.5], "d": [Decimal("1.10")], "t": stamps.as_unit("ns")})
    assert run(con, tmp_path, lambda: frame).types == ["DOUBLE", "DECIMAL(3,2)", "TIMESTAMP_NS"]
    [(_, _, text)] = run(con, tmp_path, lambda: frame).select("n, d, t::VARCHAR").fetchall()
    assert text == "2024-01-01 00:00:00.123456789"


def test_an_index_with_a_name_is_a_column(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]})
    assert returned(con, tmp_path, frame.groupby("a").sum()) == [(1, 3), (2, 3)]
    assert returned(con, tmp_path, frame[frame.b > 1]) == [(1, 2), (2, 3)]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=["a", "A"]),
        pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")),
        pa.table([[1], [2]], names=["a", "a"]),
        [{"a": 1, "A": 2}],
    ],
)
def test_two_columns_of_one_name(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, frame: Any
) -> None:
    with pytest.raises(QanatError, match=r"two columns named '[aA]'") as error:
        returned(con, tmp_path, frame)
    assert "rename one of them" in str(error.value.hint)


def test_a_column_of_several_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(QanatError, match="no common type") as error:
        returned(con, tmp_path, pd.DataFrame({"a": [1, "x"]}))
    assert "column a" in str(error.value.got)


def test_no_table(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(QanatError, match="returned no table"):
        returned(con, tmp_path, 7)


@pytest.mark.parametrize("column", [pd.Series([1.5]), pa.chunked_array([[1]])])
def test_a_column_alone_is_no_table(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, column: Any
) -> None:
    with pytest.raises(QanatError, match="returned no table") as raised:
        run(con, tmp_path, lambda: column)
    assert raised.value.hint is not None
    assert "two brackets" in raised.value.hint
