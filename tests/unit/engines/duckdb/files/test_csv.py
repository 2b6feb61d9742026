"""CSV files: types, dialects, headers, drift, and rows that cannot be parsed."""

from __future__ import annotations

import gzip
import threading
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qanat.engines.duckdb.files import pass_files
from qanat.engines.duckdb.files.spool import translate
from qanat.errors import (
    FileUnreadableError,
    FileVanishedError,
    OptionError,
    SchemaDriftError,
    StorageFullError,
)
from qanat.model.pipeline import Drift
from qanat.model.schema import NO_COLUMNS
from qanat.model.work import FilesBatch, LocalFile

moment = datetime.fromisoformat


def test_types_are_inferred(bench: Any) -> None:
    file = bench.put(
        "a.csv",
        "i,f,b,d,t,z,s\n1,1.5,true,2013-01-31,2013-01-31 10:00:00,2013-01-31T10:00:00Z,x\n"
        "-2,2,false,2013-02-28,2013-01-31 10:00:01.5,2013-01-31T10:00:00+02:00,\n",
    )
    bound = bench.bind(file)
    assert [str(f) for f in bound.schema.fields] == [
        "i bigint", "f double", "b boolean", "d date", "t timestamp_ntz", "z timestamp",
        "s string",
    ]  # fmt: skip
    found = bench.con.execute(
        f"SELECT i, f, b, d, t, CAST(z AS VARCHAR), s FROM ({bound.relation})"
    ).fetchall()
    assert found == [
        (1, 1.5, True, date(2013, 1, 31), moment("2013-01-31T10:00:00"),
         "2013-01-31 10:00:00+00", "x"),
        (-2, 2.0, False, date(2013, 2, 28), moment("2013-01-31T10:00:01.500"),
         "2013-01-31 08:00:00+00", None),
    ]  # fmt: skip
    assert bench.bad(bound) == []


def test_the_sample_is_taken_from_several_files(bench: Any) -> None:
    files = [bench.put(f"{i:02d}.csv", f"v\n{i}\n") for i in range(20)]
    last = bench.put("99.csv", "v\nlast\n")
    assert str(bench.bind(*files, last).schema.fields[0]) == "v string"


def test_inference_can_be_switched_off(bench: Any) -> None:
    file = bench.put("a.csv", "a,b\n1,2\n")
    assert bench.rows(bench.bind(file, infer_schema=False)) == [("1", "2")]
    assert bench.rows(bench.bind(file, all_varchar="true")) == [("1", "2")]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("long", "517.0", 517),
        ("long", " 3 ", 3),
        ("long", "+4", 4),
        ("byte", "127", 127),
        ("long", "1e2", 100),
        ("double", "1e3", 1000.0),
        ("decimal(5,2)", "1.230", Decimal("1.23")),
        ("date", "2013-01-31", date(2013, 1, 31)),
        ("boolean", "TRUE", True),
        ("binary", "é", "é".encode()),
        ("string", "007", "007"),
    ],
)
def test_values_that_fit(bench: Any, schema: Any, type_: str, text: str, value: Any) -> None:
    file = bench.put("a.csv", f"k,v\n1,{text}\n")
    assert bench.rows(bench.bind(file, declared=schema(f"k long, v {type_}"))) == [(1, value)]


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("long", "1.5"),
        ("long", "1e-2"),
        ("long", "9223372036854775808"),
        ("byte", "128"),
        ("decimal(5,2)", "1.239"),
        ("decimal(5,2)", "1000"),
        ("date", "2013-01-31 10:00:00"),
        ("date", "31/01/2013"),
        ("timestamp", "noon"),
        ("boolean", "maybe"),
        ("double", "1,5"),
    ],
)
def test_a_value_that_does_not_fit_is_malformed(
    bench: Any, schema: Any, type_: str, text: str
) -> None:
    file = bench.put("a.csv", f"k;v\n1;{text}\n2;\n")
    bound = bench.bind(file, declared=schema(f"k long, v {type_}"), delimiter=";")
    assert bench.rows(bound) == [(2, None)]
    [(name, row, raw, error)] = bench.bad(bound)
    assert (name, row, raw) == ("a.csv", 2, f"1;{text}")
    assert error.startswith(f"column 'v': \"{text}\" does not fit ")


def test_every_kind_of_broken_line(bench: Any) -> None:
    file = bench.put(
        "a.csv",
        b'id,v,s\n1,2,x\n3,4\n4,5,6,7\n\n5,6,"un"q\n6,6,caf\xe9\n'
        b'7,"8","two\nlines"\n8,"9,open\n9,9,end',
    )
    bound = bench.bind(file)
    assert bench.rows(bound) == [(1, 2, "x"), (7, 8, "two\nlines"), (9, 9, "end")]
    assert bench.lines(bound) == [2, 8, 11]
    assert bench.bad(bound) == [
        ("a.csv", 3, "3,4", "expected 3 columns, found 2"),
        ("a.csv", 4, "4,5,6,7", "expected 3 columns, found 4"),
        ("a.csv", 6, '5,6,"un"q', "text follows a closing quote"),
        ("a.csv", 7, "6,6,caf\\xe9", "not UTF-8: unexpected end of data at byte 8"),
        ("a.csv", 10, '8,"9,open', "a quote is opened and never closed"),
    ]


def test_clean_files_beside_a_dirty_one(bench: Any) -> None:
    good = bench.put("a.csv", "a,b\n1,2\n3,4\n")
    dirty = bench.put("b.csv", "a,b\n5,6\n7\n8,9\n")
    more = bench.put("c.csv", "a,b\n10,11\n")
    bound = bench.bind(good, dirty, more)
    assert bench.rows(bound) == [(1, 2), (3, 4), (5, 6), (8, 9), (10, 11)]
    assert bench.lines(bound) == [2, 3, 2, 4, 2]
    assert bench.bad(bound) == [("b.csv", 3, "7", "expected 2 columns, found 1")]


@pytest.mark.parametrize(
    ("threads", "place", "suffix"),
    [
        (1, "first", ""),
        (1, "last", ".gz"),
        (2, "middle", ""),
        (2, "last", ".gz"),
        (3, "first", ""),
    ],
)
def test_a_quote_that_is_never_closed_in_one_of_many_files(
    bench: Any, threads: int, place: str, suffix: str
) -> None:
    """DuckDB skips what follows, and says nothing, where files are many for its threads."""
    bench.con.execute(f"SET threads = {threads}")
    for count in (2 * threads, 2 * threads + 1):
        at = {"first": 0, "middle": count // 2, "last": count - 1}[place]
        files = []
        for n in range(count):
            text = 'a,b\n1,x\n2,"open\n3,y\n' if n == at else f"a,b\n{n + 10},{'zq'[n % 2]}\n"
            text = text.replace("q", '"q,"')
            data = gzip.compress(text.encode()) if suffix else text.encode()
            files.append(bench.put(f"{count}/{n:02}.csv{suffix}", data))
        bound = bench.bind(*files)
        assert sorted(a for a, _ in bench.rows(bound)) == sorted(
            [1, 3, *(n + 10 for n in range(count) if n != at)]
        )
        assert [(row, raw) for _, row, raw, _ in bench.bad(bound)] == [(3, '2,"open')]


def test_mixed_line_ends_and_carriage_returns(bench: Any) -> None:
    mixed = bench.put("a.csv", "a,b\r\n1,2\n3,4\r\n5,6")
    old = bench.put("b.csv", "a,b\r7,8\r9,10\r")
    assert bench.rows(bench.bind(mixed, old)) == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]


def test_mixed_line_ends_far_into_the_file(bench: Any) -> None:
    rows = "".join(f"{i},x\n" for i in range(20_000))
    bound = bench.bind(bench.put("a.csv", "a,b\n" + rows + "20000,y\r\n20001,z\n"))
    assert bound.rows == 20_002
    assert bench.lines(bound)[-1] == 20_003


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"a,b\n", b"a,b", b"a,b\r\n"])
def test_files_without_rows(bench: Any, schema: Any, content: bytes) -> None:
    file = bench.put("a.csv", content)
    assert bench.rows(bench.bind(file, header=True)) == []
    other = bench.put("b.csv", "a,b\n1,2\n")
    assert bench.rows(bench.bind(file, other)) == [(1, 2)]
    assert bench.rows(bench.bind(file, known=schema("a long, b long"))) == []


@pytest.mark.parametrize("size", [10, 70_000, 1_100_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_that_come_late(bench: Any, size: int, end: str) -> None:
    """The first line end outside quotes tells, however far it is from the start of the file."""
    other = "\n" if end == "\r" else "\r"
    long = "x" * size
    lines = ["a,b", f'1,"{long}{other}{long}"', "2,y"]
    file = bench.put("a.csv", end.join(lines) + end)
    assert bench.rows(bench.bind(file)) == [(1, f"{long}{other}{long}"), (2, "y")]
    head = [f'"{long}{other}",b', "1,x", "2,y"]
    file = bench.put("b.csv", end.join(head) + end)
    assert bench.rows(bench.bind(file)) == [(1, "x"), (2, "y")]


def test_a_line_feed_far_behind_a_lone_return(bench: Any) -> None:
    """A CR is part of a value where lines end with LF, be it the first of them after a MiB."""
    long = "x" * 1_100_000
    bound = bench.bind(bench.put("a.csv", f"a,{long}\rb\n1,2\n"))
    assert bound.schema.names == ("a", f"{long}\rb")
    assert bench.rows(bound) == [(1, 2)]


def test_byte_order_mark_and_no_final_line_end(bench: Any) -> None:
    bound = bench.bind(bench.put("a.csv", b"\xef\xbb\xbfa,b\n1,2"))
    assert bound.schema.names == ("a", "b")
    assert bench.rows(bound) == [(1, 2)]


def test_compressed(bench: Any) -> None:
    text = b"a,b\n1,2\n3\n"
    zipped = bench.put("a.csv.gz", gzip.compress(text))
    zstd = bench.put("b.csv.zst", pa.compress(text, codec="zstd", asbytes=True))
    bound = bench.bind(zipped, zstd)
    assert bench.rows(bound) == [(1, 2), (1, 2)]
    assert [row for _, row, _, _ in bench.bad(bound)] == [3, 3]


def test_damaged_compression_is_named(bench: Any) -> None:
    good = bench.put("a.csv.gz", gzip.compress(b"a\n1\n"))
    bad = bench.put("b.csv.gz", gzip.compress(b"a\n" + b"1\n" * 5000)[:-20])
    worse = bench.put("c.csv.gz", b"not gzip")
    with pytest.raises(FileUnreadableError, match=r"c\.csv\.gz|one of"):
        bench.bind(good, worse)
    with pytest.raises(FileUnreadableError):
        bench.bind(good, bad)
    packed = gzip.compress(b"a\n1\n")
    broken = bench.put("d.csv.gz", packed[:10] + b"\xff" * 8 + packed[18:])
    with pytest.raises(FileUnreadableError, match=r"d\.csv\.gz"):
        bench.bind(broken)


def test_long_fields(bench: Any) -> None:
    million, more = "x" * 1_000_000, "y" * 5_000_000
    file = bench.put("a.csv", f'a,b\n1,{million}\n2,"{more}\nz"\n3,{"w" * 17_000_000}\n4,ok\n')
    # DuckDB's sniffer takes seconds for such lines.
    bound = bench.bind(file, header=True, delimiter=",", quote='"')
    found = bench.con.execute(f"SELECT a, len(b) FROM ({bound.relation}) ORDER BY a").fetchall()
    assert found == [(1, 1_000_000), (2, 5_000_002), (4, 2)]
    [(_, row, raw, error)] = bench.bad(bound)
    assert (row, error) == (5, "longer than 16777216 bytes")
    assert raw.startswith("3,www")
    assert raw.endswith(" [truncated]")


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_longer_than_the_buffer(bench: Any, packed: bool) -> None:
    """DuckDB skips it, and says so only if it may not put records aside."""
    text = b"a,b\n1,x\n" + b"9,y\n" * 20_000 + b"2," + b"w" * 34_000_000 + b"\n3,z\n"
    name, text = ("a.csv.gz", gzip.compress(text, 1)) if packed else ("a.csv", text)
    bound = bench.bind(bench.put(name, text), header=True, delimiter=",", quote='"')
    query = f"SELECT a, count(*) FROM ({bound.relation}) GROUP BY a ORDER BY a"
    assert bench.con.execute(query).fetchall() == [(1, 1), (3, 1), (9, 20_000)]
    [(_, row, raw, error)] = bench.bad(bound)
    assert (row, error) == (20_003, "longer than 16777216 bytes")
    assert raw.startswith("2,www")


def test_the_dialect_of_long_fields(bench: Any) -> None:
    text = "x" * 2_200_000  # longer than DuckDB's longest line
    bound = bench.bind(bench.put("a.csv", f'a,b\n1,"{text}\nz"\n2,ok\n'))
    assert [(a, len(b)) for a, b in bench.rows(bound)] == [(1, 2_200_002), (2, 2)]


def test_headers_are_made_unique(bench: Any) -> None:
    bound = bench.bind(bench.put("a.csv", "a,A,,a,\n1,2,3,4,5\n"), header=True)
    assert bound.schema.names == ("a", "A_1", "column2", "a_2", "column4")
    assert bench.rows(bound) == [(1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    "name", ["select", "a b", "Größe", "it's", "数", "a;b", "file_index", "filename", "v0", "x.y"]
)
def test_any_column_name(bench: Any, name: str) -> None:
    bound = bench.bind(bench.put("a.csv", f"{name},k\n1,2\n"), header=True, delimiter=",")
    assert bound.schema.names == (name, "k")
    assert bench.rows(bound) == [(1, 2)]


def test_a_quoted_column_name(bench: Any) -> None:
    bound = bench.bind(bench.put("a.csv", '"say ""hi""","two\nlines"\n1,2\n'), header=True)
    assert bound.schema.names == ('say "hi"', "two\nlines")
    assert bench.rows(bound) == [(1, 2)]
    assert bench.lines(bound) == [3]


@pytest.mark.parametrize("name", ["_metadata", "__qanat_row", "_METADATA"])
def test_reserved_names_are_refused(bench: Any, name: str) -> None:
    with pytest.raises(OptionError, match=name):
        bench.bind(bench.put("a.csv", f"a,{name}\n1,2\n"), header=True)


def test_no_header(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "1,x\n2,y\n")
    bound = bench.bind(file, header=False)
    assert bound.schema.names == ("column0", "column1")
    bound = bench.bind(file, header="false", declared=schema("id integer, name string"))
    assert bench.rows(bound) == [(1, "x"), (2, "y")]
    assert bench.lines(bound) == [1, 2]


def test_a_header_is_recognised_by_known_names(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "id,name\nx,y\n")
    assert bench.rows(bench.bind(file, known=schema("id string, name string"))) == [("x", "y")]


def test_skip_comment_and_blank_lines_before_the_header(bench: Any) -> None:
    file = bench.put("a.csv", "report of today\n\n# by hand\na;b\n# none\n1;2\n")
    bound = bench.bind(file, skip=1, comment="#", delimiter=";", header=True)
    assert bench.rows(bound) == [(1, 2)]
    assert bench.lines(bound) == [6]


def test_dialects(bench: Any) -> None:
    semicolon = bench.put("a.csv", "a;b\n'x;y';2\n'it''s';3\n")
    bound = bench.bind(semicolon, delimiter=";", quote="'", header=True)
    assert bench.rows(bound) == [("x;y", 2), ("it's", 3)]
    escaped = bench.put("b.csv", 'a\tb\n"say \\"hi\\""\t2\nbroken\n')
    bound = bench.bind(escaped, escape="\\", header=True, delimiter="\t")
    assert bench.rows(bound) == [('say "hi"', 2)]
    tabs = bench.put("c.csv", "a\tb\n1\t2\n")
    assert bench.rows(bench.bind(tabs)) == [(1, 2)]


@pytest.mark.parametrize(
    "options",
    [{"delimiter": ""}, {"delimiter": "abcde"}, {"quote": "ab"}, {"header": "perhaps"}],
)
def test_options_that_make_no_sense(bench: Any, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        bench.bind(bench.put("a.csv", "a,b\n1,2\n"), **options)


def test_null_values_and_formats(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "d,t,v\n31/01/2013,20130131 101500,NA\nNA,NA,\n")
    bound = bench.bind(
        file, declared=schema("d date, t timestamp_ntz, v long"), null_value="NA",
        date_format="dd/MM/yyyy", timestamp_format="%Y%m%d %H%M%S",
    )  # fmt: skip
    assert bench.rows(bound) == [
        (date(2013, 1, 31), moment("2013-01-31T10:15:00"), None),
        (None, None, None),
    ]


def test_different_headers_are_united_by_name(bench: Any) -> None:
    first = bench.put("a.csv", "a,b\n1,x\n")
    second = bench.put("b.csv", "B,c,A\ny,2.5,3\n")
    bound = bench.bind(first, second)
    assert bound.schema.names == ("a", "b", "c")
    assert bench.rows(bound) == [(1, "x", None), (3, "y", 2.5)]


def test_evolve_appends_new_columns(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "new,b\n1,2\n")
    bound = bench.bind(file, known=schema("a string, b string"))
    assert [str(f) for f in bound.schema.fields] == ["a string", "b string", "new bigint"]
    assert bench.rows(bound) == [(None, "2", 1)]


def test_declared_types_win_over_known_ones(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", "a,b\n1,2\n")
    bound = bench.bind(file, known=schema("b long, a long"), declared=schema("a string"))
    assert [str(f) for f in bound.schema.fields] == ["b bigint", "a string"]


def test_freeze_names_file_and_column(bench: Any, schema: Any) -> None:
    first, second = bench.put("a.csv", "a\n1\n"), bench.put("b.csv", "a,extra\n1,2\n")
    with pytest.raises(SchemaDriftError) as caught:
        bench.bind(first, second, known=schema("a long"), drift=Drift.FREEZE)
    assert str(caught.value) == (
        "s3://lake/b.csv has a column that in/* did not have: 'extra'\n"
        "  wanted: a bigint\n"
        "  got: extra\n"
        "  hint: declare it in schema, or let new columns in: "
        "TBLPROPERTIES ('qanat.schema_drift' = 'evolve')"
    )
    assert bench.rows(bench.bind(first, second, drift=Drift.FREEZE)) == [(1, None), (1, 2)]


def test_rescue(bench: Any, schema: Any) -> None:
    file = bench.put("a.csv", 'a,b,extra\n1,2,\nx,3,\n4,5,"q"""\n6,7\n')
    bound = bench.bind(file, known=schema("a long, b long"), drift=Drift.RESCUE)
    assert bound.schema.names == ("a", "b", "_rescued_data")
    assert bench.rows(bound) == [
        (1, 2, None),
        (None, 3, '{"a":"x","_file_path":"s3://lake/a.csv"}'),
        (4, 5, '{"extra":"q\\"","_file_path":"s3://lake/a.csv"}'),
    ]
    assert [row for _, row, _, _ in bench.bad(bound)] == [5]
    again = bench.bind(file, known=bound.schema, drift=Drift.RESCUE)
    assert again.schema == bound.schema


def test_columns_from_folders(bench: Any, schema: Any) -> None:
    one = bench.put("y=2013/k=a b/x.csv", "v\n1\n")
    two = bench.put("y=2014/k=__HIVE_DEFAULT_PARTITION__/x.csv", "v\n2\n")
    bound = bench.bind(one, two, hive_partitioning=True)
    assert [str(f) for f in bound.schema.fields] == ["v bigint", "y bigint", "k string"]
    assert bench.rows(bound) == [(1, 2013, "a b"), (2, 2014, None)]
    with pytest.raises(SchemaDriftError, match="y=2013"):
        bench.bind(one, hive_partitioning=True, declared=schema("y date"))


def test_metadata(bench: Any) -> None:
    file = bench.put("sub/a.csv", "a\n1\n")
    bound = bench.bind(file, header=True)
    [row] = bench.con.execute(
        "SELECT _metadata.file_path, _metadata.file_name, _metadata.file_size, "
        "epoch_us(_metadata.file_modification_time), typeof(_metadata), __qanat_file "
        f"FROM ({bound.relation})"
    ).fetchall()
    assert row == (
        "s3://lake/sub/a.csv", "a.csv", 4, file.modified_ns // 1000,
        ("STRUCT(file_path VARCHAR, file_name VARCHAR, file_size BIGINT, "
         "file_modification_time TIMESTAMP WITH TIME ZONE)"),
        "s3://lake/sub/a.csv",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "it's.csv", "ü b.csv"])
def test_any_file_name(bench: Any, name: str) -> None:
    bench.put("a1.csv", "a,b\n9,9\n")
    bound = bench.bind(bench.put(name, "a,b\n1,2\n3\n"))
    assert bench.rows(bound) == [(1, 2)]


def test_the_same_rows_each_time(bench: Any) -> None:
    text = "a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(300_000)) + "x,1\n5\n"
    bound = bench.bind(bench.put("a.csv", text), header=True)
    assert bound.rows == 300_000
    query = f"SELECT __qanat_row, a FROM ({bound.relation}) WHERE b = 3"
    first = sorted(bench.con.execute(query).fetchall())
    assert sorted(bench.con.execute(query).fetchall()) == first
    assert all(row == a + 2 for row, a in first)
    assert [(row, raw) for _, row, raw, _ in bench.bad(bound)] == [
        (300_002, "x,1"),
        (300_003, "5"),
    ]


def test_many_small_files(bench: Any) -> None:
    files = [bench.put(f"{i:04d}.csv", f"a,b\n{i},x\n{i}\n") for i in range(400)]
    bound = bench.bind(*files)
    assert bench.rows(bound) == [(i, "x") for i in range(400)]
    assert bench.bad(bound) == [
        (f"{i:04d}.csv", 3, str(i), "expected 2 columns, found 1") for i in range(400)
    ]
    assert len(bound.relation) < 5000


def test_several_threads_on_one_instance(bench: Any) -> None:
    files = [bench.put(f"{i}.csv", f"a,b\n{i},2\nbroken\n") for i in range(8)]
    found: dict[int, Any] = {}

    def work(i: int) -> None:
        mine = type(bench)(bench.con.cursor(), bench.folder, bench.scratch, count=100 * i)
        bound = mine.bind(files[i])
        found[i] = (mine.rows(bound), len(mine.bad(bound)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: ([(i, 2)], 1) for i in range(8)}


def test_a_vanished_file(bench: Any) -> None:
    good = bench.put("a.csv", "a\n1\n")
    gone = LocalFile("s3://lake/gone.csv", str(bench.folder / "gone.csv"), 5, 0)
    with pytest.raises(FileVanishedError, match=r"s3://lake/gone\.csv is gone"):
        bench.bind(good, gone)


def test_a_full_disk(tmp_path: Path) -> None:
    file = LocalFile("a.csv", str(tmp_path), 1, 1)
    found = translate(OSError(28, "No space left on device"), [file], "csv")
    assert isinstance(found, StorageFullError)


def test_an_unknown_format(bench: Any) -> None:
    with pytest.raises(OptionError, match="did you mean 'parquet'"):
        bench.bind(bench.put("a", "x"), format="parqet")


def test_files_with_and_without_underscores_are_read_in_one_pass(bench: Any, schema: Any) -> None:
    files = bench.put("a.csv", "n_n,s\n155190,x\n"), bench.put("b.csv", "n_n,s\n7,x_y\n")
    declared = schema("n_n long, s string")
    batch = FilesBatch(files, "csv", (), declared, NO_COLUMNS, Drift.EVOLVE, "in/*")
    once = pass_files(bench.con, "once", batch, bench.scratch)
    assert once is not None
    found = bench.con.execute(f"SELECT n_n, s FROM ({once.relation}) ORDER BY 1").fetchall()
    assert (found, once.complete()) == ([(7, "x_y"), (155190, "x")], True)


def test_an_underscore_in_one_file_is_no_number_in_another(bench: Any, schema: Any) -> None:
    declared = schema("n long, d decimal(15,2), f double")
    plain = bench.put("a.csv", "n,d,f\n155190,17.50,2.5\n")
    marked = bench.put("b.csv", "n,d,f\n8,1_2.5,1\n9,1,1_2.5\n1_0,1,1\n")
    bound = bench.bind(plain, marked, declared=declared)
    assert bench.rows(bound) == [(155190, Decimal("17.50"), 2.5)]
    assert [raw for _, _, raw, _ in bench.bad(bound)] == ["8,1_2.5,1", "9,1,1_2.5", "1_0,1,1"]
