"""One definition of what fits a type, whatever the text comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb.types import fit
from qanat.errors import Location
from qanat.model.query import SqlQuery
from qanat.model.schema import NO_COLUMNS, Array, Field, Schema, Struct, type_from_json
from qanat.model.work import Output
from qanat.text import literal

BIG = "9007199254740993"
"""The first whole number that no double has."""

TABLE: dict[str, dict[str, str | None]] = {
    "long": {
        "5": "5", "+5": "5", " 5 ": "5", "5.0": "5", "1e2": "100", "-9223372036854775808":
        "-9223372036854775808", "9223372036854775808": None, "1.5": None, "1e-2": None,
        "1_000": None, "0x10": None, "1e400": None, "infinity": None, "five": None, BIG: BIG,
        "9" * 4000: None,
    },
    "byte": {"127": "127", "128": None, "1.27e2": "127", "12.7e1": "127"},
    "decimal(10,2)": {
        "1.10": "1.10", "-.5": "-0.50", "1e-5": None, "12345e-3": None, "12340e-3": "12.34",
        "1.005": None, "1.00500": None, "1.000": "1.00", "1_0.55_5": None, "1_0": None,
        "99999999.99": "99999999.99", "100000000": None, "1e8": None, "1e400": None,
        "1e-400": None, "0e5": "0.00", "infinity": None, "nan": None, "1.2.3": None,
    },
    "decimal(10,3)": {"12345e-3": "12.345", "1.0005": None},
    "decimal(18,2)": {
        "90071992547409.93": "90071992547409.93", "9999999999999999.99": "9999999999999999.99",
        "1234567890123456.78": "1234567890123456.78", "1234567890123456.785": None,
    },
    "decimal(38,0)": {"9" * 38: "9" * 38, "9" * 39: None, "1e37": "1" + "0" * 37},
    "double": {
        "0.1": "0.1", "1e300": "1e+300", "1e400": None, "-1e400": None, "1e-400": None,
        "0e-400": "0.0", "1_0.5": None, "NaN": "nan", "infinity": "inf", "9007199254740992":
        "9007199254740992.0", BIG: None, "1" + "0" * 37: "1e+37",
        "1" + "0" * 39 + "1": None, "18446744073709551616":
        "1.8446744073709552e+19", "0.30000000000000004": "0.30000000000000004",
    },
    "date": {
        "2024-01-02": "2024-01-02", "2024-01-02 00:00:00": "2024-01-02",
        "2024-01-02 10:00:00": None, "2024-02-30": None, "10000-01-01": None, "24-01-02": None,
        "0024-01-02": "0024-01-02", "0044-03-15 (BC)": None, "infinity": None, "epoch": None,
    },
    "timestamp_ntz": {
        "2024-01-02 03:04:05": "2024-01-02 03:04:05", "2024-01-02": "2024-01-02 00:00:00",
        "2024-01-02T03:04:05.123456": "2024-01-02 03:04:05.123456",
        "2024-01-02 03:04:05.1234567": None, "2024-01-02 03:04:05Z": None,
        "2024-01-02 03:04:05+02:00": None, "10000-01-01 00:00:00": None, "24-01-02 10:00": None,
        "infinity": None, "-infinity": None, "epoch": None,
    },
    "timestamp": {
        "2024-01-02 03:04:05": "2024-01-02 03:04:05+00",
        "2024-01-02 03:04:05+02:00": "2024-01-02 01:04:05+00",
        "2024-01-02 03:04:05.1234567Z": None, "10000-01-01 00:00:00Z": None, "infinity": None,
    },
    "boolean": {"true": "true", "false": "false", "perhaps": None},
    "string": {"1.10": "1.10", "1e400": "1e400", BIG: BIG, "  ": "  "},
}  # fmt: skip
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")

Read = Callable[[Any, Field, list[str]], dict[str, str | None]]


def _bound(bench: Any, file: Any, field: Field, texts: list[str], leaf: str, format_: str) -> Any:
    """What became of each text; a text that does not fit is a malformed row with a reason."""
    declared = Schema((Field("k", type_from_json("long")), field))
    bound = bench.bind(file, declared=declared, format=format_, **(
        {"delimiter": "|", "quote": "", "header": True} if format_ == "csv" else {}
    ))  # fmt: skip
    rows = bench.con.execute(f"SELECT k, CAST({leaf} AS VARCHAR) FROM ({bound.relation})")
    found: dict[str, str | None] = {texts[k]: value for k, value in rows.fetchall()}
    for _, row, _, error in bench.bad(bound):
        assert error.startswith("column 'v': ")
        assert f"does not fit {field.type}" in error
        text = texts[row - 2 if format_ == "csv" else row - 1]
        assert text not in found
        found[text] = None
    return found


def csv(bench: Any, field: Field, texts: list[str]) -> Any:
    lines = "".join(f"{k}|{text}\n" for k, text in enumerate(texts))
    return _bound(bench, bench.put("a.csv", f"k|v\n{lines}"), field, texts, "v", "csv")


def parquet(bench: Any, field: Field, texts: list[str]) -> Any:
    rows = ", ".join(f"({k}, {literal(text)})" for k, text in enumerate(texts))
    path = bench.folder / "a.parquet"
    bench.con.execute(f"COPY (FROM (VALUES {rows}) AS t(k, v)) TO '{path}' (FORMAT parquet)")
    return _bound(bench, bench.file("a.parquet"), field, texts, "v", "parquet")


def strings(bench: Any, field: Field, texts: list[str]) -> Any:
    return _json(bench, field, texts, json.dumps, "{}", "v")


def numbers(bench: Any, field: Field, texts: list[str]) -> Any:
    return _json(bench, field, [t for t in texts if NUMBER.fullmatch(t)], str, "{}", "v")


def nested(bench: Any, field: Field, texts: list[str]) -> Any:
    """Strings or numbers in a list in a struct."""
    inside = Field("v", Struct((Field("x", Array(field.type)),)))
    written = {t: t if NUMBER.fullmatch(t) else json.dumps(t) for t in texts}
    return _json(bench, inside, texts, written.__getitem__, '{{"x":[{}]}}', "v.x[1]")


def _json(
    bench: Any, field: Field, texts: list[str], written: Callable[[str], str], form: str, leaf: str
) -> Any:
    lines = "".join(
        f'{{"k":{k},"v":{form.format(written(text))}}}\n' for k, text in enumerate(texts)
    )
    return _bound(bench, bench.put("a.ndjson", lines), field, texts, leaf, "ndjson")


def query(bench: Any, field: Field, texts: list[str]) -> Any:
    """A query's column (or a frame's) that goes into a declared column of a table."""
    output = Output(Path("t"), "p", schema=NO_COLUMNS, declared=Schema((field,)))
    at = Location("t.sql")
    types = bench.con.sql("SELECT ''::VARCHAR AS v").types
    fitted = fit(["v"], types, output, SqlQuery("", "", "duckdb", (), at), "t")
    found: dict[str, str | None] = {}
    reasons: list[str] = []
    for text in texts:
        sql = f"SELECT CAST(v AS VARCHAR) FROM (SELECT {fitted.projection} FROM (SELECT ? AS v))"
        try:
            [(found[text],)] = bench.con.execute(sql, [text]).fetchall()
        except duckdb.InvalidInputException as error:
            found[text] = None
            reasons.append(str(error))
    assert all(f"does not fit {field.type}" in reason for reason in reasons)
    return found


@pytest.mark.parametrize("type_", TABLE)
@pytest.mark.parametrize("read", [csv, parquet, strings, numbers, nested, query])
def test_the_same_fits_wherever_it_comes_from(bench: Any, read: Read, type_: str) -> None:
    wanted = TABLE[type_]
    found = read(bench, Field("v", type_from_json(type_)), list(wanted))
    if read is numbers:
        wanted = {t: v for t, v in wanted.items() if NUMBER.fullmatch(t)}
    assert found == wanted


@pytest.mark.parametrize(
    ("type_", "pattern", "texts"),
    [
        ("date", "%d.%m.%Y", {"02.01.2024": "2024-01-02", "02.01.24": None, "epoch": None}),
        ("date", "%d.%m.%y", {"02.01.24": "2024-01-02"}),
        ("date", "%Y-%m-%d %H:%M", {"2024-01-02 00:00": "2024-01-02", "2024-01-02 10:00": None}),
        ("timestamp_ntz", "%Y-%m-%d %H:%M %z", {"2024-01-02 10:00 +0200": None}),
        ("timestamp", "%Y-%m-%d %H:%M %z", {"2024-01-02 10:00 +0200": "2024-01-02 08:00:00+00"}),
        ("timestamp_ntz", "%Y-%m-%d %H:%M:%S.%n", {
            "2024-01-02 10:00:00.123456789": None,
            "2024-01-02 10:00:00.123456000": "2024-01-02 10:00:00.123456",
        }),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_the_author_s_formats(
    bench: Any, format_: str, type_: str, pattern: str, texts: dict[str, str | None]
) -> None:
    option = {"date_format" if type_ == "date" else "timestamp_format": pattern}
    content = "".join(f'{{"v":"{t}"}}\n' for t in texts)
    if format_ == "csv":
        content, option = "v\n" + "".join(f"{t}\n" for t in texts), {**option, "header": "true"}
    declared = Schema((Field("v", type_from_json(type_)),))
    bound = bench.bind(bench.put("a", content), declared=declared, format=format_, **option)
    found = bench.con.execute(
        f"SELECT CAST(v AS VARCHAR) FROM ({bound.relation}) ORDER BY __qanat_row"
    ).fetchall()
    assert [v for (v,) in found] == [v for v in texts.values() if v is not None]
    assert len(bench.bad(bound)) == list(texts.values()).count(None)
