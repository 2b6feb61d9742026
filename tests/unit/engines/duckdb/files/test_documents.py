"""Damaged JSON files: whatever the damage, the other elements are found."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from qanat.engines.duckdb.files import documents
from qanat.engines.duckdb.files.documents import Piece, pieces

ROWS: list[Any] = [
    {"a": 1, "b": [1, {"c": '}],"\\'}]},
    {"é": "\\\\", "x": None},
    {"a": "[{", "o": {"p": {}}},
]


def split(data: bytes, array: bool = True) -> list[Piece]:
    return list(pieces(io.BytesIO(data), array))


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_array_wherever_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, size: int, indent: int | None
) -> None:
    monkeypatch.setattr(documents, "_CHUNK", size)
    data = b"\xef\xbb\xbf \n" + json.dumps(ROWS, indent=indent, ensure_ascii=False).encode()
    found = split(data)
    assert [p.error for p in found] == [""] * len(ROWS)
    assert [json.loads(p.raw) for p in found] == ROWS


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("data", "good", "bad"),
    [
        (b'[{"a":1},{"a":},{"a":2}]', [1, 2], ['{"a":}']),
        (b'[{"a":1]},{"a":2}]', [2], ['{"a":1]}']),
        (b'[{"a":[1},{"a":2}]', [2], ['{"a":[1}']),
        (b'[{"a":1,\n{"a":2},\n{"a":3}]', [2, 3], ['{"a":1']),
        (b'[{"a":"x},\n{"a":2},\n{"a":3}]', [2, 3], ['{"a":"x}']),
        (b'[\n  {\n    "a": {\n  },\n  {\n    "a": 2\n  }\n]', [2], ['{\n    "a": {\n  }']),
        (b'[{"a":1},{"a":2}', [1, 2], [""]),
        (b'[{"a":1},{"a":2', [1], ['{"a":2']),
        (b'[{"a":1}] {"a":2}', [1], ['{"a":2}']),
        (b"[]", [], []),
        (b"[", [], [""]),
    ],
)
def test_damaged_arrays(
    monkeypatch: pytest.MonkeyPatch, size: int, data: bytes, good: list[int], bad: list[str]
) -> None:
    monkeypatch.setattr(documents, "_CHUNK", size)
    assert _judged(split(data)) == (good, bad)


def _judged(found: list[Piece]) -> tuple[list[int], list[str]]:
    good, bad = [], []
    for raw, error in found:
        try:
            value = None if error else json.loads(raw)["a"]
        except json.JSONDecodeError:
            value = None
        if value is None:
            bad.append(raw.decode())
        else:
            good.append(value)
    return good, bad


def test_documents_one_after_another() -> None:
    data = b'{"a":\n1}{"a":2}\n7\n{"a":}\n{"a":3}\n{"a":'
    assert [raw for raw, _ in split(data, array=False)] == [
        b'{"a":\n1}', b'{"a":2}', b"7", b'{"a":}', b'{"a":3}', b'{"a":',
    ]  # fmt: skip


def test_an_element_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LIMIT", 100)
    monkeypatch.setattr(documents, "RAW_LIMIT", 10)
    monkeypatch.setattr(documents, "_CHUNK", 32)
    data = b'[{"a":1},{"a":"' + b"]},{" * 100 + b'"},{"a":2},{"a":"' + b"x" * 200
    assert split(data) == [
        (b'{"a":1}', ""),
        (b'{"a":"]},{', "longer than 100 bytes"),
        (b'{"a":2}', ""),
        (b'{"a":"xxxx', "longer than 100 bytes"),
    ]


def test_an_object_that_is_never_closed_ends_at_the_next_line_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "LIMIT", 100)
    monkeypatch.setattr(documents, "_CHUNK", 32)
    rows = b",\n".join(b'{"a":%d}' % i for i in range(30))
    good, bad = _judged(split(b'[{"b":{"c":1},\n' + rows + b"]"))
    assert (good, bad) == (list(range(30)), ['{"b":{"c":1}'])
