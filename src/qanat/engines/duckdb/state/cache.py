"""The rows of states that a process has read, for the next epochs of the same flows.

The truth is the state's table. What is here was read from files of its published versions, so it
is never ahead of them: an epoch first takes the files that it has not read yet, and where files
have gone that it has read, it reads all again. Another process that writes to the table, a commit
that is taken back or a full refresh all show in the names of files.

Each flow's lies in a database of its own in the engine's scratch folder, so that a large state
takes disk and not memory, and goes with the process. The first epoch of a flow reads the table
itself: an update with a single epoch would build the cache for nothing. So does an epoch that
meets an error here, such as one of the disk: a cache is no reason for an epoch to fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import changed, columns_in, make, part_of
from qanat.engines.duckdb.state.kind import GONE, Moment
from qanat.engines.duckdb.state.marks import EPOCH, STREAM, Marks, marks_in
from qanat.engines.duckdb.state.stored import Shape, same_keys
from qanat.model.work import StateWork, TableBatch
from qanat.text import literal, quote

_TABLE = "kept"
_HASH = "__qanat_hash"
_TOUCHED, _ROWS, _FOUND = (f"__qanat_{name}" for name in ("touched", "kept", "found"))
_ASKED_FOR = "__qanat_hashes"
_INDEXED = 1_000_000
"""Rows from which on an index finds them; fewer are found sooner by a look at all hashes."""
_ASKED = 2_000
"""Keys that are looked up by an index at once (DuckDB 2.0 scans the table for more than 2048)."""
_VERSIONS = 8
"""Rows of a key from which on those that do not count are removed."""
_GROWS = 100_000
"""Rows that are added to a small state before it is read anew, without those that they replace."""


@dataclass(slots=True)
class Cached:
    """The state of one flow.

    Args:
        database: that it lies in, by the name that statements use.
        shape: of its rows; `table` the identity of the table that has them.
        files: those that were read.
        marks: how far its streams had come.
        built: rows that there were when it was read as a whole; `added` those since then.
        compacted: by file that this process has staged, those whose rows it has.
        asked: the epoch that was last given rows; None: none was.
        staged: the newest file of changed rows that this process has staged, and the marks in it.
    """

    database: str
    shape: Shape
    table: str
    files: frozenset[str]
    marks: Marks
    built: int
    added: int = 0
    asked: int | None = None
    compacted: dict[str, frozenset[str]] = field(default_factory=dict)
    staged: tuple[str, Marks] = ("", MappingProxyType({}))

    @property
    def name(self) -> str:
        """Of its table."""
        return f"{self.database}.{_TABLE}"

    def find(self, con: DuckDBPyConnection, touched: str, moment: Moment) -> str:
        """SELECT text of the rows that an epoch needs.

        Args:
            touched: SELECT text of the keys.
        """
        shape, by = self.shape, columns_in(self.shape.found_by)
        keys = make(con, _TOUCHED, f"SELECT {by}, {_hashed(shape)} AS {_HASH} FROM ({touched})")
        if shape.closes is not None and moment.after is not None:
            for due in self._due(quote(shape.closes), moment.before, moment.after):
                rows = f"SELECT DISTINCT {by}, {_HASH} FROM {self.name} WHERE {due}"
                keys += changed(con, f"INSERT INTO {_TOUCHED} {rows}")
        self.asked = moment.epoch
        found = f"SELECT s.* FROM {self._of(con, keys)} AS s SEMI JOIN {_TOUCHED} AS w "
        found += f"ON s.{_HASH} = w.{_HASH} AND {same_keys(shape.found_by, 's', 'w')}"
        columns = columns_in(shape.columns.names)
        make(con, _ROWS, f"SELECT {columns} FROM ({shape.newest(found)}) WHERE NOT {GONE}")
        return f"SELECT * FROM {_ROWS}"

    def _due(self, closes: str, before: int | None, after: int) -> Iterator[str]:
        """Conditions of rows that are due and may not have been before.

        Those that were due are gone, or due at another time, unless the last epoch brought them.
        DuckDB passes over most of a table by each of these conditions alone.
        """
        if self.asked is None or before is None:
            yield f"{closes} <= {after}"
            return
        yield f"{closes} > {before} AND {closes} <= {after}"
        yield f"{EPOCH} >= {self.asked} AND {closes} <= {before}"

    def _of(self, con: DuckDBPyConnection, keys: int) -> str:
        """The rows that may be of touched keys, behind FROM.

        Args:
            keys: how many are touched.
        """
        if self.built < _INDEXED or keys > _ASKED:
            return self.name
        # DuckDB 2.0 uses the index for a list, where nothing is joined in the same statement. As a
        # variable it spares the parser thousands of numbers, which take it 5 ms.
        hashes = f"SELECT coalesce(list({_HASH}), []) FROM {_TOUCHED}"
        con.execute(f"SET VARIABLE {_ASKED_FOR} = ({hashes})")
        mine = f"{self.name} WHERE {_HASH} IN getvariable({literal(_ASKED_FOR)})"
        rows = make(con, _FOUND, f"SELECT * FROM {mine}")
        if rows > _VERSIONS * keys:
            # Keys that each epoch touches: only their newest rows count.
            con.execute(f"DELETE FROM {mine}")
            make(
                con,
                _FOUND,
                f"SELECT * FROM ({self.shape.newest(f'FROM {_FOUND}')}) WHERE NOT {GONE}",
            )
            con.execute(f"INSERT INTO {self.name} SELECT * FROM {_FOUND}")
        return _FOUND


class Caches:
    """Those of one engine.

    Args:
        folder: where their databases are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._numbers = count()
        self._known: dict[Path, Cached | None] = {}

    def of(self, bindings: Bindings, state: StateWork, shape: Shape) -> Cached | None:
        """The state of a flow, as it is before the epoch; None: it is to be read from its table.

        A flow has one epoch at a time, so that nobody else asks for the same one meanwhile.
        """
        key, stored = state.output.folder, state.stored
        batch = None if stored is None else stored.batch
        if not isinstance(batch, TableBatch):
            self._forget(bindings.con, key)
            return None
        with self._lock:
            first, known = key not in self._known, self._known.get(key)
            self._known.setdefault(key, None)
        if first:
            return None
        try:
            if known is None or not _follows(known, state, shape, batch):
                self._forget(bindings.con, key)
                known = self._built(bindings, state, shape, batch)
            else:
                _take(bindings, known, batch)
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            # Whatever it was, the table is still there to be read; and if that meets it, too, the
            # error says so there.
            self._forget(bindings.con, key)
            return None
        with self._lock:
            self._known[key] = known
        return known

    def compacted(self, state: StateWork, new: str, removed: tuple[str, ...]) -> None:
        """Note that a file has the rows of others, should it be published."""
        known = self._known.get(state.output.folder)
        if known is not None:
            known.compacted = {str(state.output.folder / new): frozenset(removed)}

    def staged(self, state: StateWork, new: str, marks: Marks) -> None:
        """Note the marks in a file, should it be published."""
        known = self._known.get(state.output.folder)
        if known is not None:
            known.staged = str(state.output.folder / new), marks

    def _built(
        self, bindings: Bindings, state: StateWork, shape: Shape, batch: TableBatch
    ) -> Cached:
        con = bindings.con
        with self._lock:
            database = f"__qanat_state_{next(self._numbers)}"
        # Without a log of its writes: after a crash, nothing reads it again.
        options = "RECOVERY_MODE no_wal_writes"
        try:
            con.execute(f"ATTACH {literal(str(self._file(database)))} AS {database} ({options})")
            return self._filled(bindings, database, state, shape, batch)
        except duckdb.Error:
            self._remove(con, database)
            raise

    def _filled(
        self,
        bindings: Bindings,
        database: str,
        state: StateWork,
        shape: Shape,
        batch: TableBatch,
    ) -> Cached:
        con, name = bindings.con, f"{database}.{_TABLE}"
        stored = bindings.bind("__qanat_all_kept", batch).plain
        rows = f"SELECT * FROM ({stored}) WHERE {STREAM} IS NULL"
        order = f" ORDER BY {quote(shape.closes)}" if shape.closes else ""
        newest = f"SELECT * FROM ({shape.newest(rows)}) WHERE NOT {GONE}{order}"
        built = changed(con, f"CREATE TABLE {name} AS SELECT {_columns(shape)} FROM ({newest})")
        if built >= _INDEXED:
            con.execute(f"CREATE INDEX {_TABLE}_hash ON {name} ({_HASH})")
        marks = marks_in(con, stored)
        return Cached(database, shape, state.table, frozenset(batch.files), marks, built)

    def _forget(self, con: DuckDBPyConnection, key: Path) -> None:
        with self._lock:
            known = self._known.pop(key, None)
            self._known[key] = None
        if known is not None:
            self._remove(con, known.database)

    def _remove(self, con: DuckDBPyConnection, database: str) -> None:
        # After an error of the disk, DuckDB tells it once more, and has detached it all the same.
        with suppress(duckdb.Error):
            con.execute(f"DETACH {database}")
        # What is left goes with the scratch folder.
        with suppress(OSError):
            self._file(database).unlink()

    def _file(self, database: str) -> Path:
        return self._folder / f"{database}.db"


def _follows(known: Cached, state: StateWork, shape: Shape, batch: TableBatch) -> bool:
    """True if a state is what is known, and rows that were added since then."""
    if known.table != state.table or known.shape != shape:
        return False
    if known.added > max(_GROWS, known.built):
        return False
    live = frozenset(batch.files)
    for new, removed in known.compacted.items():
        if new in live and removed <= known.files:
            known.files = (known.files - removed) | {new}
    known.compacted = {}
    return known.files <= live


def _take(bindings: Bindings, known: Cached, batch: TableBatch) -> None:
    """Read the files that are not known yet."""
    missing = [f for f in batch.files if f not in known.files]
    if not missing:
        return
    batch.ready()
    con = bindings.con
    rows = bindings.bind("__qanat_new_kept", part_of(batch, missing)).plain
    of_state = f"SELECT {_columns(known.shape)} FROM ({rows}) WHERE {STREAM} IS NULL"
    known.added += changed(con, f"INSERT INTO {known.name} {of_state}")
    file, marks = known.staged
    own = missing == [file]
    known.marks = {**known.marks, **(marks if own else marks_in(con, rows))}
    known.files = frozenset(batch.files)


def _columns(shape: Shape) -> str:
    """What is kept of a row, as a SELECT list."""
    return f"{columns_in(shape.columns.names)}, {EPOCH}, {GONE}, {_hashed(shape)} AS {_HASH}"


def _hashed(shape: Shape) -> str:
    """SQL of 32 bits of the hash of a row's keys: an index of more would take twice as much."""
    return f"(hash({columns_in(shape.found_by)}) >> 32)::UINTEGER"
