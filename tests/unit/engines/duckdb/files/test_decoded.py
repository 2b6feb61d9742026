"""Messages in Avro and Protobuf: what becomes of their values, and of what is none."""

from __future__ import annotations

import base64
import io
import json
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from qanat.engines.duckdb.files.again import bind_again
from qanat.engines.duckdb.files.bound import BoundFiles
from qanat.errors import OptionError
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile
from qanat.model.written import Written
from tests.unit.engines.duckdb.files.conftest import Bench, columns
from tests.unit.engines.duckdb.files.test_payloads import malformed, partition, plain, rows

fastavro = pytest.importorskip("fastavro")
pytest.importorskip("ptars")

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {
            "name": "amount",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        },
        {"name": "moment", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["red", "blue"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "notes", "type": {"type": "map", "values": "int"}},
        {
            "name": "place",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Place",
                    "fields": [{"name": "day", "type": {"type": "int", "logicalType": "date"}}],
                },
            ],
        },
        {"name": "either", "type": ["null", "string", "int"]},
    ],
}
WITHOUT = {**ORDER, "fields": ORDER["fields"][:-1]}
ONE: dict[str, Any] = {
    "id": 1,
    "name": "Ada",
    "amount": Decimal("9.50"),
    "moment": datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC),
    "color": "blue",
    "tags": ["a", "b"],
    "notes": {"k": 1},
    "place": {"day": date(2026, 1, 2)},
    "either": 5,
}
PROTO = """syntax = "proto3"; package shop; import "more/part.proto";
message Order { int64 id = 1; optional string name = 2; repeated int32 n = 3; Part part = 4;
  message Line { string text = 1; } }
message Refund { int64 id = 1; }
"""
PART = 'syntax = "proto3"; package shop; message Part { uint64 size = 1; }'


class Shelf:
    """A registry with some schemas."""

    def __init__(self, **schemas: Written) -> None:
        self.schemas = {int(n.removeprefix("s")): w for n, w in schemas.items()}

    def schema(self, number: int) -> Written | None:
        return self.schemas.get(number)


def avro(schema: Any, value: Any, number: int | None = None) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return (b"" if number is None else b"\0" + struct.pack(">I", number)) + out.getvalue()


def given(schema: Any) -> Written:
    return Written("AVRO", json.dumps(schema))


def options(payload: str, **more: Any) -> dict[str, Any]:
    return (
        {"headers": False, "given": None, "message": "", "registry": None}
        | more
        | {"payload": payload}
    )


def bind(bench: Bench, *files: LocalFile, payload: str = "avro", **more: Any) -> BoundFiles:
    batch = {k: more.pop(k) for k in ("declared", "known", "drift") if k in more}
    return bench.bind(*files, format="payloads", **batch, **options(payload, **more))


@pytest.mark.parametrize("schema", [ORDER, WITHOUT], ids=["fastavro", "polars"])
def test_avro_has_its_own_types(bench: Bench, schema: Any) -> None:
    names = [f["name"] for f in schema["fields"]]
    value = {n: ONE[n] for n in names}
    file = partition(bench, "t/3", plain(7, avro(schema, value)), plain(9, None))
    bound = bind(bench, file, given=given(schema))
    assert str(bound.schema.get("amount")) == "amount decimal(10,2)"
    assert str(bound.schema.get("place")) == "place struct<day:date>"
    wanted = tuple({**value, "either": "5"}[n] for n in names)
    assert rows(bench, bound, ", ".join(names) + ", _metadata.offset") == [
        (*wanted, 7),
        (*[None] * len(names), 9),
    ]
    assert (bound.rows, bound.malformed) == (2, None)


def test_what_is_no_avro_waits_with_its_bytes(bench: Bench) -> None:
    simple = {"type": "record", "name": "S", "fields": [{"name": "s", "type": "string"}]}
    good = avro(simple, {"s": "x"})
    values = [good, good + b"!", b"", b"\x08ab", avro(simple, {"s": "y"})]
    file = partition(bench, "t/3", *(plain(n, value) for n, value in enumerate(values)))
    bound = bind(bench, file, given=given(simple))
    assert rows(bench, bound, "s, __qanat_row") == [("x", 0), ("y", 4)]
    found = malformed(bench, bound)
    assert [(path, row, base64.b64decode(raw)) for path, row, raw, _ in found] == [
        ("t/3", n, values[n]) for n in (1, 2, 3)
    ]
    assert "1 bytes are left behind the value" in found[0][3]


def test_messages_by_the_numbers_of_their_schemas(bench: Bench) -> None:
    def record(*fields: tuple[str, Any]) -> dict[str, Any]:
        made = [{"name": n, "type": t} for n, t in fields]
        return {"type": "record", "name": "R", "fields": made}

    one, two = record(("id", "int")), record(("id", "long"), ("more", "string"))
    shelf = Shelf(s1=Written("AVRO", json.dumps(one)), s2=Written("AVRO", json.dumps(two)))
    values = [
        avro(one, {"id": 1}, 1),
        avro(two, {"id": 2**40, "more": "m"}, 2),
        avro(one, {"id": 3}, 3),
        b"\1abcdef",
        b"\0\0",
    ]
    file = partition(bench, "t/0", *(plain(n, value) for n, value in enumerate(values)))
    bound = bind(bench, file, registry=shelf)
    assert str(bound.schema.get("id")) == "id bigint"
    assert sorted(rows(bench, bound, "id, more")) == [(1, None), (2**40, "m")]
    errors = [error for _, _, _, error in malformed(bench, bound)]
    assert errors[0] == "the schema registry has no schema 3"
    assert len(errors) == 3
    # The number of the schema that was missing is registered: the messages are decoded again.
    shelf.schemas[3] = shelf.schemas[1]
    batch = FilesBatch(
        (LocalFile("t/0", "", 0, 0),), "payloads", tuple(options("avro", registry=shelf).items()),
        NO_COLUMNS, bound.schema, Drift.EVOLVE, "t",
    )  # fmt: skip
    waiting = [(n, *rest) for n, rest in enumerate(malformed(bench, bound), 100)]
    again = bind_again(bench.con, "again", batch, waiting, bench.scratch)
    assert rows(bench, again, "id, __qanat_row, _metadata.offset") == [(3, 100, 2)]
    assert [row for _, row, _, _ in malformed(bench, again)] == [101, 102]


def test_avro_is_read_by_another_schema(bench: Bench) -> None:
    old = {"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "int"}, {"name": "b", "type": "string"}]}  # fmt: skip
    moved = {"type": "record", "name": "R", "fields": [
        {"name": "bee", "type": "string", "aliases": ["b"]},
        {"name": "c", "type": "string", "default": "none"}]}  # fmt: skip
    wider = {"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "double"}, {"name": "b", "type": ["null", "string"]}]}  # fmt: skip
    shelf = Shelf(s1=Written("AVRO", json.dumps(old)))
    file = partition(bench, "t/0", plain(0, avro(old, {"a": 1, "b": "x"}, 1)))
    bound = bind(bench, file, registry=shelf, given=given(moved))
    assert bound.schema.names == ("bee", "c")
    assert rows(bench, bound, "bee, c") == [("x", "none")]
    bound = bind(bench, file, registry=shelf, given=given(wider))
    assert rows(bench, bound, "a, b") == [(1.0, "x")]


def test_declared_types_of_avro_change_no_value(bench: Bench) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]}
    values = [avro(schema, {"a": 1}), avro(schema, {"a": 2**40})]
    file = partition(bench, "t/0", *(plain(n, value) for n, value in enumerate(values)))
    bound = bind(bench, file, given=given(schema), declared=columns("a integer"))
    assert rows(bench, bound, "a") == [(1,)]
    [(_, row, raw, error)] = malformed(bench, bound)
    assert (row, base64.b64decode(raw)) == (1, values[1])
    assert "does not fit" in error


def test_protobuf(bench: Bench) -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    from qanat.engines.duckdb.files.protobuf import compiled

    made = compiled(PROTO, {"more/part.proto": PART})
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(made).file:
        pool.Add(file)

    def of(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    order, line, refund = of("shop.Order"), of("shop.Order.Line"), of("shop.Refund")
    whole = order(id=5, name="", n=[1, 2])
    whole.part.size = 2**64 - 1
    values = [whole.SerializeToString(), b"", b"\xff\xff"]
    source = partition(bench, "t/0", *(plain(n, value) for n, value in enumerate(values)))
    bound = bind(bench, source, payload="protobuf", given=made, message="shop.Order")
    assert rows(bench, bound, "id, name, n, part") == [
        (5, "", [1, 2], {"size": 2**64 - 1}),
        (0, None, [], None),
    ]
    [(_, row, raw, error)] = malformed(bench, bound)
    assert (row, base64.b64decode(raw)) == (2, b"\xff\xff")
    assert error.startswith("not Protobuf of its schema")
    with pytest.raises(OptionError, match=r"did you mean 'shop\.Order'"):
        bind(bench, source, payload="protobuf", given=made, message="shop.Ordr")
    with pytest.raises(OptionError, match="several messages"):
        bind(bench, source, payload="protobuf", given=made)
    with pytest.raises(OptionError, match="no schema of Protobuf"):
        bind(bench, source, payload="protobuf", given=Written("PROTOBUF", "message {"))
    # With a registry, each message says where its type stands in the schema.
    shelf = Shelf(s7=Written("PROTOBUF", PROTO, {"more/part.proto": PART}))
    header = b"\0\0\0\0\7"
    values = [
        header + b"\0" + order(id=1).SerializeToString(),
        header + b"\2\2" + refund(id=2).SerializeToString(),
        header + b"\4\0\0" + line(text="l").SerializeToString(),
        header + b"\2\x14",
        header + b"\4",
    ]
    source = partition(bench, "t/0", *(plain(n, value) for n, value in enumerate(values)))
    bound = bind(bench, source, payload="protobuf", registry=shelf)
    assert sorted(rows(bench, bound, "__qanat_row, id, text")) == [
        (0, 1, None),
        (1, 2, None),
        (2, None, "l"),
    ]
    assert [row for _, row, _, _ in malformed(bench, bound)] == [3, 4]


def test_no_schema_of_avro(bench: Bench, tmp_path: Path) -> None:
    del tmp_path
    file = partition(bench, "t/0", plain(0, b""))
    loop = {"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}
    for text in ("{", '{"type": "recrd"}', json.dumps(loop)):
        with pytest.raises(OptionError):
            bind(bench, file, given=Written("AVRO", text))


def test_messages_of_several_schemas_keep_their_order(bench: Bench) -> None:
    """A table gets them in it, and of equal ones UNIQUE keeps the first."""
    schemas = [{**ORDER, "fields": ORDER["fields"][:n]} for n in (1, 2)]
    shelf = Shelf(s0=given(schemas[0]), s1=given(schemas[1]))
    messages = [
        plain(n, None if n % 5 == 4 else avro(schemas[n % 2], {"id": n}, n % 2)) for n in range(50)
    ]
    bound = bind(bench, partition(bench, "t/0", *messages), registry=shelf)
    found = bench.con.execute(f"SELECT __qanat_row FROM ({bound.relation})").fetchall()
    assert [row for (row,) in found] == list(range(50))
    assert rows(bench, bound, "id") == [(None if n % 5 == 4 else n,) for n in range(50)]


LARGE = struct.pack(">i", 2**31 - 1)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2},
            Decimal("999.99"),
            b"\x08" + LARGE,
        ),
        (
            {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 5,
             "scale": 2},
            Decimal("-999.99"),
            LARGE,
        ),
        ({"type": "int", "logicalType": "time-millis"}, time(23, 59), b"\xfe\xff\xff\xff\x0f"),
    ],
    ids=["bytes", "fixed", "time"],
)  # fmt: skip
@pytest.mark.parametrize("plain_", [True, False], ids=["polars", "fastavro"])
def test_a_value_beyond_its_type_is_malformed(
    bench: Bench, type_: Any, good: Any, bad: bytes, plain_: bool
) -> None:
    fields = [{"name": "x", "type": type_}]
    if not plain_:
        fields.append({"name": "either", "type": ["null", "string", "int"]})
    schema = {"type": "record", "name": "R", "fields": fields}
    wrong = bad if plain_ else bad + b"\x00"
    file = partition(bench, "t/0", plain(0, avro(schema, {"x": good})), plain(1, wrong))
    bound = bind(bench, file, given=given(schema))
    [(row, raw, error)] = [m[1:] for m in malformed(bench, bound)]
    assert (row, raw) == (1, base64.b64encode(wrong).decode())
    assert error.startswith("not Avro of its schema: ")
    assert len(rows(bench, bound)) == 1
    if isinstance(good, Decimal):
        assert rows(bench, bound, "x") == [(good,)]


def test_of_a_key_that_comes_twice_in_a_map_the_last_counts(bench: Bench) -> None:
    notes = {"type": "map", "values": "int"}
    schema = {"type": "record", "name": "R", "fields": [{"name": "notes", "type": notes}]}
    twice = partition(bench, "t/0", plain(0, b"\x04\x02k\x06\x02k\x08\x00"))
    bound = bind(bench, twice, given=given(schema))
    assert rows(bench, bound, "notes") == [({"k": 4},)]
    inner = "message Inner { map<string, int32> notes = 4; }"
    proto = f'syntax = "proto3"; message M {{ Inner part = 1; {inner} }}'
    entries = b"\x22\x05\x0a\x01k\x10\x03\x22\x05\x0a\x01k\x10\x04"
    twice = partition(bench, "t/0", plain(0, b"\x0a\x0e" + entries))
    bound = bind(bench, twice, payload="protobuf", given=Written("PROTOBUF", proto), message="M")
    assert rows(bench, bound, "part.notes") == [({"k": 4},)]
