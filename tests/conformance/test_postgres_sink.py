"""What a PostgreSQL sink promises, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from qanat.connectors.postgres import bookkeeping
from qanat.connectors.postgres.sink import PostgresSink
from qanat.connectors.postgres.url import Url
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    ConversionError,
    FileVanishedError,
    HistoryMismatchError,
    LeaseLostError,
    OptionError,
    QanatError,
    SchemaMismatchError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from qanat.model.pipeline import SinkTarget
from qanat.model.schema import (
    Array,
    DataType,
    Decimal as DecimalType,
    Field,
    MapType,
    Primitive,
    Schema,
)
from qanat.model.staged import DataFile, StagedTable
from qanat.ports.sink import Delivery
from qanat.testing.postgresql import postgresql
from qanat.testing.reading import surroundings

pytestmark = pytest.mark.services

LONG, TEXT = Primitive("long"), Primitive("string")


class Outlet:
    """A database, and a flow into one of its tables."""

    def __init__(self, url: str, scratch: Path) -> None:
        self.url, self.scratch = url, scratch
        self.sink = PostgresSink(surroundings(scratch))

    def run(self, *statements: str) -> list[Any]:
        rows: list[Any] = []
        with psycopg.connect(self.url, autocommit=True) as session:
            for statement in statements:
                cursor = session.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def target(self, table: str = "out", **options: Any) -> SinkTarget:
        given = {"url": self.url, "table": table, **options}
        return SinkTarget("postgres", tuple(given.items()), "postgres")

    def delivery(self, epoch: int, flow: str = "f", **options: Any) -> Delivery:
        return Delivery(self.target(**options), flow, epoch, self.scratch)

    def stage(
        self, delivery: Delivery, rows: pa.Table, *types: DataType
    ) -> tuple[Path, StagedTable]:
        """What an engine does: a file with the rows."""
        output = self.sink.output(delivery)
        assert output.format == "parquet"
        files = []
        if rows.num_rows:
            path = output.folder / f"{output.prefix}-0.parquet"
            parquet.write_table(rows, path)
            files.append(DataFile(path.name, path.stat().st_size, rows.num_rows))
        names = zip(rows.column_names, types or (LONG,) * rows.num_columns, strict=True)
        return output.folder, StagedTable(
            Schema(tuple(Field(n, t) for n, t in names)), tuple(files)
        )

    def send(self, epoch: int, *ids: int, may_be_published: bool = False, **options: Any) -> None:
        delivery = self.delivery(epoch, **options)
        folder, staged = self.stage(delivery, pa.table({"id": pa.array(ids, pa.int64())}))
        self.sink.publish(delivery, folder, staged, may_be_published)
        assert not folder.exists()

    @property
    def ids(self) -> list[int]:
        return [i for (i,) in self.run("SELECT id FROM out ORDER BY id")]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def outlet(server: str, tmp_path: Path) -> Outlet:
    found = Outlet(server, tmp_path)
    found.run("DROP SCHEMA IF EXISTS public, sales CASCADE", "CREATE SCHEMA public")
    return found


# -- exactly once --------------------------------------------------------------------------------


def test_epochs_are_added_one_after_the_other(outlet: Outlet) -> None:
    sink, target = outlet.sink, outlet.target()
    sink.check(target)
    assert sink.last(target, "f") == 0
    assert not sink.carries(target, "f", 1)
    outlet.send(1, 1, 2)
    outlet.send(2, 3)
    assert outlet.ids == [1, 2, 3]
    assert sink.last(target, "f") == 2
    assert sink.carries(target, "f", 2)
    assert not sink.carries(target, "f", 3)
    assert sink.last(target, "other") == 0
    sink.secure(target)
    ((epoch, rows, attempt),) = outlet.run("SELECT epoch, rows, attempt FROM _qanat_epochs")
    assert (epoch, rows, attempt) == (2, 1, None)


def test_an_epoch_that_is_published_is_not_published_again(outlet: Outlet) -> None:
    outlet.send(1, 1, 2)
    outlet.send(1, 1, 2, may_be_published=True)
    assert outlet.ids == [1, 2]


def test_the_same_attempt_may_publish_twice(outlet: Outlet) -> None:
    """As after a connection that broke when the commit was on its way."""
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"id": [1]}))
    outlet.sink.publish(delivery, folder, staged, False)
    outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.ids == [1]


def test_an_epoch_of_somebody_else_is_not_taken_for_ours(outlet: Outlet) -> None:
    outlet.send(1, 1)
    with pytest.raises(HistoryMismatchError, match="epoch 1 of flow f"):
        outlet.send(1, 2)
    assert outlet.ids == [1]


def test_an_epoch_without_rows_is_booked(outlet: Outlet) -> None:
    outlet.send(1)
    assert outlet.sink.carries(outlet.target(), "f", 1)
    assert outlet.ids == []


def test_flows_are_counted_each_for_itself(outlet: Outlet) -> None:
    outlet.send(1, 1)
    outlet.send(1, 2, flow="it's another")
    outlet.send(2, 3, flow="it's another")
    assert outlet.ids == [1, 2, 3]
    assert outlet.sink.last(outlet.target(), "f") == 1


def test_a_flow_goes_on_under_another_name(outlet: Outlet) -> None:
    sink, target = outlet.sink, outlet.target()
    sink.rename(target, "f", "ü'g")  # nothing was ever sent
    outlet.send(1, 1)
    outlet.send(1, 5, flow="other")
    sink.output(outlet.delivery(1, flow="ü'g"))  # an attempt that came to nothing
    late = outlet.delivery(2)
    folder, staged = outlet.stage(late, pa.table({"id": [2]}))
    for _ in range(2):
        sink.rename(target, "f", "ü'g")
        assert [sink.last(target, f) for f in ("f", "ü'g", "other")] == [0, 1, 1]
    with pytest.raises(CommitConflictError):
        sink.publish(late, folder, staged, False)
    outlet.send(2, 3, flow="ü'g")
    assert outlet.ids == [1, 3, 5]


def test_numbers_may_have_gaps(outlet: Outlet) -> None:
    outlet.send(3, 1)
    outlet.send(7, 2)
    assert outlet.ids == [1, 2]


# -- those who sleep -----------------------------------------------------------------------------


def test_who_slept_before_it_published_gives_way_to_who_redid_the_epoch(outlet: Outlet) -> None:
    sleeper = outlet.delivery(1)
    folder, staged = outlet.stage(sleeper, pa.table({"id": [1]}))
    outlet.send(1, 1, may_be_published=True)
    with pytest.raises(CommitConflictError):
        outlet.sink.publish(sleeper, folder, staged, False)
    assert outlet.ids == [1]


def test_who_slept_gives_way_to_who_gave_the_epoch_up(outlet: Outlet) -> None:
    sleeper = outlet.delivery(1)
    folder, staged = outlet.stage(sleeper, pa.table({"id": [1]}))
    confirmed: list[bool] = []
    outlet.sink.sweep(outlet.target(), lambda: confirmed.append(True))
    assert confirmed
    assert not outlet.sink.carries(outlet.target(), "f", 1)
    with pytest.raises(CommitConflictError):
        outlet.sink.publish(sleeper, folder, staged, False)
    assert outlet.run("SELECT to_regclass('out')") == [(None,)]


def test_another_project_that_sends_to_the_table_ends_nothing(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"id": [1]}))
    other = PostgresSink(replace(surroundings(outlet.scratch), scope="other/dev"))
    confirmed: list[bool] = []
    other.sweep(outlet.target(), lambda: confirmed.append(True))
    assert not confirmed
    outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.ids == [1]


def test_what_begins_while_it_is_swept_goes_on(outlet: Outlet) -> None:
    outlet.stage(outlet.delivery(1), pa.table({"id": [1]}))
    later = outlet.delivery(1)
    begun: list[Any] = []
    outlet.sink.sweep(
        outlet.target(), lambda: begun.append(outlet.stage(later, pa.table({"id": [2]})))
    )
    folder, staged = begun[0]
    outlet.sink.publish(later, folder, staged, False)
    assert outlet.ids == [2]


def test_who_has_lost_the_lease_sweeps_nothing(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"id": [1]}))

    def lost() -> None:
        raise LeaseLostError("lost")

    with pytest.raises(LeaseLostError):
        outlet.sink.sweep(outlet.target(), lost)
    outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.ids == [1]


@pytest.mark.parametrize("taking_over", ["sweep", "output"])
def test_who_sleeps_in_its_transaction_is_ended(outlet: Outlet, taking_over: str) -> None:
    """It holds the locks of its flow, in the middle of a statement."""
    outlet.stage(outlet.delivery(1), pa.table({"id": [1]}))
    books = bookkeeping.Books("public", "out")
    with psycopg.connect(outlet.url) as sleeper:
        sleeper.execute(f"SELECT pg_advisory_xact_lock({books.key('f')})".encode())
        sleeper.execute(f"SELECT 1 FROM {books.epochs} FOR UPDATE".encode())
        sleeper.execute(f"UPDATE {books.epochs} SET epoch = 1".encode())
        if taking_over == "sweep":
            outlet.sink.sweep(outlet.target(), lambda: None)
        else:
            outlet.send(1, 5)
        with pytest.raises(psycopg.OperationalError):
            sleeper.commit()
    assert outlet.sink.carries(outlet.target(), "f", 1) is (taking_over == "output")


def test_a_sweep_while_the_server_is_away_is_made_up_for(outlet: Outlet) -> None:
    sleeper = outlet.delivery(1)
    folder, staged = outlet.stage(sleeper, pa.table({"id": [1]}))
    newcomer = PostgresSink(surroundings(outlet.scratch))
    outlet.run("CREATE DATABASE other")
    outlet.run("ALTER DATABASE other ALLOW_CONNECTIONS false")
    # The same place, where no server answers for a moment.
    newcomer._unswept.add((Url(outlet.url).place, bookkeeping.TableName(None, "out")))
    assert not newcomer.carries(outlet.target(), "f", 1)
    with pytest.raises(CommitConflictError):
        outlet.sink.publish(sleeper, folder, staged, False)
    outlet.run("DROP DATABASE other")


def test_nothing_is_swept_where_nobody_answers(outlet: Outlet) -> None:
    target = outlet.target(url="postgresql://u:hush@127.0.0.1:9/x")
    outlet.sink.sweep(target, lambda: None)
    outlet.sink.sweep(SinkTarget("postgres", ()), lambda: None)
    with pytest.raises(SourceUnavailableError) as caught:
        outlet.sink.carries(target, "f", 1)
    assert caught.value.retryable
    assert "hush" not in str(caught.value)


def test_a_connection_that_breaks_leaves_nothing(outlet: Outlet) -> None:
    outlet.send(1, 1)
    outlet.run(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 99999 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN NEW; END $$",
        "CREATE TRIGGER die BEFORE INSERT ON out FOR EACH ROW EXECUTE FUNCTION die()",
    )
    with pytest.raises(SourceUnavailableError) as caught:
        outlet.send(2, *range(2, 200_000))
    assert caught.value.retryable
    assert outlet.ids == [1]
    assert outlet.sink.last(outlet.target(), "f") == 1
    outlet.run("DROP TRIGGER die ON out")
    outlet.send(2, 2, 3, may_be_published=True)
    assert outlet.ids == [1, 2, 3]


def test_staged_files_that_are_gone(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"id": [1]}))
    next(folder.iterdir()).unlink()
    with pytest.raises(FileVanishedError):
        outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.sink.last(outlet.target(), "f") == 0


# -- columns -------------------------------------------------------------------------------------

ROWS: list[tuple[str, DataType, pa.DataType, list[Any], str]] = [
    ("l", LONG, pa.int64(), [2**63 - 1, None], "bigint"),
    ("i", Primitive("integer"), pa.int32(), [-(2**31), None], "integer"),
    ("s", Primitive("short"), pa.int16(), [-(2**15), None], "smallint"),
    ("b", Primitive("byte"), pa.int8(), [-128, None], "smallint"),
    ("f", Primitive("float"), pa.float32(), [1.5, None], "real"),
    ("d", Primitive("double"), pa.float64(), [5e-324, None], "double precision"),
    ("t", Primitive("boolean"), pa.bool_(), [True, None], "boolean"),
    ("x", TEXT, pa.string(), ["é'\n\\", None], "text"),
    ("y", Primitive("binary"), pa.binary(), [b"\0\xff", None], "bytea"),
    ("n", DecimalType(38, 4), pa.decimal128(38, 4), [Decimal("-" + "9" * 34 + ".0001"), None],
     "numeric(38,4)"),
    ("at", Primitive("timestamp"), pa.timestamp("us", "UTC"),
     [datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None], "timestamp with time zone"),
    ("on", Primitive("timestamp_ntz"), pa.timestamp("us"),
     [datetime(1, 1, 1, 0, 0, 0, 1), None], "timestamp without time zone"),  # noqa: DTZ001
    ("day", Primitive("date"), pa.date32(), [date(1, 1, 1), None], "date"),
    ("a", Array(LONG), pa.list_(pa.int64()), [[1, None], None], "bigint[]"),
    ("m", Array(DecimalType(5, 2)), pa.list_(pa.decimal128(5, 2)), [[Decimal("1.50")], []],
     "numeric(5,2)[]"),
    ("w", Array(TEXT), pa.list_(pa.string()), [["a,b", '"'], None], "text[]"),
    ("Quoted \"one\"", LONG, pa.int64(), [1, 2], "bigint"),
]  # fmt: skip


def test_a_new_table_has_the_columns_of_the_dataset_and_no_value_changes(outlet: Outlet) -> None:
    outlet.run("CREATE SCHEMA sales", "ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'")
    delivery = outlet.delivery(1, table='Sales."Big Orders"')
    table = pa.table({name: pa.array(values, type_) for name, _, type_, values, _ in ROWS})
    folder, staged = outlet.stage(delivery, table, *(t for _, t, _, _, _ in ROWS))
    outlet.sink.publish(delivery, folder, staged, False)
    outlet.run("ALTER DATABASE postgres RESET ALL")
    found = outlet.run(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'sales.\"Big Orders\"'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert found == [(name, written) for name, _, _, _, written in ROWS]
    columns = zip(*outlet.run('SELECT * FROM sales."Big Orders"'), strict=True)
    assert [list(c) for c in columns] == [values for _, _, _, values, _ in ROWS]
    assert outlet.sink.last(delivery.target, "f") == 1
    assert outlet.run("SELECT target, flow FROM sales._qanat_epochs") == [("Big Orders", "f")]


def test_columns_that_must_not_be_null(outlet: Outlet) -> None:
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"id": [1]}))
    needed = StagedTable(Schema((Field("id", LONG, nullable=False),)), staged.files)
    outlet.sink.publish(delivery, folder, needed, False)
    with pytest.raises(psycopg.errors.NotNullViolation):
        outlet.run("INSERT INTO out VALUES (NULL)")


@pytest.mark.parametrize(
    ("type_", "arrow", "value", "written", "text"),
    [
        (LONG, pa.int64(), 5, "numeric", "5"),
        (LONG, pa.int64(), 5, "numeric(19,0)", "5"),
        (Primitive("short"), pa.int16(), 5, "bigint", "5"),
        (Primitive("float"), pa.float32(), 1.5, "double precision", "1.5"),
        (DecimalType(5, 2), pa.decimal128(5, 2), Decimal("1.50"), "numeric", "1.5"),
        (DecimalType(5, 2), pa.decimal128(5, 2), Decimal("1.50"), "numeric(9,4)", "1.5000"),
        (TEXT, pa.string(), "abc", "varchar(3)", "abc"),
        (TEXT, pa.string(), '{"b":1,"a":1.0}', "json", '{"b":1,"a":1.0}'),
        (TEXT, pa.string(), '{"b":1,"a":1.0}', "jsonb", '{"a": 1.0, "b": 1}'),
        (TEXT, pa.string(), "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "uuid",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (TEXT, pa.string(), "10.0.0.1/8", "inet", "10.0.0.1/8"),
        (TEXT, pa.string(), "1 day 02:03:04", "interval", "1 day 02:03:04"),
        (TEXT, pa.string(), "happy", "mood", "happy"),
        (Array(Primitive("integer")), pa.list_(pa.int32()), [1, None], "bigint[]", "{1,NULL}"),
    ],
)  # fmt: skip
def test_a_table_that_is_there_takes_what_fits(
    outlet: Outlet, type_: DataType, arrow: pa.DataType, value: Any, written: str, text: str
) -> None:
    outlet.run("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    outlet.run(f'CREATE TABLE out (made timestamptz DEFAULT now(), "C" {written}, n int)')
    delivery = outlet.delivery(1)
    rows = pa.table({"c": pa.array([value, None], arrow)})
    folder, staged = outlet.stage(delivery, rows, type_)
    outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.run('SELECT "C"::text FROM out WHERE made IS NOT NULL') == [(text,), (None,)]


@pytest.mark.parametrize(
    ("columns", "type_", "message"),
    [
        ("other int", LONG, 'has no column c(.|\n)*wanted: c bigint(.|\n)*ADD COLUMN "c" bigint'),
        ("c int", LONG, "column c does not fit(.|\n)*wanted: c integer(.|\n)*got: c bigint"),
        ("c text", LONG, "wanted: c text"),
        ("c bigint", TEXT, "wanted: c bigint"),
        ("c timestamptz", TEXT, "wanted: c timestamp with time zone"),
        ("c timestamp", Primitive("timestamp"), "wanted: c timestamp without time zone"),
        ("c real", Primitive("double"), "wanted: c real"),
        ("c numeric(5,1)", DecimalType(5, 2), r"wanted: c numeric\(5,1\)"),
        ("c numeric(4,2)", DecimalType(5, 2), r"wanted: c numeric\(4,2\)"),
        ("c numeric(18,0)", LONG, r"wanted: c numeric\(18,0\)"),
        ("c bigint, need text NOT NULL", LONG, "column need .* needs a value"),
        ("b bigint, c bigint GENERATED ALWAYS AS (b * 2) STORED", LONG, "computed by the server"),
        ("c integer[]", Array(LONG), r"wanted: c integer\[\]"),
        ("c uuid[]", Array(TEXT), r"wanted: c uuid\[\]"),
    ],
)
def test_a_table_that_is_there_refuses_what_does_not_fit(
    outlet: Outlet, columns: str, type_: DataType, message: str
) -> None:
    outlet.run(f"CREATE TABLE out ({columns})")
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"c": pa.array([], pa.int64())}), type_)
    with pytest.raises(SchemaMismatchError, match=message):
        outlet.sink.publish(delivery, folder, staged, False)
    assert outlet.sink.last(outlet.target(), "f") == 0


@pytest.mark.parametrize("type_", [MapType(TEXT, LONG), Array(Array(LONG))])
def test_a_type_that_postgresql_does_not_have(outlet: Outlet, type_: DataType) -> None:
    delivery = outlet.delivery(1)
    folder, staged = outlet.stage(delivery, pa.table({"c": pa.array([], pa.int64())}), type_)
    with pytest.raises(SchemaMismatchError, match=r"column c cannot go(.|\n)*to_json"):
        outlet.sink.publish(delivery, folder, staged, False)


@pytest.mark.parametrize(
    ("columns", "value", "error", "message"),
    [
        ("c text UNIQUE", "a", AdapterError, "a constraint .* refuses a row(.|\n)*out_c_key"),
        ("c text NOT NULL", None, AdapterError, 'column "c"'),
        ("c text CHECK (c <> 'a')", "a", AdapterError, "out_c_check"),
        ("c varchar(1)", "ab", ConversionError, "too long"),
        ("c uuid", "a", ConversionError, "invalid input syntax for type uuid"),
        ("c jsonb", "{", ConversionError, "json"),
        ("c text", "a\0b", ConversionError, "0x00"),
    ],
)
def test_values_that_the_table_refuses(
    outlet: Outlet, columns: str, value: Any, error: type[QanatError], message: str
) -> None:
    outlet.run(f"CREATE TABLE out ({columns})")
    delivery = outlet.delivery(1)
    rows = pa.table(
        {"c": pa.array(["x" if "uuid" not in columns else str(uuid4()), value, value])}
    )
    if "json" in columns:
        rows = pa.table({"c": ["1", value]})
    folder, staged = outlet.stage(delivery, rows, TEXT)
    with pytest.raises(error, match=message) as caught:
        outlet.sink.publish(delivery, folder, staged, False)
    assert not caught.value.retryable
    assert outlet.run("SELECT count(*) FROM out") == [(0,)]
    assert outlet.sink.last(outlet.target(), "f") == 0


# -- options and rights --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "a b"}, "not the name of a table"),
        ({"mode": "overwrite"}, "append"),
        ({"tabel": "t"}, "did you mean 'table'"),
        ({"url": "mysql://u:hush@h/d"}, "no URL of a PostgreSQL database"),
    ],
)
def test_wrong_options(outlet: Outlet, options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        outlet.sink.check(outlet.target(**options))
    assert "hush" not in str(caught.value)


def test_a_table_that_is_not_to_be_created(outlet: Outlet) -> None:
    with pytest.raises(SourceNotFoundError, match=r'CREATE TABLE "public"."out" ."id" bigint'):
        outlet.send(1, 1, create=False)
    outlet.run("CREATE TABLE out (id bigint)")
    outlet.send(1, 1, create=False)
    assert outlet.ids == [1]


def test_who_may_only_write_needs_no_more(outlet: Outlet) -> None:
    outlet.send(1, 1)
    outlet.run(
        "CREATE ROLE writer LOGIN",
        "GRANT USAGE ON SCHEMA public TO writer",
        "GRANT SELECT, INSERT, UPDATE ON out, _qanat_epochs TO writer",
    )
    try:
        outlet.send(2, 2, url=outlet.url.replace("qanat@", "writer@"))
    finally:
        outlet.run("DROP OWNED BY writer", "DROP ROLE writer")
    assert outlet.ids == [1, 2]


def test_partitioned_tables_take_rows(outlet: Outlet) -> None:
    outlet.run(
        "CREATE TABLE out (id bigint) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF out FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF out FOR VALUES FROM (10) TO (100)",
    )
    outlet.send(1, 1, 50)
    assert outlet.run("SELECT id FROM high") == [(50,)]


# -- changes ------------------------------------------------------------------------------------

CHANGED = (LONG, TEXT, TEXT, LONG, Primitive("timestamp"))


def changes(*rows: tuple[Any, ...]) -> pa.Table:
    """Changes of rows with an `id` and a `name`: what, in which version, and these two."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array([r[2] for r in rows], pa.int64()),
            "name": pa.array([r[3] for r in rows], pa.string()),
            "_change_type": [r[0] for r in rows],
            "_commit_version": pa.array([r[1] for r in rows], pa.int64()),
            "_commit_timestamp": pa.array([moment] * len(rows), pa.timestamp("us", "UTC")),
        }
    )


def change(outlet: Outlet, epoch: int, *rows: tuple[Any, ...], **options: Any) -> None:
    delivery = outlet.delivery(epoch, keys="ID", **options)
    folder, staged = outlet.stage(delivery, changes(*rows), *CHANGED)
    outlet.sink.publish(delivery, folder, staged, False)


def test_the_last_change_of_each_key_counts(outlet: Outlet) -> None:
    change(outlet, 1, ("insert", 0, 1, "a"), ("insert", 0, 2, "b"), ("insert", 0, 3, "c"))
    change(
        outlet,
        2,
        ("delete", 2, 2, "b"),
        ("update_preimage", 1, 2, "b"),
        ("update_postimage", 1, 2, "B"),
        # A version may delete a row and insert it again, whatever comes first.
        ("insert", 3, 3, "C"),
        ("delete", 3, 3, "c"),
        # The key itself is updated.
        ("update_preimage", 3, 1, "a"),
        ("update_postimage", 3, 9, "a"),
        # It came and went.
        ("insert", 1, 7, "x"),
        ("delete", 2, 7, "x"),
    )
    assert outlet.run("SELECT id, name FROM out ORDER BY id") == [(3, "C"), (9, "a")]
    assert outlet.run("SELECT epoch, rows FROM _qanat_epochs") == [(2, 9)]
    change(outlet, 3)
    assert outlet.run("SELECT count(*) FROM out") == [(2,)]
    key = outlet.run("SELECT indexdef FROM pg_indexes WHERE tablename = 'out'")
    assert [str(d).endswith("(id)") for (d,) in key] == [True]


def test_a_table_that_is_there_keeps_what_is_not_sent(outlet: Outlet) -> None:
    outlet.run(
        "CREATE TABLE out (note text DEFAULT 'new', id numeric(20), name uuid)",
        "INSERT INTO out VALUES ('old', 1, NULL), ('kept', 5, NULL)",
    )
    text = "0e37df36-f698-11e6-8dd4-cb9ced3df976"
    change(outlet, 1, ("update_postimage", 4, 1, text), ("insert", 4, 2, None))
    rows = outlet.run("SELECT note, id::int, name::text FROM out ORDER BY id")
    assert rows == [("old", 1, text), ("new", 2, None), ("kept", 5, None)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("insert", 0, None, "a"), "is NULL"),
        (("insert", 0, 1, "twice"), "the same key"),
        (("upsert", 0, 3, "a"), "_change_type upsert"),
        (("insert", None, 3, "a"), "is no change"),
    ],
)
def test_a_row_that_is_no_change_of_one_row(
    outlet: Outlet, row: tuple[Any, ...], said: str
) -> None:
    change(outlet, 1, ("insert", 0, 1, "a"))
    with pytest.raises(SchemaMismatchError, match=said):
        change(outlet, 2, ("insert", 0, 1, "b"), row)
    assert outlet.run("SELECT id, name FROM out") == [(1, "a")]
    assert outlet.run("SELECT epoch FROM _qanat_epochs") == [(1,)]
