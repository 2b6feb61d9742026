"""Sinks: rows leave the project as files, each epoch once."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from qanat.errors import QanatError
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, day DATE, note STRING');\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/january.csv", 'id,day,note\n1,2026-01-31,"a;b"\n2,2026-01-30,\n')
    shop.sql(ORDERS)
    return shop


def sink(shop: Shop, format_: str, options: dict[str, Any], rules: str = "") -> None:
    shop.python(
        f"dp.create_sink('out', {format_!r}, {{'path': 'out', **{options!r}}})\n{rules}"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id, day, note FROM STREAM orders'\n"
    )


def files(shop: Shop) -> list[Path]:
    return sorted(f for f in (shop.folder / "out").iterdir() if not f.name.startswith("."))


CSV = {
    "as is": ({}, "id,day,note\n1,2026-01-31,a;b\n2,2026-01-30,\n"),
    "no header": ({"header": "false"}, "1,2026-01-31,a;b\n2,2026-01-30,\n"),
    "delimiter": ({"delimiter": ";"}, 'id;day;note\n1;2026-01-31;"a;b"\n2;2026-01-30;\n'),
    "Spark's name": ({"sep": "|"}, "id|day|note\n1|2026-01-31|a;b\n2|2026-01-30|\n"),
    "tab": ({"delimiter": "\t"}, "id\tday\tnote\n1\t2026-01-31\ta;b\n2\t2026-01-30\t\n"),
    "NULL": ({"nullValue": "-"}, "id,day,note\n1,2026-01-31,a;b\n2,2026-01-30,-\n"),
    "quote": (
        {"delimiter": ";", "quote": "'"},
        "id;day;note\n1;2026-01-31;'a;b'\n2;2026-01-30;\n",
    ),
    "date": ({"dateFormat": "%d.%m.%Y"}, "id,day,note\n1,31.01.2026,a;b\n2,30.01.2026,\n"),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(shop: Shop, case: str) -> None:
    options, text = CSV[case]
    sink(shop, "csv", options)
    shop.run()
    (file,) = files(shop)
    assert file.read_text() == text


def test_compressed_csv(shop: Shop) -> None:
    sink(shop, "csv", {"compression": "gzip"})
    shop.run()
    (file,) = files(shop)
    assert file.name.endswith(".csv.gz")
    assert gzip.decompress(file.read_bytes()).decode() == CSV["as is"][1]


def test_json(shop: Shop) -> None:
    sink(shop, "json", {"dateFormat": "%Y"})
    shop.run()
    (file,) = files(shop)
    assert file.read_text().splitlines()[0] == '{"id":1,"day":"2026","note":"a;b"}'


@pytest.mark.parametrize(
    ("written", "codec"),
    [({}, "SNAPPY"), ({"compression": "zstd"}, "ZSTD"), ({"compression": "none"}, "UNCOMPRESSED")],
)
def test_parquet(shop: Shop, written: dict[str, str], codec: str) -> None:
    sink(shop, "parquet", written)
    shop.run()
    (file,) = files(shop)
    assert pq.read_table(file).num_rows == 2
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == codec


def test_each_row_leaves_once(shop: Shop) -> None:
    sink(shop, "csv", {"header": "false"})
    shop.run()
    assert shop.run()["out"].status == "unchanged"
    shop.file("data/february.csv", "id,day,note\n3,2026-02-01,c\n")
    shop.run()
    assert [len(f.read_text().splitlines()) for f in files(shop)] == [2, 1]


@pytest.mark.parametrize(
    ("format_", "options", "message", "nearest"),
    [
        ("cvs", {}, "sinks in format 'cvs' are not supported", "csv"),
        ("csv", {"delimeter": ";"}, "no option 'delimeter'", "delimiter"),
        ("csv", {"header": "ja"}, "'header' of a sink of the format 'csv' does not fit", None),
        ("parquet", {"compression": "zst"}, "'compression' of a sink", "zstd"),
        ("kafka", {}, "sinks in format 'kafka' are not supported", None),
        ("csv", {"path": "s3://bucket/out"}, "object stores come in a later release", None),
    ],
)
def test_mistakes(
    shop: Shop, format_: str, options: dict[str, str], message: str, nearest: str | None
) -> None:
    """Each is one problem, found at its place without running."""
    sink(shop, format_, options)
    (problem,) = shop.validation().problems
    assert message in problem.message
    assert problem.nearest == nearest
    assert str(problem.location) == "transformations/all.py:2"
    assert problem.exit_code == 2
    with suppress(QanatError):
        (failed,) = shop.update().failed
        assert str(failed.error) == str(problem)
    assert not (shop.folder / "out").exists() or files(shop) == []


def test_rules_on_a_sink(shop: Shop) -> None:
    """Rows that break a rule do not leave, whichever flow they come by."""
    day = "2026-01-01"
    shop.file("data/january.csv", f"id,day,note\n1,{day},a\n2,{day},\n-3,{day},c\n")
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out', 'header': 'false'},\n"
        "    expect_all={'early': \"day < '2020-01-01'\"},\n"
        "    expect_all_or_drop={'has_note': 'note IS NOT NULL'},\n"
        "    expect_all_or_quarantine={'positive': 'id > 0'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id, day, note FROM STREAM orders'\n"
    )
    result = shop.run()["out"]
    assert {r.rule: r.violations for r in result.rules} == {
        "early": 3,
        "has_note": 1,
        "positive": 1,
    }
    (file,) = files(shop)
    assert file.read_text() == "1,2026-01-01,a\n"
    assert shop.quarantined("out") == [(-3, ["early", "positive"])]


def test_a_rule_that_fails_a_sink(shop: Shop) -> None:
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'}, expect_all_or_fail={'small': 'id < 2'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id FROM STREAM orders'\n"
    )
    assert shop.failures()["out"].message == "1 row of out violates small"
    assert files(shop) == []


def test_a_sink_knows_no_earlier_rows(shop: Shop) -> None:
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'}, expect_all={'one': 'UNIQUE (id)'})\n"
        "@dp.append_flow(target='out')\n"
        "def leave():\n    return 'SELECT id FROM STREAM orders'\n"
    )
    (problem,) = shop.problems()
    assert "sink out does not know what it has sent" in problem


def test_compression_none(shop: Shop) -> None:
    sink(shop, "csv", {"compression": "none"})
    shop.run()
    (file,) = files(shop)
    assert file.read_text() == CSV["as is"][1]
