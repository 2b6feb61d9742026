"""One session of DataFusion for each piece of work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext

from qanat import disk
from qanat.errors import AdapterError, Location, UnsupportedError
from qanat.model.expectation import Expectation
from qanat.model.function import UserFunction
from qanat.model.name import Name
from qanat.model.profile import Profiled
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate
from qanat.model.staged import RuleCount, Staged
from qanat.model.work import Batch, Inputs as Bound, Work
from qanat.ports.engine import Columns, Progress, RowOrigin, RowPlace, Rows
from tests.conformance.datafusion_engine import DATAFUSION
from tests.conformance.datafusion_engine.columns import schema_of
from tests.conformance.datafusion_engine.faults import explained
from tests.conformance.datafusion_engine.inputs import Inputs
from tests.conformance.datafusion_engine.profile import profile
from tests.conformance.datafusion_engine.quarantine import broken_rules, quarantined
from tests.conformance.datafusion_engine.reading import DataFusionReading
from tests.conformance.datafusion_engine.rules import RID, mark
from tests.conformance.datafusion_engine.stage import Staging

_SETTINGS = {
    "datafusion.execution.time_zone": "+00:00",
    # As text, not as views of text, which Parquet readers elsewhere do not all know.
    "datafusion.execution.parquet.schema_force_view_types": "false",
    "datafusion.sql_parser.map_string_types_to_utf8view": "false",
    # 0.1 is a decimal number to an author, not the nearest double.
    "datafusion.sql_parser.parse_float_as_decimal": "true",
    # Parallel scans and unions would shuffle rows, and the first row of a key is the one kept.
    "datafusion.execution.target_partitions": "1",
}


class DataFusionEngine:
    """Computes with DataFusion inside this process.

    Args:
        scratch: folder for spills and temporary files; made when needed.
        memory_limit: bytes that one epoch may hold before it spills to `scratch`; None for no
            limit.
        threads: more than one is of no use to this engine: it keeps rows in their order.
        notes: it finds nothing out that would be worth one.
        folders: its queries read no files but their inputs.
    """

    dialect = DATAFUSION.dialect
    capabilities = frozenset(
        {"functions", "partitions", "positions", "profile", "readmission", "views"}
    )

    def __init__(
        self,
        scratch: Path,
        memory_limit: int | None = None,
        threads: int | None = None,
        notes: MutableMapping[str, Any] | None = None,
        folders: Sequence[str] | None = None,
    ) -> None:
        del threads, notes, folders
        self._scratch = scratch
        self._memory_limit = memory_limit
        self._closed = False

    def define(self, functions: Sequence[UserFunction]) -> None:
        """Refused, if there are any.

        Raises:
            UnsupportedError: there are some.
        """
        for function in functions:
            raise UnsupportedError(
                f"DataFusion does not call functions of a project such as {function.name}()",
                location=function.location,
            )

    def stage(self, work: Work, progress: Progress) -> Staged:
        """Run one epoch and stage its rows (see `qanat.ports.engine.Engine`)."""
        progress(None)
        with self._session() as session, self._space(work):
            return Staging(session, work).run()

    def describe(self, work: Work) -> Columns:
        """The columns that the epoch's table would have, without running its query."""
        with self._session() as session, self._space(work):
            return Staging(session, work).describe()

    def fetch(
        self, batch: Batch, limit: int | None = None, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a batch."""
        with self._session() as session:
            frame = Inputs(session).bind("batch", batch)
            if where is None:
                return _rows(frame, limit)
            condition = f"(\n{where.sql}\n)"  # it may end in a comment
            asked = SqlQuery(where.sql, where.sql, self.dialect, (), Location("--where", 1, 1))
            with explained(asked):
                return _rows(session.sql(f"SELECT * FROM batch WHERE {condition}"), limit)

    def profile(
        self, batch: Batch, columns: Sequence[str] = (), where: Predicate | None = None
    ) -> Profiled:
        """Describe the columns of a batch."""
        with self._session() as session:
            frame = Inputs(session).bind("batch", batch)
            schema = schema_of(frame)
            if where is not None:
                asked = SqlQuery(where.sql, where.sql, self.dialect, (), Location("--where", 1, 1))
                with explained(asked):
                    frame = session.sql(f"SELECT * FROM batch WHERE (\n{where.sql}\n)")
            with explained(None):
                session.register_view("profiled", frame)
                return profile(session, "profiled", schema, columns)

    def check(
        self,
        batch: Batch,
        dataset: str,
        expectations: Sequence[Expectation],
        references: Mapping[Name, Batch],
    ) -> tuple[int, tuple[RuleCount, ...]]:
        """How many rows a batch has, and how many of them violate each expectation."""
        with self._session() as session:
            inputs = Inputs(session)
            inputs.bind("batch", batch)
            names = {n: f"reference_{i}" for i, n in enumerate(references)}
            for name, each in references.items():
                inputs.bind(names[name], each)
            rows = session.sql(f"SELECT *, row_number() OVER () AS {RID} FROM batch")
            session.register_view("numbered", rows)
            marked = mark(session, "numbered", expectations, None, names)
            with explained(None):
                counts, rules = marked.count(dataset)
            return counts.out, rules

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
        """Refused: only DuckDB evaluates rules about a table.

        Raises:
            UnsupportedError: always.
        """
        del rows, references, at_ns, known, gone
        first = expectations[0]
        raise UnsupportedError(
            f"DataFusion does not check {first.name} of {dataset}", location=first.location
        )

    def broken_rules(self, quarantine: Batch) -> Mapping[str, int]:
        """How many rows of a quarantine broke each rule, most frequent first."""
        with self._session() as session, explained(None):
            Inputs(session).bind("quarantine", quarantine)
            return broken_rules(session, "quarantine")

    def quarantined(
        self, quarantine: Batch, rule: str | None, limit: int, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a quarantine, in the order of their sources."""
        condition = "true" if where is None else f"(\n{where.sql}\n)"
        asked = SqlQuery(condition, condition, self.dialect, (), Location("--where", 1, 1))
        with self._session() as session, explained(asked if where else None):
            Inputs(session).bind("quarantine", quarantine)
            found = quarantined(session, "quarantine", rule, condition)
            return replace(_rows(found, limit), total=found.count())

    def origins(
        self, work: Work, written: Batch, rows: Sequence[RowPlace]
    ) -> Mapping[RowPlace, RowOrigin] | None:
        """None: it does not find out."""
        del work, written, rows
        return None

    @contextmanager
    def read(
        self, query: SqlQuery, inputs: Bound, limit: int | None = None
    ) -> Iterator[DataFusionReading]:
        """Run a query that no dataset declares; its rows are taken while the block lasts."""
        with self._session() as session:
            bound = Inputs(session)
            for name, batch in inputs.items():
                bound.bind(name, batch)
            yield DataFusionReading(session, query, limit)

    def close(self) -> None:
        """Free scratch space; memory goes with each session."""
        self._closed = True
        shutil.rmtree(self._scratch, ignore_errors=True)

    @contextmanager
    def _session(self) -> Iterator[SessionContext]:
        if self._closed:
            raise AdapterError("interrupted; nothing was published")
        with disk.explained("make", self._scratch):
            self._scratch.mkdir(parents=True, exist_ok=True)
        runtime = RuntimeEnvBuilder().with_disk_manager_specified(self._scratch)
        if self._memory_limit is not None:
            runtime = runtime.with_fair_spill_pool(self._memory_limit)
        config = SessionConfig()
        for key, value in _SETTINGS.items():
            config = config.set(key, value)
        yield SessionContext(config, runtime)

    @contextmanager
    def _space(self, work: Work) -> Iterator[None]:
        with disk.explained("make", work.scratch):
            work.scratch.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(work.scratch, ignore_errors=True)


def _rows(frame: DataFrame, limit: int | None) -> Rows:
    found = (frame if limit is None else frame.limit(limit)).to_arrow_table()
    columns = [c.to_pylist(maps_as_pydicts="strict") for c in found.columns]
    return Rows(schema_of(frame), list(zip(*columns, strict=True)))
