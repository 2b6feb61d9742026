"""What a PostgreSQL source promises, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from qanat.connectors.postgres import POSTGRES, READ, source as adapter
from qanat.connectors.postgres.source import PostgresSource
from qanat.errors import (
    AdapterError,
    ColumnNotFoundError,
    ConversionError,
    OptionError,
    QueryError,
    SchemaDriftError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import FileRef, Range
from qanat.model.schema import NO_COLUMNS, Field, Primitive, Schema
from qanat.model.work import ArrowBatch
from qanat.testing.postgresql import postgresql

pytestmark = pytest.mark.services


class Past:
    """What a ledger remembers: positions pass through JSON."""

    def __init__(self) -> None:
        self.text: str | None = None

    @property
    def position(self) -> Mapping[str, Any] | None:
        return None if self.text is None else json.loads(self.text)

    @property
    def corrects(self) -> frozenset[str]:
        return frozenset()

    @property
    def replaceable(self) -> bool:
        return True

    @property
    def final(self) -> bool:
        return False

    def seen(self, paths: Iterable[str]) -> Mapping[str, FileRef]:
        return {}

    def replaced(self, dataset: str) -> int | None:
        return None


class Database:
    """An empty database, and what is done to it."""

    def __init__(self, url: str, scratch: Path) -> None:
        self.url = url
        self.scratch = scratch
        self.source = PostgresSource(None)  # type: ignore[arg-type]

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            for statement in statements:
                session.execute(statement.encode())

    def ref(self, place: str, **options: Any) -> SourceRef:
        given = {"url": self.url, **options}
        return POSTGRES.refer(place, READ.check_all(given.items()))

    def read(self, ref: SourceRef, range: Range | None, **drift: Any) -> pa.Table:
        known, policy = drift.get("known", NO_COLUMNS), drift.get("drift", Drift.EVOLVE)
        batch = self.source.bind(ref, range, known, policy, self.scratch).batch
        assert isinstance(batch, ArrowBatch)
        table = batch.open().read_all()
        assert table.equals(batch.open().read_all())
        return table

    def whole(self, place: str, **options: Any) -> pa.Table:
        ref = self.ref(place, **options)
        return self.read(ref, self.source.everything(ref))

    def flow(self, place: str, **options: Any) -> Flow:
        return Flow(self, self.ref(place, **options))


class Flow:
    """A reader that goes on from where it was."""

    def __init__(self, database: Database, ref: SourceRef) -> None:
        self.database, self.ref, self.past = database, ref, Past()

    def range(self) -> Range | None:
        unread = self.database.source.plan(self.ref, self.past)
        if unread is None:
            return None
        assert unread.range.positioned
        return Range(json.loads(json.dumps(unread.range.value)), positioned=True)

    def rows(self, range: Range) -> list[Any]:
        return sorted(self.database.read(self.ref, range).column("id").to_pylist())

    def commit(self, range: Range) -> None:
        self.past.text = json.dumps(range.value)

    def take(self) -> list[Any]:
        """The next epoch; its plan says how many rows it has."""
        unread = self.database.source.plan(self.ref, self.past)
        if unread is None:
            return []
        rows = self.rows(unread.range)
        assert unread.range.amount.rows == len(rows)
        assert (unread.waiting.rows or 0) >= len(rows)
        self.commit(unread.range)
        return rows


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def database(server: str, tmp_path: Path) -> Database:
    found = Database(server, tmp_path)
    found.run(
        "ALTER DATABASE postgres RESET ALL",
        'DROP SCHEMA IF EXISTS public, "Odd one" CASCADE',
        "CREATE SCHEMA public",
    )
    return found


@pytest.fixture
def events(database: Database) -> Database:
    database.run("CREATE TABLE events (id int, at int)")
    return database


def add(database: Database, *rows: tuple[int, int | None]) -> None:
    for id_, at in rows:
        database.run(f"INSERT INTO events VALUES ({id_}, {'NULL' if at is None else at})")


# -- cursors -------------------------------------------------------------------------------------


def test_exclusive_takes_only_greater_values(events: Database) -> None:
    flow = events.flow("events", cursor="at", cursor_mode="exclusive")
    assert flow.take() == []
    add(events, (1, 10), (2, 20), (3, 20))
    assert flow.take() == [1, 2, 3]
    assert flow.take() == []
    add(events, (4, 20), (5, 21))
    assert flow.take() == [5]


def test_inclusive_takes_ties_that_come_late_once(events: Database) -> None:
    flow = events.flow("events", cursor="at")
    add(events, (1, 10), (2, 20))
    assert flow.take() == [1, 2]
    assert flow.take() == []
    add(events, (3, 20))
    assert flow.take() == [3]
    add(events, (4, 20), (5, 30), (6, 30))
    assert flow.take() == [4, 5, 6]
    add(events, (7, 30), (8, 25))
    assert flow.take() == [7]
    assert flow.take() == []


def test_rows_that_are_all_alike_are_counted(events: Database) -> None:
    flow = events.flow("events", cursor="at")
    add(events, (1, 10), (1, 10))
    assert flow.take() == [1, 1]
    add(events, (1, 10), (1, 10), (1, 10))
    assert flow.take() == [1, 1, 1]
    assert flow.take() == []


@pytest.mark.parametrize("lookback", ["5", "2", "100"])
def test_lookback_finds_rows_that_were_committed_late(events: Database, lookback: str) -> None:
    flow = events.flow("events", cursor="at", lookback=lookback)
    add(events, (1, 10), (2, 16), (3, 20))
    assert flow.take() == [1, 2, 3]
    add(events, (4, 18))
    assert flow.take() == [4]
    add(events, (5, 19), (6, 18), (7, 30))
    assert flow.take() == [5, 6, 7]
    assert flow.take() == []
    add(events, (8, 19))
    assert flow.take() == ([8] if lookback == "100" else [])


def test_a_lookback_that_grows_reads_nothing_twice(events: Database) -> None:
    flow = events.flow("events", cursor="at", lookback="1")
    add(events, (1, 10), (2, 18), (3, 20))
    assert flow.take() == [1, 2, 3]
    flow.ref = events.ref("events", cursor="at", lookback="15")
    assert flow.take() == []
    add(events, (4, 19), (5, 21))
    assert flow.take() == [4, 5]
    add(events, (6, 19))
    assert flow.take() == [6]


def test_a_mode_that_changes_reads_nothing_twice(events: Database) -> None:
    flow = events.flow("events", cursor="at", cursor_mode="exclusive")
    add(events, (1, 10), (2, 20))
    assert flow.take() == [1, 2]
    flow.ref = events.ref("events", cursor="at")
    assert flow.take() == []
    add(events, (3, 30))
    assert flow.take() == [3]
    add(events, (4, 30))
    assert flow.take() == [4]
    flow.ref = events.ref("events", cursor="at", cursor_mode="exclusive")
    add(events, (5, 31))
    assert flow.take() == [5]


def test_a_range_is_read_again_as_it_was_planned(events: Database) -> None:
    flow = events.flow("events", cursor="at", lookback="5")
    add(events, (1, 10), (2, 20))
    first = flow.range()
    assert first is not None
    add(events, (3, 20), (4, 18), (5, 30))
    assert flow.rows(first) == [1, 2]
    flow.commit(first)
    second = flow.range()
    assert second is not None
    assert flow.rows(second) == [3, 4, 5]
    add(events, (6, 30), (7, 26))
    assert flow.rows(second) == [3, 4, 5]
    flow.commit(second)
    assert flow.take() == [6, 7]


def test_an_initial_cursor(events: Database) -> None:
    add(events, (1, 10), (2, 20), (3, 30))
    assert events.flow("events", cursor="at", initial_cursor="20").take() == [2, 3]
    exclusive = events.flow("events", cursor="at", initial_cursor="20", cursor_mode="exclusive")
    assert exclusive.take() == [3]
    flow = events.flow("events", cursor="at", initial_cursor=20, lookback=100)
    assert flow.take() == [2, 3]
    add(events, (4, 15), (5, 25))
    assert flow.take() == [5]


@pytest.mark.parametrize("mode", ["inclusive", "exclusive"])
def test_an_epoch_takes_about_so_many_rows_and_ties_stay_together(
    events: Database, mode: str
) -> None:
    flow = events.flow("events", cursor="at", cursor_mode=mode, max_rows_per_trigger=2)
    add(events, (1, 1), (2, 2), (3, 2), (4, 3), (5, 4))
    unread = events.source.plan(flow.ref, flow.past)
    assert unread is not None
    assert unread.more
    assert unread.waiting.rows == 5
    assert flow.take() == [1, 2, 3]
    assert flow.take() == [4, 5]
    assert flow.take() == []


def test_a_key_tells_rows_apart(database: Database) -> None:
    database.run("CREATE TABLE events (id int PRIMARY KEY, at int, note text)")
    database.run("INSERT INTO events VALUES (1, 10, 'a')")
    flow = database.flow("events", cursor="at")
    assert flow.take() == [1]
    database.run("UPDATE events SET note = 'b'", "INSERT INTO events VALUES (2, 10, 'a')")
    assert flow.take() == [2]
    # Its cursor has moved: a new version of the row.
    database.run("UPDATE events SET at = 11 WHERE id = 1")
    assert flow.take() == [1]


def test_a_new_column_makes_no_row_new(events: Database) -> None:
    flow = events.flow("events", cursor="at")
    add(events, (1, 10))
    assert flow.take() == [1]
    events.run("ALTER TABLE events ADD COLUMN h int DEFAULT 5")
    assert flow.take() == []
    events.run("INSERT INTO events VALUES (2, 10, 6)")
    assert flow.take() == [2]
    assert flow.take() == []
    events.run("INSERT INTO events VALUES (2, 10, 7)")
    assert flow.take() == [2]


def test_null_cursors_are_refused_or_left_out(events: Database) -> None:
    add(events, (1, 10), (2, None))
    with pytest.raises(ConversionError, match="cursor at is NULL"):
        events.flow("events", cursor="at").take()
    flow = events.flow("events", cursor="at", null_cursor="exclude")
    assert flow.take() == [1]
    add(events, (3, 11))
    assert flow.take() == [3]


@pytest.mark.parametrize(
    ("type_", "values", "lookback"),
    [
        ("smallint", ["1", "2", "3"], "1"),
        ("numeric(38,10)", ["1.0000000001", "1.0000000002", "9999999999.5"], "0.0000000001"),
        ("double precision", ["0.1", "0.30000000000000004", "1e300"], "0.1"),
        ("date", ["2020-01-01", "2020-02-29", "9999-12-31"], "1 day"),
        ("timestamp", ["2020-01-01 00:00:00.000001", "2020-01-01 00:00:00.000002", "2021-01-01"],
         "1 microsecond"),
        ("timestamptz", ["2020-10-25 00:30Z", "2020-10-25 01:30Z", "2021-01-01 00:00+14"],
         "PT1H"),
        ("text", ["a'b\\c", "b", "c"], None),
        ("varchar(9)", ["a", "b", "c"], None),
        ("uuid", [f"00000000-0000-7000-8000-00000000000{n}" for n in "123"], None),
    ],
)  # fmt: skip
def test_cursors_of_every_type(
    database: Database, type_: str, values: list[str], lookback: str | None
) -> None:
    # A zone with summer time and another way to write dates than ours.
    database.run(
        "ALTER DATABASE postgres SET timezone = 'Europe/Berlin'",
        "ALTER DATABASE postgres SET datestyle = 'German'",
        f'CREATE TABLE events (id int, at {type_} COLLATE "C" NOT NULL)'
        if type_.startswith(("text", "varchar"))
        else f"CREATE TABLE events (id int, at {type_} NOT NULL)",
    )
    options = {"lookback": lookback} if lookback else {}
    flow = database.flow("events", cursor="At", **options)
    for number, value in enumerate(values):
        database.run(f"SET datestyle = 'ISO'; INSERT INTO events VALUES ({number}, $q${value}$q$)")
        assert flow.take() == [number]
        assert flow.take() == []


def test_a_query_is_read_by_its_cursor(events: Database) -> None:
    add(events, (1, 10), (2, 20))
    flow = events.flow("-- even\nSELECT id, at * 2 AS c FROM events WHERE id % 2 = 0;", cursor="c")
    assert flow.take() == [2]
    add(events, (3, 30), (4, 20), (6, 40))
    assert flow.take() == [4, 6]


def test_two_databases_are_two_sources_and_no_key_has_a_password(events: Database) -> None:
    one = events.ref("events", url="postgresql://ada:s%40crt@a/shop?password=other", cursor="at")
    two = events.ref("events", url="postgresql://ada:s%40crt@b/shop", cursor="at")
    assert one.key != two.key
    assert one.key == "postgres:events?cursor=at&url=postgresql://a/shop"
    for text in (one.key, one.text, repr(one), str(one)):
        assert "crt" not in text
        assert "other" not in text


# -- mistakes ------------------------------------------------------------------------------------


def test_a_stream_without_a_cursor(events: Database) -> None:
    with pytest.raises(OptionError, match="needs a cursor") as caught:
        events.flow("events").take()
    assert "leave STREAM out" in str(caught.value)


@pytest.mark.parametrize(
    ("place", "options", "error", "message"),
    [
        ("nowhere", {}, SourceNotFoundError, 'relation "nowhere" does not exist'),
        ("no.where", {}, SourceNotFoundError, "no.where"),
        ("events", {"cursor": "att"}, ColumnNotFoundError, "did you mean 'at'"),
        ("events", {"key": "idd"}, ColumnNotFoundError, "did you mean 'id'"),
        ("events; DROP TABLE events", {}, OptionError, "a table or a query"),
        ("SELECT id, at FROM events WHERE", {}, AdapterError, "syntax error"),
        ("SELECT id, id, at FROM events", {}, QueryError, "two columns .* are called 'id'"),
        ("DELETE FROM events", {}, OptionError, "a table or a query"),
        ("SELECT id, at, nextval('s') FROM events", {}, AdapterError, "read-only transaction"),
        ("events", {"lookback": "5 minuts"}, ConversionError, "minuts"),
        ("events", {"lookback": "5", "cursor_mode": "exclusive"}, OptionError, "inclusive"),
        ("events", {"cursor": "tags"}, OptionError, "cannot be a cursor"),
        ("events", {"schema": "amount DECIMAL(9)"}, ColumnNotFoundError, "'amount'"),
        ("SELECT id, 'infinity'::date AS at FROM events", {}, ConversionError, "is infinity"),
        ("SELECT id, 'NaN'::numeric AS at FROM events", {}, ConversionError, "is NaN"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(
    events: Database, place: str, options: dict[str, str], error: type[Exception], message: str
) -> None:
    add(events, (1, 10))
    events.run("ALTER TABLE events ADD COLUMN tags int[]", "CREATE SEQUENCE s")
    with pytest.raises(error, match=message) as caught:
        events.flow(place, **{"cursor": "at", **options}).take()
    assert events.url not in str(caught.value)
    assert events.whole("events").num_rows == 1


def test_who_may_not_read_is_told_so_without_the_password(events: Database, server: str) -> None:
    events.run("CREATE ROLE reader LOGIN PASSWORD 'hush!'")
    events.run("GRANT USAGE ON SCHEMA public TO reader")
    url = events.url.replace("qanat@", "reader:hush%21@")
    with pytest.raises(AdapterError, match="does not permit this") as caught:
        events.flow("events", cursor="at", url=url).take()
    events.run("DROP OWNED BY reader", "DROP ROLE reader")
    assert "hush" not in str(caught.value)


def test_a_server_that_is_away_may_come_back(events: Database) -> None:
    flow = events.flow("events", cursor="at", url="postgresql://ada:hush@127.0.0.1:9/shop")
    with pytest.raises(SourceUnavailableError) as caught:
        flow.take()
    assert caught.value.retryable
    assert "hush" not in str(caught.value)


def test_a_database_that_does_not_exist_is_not_waited_for(events: Database) -> None:
    flow = events.flow("events", cursor="at", url=events.url + "x")
    with pytest.raises(AdapterError, match="does not exist") as caught:
        flow.take()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url", ["mysql://u:hush@h/d", "host=h password=hush", "postgresql://[hush"]
)
def test_a_url_that_is_none_is_not_shown(events: Database, url: str) -> None:
    with pytest.raises(OptionError) as caught:
        events.flow("events", cursor="at", url=url).take()
    assert "hush" not in str(caught.value)


def test_too_many_ties(events: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MOST_HASHES", 3)
    add(events, *((n, 1) for n in range(4)))
    with pytest.raises(OptionError, match="more than 3 rows"):
        events.flow("events", cursor="at").take()
    assert events.flow("events", cursor="at", cursor_mode="exclusive").take() == [0, 1, 2, 3]


# -- without a cursor ----------------------------------------------------------------------------


def test_a_whole_table_is_known_by_what_was_committed(events: Database) -> None:
    ref = events.ref("events")
    before = events.source.everything(ref)
    assert before == events.source.everything(ref)
    add(events, (1, 10))
    after = events.source.everything(ref)
    assert after != before
    assert after is not None
    assert not after.positioned
    assert events.read(ref, after).to_pydict() == {"id": [1], "at": [10]}


def test_columns_without_rows(events: Database) -> None:
    add(events, (1, 10))
    ref = events.ref("events")
    assert events.read(ref, None).num_rows == 0
    batch = events.source.sample(ref, NO_COLUMNS, Drift.EVOLVE, events.scratch)
    assert isinstance(batch, ArrowBatch)
    assert batch.schema == Schema(
        (Field("id", Primitive("integer")), Field("at", Primitive("integer")))
    )


def test_columns_that_come_and_go(events: Database) -> None:
    add(events, (1, 10), (2, None))
    known = Schema((Field("id", Primitive("integer")), Field("gone", Primitive("double"))))
    ref = events.ref("events")
    whole = events.source.everything(ref)
    table = events.read(ref, whole, known=known)
    assert table.to_pydict() == {"id": [1, 2], "gone": [None, None], "at": [10, None]}
    assert table.schema.field("gone").type == pa.float64()
    with pytest.raises(SchemaDriftError, match="at int"):
        events.read(ref, None, known=known, drift=Drift.FREEZE)
    for rescued in ((), (Field("_rescued_data", Primitive("string")),)):
        known = Schema((Field("id", Primitive("integer")), *rescued))
        table = events.read(ref, whole, known=known, drift=Drift.RESCUE)
        assert table.to_pydict() == {"id": [1, 2], "_rescued_data": ['{"at": 10}', None]}
    table = events.read(ref, whole, drift=Drift.RESCUE)
    assert table.column_names == ["id", "at", "_rescued_data"]


# -- values --------------------------------------------------------------------------------------

NINES = "9" * 36
VALUES = [
    ("'-32768'::smallint", pa.int16(), -32768),
    ("'9223372036854775807'::bigint", pa.int64(), 2**63 - 1),
    ("'4294967295'::oid", pa.int64(), 2**32 - 1),
    ("1.5::real", pa.float32(), 1.5),
    ("5e-324::float8", pa.float64(), 5e-324),
    ("true", pa.bool_(), True),
    (f"{NINES}.25::numeric(38,2)", pa.decimal128(38, 2), Decimal(f"{NINES}.25")),
    ("0.005::numeric(2,3)", pa.decimal128(3, 3), Decimal("0.005")),
    ("12345::numeric(3,-2)", pa.decimal128(5, 0), Decimal(12300)),
    ("1.50::numeric", pa.string(), "1.50"),
    (f"'{'9' * 60}.5'::numeric(70,5)", pa.string(), f"{'9' * 60}.50000"),
    ("'NaN'::numeric", pa.string(), "NaN"),
    ("'-Infinity'::numeric", pa.string(), "-Infinity"),
    ("E'a\\n\\u00e9\\\\'", pa.string(), "a\né\\"),
    ("'x'::char(3)", pa.string(), "x  "),
    ("'\\x00ff'::bytea", pa.binary(), b"\x00\xff"),
    ("'2020-02-29'::date", pa.date32(), date(2020, 2, 29)),
    ("'2020-01-02 03:04:05.123456'::timestamp", pa.timestamp("us"),
     datetime(2020, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001
    ("'2020-01-02 03:04:05+02'::timestamptz", pa.timestamp("us", "UTC"),
     datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC)),
    ("'24:00'::time", pa.string(), "24:00:00"),
    ("'03:04:05.000001-02'::timetz", pa.string(), "03:04:05.000001-02"),
    ("'1 year 2 mons -3 days 04:05:06.789'::interval", pa.string(),
     "1 year 2 mons -3 days +04:05:06.789"),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", pa.string(),
     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("'{\"b\":  1.0, \"a\": 1}'::json", pa.string(), '{"b":  1.0, "a": 1}'),
    ("'{\"b\":  1.0, \"a\": 1}'::jsonb", pa.string(), '{"a": 1, "b": 1.0}'),
    ("'10.0.0.1'::inet", pa.string(), "10.0.0.1/32"),
    ("'10.0.0.0/8'::cidr", pa.string(), "10.0.0.0/8"),
    ("'08:00:2b:01:02:03'::macaddr", pa.string(), "08:00:2b:01:02:03"),
    ("'92233720368547758.07'::money", pa.string(), "92233720368547758.07"),
    ("B'101'", pa.string(), "101"),
    ("'happy'::mood", pa.string(), "happy"),
    ("'5'::positive", pa.int32(), 5),
    ("ROW(1, 'a b')::pair", pa.string(), '(1,"a b")'),
    ("'[1,5)'::int4range", pa.string(), "[1,5)"),
    ("point(1.5, 2)", pa.string(), "(1.5,2)"),
    ("'a b'::tsvector", pa.string(), "'a' 'b'"),
    ("'<a/>'::xml", pa.string(), "<a/>"),
    ("'pg_class'::regclass", pa.string(), "pg_class"),
    ("'0/16B3748'::pg_lsn", pa.string(), "0/16B3748"),
    ("ARRAY[1, NULL, 3]", pa.list_(pa.int32()), [1, None, 3]),
    ("'{}'::text[]", pa.list_(pa.string()), []),
    ("ARRAY['a,b', NULL, '\"']", pa.list_(pa.string()), ["a,b", None, '"']),
    ("ARRAY[1.5, NULL]::numeric(10,2)[]", pa.list_(pa.decimal128(10, 2)), [Decimal("1.50"), None]),
    ("ARRAY[1.5]::numeric[]", pa.list_(pa.string()), ["1.5"]),
    ("ARRAY['happy']::mood[]", pa.list_(pa.string()), ["happy"]),
    ("ARRAY['5']::positive[]", pa.list_(pa.string()), ["5"]),
    ("ARRAY['2020-01-01'::timestamptz]", pa.list_(pa.timestamp("us", "UTC")),
     [datetime(2020, 1, 1, tzinfo=UTC)]),
    ("ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]", pa.list_(pa.string()),
     ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("ARRAY['12.34'::money]", pa.list_(pa.string()), ["12.34"]),
]  # fmt: skip
TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE TYPE pair AS (n int, t text)",
)


def test_values_of_every_type_survive(database: Database) -> None:
    database.run(*TYPES)
    columns = ", ".join(f"({sql}) AS c{n}" for n, (sql, _, _) in enumerate(VALUES))
    table = database.whole(f"SELECT {columns}")
    found = [(str(f.type), table.column(f.name)[0].as_py()) for f in table.schema]
    assert found == [(str(type_), value) for _, type_, value in VALUES]


def test_null_of_every_type_survives(database: Database) -> None:
    database.run(*TYPES)
    columns = ", ".join(f"({sql}) AS c{n}" for n, (sql, _, _) in enumerate(VALUES))
    database.run(f"CREATE TABLE t AS SELECT {columns}", "DELETE FROM t")
    database.run("INSERT INTO t DEFAULT VALUES")
    table = database.whole("t")
    assert [str(f.type) for f in table.schema] == [str(type_) for _, type_, _ in VALUES]
    assert {value for row in table.to_pylist() for value in row.values()} == {None}


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("'0044-03-15 BC'::date", -735160),
        ("'10000-01-01'::date", 2932897),
        ("'4713-01-01 BC'::timestamp", -210895056000000000 + 38 * 86_400_000_000),
        ("'294246-12-31 23:59:59.999999'::timestamptz", 9223339708799999999),
    ],
)
def test_dates_that_python_does_not_have(database: Database, sql: str, number: int) -> None:
    column = database.whole(f"SELECT {sql} AS c").column("c").combine_chunks()
    width = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
    found = column.cast(width)[0].as_py()
    with psycopg.connect(database.url) as session:
        unit = 86_400 if width == pa.int32() else 1
        row = session.execute(
            f"SELECT (extract(epoch FROM {sql}) * 1000000 / {unit})::numeric::text".encode()
        ).fetchone()
    scale = 1_000_000 if width == pa.int32() else 1
    assert row is not None
    assert found * scale == int(Decimal(row[0]))
    assert width == pa.int64() or found == number


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("'infinity'::date", "column c is infinite"),
        ("'-infinity'::timestamp", "column c is infinite"),
        ("'infinity'::timestamptz", "column c is infinite"),
        ("'294276-12-31'::timestamp", "after the year 294246"),
        ("ARRAY['infinity'::date]", "column c is infinite"),
        ("ARRAY[[1, 2], [3, 4]]", "column c has an array of several dimensions"),
        ("ARRAY[['a'], ['b']]", "column c has an array of several dimensions"),
        ("ARRAY[[1.5], [2]]::numeric(9,2)[]", "column c has an array of several dimensions"),
        ("'NaN'::numeric(10,2)", "a value of the column c does not fit"),
    ],
)
def test_what_has_no_exact_counterpart_is_an_error(
    database: Database, sql: str, message: str
) -> None:
    database.run(f"CREATE TABLE t AS SELECT {sql} AS c")
    with pytest.raises(ConversionError, match=message):
        database.whole("t")
    with psycopg.connect(database.url) as session:
        (text,) = session.execute("SELECT c::text FROM t").fetchone() or ("",)
    # The way out that the error names.
    assert database.whole("t", schema="c STRING").column("c").to_pylist() == [text]


def test_declared_types_take_only_what_fits(database: Database) -> None:
    database.run("CREATE TABLE t AS SELECT 1.50::numeric AS a, '7'::text AS b")
    table = database.whole("t", schema='A DECIMAL(18, 2), "b" bigint')
    assert table.to_pydict() == {"a": [Decimal("1.50")], "b": [7]}
    database.run("INSERT INTO t VALUES (1.555, '8')")
    with pytest.raises(ConversionError, match="column a does not fit its type"):
        database.whole("t", schema="a DECIMAL(18, 2)")


def test_names_that_need_quotes(database: Database) -> None:
    database.run(
        'CREATE SCHEMA "Odd one"',
        'CREATE TABLE "Odd one"."T""x" ("Id" int, "q" int, "s.t" int, "%s" int, "it\'s" int)',
        'INSERT INTO "Odd one"."T""x" VALUES (1, 2, 3, 4, 5)',
    )
    flow = database.flow('"Odd one"."T""x"', cursor='"Id"')
    range_ = flow.range()
    assert range_ is not None
    row = {"Id": 1, "q": 2, "s.t": 3, "%s": 4, "it's": 5}
    assert database.read(flow.ref, range_).to_pylist() == [row]


def test_rows_of_several_batches(database: Database) -> None:
    database.run(
        "CREATE TABLE t AS SELECT i AS id, i * 0.01::numeric(12,2) AS price, repeat('x', 200) AS t"
        " FROM generate_series(1, 200000) AS i"
    )
    flow = database.flow("t", cursor="id")
    assert len(flow.take()) == 200_000
    assert flow.take() == []
