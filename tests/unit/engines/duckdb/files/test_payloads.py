"""Messages of a queue: what is in their values, and what they have besides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from qanat.engines.duckdb.files.again import bind_again
from qanat.engines.duckdb.files.bound import BoundFiles
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from tests.unit.engines.duckdb.files.conftest import Bench, columns

Message = tuple[int, bytes | None, bytes | None, int | None, int]
"""Offset, value, key, time in microseconds, and what time that is."""


def partition(bench: Bench, path: str, *messages: Message, headers: bool = False) -> LocalFile:
    """The file of a partition, as a connector writes it."""
    bench.con.execute(
        "CREATE OR REPLACE TEMP TABLE m (line BIGINT, value BLOB, message_key BLOB,"
        " message_time BIGINT, message_kind INTEGER)"
    )
    if messages:
        bench.con.execute(
            "INSERT INTO m SELECT unnest(?::BIGINT[]), unnest(?::BLOB[]), unnest(?::BLOB[]),"
            " unnest(?::BIGINT[]), unnest(?::INTEGER[])",
            list(map(list, zip(*messages, strict=True))),
        )
    more = ", [{'key': 'h', 'value': '\\xFF'::BLOB}] AS message_headers" if headers else ""
    name = path.replace("/", "-")
    bench.con.execute(f"COPY (SELECT *{more} FROM m) TO '{bench.folder / name}' (FORMAT parquet)")
    return LocalFile(path, str(bench.folder / name), 10, 0)


def bind(
    bench: Bench, *files: LocalFile, payload: str = "json", headers: bool = False, **more: Any
) -> BoundFiles:
    options = {"payload": payload, "headers": headers, **more.pop("options", {})}
    return bench.bind(*files, format="payloads", **options, **more)


def rows(bench: Bench, bound: BoundFiles, what: str = "*") -> list[Any]:
    return bench.con.execute(f"SELECT {what} FROM ({bound.relation})").fetchall()


def malformed(bench: Bench, bound: BoundFiles) -> list[Any]:
    return sorted(bench.con.execute(bound.malformed).fetchall()) if bound.malformed else []


def plain(offset: int, value: bytes | None) -> Message:
    return offset, value, None, None, -1


def test_bytes_have_the_columns_of_spark(bench: Bench) -> None:
    first = partition(bench, "a/b/0", (2**45, b"\xff", b"k", 1_500_000, 0), plain(2**45 + 1, None))
    second = partition(bench, "a/b/11", plain(7, b"x"))
    bound = bind(bench, first, second, payload="binary")
    assert bound.schema.names == (
        *("key", "value", "topic", "partition", "offset", "timestamp", "timestampType"),
    )
    when = datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    names = ", ".join(f'"{n}"' for n in bound.schema.names)
    assert rows(bench, bound, names) == [
        (b"k", b"\xff", "a/b", 0, 2**45, when, 0),
        (None, None, "a/b", 0, 2**45 + 1, None, -1),
        (None, b"x", "a/b", 11, 7, None, -1),
    ]
    places = "__qanat_file, __qanat_row, _metadata.topic, _metadata.partition, _metadata.offset"
    assert rows(bench, bound, places)[2] == ("a/b/11", 7, "a/b", 11, 7)
    assert len(set(rows(bench, bound, "__qanat_rid"))) == 3
    assert (bound.rows, bound.malformed) == (3, None)


def test_columns_that_are_gone_or_new(bench: Bench) -> None:
    file = partition(bench, "t/0", plain(0, b"x"), headers=True)
    known = columns("value binary, old long")
    bound = bind(bench, file, payload="binary", headers=True, known=known)
    assert bound.schema.names[:2] == ("value", "old")
    assert rows(bench, bound, "value, old, headers") == [
        (b"x", None, [{"key": "h", "value": b"\xff"}])
    ]


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("keys", [2, 300])
def test_json(bench: Bench, headers: bool, keys: int) -> None:
    values = {f"k{n}": n for n in range(keys)}
    files = [
        partition(
            bench, f"t/{n}", (5, json.dumps(values).encode(), b"\xff", 9, 1), headers=headers
        )
        for n in range(2)
    ]
    bound = bind(bench, *files, headers=headers)
    told = "_metadata.key, _metadata.partition, _metadata.timestampType"
    assert rows(bench, bound, f"k0, k1, {told}") == [(0, 1, b"\xff", n, 1) for n in range(2)]
    if headers:
        found = rows(bench, bound, "_metadata.headers")
        assert found == [([{"key": "h", "value": b"\xff"}],)] * 2


def test_json_that_is_none(bench: Bench) -> None:
    values = [b'{"a": 1}', b"{", b"\xff", b"", b"null", None, b'{"a": 2}', b'{"a": "x"}']
    file = partition(bench, "t/3", *(plain(10 + n, value) for n, value in enumerate(values)))
    bound = bind(bench, file, declared=columns("a long"))
    assert rows(bench, bound, "a, __qanat_row") == [(1, 10), (None, 15), (2, 16)]
    assert malformed(bench, bound) == [
        ("t/3", 11, "{", "not valid JSON"),
        ("t/3", 12, "/w==", "not UTF-8 (kept as base64)"),
        ("t/3", 13, "", "not valid JSON"),
        ("t/3", 14, "null", "not an object but null"),
        ("t/3", 17, '{"a": "x"}', "column 'a': \"x\" does not fit bigint"),
    ]


def test_nothing_but_what_cannot_be_decoded(bench: Bench) -> None:
    file = partition(bench, "t/0", plain(0, b"\xff"))
    bound = bind(bench, file, declared=columns("a long"))
    assert rows(bench, bound) == []
    assert [row for _, row, _, _ in malformed(bench, bound)] == [0]


@pytest.mark.parametrize("payload", ["binary", "text", "json"])
def test_no_messages(bench: Bench, payload: str) -> None:
    declared = columns("a long") if payload == "json" else NO_COLUMNS
    for files in ((), (partition(bench, "t/0"),)):
        bound = bind(bench, *files, payload=payload, declared=declared)
        assert bound.schema.fields
        assert rows(bench, bound) == []


def test_types_that_nobody_declared_get_wider(bench: Bench) -> None:
    file = partition(bench, "t/0", plain(0, b'{"a": 1}'), plain(1, b'{"a": 1.5}'))
    bound = bind(bench, file, known=columns("a long"))
    assert malformed(bench, bound)[0][1] == 1
    assert bound.wider is not None


def test_texts_that_a_quarantine_has_kept(bench: Bench) -> None:
    options = (("payload", "json"), ("headers", True))
    batch = FilesBatch(
        (LocalFile("t/0", "", 0, 0), LocalFile("t/1", "", 0, 0)),
        "payloads", options, columns("a long"), NO_COLUMNS, Drift.EVOLVE, "t",
    )  # fmt: skip
    kept = [
        (100, "t/0", 7, '{"a": 1,\n "b": "\\"x,y\\""}', "x"),
        (101, "t/1", 8, "/w==", "not UTF-8 (kept as base64)"),
        (102, "t/1", 9, None, "not valid JSON"),
        (103, "t/1", 10, "eyJhIjogMn0=", "not UTF-8 (kept as base64)"),
        (104, "other/1", 10, "{}", "x"),
    ]
    bound = bind_again(bench.con, "again", batch, kept, bench.scratch)
    told = "_metadata.topic, _metadata.partition, _metadata.offset, _metadata.key"
    assert rows(bench, bound, f"__qanat_row, a, {told}") == [
        (100, 1, "t", 0, 7, None),
        (103, 2, "t", 1, 10, None),
    ]
    assert [(row, raw) for _, row, raw, _ in malformed(bench, bound)] == [(101, "/w=="), (102, "")]


def test_lines_of_csv_keep_the_order_of_their_messages(bench: Bench) -> None:
    messages = [plain(n, None if n % 5 == 4 else b"%d" % n) for n in range(50)]
    bound = bind(
        bench, partition(bench, "t/0", *messages), payload="csv", declared=columns("id long")
    )
    assert rows(bench, bound, "id") == [(None if n % 5 == 4 else n,) for n in range(50)]


def test_each_message_is_a_line_of_csv(bench: Bench) -> None:
    values = [b'1,"a;b"', b"2", None, b"x,y", b"3,b\n4,c", b'"5', b"", b"\xff", b"6,", b'7,"q""r"']
    file = partition(bench, "t/3", *(plain(10 + n, value) for n, value in enumerate(values)))
    bound = bind(bench, file, payload="csv", declared=columns("id long, name string"))
    assert sorted(rows(bench, bound, "_metadata.offset, id, name"), key=str) == [
        (10, 1, "a;b"),
        (12, None, None),
        (18, 6, None),
        (19, 7, 'q"r'),
    ]
    found = {row: (raw, error) for _, row, raw, error in malformed(bench, bound)}
    assert found[11] == ("2", "expected 2 columns, found 1")
    assert found[13][0] == "x,y"
    assert found[14] == ("3,b\n4,c", "more than one line")
    assert found[15] == ('"5', "a quote is opened and never closed")
    assert found[17][0] == "/w=="
    assert set(found) == {11, 13, 14, 15, 16, 17}


def test_json_of_a_registry_has_a_number_in_front(bench: Bench) -> None:
    file = partition(bench, "t/0", plain(0, b'\0\0\0\0\7{"a": 1}'), plain(1, b'{"a": 2}'))
    bound = bind(bench, file, options={"registry": object()})
    assert rows(bench, bound, "a") == [(1,), (2,)]
