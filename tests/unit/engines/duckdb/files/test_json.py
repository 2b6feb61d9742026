"""JSON and NDJSON files: every key a column, every odd row accounted for."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from qanat.errors import FileVanishedError, SchemaDriftError
from qanat.model.pipeline import Drift
from qanat.model.schema import Array, Field, MapType, Primitive, Schema, Struct
from qanat.model.work import LocalFile

LONG, STRING = Primitive("long"), Primitive("string")


@pytest.fixture(autouse=True)
def _lines(bench: Any) -> None:
    bench.format = "ndjson"


def test_types(bench: Any) -> None:
    bound = bench.bind(
        bench.put(
            "a.ndjson",
            '{"i":1,"f":1.5,"b":true,"s":"x","l":[1,2],"o":{"k":"v","n":null},"z":null,"m":1}\n'
            '{"i":-1,"f":2,"m":"text","l":[]}\n{"m":{"deep":[1]}}\n',
        )
    )
    assert [str(f) for f in bound.schema.fields] == [
        "i bigint", "f double", "b boolean", "s string", "l array<bigint>",
        "o struct<k:string,n:string>", "z string", "m string",
    ]  # fmt: skip
    assert bench.rows(bound) == [
        (1, 1.5, True, "x", [1, 2], {"k": "v", "n": None}, None, "1"),
        (-1, 2.0, None, None, [], None, None, "text"),
        (None, None, None, None, None, None, None, '{"deep":[1]}'),
    ]


def test_a_key_may_appear_anywhere(bench: Any) -> None:
    rows = "".join(f'{{"a":{i}}}\n' for i in range(50_000)) + '{"late":"x"}\n'
    bound = bench.bind(bench.put("a.ndjson", rows))
    assert bound.schema.names == ("a", "late")
    query = f"SELECT late, __qanat_row FROM ({bound.relation}) WHERE late IS NOT NULL"
    assert bench.con.execute(query).fetchall() == [("x", 50_001)]


def test_malformed_lines(bench: Any) -> None:
    bound = bench.bind(
        bench.put(
            "a.ndjson", b'{"a":1}\n\n  \nnot json\n[1]\n7\n{"a":"\xff"}\n{"a":2}{"a":3}\n{"a":4}'
        )
    )
    assert bench.rows(bound) == [(1,), (4,)]
    assert bench.lines(bound) == [1, 9]
    assert bench.bad(bound) == [
        ("a.ndjson", 4, "not json", "not valid JSON"),
        ("a.ndjson", 5, "[1]", "not an object but array"),
        ("a.ndjson", 6, "7", "not an object but ubigint"),
        ("a.ndjson", 7, '{"a":"\\xff"}', "not UTF-8: invalid start byte at byte 7"),
        ("a.ndjson", 8, '{"a":2}{"a":3}', "not valid JSON"),
    ]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  "])
def test_files_without_rows(bench: Any, content: bytes) -> None:
    empty = bench.put("a.ndjson", content)
    assert bench.rows(bench.bind(empty)) == []
    assert bench.rows(bench.bind(empty, bench.put("b.ndjson", '{"a":1}'))) == [(1,)]


def test_line_ends_and_compression(bench: Any) -> None:
    mixed = bench.put("a.ndjson", b'\xef\xbb\xbf{"a":1}\r\n{"a":2}\n\r\n{"a":3}')
    zipped = bench.put("b.ndjson.gz", gzip.compress(b'{"a":4}\n{"a":5}\n'))
    bound = bench.bind(mixed, zipped)
    assert bench.rows(bound) == [(1,), (2,), (3,), (4,), (5,)]
    assert bench.lines(bound) == [1, 2, 4, 1, 2]


def test_keys_given_twice(bench: Any) -> None:
    bound = bench.bind(bench.put("a.ndjson", '{"a":1,"A":2}\n{"a":1,"a":1}\n{"a":3}\n{"A":4}\n'))
    assert bound.schema.names == ("a",)
    assert bench.rows(bound) == [("3",), ("4",)]
    assert [row for _, row, _, _ in bench.bad(bound)] == [1, 2]


def test_keys_of_every_kind(bench: Any) -> None:
    keys = ["a.b", 'q"q', "it's", "é", "a/b~c", "0", "select", "a b", "$", "v0", "text", ""]
    row = {k: i for i, k in enumerate(keys)}
    bound = bench.bind(bench.put("a.ndjson", json.dumps(row)))
    assert set(bound.schema.names) == {*keys[:-1], "_"}
    found = dict(zip(bound.schema.names, bench.rows(bound)[0], strict=True))
    assert found == {k or "_": i for i, k in enumerate(keys)}


def test_reserved_keys_get_other_names(bench: Any) -> None:
    lines = '{"a":1}\n{"_metadata":{"k":1},"__QANAT_x":2}\n{"_metadata":1,"key_metadata":2}\n'
    bound = bench.bind(bench.put("a.ndjson", lines))
    assert bound.schema.names == ("a", "key_metadata", "key__QANAT_x")
    assert bench.rows(bound) == [(1, None, None), (None, '{"k":1}', 2)]
    [(_, row, _, error)] = bench.bad(bound)
    assert (row, error) == (3, "a key is given twice (names are compared without case)")


def test_numbers_beyond_64_bits(bench: Any) -> None:
    bound = bench.bind(
        bench.put(
            "a.ndjson",
            '{"u":18446744073709551615,"h":123456789012345678901234567890,"i":1}\n'
            '{"u":1,"h":-1,"i":9223372036854775807}\n',
        )
    )
    assert [str(f.type) for f in bound.schema.fields] == [
        "decimal(38,0)", "decimal(38,0)", "bigint",
    ]  # fmt: skip
    assert bench.rows(bound) == [
        (Decimal(18446744073709551615), Decimal(123456789012345678901234567890), 1),
        (1, -1, 9223372036854775807),
    ]


def test_a_number_that_does_not_fit_a_nested_type_is_malformed(bench: Any) -> None:
    known = Schema((Field("o", Struct((Field("k", LONG),))),))
    bound = bench.bind(
        bench.put(
            "a.ndjson", '{"o":{"k":1}}\n{"o":{"k":18446744073709551615}}\n{"o":{"k":1.5}}\n'
        ),
        known=known,
    )
    assert bench.rows(bound) == [({"k": 1},)]
    assert [row for _, row, _, _ in bench.bad(bound)] == [2, 3]


@pytest.mark.parametrize(
    ("type_", "good", "value", "bad"),
    [
        (LONG, "5", 5, "1.5"),
        (LONG, '"5"', 5, '"x"'),
        (Primitive("byte"), "127", 127, "128"),
        (Primitive("double"), "1.5", 1.5, '"x"'),
        (Primitive("date"), '"2013-01-31"', date(2013, 1, 31), '"2013-01-31 10:00"'),
        (Primitive("boolean"), "true", True, '"perhaps"'),
        (STRING, '{"k": 1}', '{"k":1}', None),
        (Array(LONG), "[1,2]", [1, 2], "[1,2.5]"),
        (Array(LONG), "[null]", [None], "3"),
        (Struct((Field("k", LONG),)), '{"k":1}', {"k": 1}, '{"k":"x"}'),
        (MapType(STRING, LONG), '{"p":1,"q":2}', {"p": 1, "q": 2}, '{"p":"x"}'),
        (Array(Struct((Field("d", Primitive("date")),))), '[{"d":"2013-01-31"}]',
         [{"d": date(2013, 1, 31)}], '[{"d":"no"}]'),
    ],
)  # fmt: skip
def test_declared_types(bench: Any, type_: Any, good: str, value: Any, bad: str | None) -> None:
    lines = [f'{{"v":{good}}}', '{"v":null}', "{}"] + ([f'{{"v":{bad}}}'] if bad else [])
    bound = bench.bind(
        bench.put("a.ndjson", "\n".join(lines)), declared=Schema((Field("v", type_),))
    )
    assert bench.rows(bound) == [(value,), (None,), (None,)]
    if bad:
        [(_, row, raw, error)] = bench.bad(bound)
        assert (row, raw) == (4, f'{{"v":{bad}}}')
        assert error.startswith("column 'v': ")


def test_drift(bench: Any, schema: Any) -> None:
    file = bench.put("a.ndjson", '{"a":1,"new":{"k":[1]}}\n{"a":"x","late":null}\n{"a":3}\n')
    known = schema("a long, gone string")
    evolved = bench.bind(file, known=known)
    assert evolved.schema.names == ("a", "gone", "new", "late")
    assert bench.rows(evolved) == [(1, None, {"k": [1]}, None), (3, None, None, None)]
    with pytest.raises(SchemaDriftError, match="'new', 'late'"):
        bench.bind(file, known=known, drift=Drift.FREEZE)
    rescued = bench.bind(file, known=known, drift=Drift.RESCUE)
    assert bench.bad(rescued) == []
    assert bench.rows(rescued) == [
        (1, None, '{"new":{"k":[1]},"_file_path":"s3://lake/a.ndjson"}'),
        (None, None, '{"a":"x","_file_path":"s3://lake/a.ndjson"}'),
        (3, None, None),
    ]


def test_structs_grow_under_evolve_and_never_lose(bench: Any) -> None:
    file = bench.put("a.ndjson", '{"o":{"k":1,"new":2}}\n')
    known = Schema((Field("o", Struct((Field("k", LONG),))),))
    assert bench.rows(bench.bind(file, known=known)) == [({"k": 1, "new": 2},)]
    for drift, declared in ((Drift.FREEZE, False), (Drift.EVOLVE, True)):
        bound = bench.bind(file, **{"declared" if declared else "known": known}, drift=drift)
        assert bench.rows(bound) == []
        assert len(bench.bad(bound)) == 1
    bound = bench.bind(file, known=known, drift=Drift.RESCUE)
    assert bench.rows(bound) == [(None, '{"o":{"k":1,"new":2},"_file_path":"s3://lake/a.ndjson"}')]


def test_deep_nesting(bench: Any) -> None:
    deep = '{"a":' * 60 + "1" + "}" * 60
    too_deep = '{"a":' + "[" * 20_000 + "]" * 20_000 + "}"
    bound = bench.bind(bench.put("a.ndjson", f"{deep}\n"))
    assert len(bench.rows(bound)) == 1
    bound = bench.bind(bench.put("b.ndjson", f'{too_deep}\n{{"b":1}}\n'))
    assert [(row, error) for _, row, _, error in bench.bad(bound)] == [(1, "nested too deeply")]
    wide = json.dumps({"a": [{"b": [i, "[[[{{{"], "c": {}} for i in range(500)]})
    bound = bench.bind(bench.put("c.ndjson", wide))
    assert bench.bad(bound) == []
    assert len(bench.rows(bound)[0][0]) == 500


def test_lists_within_many_lists_are_text(bench: Any) -> None:
    """DuckDB would take twice the memory for each list around others: gigabytes for these."""
    inner = "[" * 20 + "9007199254740993.5" + "]" * 20
    bound = bench.bind(bench.put("a.ndjson", f'{{"a":{inner}}}'))
    assert str(bound.schema.fields[0].type) == "array<" * 6 + "string" + ">" * 6
    [(value,)] = bench.rows(bound)
    assert json.dumps(value) == f'{"[" * 6}"{inner[6:-6]}"{"]" * 6}'


def test_a_whole_number_fits_a_double_with_or_without_long_numbers_beside_it(bench: Any) -> None:
    lines = '{"a":-7.5,"b":%s}\n{"a":10000000000000000000000000000000000000}\n'
    for beside in ("1", "1.5e400"):
        bound = bench.bind(bench.put("a.ndjson", lines % beside))
        assert [row[0] for row in bench.rows(bound)] == [-7.5, 1e37]


def test_long_lines(bench: Any) -> None:
    long, longer = "x" * 3_000_000, "y" * 17_000_000
    bound = bench.bind(
        bench.put("a.ndjson", f'{{"a":"{long}"}}\n{{"a":"{longer}"}}\n{{"a":"ok"}}\n')
    )
    query = f"SELECT len(a) FROM ({bound.relation}) ORDER BY __qanat_row"
    assert bench.con.execute(query).fetchall() == [(3_000_000,), (2,)]
    [(_, row, _, error)] = bench.bad(bound)
    assert (row, error) == (2, "longer than 16777216 bytes")


def test_a_line_longer_than_the_buffer(bench: Any) -> None:
    """DuckDB skips it, and says so only if it may not put lines aside."""
    good, long = b'{"a":"ok"}\n', b'{"a":"' + b"w" * 270_000_000 + b'"}\n'
    files = bench.put("a.ndjson", good + long + good), bench.put("b.ndjson", good)
    bound = bench.bind(*files)
    assert len(bench.rows(bound)) == 3
    [(_, row, _, error)] = bench.bad(bound)
    assert (row, error) == (2, "longer than 16777216 bytes")


def test_packed_files_of_which_one_has_a_bad_line(bench: Any) -> None:
    good = [bench.put(f"{i}.ndjson.gz", gzip.compress(b'{"a":%d}\n' % i)) for i in range(5)]
    bad = bench.put("x.ndjson.gz", gzip.compress(b'{"a":7}\n{"a":"\xff"}\n{"a":8}\n'))
    bound = bench.bind(*good, bad)
    assert sorted(row[0] for row in bench.rows(bound)) == [0, 1, 2, 3, 4, 7, 8]
    assert [row for _, row, _, _ in bench.bad(bound)] == [2]


def test_json_files_of_every_shape(bench: Any) -> None:
    files = [
        bench.put("a.json", '\n [\n {"a":1},\n {"a":2}\n]\n'),
        bench.put("b.json", '{"a":3}\n{"a":4}\n'),
        bench.put("c.json", '{\n  "a": 5\n}\n{\n  "a": 6\n}\n'),
        bench.put("d.json", "[]"),
        bench.put("e.json", ""),
        bench.put("f.json", '[{"a":7}, 8, "x"]'),
        bench.put("g.json", '{"a":9'),
        bench.put("h.json", '{"a":\n10}\n'),
    ]
    bound = bench.bind(*files, format="json")
    assert bench.rows(bound) == [(1,), (2,), (3,), (4,), (5,), (6,), (7,), (10,)]
    assert [(f, row, raw) for f, row, raw, _ in bench.bad(bound)] == [
        ("f.json", 2, "8"),
        ("f.json", 3, '"x"'),
        ("g.json", 1, '{"a":9'),
    ]


def test_of_a_damaged_array_only_the_damage_is_malformed(bench: Any) -> None:
    good = bench.put("a.json", '[{"a":1}]')
    bad = bench.put("b.json", '[{"a":2},\n{"a":},\n{"a":[1},\n{"a":\r\n3}]')
    cut = bench.put("c.json", '[{"a":4},\n{"a":"' + "x" * 2_000_000)
    short = bench.put("d.json", b'[{"a":5}, {"a":"\xff"}')
    bound = bench.bind(good, bad, cut, short, format="json")
    assert bench.rows(bound) == [(1,), (2,), (3,), (4,), (5,)]
    assert bench.lines(bound) == [1, 1, 4, 1, 1]
    found = bench.bad(bound)
    assert [(f, row, error) for f, row, _, error in found] == [
        ("b.json", 2, "not valid JSON"),
        ("b.json", 3, "not valid JSON"),
        ("c.json", 2, "the array is not closed"),
        ("d.json", 2, "not UTF-8: invalid start byte at byte 7"),
        ("d.json", 3, "the array is not closed"),
    ]
    assert found[2][2].endswith("[truncated]")
    assert len(found[2][2]) < 1_100_000


def test_of_damaged_documents_only_the_damage_is_malformed(bench: Any) -> None:
    text = '{\n "a": 1\n}\n{\n "a": }\n}\n{\n "a": 2\n}\n'
    bound = bench.bind(bench.put("a.json", text), format="json", multi_line=True)
    assert bench.rows(bound) == [(1,), (2,)]
    assert [raw for _, _, raw, _ in bench.bad(bound)] == ['{\n "a": }', "}"]


def test_multi_line(bench: Any) -> None:
    file = bench.put("a.json", '{"a":1,\n"b":2}\n')
    assert bench.rows(bench.bind(file, format="json", multi_line=True)) == [(1, 2)]


def test_inference_can_be_switched_off(bench: Any) -> None:
    file = bench.put("a.ndjson", '{"a":1,"o":{"k":1}}\n')
    assert bench.rows(bench.bind(file, infer_schema=False)) == [("1", '{"k":1}')]


def test_columns_from_folders(bench: Any) -> None:
    file = bench.put("day=2013-01-31/a.ndjson", '{"a":1}\n')
    bound = bench.bind(file, hive_partitioning=True)
    assert bench.rows(bound) == [(1, date(2013, 1, 31))]


def test_many_small_files(bench: Any) -> None:
    files = [bench.put(f"{i:04d}.ndjson", f'{{"a":{i}}}\nbad\n') for i in range(300)]
    bound = bench.bind(*files)
    assert bench.rows(bound) == [(i,) for i in range(300)]
    assert len(bench.bad(bound)) == 300


def test_a_vanished_file(bench: Any) -> None:
    gone = LocalFile("s3://lake/gone.ndjson", str(bench.folder / "gone.ndjson"), 5, 0)
    with pytest.raises(FileVanishedError, match="gone"):
        bench.bind(gone)


@pytest.mark.parametrize(
    "line", ['{"a\\u0000": 1}', '{"a": 1, "b": {"x\\u0000y" : 2}}', '{"a": [{"\\"\\u0000": 2}]}']
)
def test_a_key_that_no_column_can_have(bench: Any, line: str) -> None:
    good = '{"a": 1, "t": "v\\u0000\\": x"}'
    bound = bench.bind(bench.put("a.ndjson", f"{good}\n{line}\n"), format="ndjson")
    assert bound.schema.names == ("a", "t")
    assert bench.rows(bound) == [(1, 'v\0": x')]
    ((_, row, _, error),) = bench.bad(bound)
    assert (row, error) == (2, "a key has a NUL character")


def test_lone_returns(bench: Any) -> None:
    content = b'{"a":1}\n{"a":\r2,"b":"x"}\r\n{"a":"\r"}\n\r{"a":3}\r\n'
    bound = bench.bind(bench.put("a.ndjson", content))
    assert bench.rows(bound) == [(1, None), (2, "x"), (3, None)]
    assert [row for _, row, _, _ in bench.bad(bound)] == [3]
    file = bench.put("b.ndjson", b'{"b":[9007199254740993E-3,7]}\r"{"xa/b~c":true}\r\n')
    bound = bench.bind(file, infer_schema=False)
    assert bench.rows(bound) == []
    assert [(row, error) for _, row, _, error in bench.bad(bound)] == [(1, "not valid JSON")]
