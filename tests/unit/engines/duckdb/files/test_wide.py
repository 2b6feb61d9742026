"""JSON objects with many keys are read as those with few."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from qanat.engines.duckdb.files import json as json_files
from qanat.model.pipeline import Drift
from qanat.model.schema import (
    STRING,
    Array,
    DataType,
    Decimal as DecimalType,
    Field,
    MapType,
    Primitive,
    Schema,
    Struct,
)  # fmt: skip

_KEYS = (
    *("raw_text", "_fault", "FILE", "__line", "text", "c0", "many0", "plain"),
    *('"', "a'b", "a/b", "a~b", "", " ", "数", "a.b", "a", "A", "_metadata", "}", "\u2028"),
)
_VALUES: tuple[Any, ...] = (
    *(1, -2, 2**63, 2**70, 1.5, 1e300, 0.1, True, None, "x", "", "5", "1.50", "2024-01-31", "\n"),
    *([], [1, 2.5], [{"a": 1.25}], {"a": 1, "b": "x"}, {}, "\x80", "null", [None], {"a": [1.10]}),
)
_LONG = '{"k1":90071992547409.93,"k2":1.10,"k3":[1.10,"1.10"],"k5":{"a":90071992547409.93}}'


def _objects(step: int) -> list[str]:
    """Rows with the same keys, and values that move from key to key by `step`."""
    keys = [*_KEYS, *(f"k{n}" for n in range(len(_VALUES)))]
    rows = [
        {key: _VALUES[(n + step * row) % len(_VALUES)] for n, key in enumerate(keys)}
        for row in range(4)
    ]
    del rows[2]["a"], rows[3]["A"], rows[1]["raw_text"], rows[1]["a"]
    rows[0].pop("A")
    return [json.dumps(row, ensure_ascii=bool(step % 2)) for row in rows]


@pytest.mark.parametrize("drift", [Drift.EVOLVE, Drift.RESCUE])
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("long", [False, True])
def test_as_one_by_one(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    drift: Drift,
    declared: bool,
    step: int,
    long: bool,
) -> None:
    wrong = ["{", "[1]", '{"k1":1,"K1":2}', '{"k1":', "{}", " { } ", '{ "k7" : 7 }']
    texts = [*_objects(step), *wrong, *([_LONG] if long else [])]
    file = bench.put("a.ndjson", "\n".join(texts))
    types: tuple[DataType, ...] = (
        *(Primitive("date"), Primitive("long"), DecimalType(20, 2), Primitive("boolean")),
        *(Primitive("timestamp"), MapType(STRING, STRING), Array(Primitive("double")), STRING),
        Struct((Field("a", Primitive("long")),)),
    )
    fields = tuple(Field(f"k{n}", types[n % len(types)]) for n in range(1, len(_VALUES), 2))
    said = {"declared": Schema(fields)} if declared else {}
    found = []
    for few in (0, 10_000):
        monkeypatch.setattr(json_files, "FEW", few)
        bound = bench.bind(file, format="ndjson", drift=drift, **said)
        found.append((bound.schema, bench.rows(bound), bench.lines(bound), bench.bad(bound)))
    assert found[0] == found[1]
    assert len(found[0][1]) + len(found[0][3]) == len(texts)


@pytest.mark.parametrize("format_", ["ndjson", "json"])
def test_hundreds_of_keys(bench: Any, format_: str) -> None:
    keys = [f"k{n}" for n in range(500)]
    rows = [{k: n + row for n, k in enumerate(keys)} for row in range(3)]
    lines = [json.dumps(row) for row in rows]
    lines[1] = lines[1].replace('"k7": 8', '"k7": 90071992547409.93')
    pretty = ",\r\n".join(lines).replace(", ", ",\n")
    text = f"[{pretty}]" if format_ == "json" else "\n".join(lines)
    bound = bench.bind(bench.put(f"a.{format_}", text), format=format_)
    assert bench.bad(bound) == []
    assert bound.schema.names == tuple(keys)
    assert [row[7] for row in bench.rows(bound)] == [
        Decimal("7.000000"), Decimal("90071992547409.930000"), Decimal("9.000000"),
    ]  # fmt: skip
    assert [row[8:] for row in bench.rows(bound)] == [tuple(r.values())[8:] for r in rows]
