"""PostgreSQL as a sink: the rows of an epoch and its number, in one transaction."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from qanat.connectors.postgres import WRITE, upsert
from qanat.connectors.postgres.arrow import arrow_type
from qanat.connectors.postgres.bookkeeping import LOCK_SECONDS, Books
from qanat.connectors.postgres.drivers import pa, parquet
from qanat.connectors.postgres.relation import Relation, TableName
from qanat.connectors.postgres.server import Bulk, ask, bulk, control
from qanat.connectors.postgres.target import (
    TargetColumn,
    Transfer,
    definition,
    new_type,
    transfers,
)
from qanat.connectors.postgres.url import Url
from qanat.disk import explained
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    FileVanishedError,
    HistoryMismatchError,
    InvariantError,
    OptionError,
    SourceNotFoundError,
    UnsupportedError,
)
from qanat.frozen import Frozen
from qanat.model.owner import tag
from qanat.model.pipeline import SinkTarget
from qanat.model.query import SourceRef
from qanat.model.schema import Schema
from qanat.model.staged import StagedTable
from qanat.model.work import Output
from qanat.ports.sink import Delivery
from qanat.ports.source import Surroundings
from qanat.text import literal, quote

_STAGED = "_qanat_rows"
"""The temporary table of rows that the server must cast, or that change others."""
_BATCH = 65_536
"""Rows that are on their way at once."""


class _Target(Frozen):
    """Where a sink writes, as its options say it; with `keys` its rows are changes."""

    url: Url
    table: TableName
    create: bool
    keys: tuple[str, ...]


class PostgresSink:
    """A `Sink` of PostgreSQL tables."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._tag = tag(surroundings.scope)
        self._unswept: set[tuple[str, TableName]] = set()

    def check(self, target: SinkTarget) -> None:
        """Look at the options.

        Raises:
            OptionError: one is missing, does not exist or does not fit.
        """
        _target(target)

    def place(self, target: SinkTarget) -> object:
        """The database, as its URL has it, and the table."""
        to = _target(target)
        return str(to.url), to.table

    def feeds(self, target: SinkTarget, ref: SourceRef) -> bool:
        """True if the table itself is read, in the same database; queries are not looked at."""
        if ref.connector != target.connector:
            return False
        to = _target(target)
        if str(to.url) != str(ref.option("url")) or Relation.of(ref.place).table is None:
            return False
        return TableName.of(ref.place) == to.table

    def output(self, delivery: Delivery) -> Output:
        """A folder for Parquet files; from now on no earlier attempt can commit.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            QanatError: the server says no, as `server.explained` tells.
        """
        to, attempt = _target(delivery.target), f"{self._tag}-{uuid4().hex}"
        with control(to.url) as session:
            books = Books.of(session, to.table)
            books.create(session)
            books.begin(session, delivery.flow, attempt)
        staging = delivery.scratch / attempt
        with explained("stage in", staging):
            staging.mkdir(parents=True)
        return Output(staging, "rows")

    def publish(
        self, delivery: Delivery, staging: Path, staged: StagedTable, may_be_published: bool
    ) -> None:
        """Commit the rows and the number of the epoch, once.

        Raises:
            HistoryMismatchError: the table holds an epoch of that number that this project has
                not sent.
            CommitConflictError: another attempt has taken over.
            SchemaMismatchError: the table's columns do not take those of the dataset.
            FileVanishedError: staged files were removed.
            QanatError: the server says no, as `server.explained` tells; the transaction is
                rolled back, and nothing of the epoch is there.
        """
        to, attempt = _target(delivery.target), staging.name
        with control(to.url) as session:
            books = Books.of(session, to.table)
        with bulk(to.url) as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
            # A process stopped between two statements holds its locks no longer than this.
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{LOCK_SECONDS}s'")
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            ask(cursor, f"SELECT pg_advisory_xact_lock({books.key(delivery.flow)})::text")
            if _may_commit(cursor, books, delivery, attempt, may_be_published):
                sent = _deliver(cursor, books, to, staged.schema, _files(staging, staged))
                if sent != staged.rows:
                    raise InvariantError(
                        f"{staged.rows} rows were staged for {books.table}, {sent} were sent"
                    )
                cursor.execute(
                    f"UPDATE {books.epochs} SET epoch = {delivery.epoch}, rows = {sent},"
                    f" attempt = NULL, published_by = {literal(attempt)}, published_at = now()"
                    f" WHERE {books.where(delivery.flow)}"
                )
                cursor.execute("COMMIT")
        shutil.rmtree(staging, ignore_errors=True)

    def carries(self, target: SinkTarget, flow: str, epoch: int) -> bool:
        """True if the epoch has been published."""
        to = _target(target)
        with control(to.url) as session:
            books = Books.of(session, to.table)
            if (to.url.place, to.table) in self._unswept and books.exist(session):
                # The server was away when this was to be swept: an old attempt may still commit.
                books.end(session, flow)
            return books.last(session, flow) >= epoch

    def last(self, target: SinkTarget, flow: str) -> int:
        """The greatest number of the flow's epochs; 0 if there is none."""
        to = _target(target)
        with control(to.url) as session:
            return Books.of(session, to.table).last(session, flow)

    def secure(self, target: SinkTarget) -> None:
        """Nothing: what can be seen was on the server's disk before (synchronous_commit)."""

    def rename(self, target: SinkTarget, flow: str, new: str) -> None:
        """Let the books have the flow under its new name.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            QanatError: the server says no, as `server.explained` tells.
        """
        to = _target(target)
        with control(to.url) as session:
            books = Books.of(session, to.table)
            if books.exist(session):
                books.rename(session, flow, new)

    def sweep(self, target: SinkTarget, confirm: Callable[[], object]) -> None:
        """Let no earlier attempt of the project commit any more; sessions asleep in one are ended.

        Args:
            confirm: called once they have been found; raises if another update may have begun.
        """
        try:
            to = _target(target)
        except (OptionError, UnsupportedError):
            # The flow of a wrong target reports it, with its place.
            return
        # A server that is away must only stop the flows that send to it: `carries` tries again.
        self._unswept.add((to.url.place, to.table))
        found: dict[str, str] | None = None
        with suppress(AdapterError), control(to.url) as session:
            found = self._own(Books.of(session, to.table).attempts(session))
        if found:
            confirm()
        if found is not None:
            with suppress(AdapterError):
                self._end(to, found)
                self._unswept.discard((to.url.place, to.table))

    def _own(self, attempts: Mapping[str, str]) -> dict[str, str]:
        """Those that no other project has begun; what an older Qanat has begun is anybody's."""
        others = (f for f, a in attempts.items() if "-" in a and not a.startswith(self._tag))
        return {f: attempts[f] for f in attempts.keys() - set(others)}

    def _end(self, to: _Target, attempts: Mapping[str, str]) -> None:
        """Forbid these attempts to commit."""
        if attempts:
            with control(to.url) as session:
                books = Books.of(session, to.table)
                for flow, attempt in attempts.items():
                    books.end(session, flow, attempt)


def _target(target: SinkTarget) -> _Target:
    options = WRITE.check_all(target.options)
    keys = tuple(k.strip() for k in options.get("keys", "").split(",") if k.strip())
    return _Target(
        options["url"], TableName.of(options["table"]), options.get("create", True), keys
    )


def _may_commit(
    cursor: Bulk, books: Books, delivery: Delivery, attempt: str, may_be_published: bool
) -> bool:
    """True if the epoch is still to be committed, and by us; locks its row.

    Raises:
        HistoryMismatchError, CommitConflictError: as `PostgresSink.publish` tells.
    """
    rows = ask(
        cursor,
        f"SELECT epoch, attempt, published_by FROM {books.epochs}"
        f" WHERE {books.where(delivery.flow)} FOR UPDATE",
    )
    epoch, next_, last = rows[0] if rows else (0, None, None)
    if epoch >= delivery.epoch and (may_be_published or last == attempt):
        return False
    if next_ != attempt:
        raise CommitConflictError(
            f"another update has taken over flow {delivery.flow} into {books.table}",
            hint="this one was stopped for too long; the other one sends its rows",
        )
    if epoch >= delivery.epoch:
        raise HistoryMismatchError(
            f"{books.table} holds epoch {epoch} of flow {delivery.flow} already, which this"
            " project has not sent",
            hint="if another project or environment sends there too, give each a table of its own",
        )
    return True


def _columns(cursor: Bulk, books: Books, to: _Target, schema: Schema) -> tuple[Transfer, ...]:
    """How the columns go into the table, which is created if need be."""
    found = _described(cursor, books)
    if not found:
        new = definition(schema, books.table, to.keys)
        if not to.create:
            raise SourceNotFoundError(
                f"there is no table {books.table} in {to.url.place}",
                hint=f"CREATE TABLE {books.table} ({new})",
            )
        # Two flows that create one table at once would both fail.
        ask(cursor, f"SELECT pg_advisory_xact_lock({books.key('')})::text")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {books.table} ({new})")
        found = _described(cursor, books)
    return transfers(schema, found, books.table)


def _described(cursor: Bulk, books: Books) -> list[TargetColumn]:
    rows = ask(
        cursor,
        "SELECT a.attname::text, t.typname::text, format_type(a.atttypid, a.atttypmod),"
        " a.atttypmod, e.typname::text, t.typtype = 'e',"
        " a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> ''"
        " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
        " LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typlen = -1 AND t.typcategory = 'A'"
        f" WHERE a.attrelid = to_regclass({literal(books.table)})"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    return [TargetColumn(*row) for row in rows]


def _files(staging: Path, staged: StagedTable) -> list[Path]:
    paths = [staging / file.path for file in staged.files]
    for path in paths:
        if not path.is_file():
            raise FileVanishedError(f"the staged file {str(path)!r} is gone")
    return paths


def _deliver(
    cursor: Bulk, books: Books, to: _Target, schema: Schema, files: Sequence[Path]
) -> int:
    """Put the rows of files into the table; how many there were."""
    if to.keys:
        columns = _columns(cursor, books, to, upsert.rows_of(schema, to.keys, books.table))
        sent = _stage(cursor, (*columns, *upsert.TOLD), files)
        upsert.apply(cursor, books, columns, to.keys, _STAGED)
        return sent
    columns = _columns(cursor, books, to, schema)
    if not files:
        return 0
    if not any(c.cast for c in columns):
        reader = _reader(columns, files)
        rows: int = cursor.adbc_ingest(
            books.name, reader, mode="append", db_schema_name=books.schema
        )
        return rows
    # COPY in binary form would take the bytes of a text for those of a uuid: cast it.
    rows = _stage(cursor, columns, files)
    names = ", ".join(quote(c.target) for c in columns)
    values = ", ".join(quote(c.target) + (f"::{c.cast}" if c.cast else "") for c in columns)
    cursor.execute(f"INSERT INTO {books.table} ({names}) SELECT {values} FROM {_STAGED}")
    return rows


def _stage(cursor: Bulk, columns: Sequence[Transfer], files: Sequence[Path]) -> int:
    """Copy the rows of files into a temporary table; how many there were."""
    staged = ", ".join(f"{quote(c.target)} {new_type(c.wire)}" for c in columns)
    cursor.execute(f"CREATE TEMPORARY TABLE {_STAGED} ({staged}) ON COMMIT DROP")
    if not files:
        return 0
    reader = _reader(columns, files)
    rows: int = cursor.adbc_ingest(_STAGED, reader, mode="append", temporary=True)
    return rows


def _reader(columns: Sequence[Transfer], files: Sequence[Path]) -> pa.RecordBatchReader:
    schema = pa.schema([pa.field(c.target, arrow_type(c.wire)) for c in columns])
    return pa.RecordBatchReader.from_batches(schema, _batches(files, columns, schema))


def _batches(
    files: Sequence[Path], columns: Sequence[Transfer], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    names = [c.source for c in columns]
    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                arrays = [
                    batch.column(name).cast(field.type)
                    for name, field in zip(names, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
