"""Messages of Debezium are read as they come."""

from __future__ import annotations

import base64
import json
import os
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import QanatError
from qanat.project import Project
from tests.changes.debezium import as_told, text
from tests.changes.model import Case, draw, rows_after

SEED = int(os.environ.get("QANAT_SEED") or random.SystemRandom().randrange(1_000_000))

TABLE = "CREATE STREAMING TABLE changes AS SELECT * FROM STREAM {read};"
READ = "read_files('cdc/*.json', envelope => 'debezium'{more})"
CDC = """
CREATE STREAMING TABLE kept;
CREATE FLOW keep AS AUTO CDC INTO kept FROM STREAM {source}
KEYS ({keys}) SEQUENCE BY __source_lsn {more};
"""


class Shop:
    """A project that reads messages."""

    def __init__(self, root: Path) -> None:
        self.root, self._files = root, 0
        for folder in ("cdc", "transformations"):
            (root / folder).mkdir(parents=True)
        (root / "qanat.yml").write_text("name: shop\n", encoding="utf-8")

    def declare(self, sql: str) -> None:
        (self.root / "transformations/all.sql").write_text(sql, encoding="utf-8")

    def add(self, content: str) -> None:
        self._files += 1
        (self.root / f"cdc/{self._files}.json").write_text(content, encoding="utf-8")

    def tell(self, *messages: Any) -> None:
        self.add("".join(f"{m if isinstance(m, str) else json.dumps(m)}\n" for m in messages))

    def run(self) -> Project:
        project = qanat.open(self.root)
        assert not project.run().failed
        return project


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def rows(project: Project, name: str) -> list[dict[str, Any]]:
    return list(project.table(name).arrow().to_pylist())


def upsert(lsn: int, op: str = "c", **row: Any) -> dict[str, Any]:
    return {"before": None, "after": row, "source": {"lsn": lsn}, "op": op, "ts_ms": 10 * lsn}


@pytest.mark.parametrize("number", range(4))
def test_tables_are_what_the_model_says(shop: Shop, number: int) -> None:
    seed = SEED + number
    print(f"QANAT_SEED={SEED}")  # noqa: T201 - to draw the same again
    chance, drawn = random.Random(seed), draw(seed)  # noqa: S311
    case = Case(seed, drawn.keeps, drawn.tracked, drawn.two, False, drawn.epochs)
    more = [f"IGNORE NULL UPDATES ON ({', '.join(case.keeps)})"] if case.keeps else []
    more += ["STORED AS SCD TYPE 2"] if case.two else []
    more += [f"TRACK HISTORY ON ({', '.join(case.tracked)})"] if case.tracked else []
    schema = ", schema => 'id BIGINT, site STRING, a BIGINT, b STRING'"
    # A column that has only NULLs in the first file is text from then on.
    first = next((events for events in case.epochs if events), ())
    inferred = any(e.op == "U" and e.a is not None for e in first) and chance.random() < 0.5
    read = READ.format(more="" if inferred else schema)
    shop.declare(CDC.format(source=read, keys="id, site", more=" ".join(more)))
    for epoch, events in enumerate(case.epochs, 1):
        if not events:
            continue
        shop.add(text(events, chance))
        project = shop.run()
        found = [tuple(r.get(n) for n in _columns(case)) for r in rows(project, "kept")]
        assert sorted(found, key=repr) == as_told(case, rows_after(case, epoch)), (seed, epoch)


def _columns(case: Case) -> list[str]:
    return ["id", "site", "a", "b", *(["__START_AT", "__END_AT"] if case.two else [])]


def test_a_message_is_the_row_that_it_is_about(shop: Shop) -> None:
    shop.declare(TABLE.format(read=READ.format(more="")))
    source = {"connector": "mysql", "file": "bin.1", "pos": 7, "query": '{"a",b": "c":1}'}
    shop.tell(
        {"before": None, "after": {"id": 1, "v": "x"}, "source": source, "op": "r", "ts_ms": 5},
        "null",
        {"before": {"id": 1}, "source": {**source, "pos": 8}, "op": "d"},
        {"op": "t", "source": source, "ts_us": 6, "transaction": {"id": "t1", "total_order": 1}},
        {"schema": None, "payload": upsert(9, id=2, v=None)},
        {"payload": None, "schema": {}},
        {"op": "m", "message": {"prefix": "p"}},
    )
    found = rows(shop.run(), "changes")
    assert [{k: v for k, v in r.items() if v is not None} for r in found] == [
        {
            "id": 1,
            "v": "x",
            "__op": "r",
            "__deleted": False,
            "__ts_ms": 5,
            **{f"__source_{k}": v for k, v in source.items()},
        },
        {
            "id": 1,
            "__op": "d",
            "__deleted": True,
            **{f"__source_{k}": v for k, v in {**source, "pos": 8}.items()},
        },
        {
            "__op": "t",
            "__deleted": False,
            "__ts_us": 6,
            **{f"__source_{k}": v for k, v in source.items()},
            "__transaction_id": "t1",
            "__transaction_total_order": 1,
        },
        {"id": 2, "__op": "c", "__deleted": False, "__ts_ms": 90, "__source_lsn": 9},
    ]


def test_what_is_no_message_waits_in_quarantine_with_its_line(shop: Shop) -> None:
    shop.declare(TABLE.format(read=READ.format(more="")))
    deep = '{"op": "c", "after": ' + '{"a":' * 150 + "1" + "}" * 151
    wrong = {
        '{"id": 7}': "no message of Debezium: it has no op",
        '{"op": "x", "after": {"id": 1}}': 'the op "x" is none of c, r, u, d, t, m',
        '{"op": "d", "before": null}': "a message with op d, but no object before",
        '{"op": "u", "before": {"id": 1}}': "a message with op u, but no object after",
        '{"op": "c", "after": "{}"}': "a message with op c, but no object after",
        '{"op": "c", "after": {"v": 1, "V": 2}}': "a key is given twice (names are compared"
        " without case)",
        '{"op": "c", "after": {"id": 5': "not valid JSON",
        "[1]": "not an object but array",
        deep: "nested too deeply",
    }
    shop.tell(upsert(1, id=1), *wrong)
    project = shop.run()
    assert [r["id"] for r in rows(project, "changes")] == [1]
    waiting = rows(project, "changes__quarantine")
    assert {_line(r): (r["_quarantine_raw"], _reason(r)) for r in waiting} == {
        n: (raw, why) for n, (raw, why) in enumerate(wrong.items(), 2)
    }
    # Nothing has changed, so that all of them stay.
    project.replay("changes")
    assert len(rows(project, "changes__quarantine")) == len(wrong)


def _line(row: dict[str, Any]) -> int:
    return int(row["_quarantine_source"]["row"])


def _reason(row: dict[str, Any]) -> str:
    [(_, reason)] = row["_quarantine_rules"]
    return str(reason)


def test_a_value_that_does_not_fit_waits_and_is_read_again(shop: Shop) -> None:
    declared = ", schema => 'id BIGINT, day DATE, __source_lsn BIGINT'"
    shop.declare(TABLE.format(read=READ.format(more=declared)))
    shop.tell(upsert(1, id=1, day="2020-01-02"), upsert(2, id=2, day="03.01.2020"))
    project = shop.run()
    assert [r["id"] for r in rows(project, "changes")] == [1]
    [waiting] = rows(project, "changes__quarantine")
    assert json.loads(waiting["_quarantine_raw"]) == upsert(2, id=2, day="03.01.2020")
    more = f"{declared}, date_format => '%d.%m.%Y'"
    shop.declare(TABLE.format(read=READ.format(more=more)))
    project = qanat.open(shop.root)
    project.replay("changes")
    assert [(r["id"], r["day"], r["__op"]) for r in rows(project, "changes")] == [
        (1, date(2020, 1, 2), "c"),
        (2, date(2020, 1, 3), "c"),
    ]


@pytest.mark.parametrize("wrapped", [False, True])
def test_numbers_keep_all_digits(shop: Shop, wrapped: bool) -> None:
    shop.declare(TABLE.format(read=READ.format(more=", schema => 'a STRING, b DECIMAL(38,9)'")))
    numbers = ["1.10", "1e3", "0.00001", "90071992547409.93", "12345678901234567890.123456789"]
    numbers += ["-0.0", "100", "18446744073709551616", "1.0"]
    text = (f'"a": {n}, "b": {n}, "c": "{n}\\u0041"' for n in numbers)
    messages = [f'{{"op": "c", "after": {{{t}}}, "source": {{"x": 1.10}}}}' for t in text]
    if wrapped:
        messages = [f'{{"schema": {{"x": [1.50]}}, "payload": {m}}}' for m in messages]
    shop.tell(*messages)
    found = rows(shop.run(), "changes")
    assert [r["a"] for r in found] == numbers
    assert [r["b"] for r in found] == [Decimal(n) for n in numbers]
    assert [r["c"] for r in found] == [f"{n}A" for n in numbers]


def test_types_are_those_of_plain_rows(shop: Shop) -> None:
    """The same values, in messages and without."""
    shop.declare(
        TABLE.format(read=READ.format(more=""))
        + "CREATE STREAMING TABLE plain AS SELECT * FROM STREAM read_files('plain/*.json');"
    )
    (shop.root / "plain").mkdir()
    values = [
        {"a": 1, "b": 2.5, "c": True, "d": {"x": [1, 2]}, "e": "é\n", "f": None},
        {"a": 12345678901234567890, "b": 3, "c": None, "d": {"x": [], "y": "z"}, "e": "", "g": {}},
    ]
    (shop.root / "plain/1.json").write_text("".join(f"{json.dumps(v)}\n" for v in values))
    shop.tell(*(upsert(n, "r", **v) for n, v in enumerate(values)))
    project = shop.run()
    found, plain = project.table("changes").arrow(), project.table("plain").arrow()
    assert found.select(plain.column_names).to_pylist() == plain.to_pylist()
    assert found.select(plain.column_names).schema == plain.schema


def test_rows_with_many_columns(shop: Shop) -> None:
    shop.declare(TABLE.format(read=READ.format(more="")))
    wide = {f"c{n}": n for n in range(300)} | {"price": 90071992547409.25}
    day = {"type": "int32", "name": "io.debezium.time.Date", "field": "day"}
    schema = {"type": "struct", "fields": [{"field": "after", "fields": [day]}]}
    shop.tell(
        upsert(1, **wide),
        '{"op": "c", "after": {"c0": 7, "price": 1.10}}',
        {"schema": schema, "payload": upsert(2, day=1, **wide)},
        '{"op": "c"}',
    )
    project = shop.run()
    found = rows(project, "changes")
    assert [(r["c0"], r["c299"], r["price"], r["day"]) for r in found] == [
        (0, 299, 90071992547409.25, None),
        (7, None, 1.1, None),
        (0, 299, 90071992547409.25, date(1970, 1, 2)),
    ]
    [waiting] = rows(project, "changes__quarantine")
    assert waiting["_quarantine_raw"] == '{"op": "c"}'


def _schema(*fields: dict[str, Any]) -> dict[str, Any]:
    inner = {"type": "struct", "fields": list(fields), "field": "after"}
    return {"type": "struct", "fields": [{**inner, "field": "before"}, inner], "version": 1}


def _decimal(value: str, scale: int) -> str:
    number = int(Decimal(value).scaleb(scale))
    size = number.bit_length() // 8 + 1
    return base64.b64encode(number.to_bytes(size, "big", signed=True)).decode()


CONNECT = "org.apache.kafka.connect.data"
TIME = "io.debezium.time"


def _field(name: str, type_: str, logical: str | None = None, **parameters: str) -> dict[str, Any]:
    found = {"field": name, "type": type_, "optional": True}
    found |= {"name": logical} if logical else {}
    return found | ({"parameters": parameters} if parameters else {})


def test_values_of_connect_are_decoded_by_the_schema(shop: Shop) -> None:
    shop.declare(TABLE.format(read=READ.format(more="")))
    fields = [
        _field("id", "int32"),
        _field("day", "int32", f"{TIME}.Date"),
        _field("day2", "int32", f"{CONNECT}.Date"),
        _field("ms", "int64", f"{TIME}.Timestamp"),
        _field("us", "int64", f"{TIME}.MicroTimestamp"),
        _field("ns", "int64", f"{TIME}.NanoTimestamp"),
        _field("at", "string", f"{TIME}.ZonedTimestamp"),
        _field(
            "price",
            "bytes",
            f"{CONNECT}.Decimal",
            scale="2",
            **{"connect.decimal.precision": "10"},
        ),
        _field("raw", "bytes"),
        _field("empty", "int64"),
    ]
    row = {
        "id": 1,
        "day": 18262,
        "day2": -1,
        "ms": 1577836800123,
        "us": -1,
        "ns": 1577836800123456789,
        "at": "2020-01-01T02:00:00.5+02:00",
        "price": _decimal("-12.34", 2),
        "raw": base64.b64encode(b"\x00\xff").decode(),
        "empty": None,
    }
    nothing = dict.fromkeys(row) | {"id": 2}
    schema = _schema(*fields)
    shop.tell(
        {"schema": schema, "payload": upsert(1, **row)},
        {"payload": upsert(2, **nothing), "schema": schema},
    )
    project = shop.run()
    found = [{n: r[n] for n in row} for r in rows(project, "changes")]
    assert found == [
        {
            "id": 1,
            "day": date(2020, 1, 1),
            "day2": date(1969, 12, 31),
            "ms": datetime(2020, 1, 1, 0, 0, 0, 123000),  # noqa: DTZ001 - it has no time zone
            "us": datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "ns": 1577836800123456789,
            "at": datetime(2020, 1, 1, 0, 0, 0, 500000, UTC),
            "price": Decimal("-12.34"),
            "raw": b"\x00\xff",
            "empty": None,
        },
        nothing,
    ]
    types = {f.name: str(f.type) for f in project.table("changes").arrow().schema}
    assert (types["price"], types["empty"]) == ("decimal128(10, 2)", "int64")


def test_schemas_change_and_values_that_do_not_fit_wait(shop: Shop) -> None:
    shop.declare(TABLE.format(read=READ.format(more="")))

    def priced(scale: int, lsn: int, price: str) -> dict[str, Any]:
        digits = {"scale": str(scale), "connect.decimal.precision": "8"}
        field = _field("price", "bytes", f"{CONNECT}.Decimal", **digits)
        return {"schema": _schema(field), "payload": upsert(lsn, price=price)}

    shop.tell(
        priced(2, 1, _decimal("1.25", 2)),
        priced(4, 2, _decimal("1.2345", 4)),
        priced(2, 3, "no base64!"),
    )
    project = shop.run()
    found = rows(project, "changes")
    assert [r["price"] for r in found] == [Decimal("1.2500"), Decimal("1.2345")]
    [waiting] = rows(project, "changes__quarantine")
    assert "no base64!" in _reason(waiting)
    # Another update, with a schema that has one scale: the column keeps its type.
    shop.tell(priced(1, 4, _decimal("99999.5", 1)))
    assert rows(shop.run(), "changes")[-1]["price"] == Decimal("99999.5000")


def test_what_deletes_is_known_below_a_table_and_a_view(shop: Shop) -> None:
    shop.declare(
        TABLE.format(read=READ.format(more=""))
        + "CREATE TEMPORARY VIEW seen AS SELECT * FROM STREAM changes;"
        + CDC.format(source="seen", keys="id", more="")
    )
    (shop.root / "transformations/more.py").write_text(
        "from qanat import pipelines as dp\n"
        "dp.create_streaming_table('now')\n"
        "dp.create_auto_cdc_flow(target='now', source='changes', keys=['id'],"
        " sequence_by='__source_lsn', except_column_list=['v'])\n"
        "dp.create_streaming_table('listed')\n"
        "dp.create_auto_cdc_flow(target='listed', source='changes', keys=['id'],"
        " sequence_by='__source_lsn', apply_as_deletes='false', column_list=['id', '__op'])\n",
        encoding="utf-8",
    )
    shop.tell(upsert(1, id=1, v="a"), upsert(2, id=2, v="b"))
    shop.run()
    shop.tell({"op": "d", "before": {"id": 1}, "source": {"lsn": 3}}, upsert(4, id=3, v="c"))
    project = shop.run()
    assert sorted(rows(project, "kept"), key=str) == [{"id": 2, "v": "b"}, {"id": 3, "v": "c"}]
    assert sorted(rows(project, "now"), key=str) == [{"id": 2}, {"id": 3}]
    assert sorted(rows(project, "listed"), key=str) == [
        *({"id": 1, "__op": "d"}, {"id": 2, "__op": "c"}, {"id": 3, "__op": "c"})
    ]
    shop.tell({"op": "t", "source": {"lsn": 5}}, upsert(6, id=9, v="d"))
    project = shop.run()
    assert rows(project, "kept") == [{"id": 9, "v": "d"}]
    assert rows(project, "now") == [{"id": 9}]


def test_a_history_is_not_emptied(shop: Shop) -> None:
    source = READ.format(more="")
    shop.declare(CDC.format(source=source, keys="id", more="STORED AS SCD TYPE 2"))
    shop.tell(upsert(1, id=1, v="a"), {"op": "t", "source": {"lsn": 2}})
    project = shop.run()
    assert rows(project, "kept") == [{"id": 1, "v": "a", "__START_AT": 1, "__END_AT": None}]
    [waiting] = rows(project, "kept__quarantine")
    assert [rule for rule, _ in waiting["_quarantine_rules"]] == ["_key"]


def test_a_sequence_is_a_number_also_where_the_first_messages_have_none(shop: Shop) -> None:
    shop.declare(CDC.format(source=READ.format(more=""), keys="id", more=""))
    first = {"op": "r", "after": {"id": 1, "v": "a"}, "source": {"lsn": None}}
    shop.tell(first)
    project = shop.run()
    assert len(rows(project, "kept__quarantine")) == 1
    shop.tell(upsert(9, id=1, v="b"), upsert(10, id=1, v="c"))
    assert rows(shop.run(), "kept") == [{"id": 1, "v": "c"}]


def test_an_envelope_is_around_json_alone(shop: Shop) -> None:
    shop.declare(TABLE.format(read="read_files('cdc/*.csv', envelope => 'debezium')"))
    (shop.root / "cdc/1.csv").write_text("id\n1\n")
    [failed] = qanat.open(shop.root).run().failed
    assert "the option 'envelope' is for messages in JSON" in str(failed.error)
    shop.declare(TABLE.format(read="read_files('cdc/*.json', envelope => 'maxwell')"))
    with pytest.raises(QanatError, match="'envelope' of read_files does not fit"):
        shop.run()


def test_a_query_of_its_own_says_what_deletes(shop: Shop) -> None:
    select = "(SELECT id, upper(v) AS v, __op, __source_lsn FROM STREAM {read})"
    source = select.format(read=READ.format(more=""))
    shop.declare(CDC.format(source=source, keys="id", more="").replace("STREAM (", "("))
    with pytest.raises(QanatError, match="does not say which of them delete a row"):
        shop.run()
    says = "APPLY AS DELETE WHEN __op = 'd' COLUMNS * EXCEPT (__op, __source_lsn)"
    shop.declare(CDC.format(source=source, keys="id", more=says).replace("STREAM (", "("))
    shop.tell(upsert(1, id=1, v="a"), upsert(2, id=2, v="b"))
    shop.tell({"op": "d", "before": {"id": 1}, "source": {"lsn": 3}})
    assert rows(shop.run(), "kept") == [{"id": 2, "v": "B"}]


def test_a_query_over_a_table_of_messages_says_what_deletes(shop: Shop) -> None:
    declared = TABLE.format(read=READ.format(more=""))
    for select in (
        "SELECT *, upper(v) AS u FROM STREAM changes",
        "SELECT changes.* FROM STREAM changes",
        "WITH c AS (SELECT * FROM STREAM changes) SELECT * FROM c",
    ):
        kept = CDC.format(source=f"({select})", keys="id", more="{more}")
        kept = kept.replace("STREAM (", "(")
        shop.declare(declared + kept.format(more=""))
        with pytest.raises(QanatError, match="does not say which of them delete a row"):
            shop.run()
        shop.declare(declared + kept.format(more="APPLY AS DELETE WHEN __op = 'd'"))
        assert not qanat.open(shop.root).validate().problems
