"""One DuckDB instance for an update; a connection of its own for every epoch."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from qanat import disk
from qanat.engines.duckdb.audit import audit
from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.faults import condition, ctrl_c_kept, explained
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.quarantine import BROKEN_RULES, QUARANTINE, chosen_rows
from qanat.engines.duckdb.reading import DuckDBReading
from qanat.engines.duckdb.readmission import Discarding, Readmitting
from qanat.engines.duckdb.rearranging import Rearrange
from qanat.engines.duckdb.remembered import Footers, Queries
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.telling import Teller
from qanat.engines.duckdb.tracing import Tracing
from qanat.engines.duckdb.types import from_duckdb
from qanat.engines.duckdb.udf import install, remove
from qanat.errors import AdapterError
from qanat.model.comparison import Comparing, Differences, Relation
from qanat.model.expectation import Expectation
from qanat.model.function import UserFunction
from qanat.model.kept import KeptRows
from qanat.model.name import Name
from qanat.model.profile import Profiled
from qanat.model.query import Discard, Readmission, Rearranging, SqlQuery
from qanat.model.rule import Predicate
from qanat.model.schema import Field, Schema
from qanat.model.staged import RuleCount, Staged
from qanat.model.work import Batch, Inputs, TableBatch, Work
from qanat.ports.engine import Columns, Progress, Reading, RowOrigin, RowPlace, Rows
from qanat.text import literal

_TICK = 0.05
"""Seconds between two interrupts of what is to stop."""


class DuckDBEngine:
    """Computes with DuckDB inside this process.

    Args:
        scratch: folder for spills and temporary files; made when needed.
        memory_limit: bytes that all epochs together may hold before they spill to `scratch`;
            None for 60 % of the machine's memory (or of the control group's limit).
        threads: cores to use; None for all that the machine has.
        notes: answers about queries that earlier processes have kept.
        folders: the only ones whose files queries may read and write; None: any.
    """

    dialect = "duckdb"

    def __init__(
        self,
        scratch: Path,
        memory_limit: int | None = None,
        threads: int | None = None,
        notes: MutableMapping[str, Any] | None = None,
        folders: Sequence[str] | None = None,
    ) -> None:
        self._scratch = scratch
        self._limit = memory_limit or int(_memory() * 0.6)
        self._threads = threads
        self._folders = folders
        self._lock = threading.Condition()
        self._instance: DuckDBPyConnection | None = None
        self._working: set[DuckDBPyConnection] = set()
        self._lent: set[DuckDBPyConnection] = set()
        self._closed = False
        self._functions: tuple[UserFunction, ...] = ()
        self._stopping = threading.Event()
        self._teller = Teller()
        self._footers = Footers()
        self._states: Any = None
        self._queries = Queries({} if notes is None else notes)

    def define(self, functions: Sequence[UserFunction]) -> None:
        """Let queries call these functions, and no others of a project."""
        with self._lock:
            if tuple(functions) == self._functions:
                return
            if self._instance is None:
                self._instance = self._open()
            remove(self._instance, self._functions)
            self._functions = ()
            install(self._instance, functions)
            self._functions = tuple(functions)

    def stage(self, work: Work, progress: Progress) -> Staged:
        """Run one epoch and stage its rows (see `qanat.ports.engine.Engine`)."""
        with (
            self._connection() as con,
            self._space(work),
            self._teller.telling(con.query_progress, progress),
            explained(work.query),
        ):
            staged = self._staging(con, work).run()
        if work.merge is None and work.rearranged is None and work.correction is None:
            # These write a column that their table does not have, or leave out one that it has.
            self._footers.remember(work.output, staged.table)
        return staged

    def describe(self, work: Work) -> Columns:
        """The columns that the epoch's table would have, without running its query."""
        # Imported only here: an update without news need not load it, nor the parser.
        mistakes = import_module("qanat.engines.duckdb.mistakes")
        described: Columns = mistakes.all_told(work, self._describe)
        return described

    def _describe(self, work: Work) -> Columns:
        with self._connection() as con, self._space(work), explained(work.query):
            fitted = self._staging(con, work).describe()
            return Columns(fitted.schema, fitted.lacks)

    def fetch(
        self, batch: Batch, limit: int | None = None, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a batch."""
        with self._connection() as con:
            relation = self._relation(con, batch)
            asked = None
            if where is not None:
                asked = condition(where.sql)
            with explained(asked, relation.columns):
                if where is not None:
                    # The author's condition may end in a -- comment, so the closing parenthesis
                    # needs its own line.
                    relation = relation.filter(f"(\n{exact_casts(where.sql)}\n)")
                return _rows(relation, limit)

    def profile(
        self, batch: Batch, columns: Sequence[str] = (), where: Predicate | None = None
    ) -> Profiled:
        """Describe the columns of a batch (see `qanat.ports.engine.Engine`)."""
        # Imported only here: few updates profile a table.
        described = import_module("qanat.engines.duckdb.profiling.described").described
        with self._connection() as con:
            found: Profiled = described(con, self._scratch, batch, columns, where)
            return found

    def check(
        self,
        batch: Batch,
        dataset: str,
        expectations: Sequence[Expectation],
        references: Mapping[Name, Batch],
    ) -> tuple[int, tuple[RuleCount, ...]]:
        """How many rows a batch has, and how many of them violate each expectation."""
        with self._connection() as con, explained(None):
            return audit(con, self._scratch, batch, dataset, expectations, references)

    def measure(
        self,
        rows: Sequence[Batch],
        dataset: str,
        expectations: Sequence[Expectation],
        references: Mapping[Name, Batch],
        at_ns: int,
        known: int | None = None,
        gone: frozenset[str] = frozenset(),
    ) -> tuple[RuleCount, ...]:
        """What came of rules about all rows together (see `qanat.ports.engine.Engine`)."""
        # Imported only here: few tables have such rules.
        made = import_module("qanat.engines.duckdb.measuring").measured
        with self._connection() as con, explained(None):
            bindings = Bindings(con, self._scratch)
            counts: tuple[RuleCount, ...] = made(
                bindings, rows, dataset, expectations, references, at_ns, known, gone
            )
            return counts

    def broken_rules(self, quarantine: Batch) -> Mapping[str, int]:
        """How many rows of a quarantine broke each rule, most frequent first."""
        with self._connection() as con, explained(None):
            self._bind(con, {QUARANTINE: quarantine})
            return dict(con.sql(BROKEN_RULES).fetchall())

    def quarantined(
        self, quarantine: Batch, rule: str | None, limit: int, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a quarantine, in the order of their sources."""
        with self._connection() as con:
            self._bind(con, {QUARANTINE: quarantine})
            asked, columns = None, con.sql(f"SELECT * FROM {QUARANTINE} LIMIT 0").columns
            if where is not None:
                asked = condition(where.sql)
            rows = chosen_rows(rule, where.sql if where else None)
            with explained(asked, columns):
                found = _rows(con.sql(rows), limit)
                total = con.sql(f"SELECT count(*) FROM ({rows})").fetchall()
            return replace(found, total=total[0][0])

    def origins(
        self, work: Work, written: Batch, rows: Sequence[RowPlace]
    ) -> Mapping[RowPlace, RowOrigin] | None:
        """Where rows come from that an epoch has written (see `qanat.ports.engine.Engine`)."""
        with self._connection() as con, self._space(work), explained(work.query):
            tracing = Tracing(con, work, self._footers, self._queries, self._stopping)
            return tracing.origins(written, rows)

    @contextmanager
    def read(self, query: SqlQuery, inputs: Inputs, limit: int | None = None) -> Iterator[Reading]:
        """Run a query that no dataset declares; its rows are taken while the block lasts."""
        con = self._cursor(self._lent)
        try:
            working = partial(self._at_work, con)
            with working():
                reading = DuckDBReading(con, self._scratch, query, inputs, limit, working)
            yield reading
        finally:
            with self._lock:
                con.close()
                self._lent.discard(con)

    def compare(self, left: Relation, right: Relation, how: Comparing) -> Differences:
        """What two relations have that the other has not (see `qanat.ports.engine.Engine`)."""
        # Imported only here: an update compares nothing.
        comparing = import_module("qanat.engines.duckdb.comparing")
        with self._connection() as con:
            given = con, self._scratch, left, right, how, self._limit
            found: Differences = comparing.compare(*given)
            return found

    def kept(self, state: Batch) -> KeptRows:
        """What the rows of a state come to."""
        # Imported only here: few flows keep rows.
        look = import_module("qanat.engines.duckdb.state.look")
        with self._connection() as con, explained(None):
            relation = self._relation(con, state)
            columns = state.schema if isinstance(state, TableBatch) else _schema(relation)
            found: KeptRows = look.kept_rows(con, relation.sql_query(), columns)
            return found

    def close(self) -> None:
        """Stop what is running, free memory and scratch space."""
        self._stopping.set()
        with self._lock:
            self._closed = True
            # Interrupt repeatedly: DuckDB ignores an interrupt that arrives between two
            # statements.
            while self._working:
                for con in self._working:
                    con.interrupt()
                self._lock.wait(_TICK)
            # Do not wait for these: whoever reads the rows may never ask for more of them.
            for con in self._lent:
                con.close()
            if self._instance is not None:
                self._instance.close()
                self._instance = None
        self._teller.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _staging(self, con: DuckDBPyConnection, work: Work) -> Staging:
        kinds = {Readmission: Readmitting, Discard: Discarding, Rearranging: Rearrange}
        known = con, work, self._footers, self._queries, self._stopping
        if work.state is not None:
            # Imported only here: few flows keep rows.
            stateful = import_module("qanat.engines.duckdb.state.staging").StatefulStaging
            staging: Staging = stateful(*known, caches=self._caches())
            return staging
        kind = kinds.get(type(work.query), Staging)
        return kind(*known)

    def _caches(self) -> Any:
        """What the process has read of states."""
        with self._lock:
            if self._states is None:
                cache = import_module("qanat.engines.duckdb.state.cache")
                self._states = cache.Caches(self._scratch)
            return self._states

    def _cursor(self, among: set[DuckDBPyConnection]) -> DuckDBPyConnection:
        with self._lock:
            if self._closed:
                raise AdapterError("interrupted; nothing was published")
            if self._instance is None:
                self._instance = self._open()
            con = self._instance.cursor()
            among.add(con)
            return con

    @contextmanager
    def _at_work(self, con: DuckDBPyConnection) -> Iterator[None]:
        """While the block lasts, a connection that was lent computes."""
        with self._lock:
            if self._closed:
                raise AdapterError("the project was closed before all rows were read")
            self._working.add(con)
        try:
            with ctrl_c_kept():
                yield
        finally:
            with self._lock:
                self._working.discard(con)
                self._lock.notify_all()

    @contextmanager
    def _connection(self) -> Iterator[DuckDBPyConnection]:
        con = self._cursor(self._working)
        try:
            with ctrl_c_kept():
                yield con
        finally:
            with self._lock:
                # Close it before `close` goes on: that waits until no connection works any more.
                con.close()
                self._working.discard(con)
                self._lock.notify_all()

    def _open(self) -> DuckDBPyConnection:
        with disk.explained("make", self._scratch):
            self._scratch.mkdir(parents=True, exist_ok=True)
        config: dict[str, str | int | bool | float | list[str]] = {
            "temp_directory": str(self._scratch / "spill"),
            # No downloads at run time: what the wheel has must be enough.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if self._threads is not None:
            config["threads"] = self._threads
        con = duckdb.connect(":memory:", config=config)
        con.execute(f"SET memory_limit = {literal(f'{self._limit // 1024}KiB')}")
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        if self._folders is not None:
            # In this order: DuckDB lets nobody change the first once the second is off.
            folders = ", ".join(literal(folder) for folder in (*self._folders, str(self._scratch)))
            con.execute(f"SET allowed_directories = [{folders}]")
            con.execute("SET enable_external_access = false")
        # It keeps an entry for every file that was ever read, and nothing of files on a disk.
        con.execute("SET enable_external_file_cache = false")
        con.execute("SET enable_progress_bar = true")
        con.execute("SET enable_progress_bar_print = false")
        return con

    def _bind(self, con: DuckDBPyConnection, inputs: Inputs) -> list[str]:
        """Make batches known by their names; all their columns, for messages."""
        bindings = Bindings(con, self._scratch)
        columns: list[str] = []
        for name, batch in inputs.items():
            with explained(None):
                columns += con.sql(f"{bindings.bind(name, batch).plain} LIMIT 0").columns
                bindings.define(name)
        return columns

    def _relation(self, con: DuckDBPyConnection, batch: Batch) -> DuckDBPyRelation:
        with explained(None):
            bound = Bindings(con, self._scratch).bind("__look", batch)
            return con.sql(bound.plain)

    @contextmanager
    def _space(self, work: Work) -> Iterator[None]:
        with disk.explained("make", work.scratch):
            work.scratch.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            try:
                work.scratch.rmdir()  # most works leave nothing in it
            except OSError:
                shutil.rmtree(work.scratch, ignore_errors=True)


def _rows(relation: DuckDBPyRelation, limit: int | None) -> Rows:
    if limit is not None:
        relation = relation.limit(limit)
    return Rows(_schema(relation), relation.fetchall())


def _schema(relation: DuckDBPyRelation) -> Schema:
    pairs = zip(relation.columns, relation.types, strict=True)
    return Schema(tuple(Field(name, from_duckdb(type_)) for name, type_ in pairs))


def _memory() -> int:
    """Bytes this process may use: the machine's, or less inside a control group (v2)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(total, int(text)) if text.isdigit() else total
