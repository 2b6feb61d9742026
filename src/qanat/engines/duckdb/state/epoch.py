"""One epoch of a flow that keeps rows: its inputs, the operator, and what the state becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, make
from qanat.engines.duckdb.state.cache import Caches
from qanat.engines.duckdb.state.kind import GONE, Advance, Moment
from qanat.engines.duckdb.state.marks import (
    EPOCH,
    STREAM,
    WATERMARK,
    Mark,
    Marks,
    as_rows,
    check_times,
    marks_in,
    moment,
    moved,
)
from qanat.engines.duckdb.state.operators import keeping
from qanat.engines.duckdb.state.stored import Shape, compaction, wanted
from qanat.engines.duckdb.types import Result
from qanat.engines.duckdb.write import write
from qanat.errors import InvariantError
from qanat.model.query import SqlQuery
from qanat.model.staged import StagedTable
from qanat.model.stateful import GROUP, LEAVES
from qanat.model.work import StateWork, Work
from qanat.text import quote

_STORED, _CHANGED, _OUTPUT = (f"__qanat_{n}" for n in ("state", "state_changed", "state_output"))


@dataclass(slots=True)
class StateEpoch:
    """The operator of one epoch.

    Args:
        bindings: of the epoch; all inputs are bound.
        query: compiles a query over them.
        caches: what the process has read of states.
        computes: False if only columns are asked for.
    """

    con: DuckDBPyConnection
    bindings: Bindings
    work: Work
    query: Callable[[str, SqlQuery], Result]
    caches: Caches
    computes: bool = True
    _advance: Advance | None = None
    _now: Moment | None = None
    _marks: Marks = field(default_factory=dict)
    _shape: Shape | None = None

    def result(self) -> Result:
        """The rows of the author's query, computed.

        Of changes, in a hidden column, each tells the group that it is of; groups without a row
        are in `groups` alone.
        """
        advance = self._advanced()
        hidden: tuple[str, ...] = ()
        select = advance.output
        if self._state.stateful.changes:
            make(self.con, _OUTPUT, advance.output, "TABLE" if self.computes else "VIEW")
            hidden = (GROUP,)
            rows = f"SELECT * EXCLUDE ({LEAVES}, {GROUP}), {GROUP} FROM {_OUTPUT}"
            select = f"{rows} WHERE NOT {LEAVES}"
        relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        shown = len(relation.columns) - len(hidden)
        return Result(select, relation.columns[:shown], relation.types[:shown], hidden)

    @property
    def groups(self) -> str:
        """SELECT text of the groups whose earlier rows go."""
        return f"SELECT DISTINCT {GROUP} FROM {_OUTPUT}"

    def late(self) -> dict[str, tuple[str, int]]:
        """By input, SELECT text of the rows that came too late, and how many there are.

        Rows without event time are among them in the first epoch, too, which has no watermark yet.
        """
        late = self._advanced().late
        counted = ((n, text, count_of(self.con, f"({text})")) for n, text in late.items())
        return {name: (text, rows) for name, text, rows in counted if rows}

    def stage(self) -> StagedTable:
        """Stage the changed rows of the state, and the marks."""
        advance, now, shape, state = self._advanced(), self._now, self._shape, self._state
        if now is None or shape is None:
            raise InvariantError("a state is written before it is known")
        own = f"SELECT *, {self.work.epoch}::BIGINT AS {EPOCH} FROM"
        every = [f"{own} ({advance.state})"]
        every += [f"{own} ({row})" for row in as_rows(self._marks, now, state.at_us)]
        union = " UNION ALL BY NAME ".join(every)
        columns = columns_in(shape.table.names)
        select = (
            f"SELECT {columns} FROM (SELECT * REPLACE (coalesce({GONE}, false) AS {GONE}) "
            f"FROM ({self._typed(shape)} UNION ALL BY NAME {union}))"
        )
        table = write(self.con, select, shape.table, state.output)
        marks = {**self._marks, WATERMARK: Mark(now.after, state.at_us)}
        for file in table.files:
            self.caches.staged(state, file.path, marks)
        return self._compacted(table, shape, state)

    # -- parts -----------------------------------------------------------------------------

    @property
    def _state(self) -> StateWork:
        if self.work.state is None:
            raise InvariantError("an epoch without a state is asked for one")
        return self.work.state

    def _typed(self, shape: Shape) -> str:
        """SELECT text of no row that has all columns: a UNION takes its names and types."""
        nothing = ", ".join(
            f"NULL::{type_} AS {quote(name)}"
            for name, type_ in (
                (EPOCH, "BIGINT"),
                (GONE, "BOOLEAN"),
                (STREAM, "VARCHAR"),
                ("_partition", "VARCHAR"),
                ("_newest", "BIGINT"),
                ("_at", "BIGINT"),
            )
        )
        own = f", {shape.typed}" if shape.columns.fields else ""
        return f"SELECT {nothing}{own} WHERE false"

    def _advanced(self) -> Advance:
        if self._advance is not None:
            return self._advance
        state = self._state
        check_times(self.con, self.bindings, self.work)
        new = {}
        for number, each in enumerate(state.stateful.inputs):
            name, found = f"__qanat_new_{number}", self.query(each.name, each.query)
            make(self.con, name, found.select, "TABLE" if self.computes else "VIEW")
            new[each.name] = f"SELECT * FROM {name}"
        operator = keeping(self.con, state.stateful, new, self._names())
        self._shape = shape = Shape.of(operator)
        cached, stored = self.caches.of(self.bindings, state, shape), None
        if state.stored is not None and cached is None:
            stored = self.bindings.bind(_STORED, state.stored.batch).plain
        before = marks_in(self.con, stored) if cached is None else cached.marks
        self._marks = moved(self.con, self.bindings, self.work, before) if self.computes else {}
        now = moment(self.work.epoch, state, before, self._marks)
        self._now = now
        rows = None
        if cached is not None:
            rows = cached.find(self.con, operator.touched(now), now)
        elif stored is not None:
            rows = wanted(self.con, shape, stored, operator.touched(now), now)
        self._advance = operator.advance(rows, now)
        if self.computes:
            make(self.con, _CHANGED, self._advance.state)
            self._advance = replace(self._advance, state=f"SELECT * FROM {_CHANGED}")
        return self._advance

    def _names(self) -> list[str]:
        """The names of the result columns; the reads that the result needs besides are defined."""
        stateful = self._state.stateful
        named = stateful.named
        for read in self.work.query.reads:
            # A view is a statement of its own, for which DuckDB opens the files once more.
            if read.name in named or read.name in stateful.result:
                self.bindings.define(read.name)
        return self.con.sql(f"SELECT * FROM ({named}) LIMIT 0").columns if named else []

    def _compacted(self, table: StagedTable, shape: Shape, state: StateWork) -> StagedTable:
        found = compaction(self.bindings, state, shape)
        if found is None:
            return table
        output = replace(state.output, prefix=f"{state.output.prefix}-c")
        compacted = write(self.con, found.select, shape.table, output)
        for file in compacted.files:
            self.caches.compacted(state, file.path, found.removed)
        files = (*compacted.files, *table.files)
        return replace(table, files=files, removed=found.removed)
