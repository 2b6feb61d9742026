"""Rows that a flow could not parse or compute, tried again by the flow as it is now.

Those that it could not compute wait in quarantine as rows of the flow's stream; those that could
not be parsed, as text, which is parsed first. So the flow's query is run as in any epoch, with
these rows in the place of what its stream has to give.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.faults import by_data, explained
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW, BoundFiles
from qanat.engines.duckdb.inputs import file_name
from qanat.engines.duckdb.quarantine import ENTRY, Quarantined
from qanat.engines.duckdb.remembered import Footers, Queries
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.tables import Bound
from qanat.engines.duckdb.types import Result, fit
from qanat.errors import QanatError
from qanat.model.name import Names
from qanat.model.work import (
    FilesBatch,
    Output,
    Recomputation,
    ViewBatch,
    ViewWork,
    Work,
)
from qanat.text import literal, quote

_NO_ROW = f"SELECT 0::BIGINT AS {ROW}, 0::BIGINT AS row, '' AS error WHERE false"


class Recomputing(Staging):
    """The computing of one flow's rows.

    Args:
        con, work, footers, queries, stopping: as of any staging.
        again: the flow.
        rows: of the quarantine.

    Attributes:
        removed: SELECT texts of `entry` and `rules` of rows that rules of views remove.
        early: SELECT texts of `entry` and `reason` of rows that the table cannot take yet.
    """

    __slots__ = ("_again", "_parsed", "_rows", "_sources", "_taken", "early", "removed")

    def __init__(
        self, con: DuckDBPyConnection, work: Work, footers: Footers, queries: Queries,
        stopping: threading.Event, again: Recomputation, rows: Quarantined,
    ) -> None:  # fmt: skip
        super().__init__(con, work, footers, queries, stopping)
        self._again, self._rows = again, rows
        self.removed: list[str] = []
        self.early: list[str] = []

    def recomputed(self) -> str | None:
        """SELECT text of the rows in columns of the table, and which row each was in quarantine.

        None if the flow as it is now cannot compute them one by one.
        """
        work = self.work
        # Imported only here: with it comes the parser.
        aside = import_module("qanat.engines.duckdb.aside")
        self._bind_inputs()
        if not self._take_all(aside.sources_of(work), aside.labels_of(work)):
            return None
        try:
            self._set_aside(strictly=True)
            self.removed, self.early = [], []
            for view in work.views:
                self._view(view)
            result, fitted = self._compiled()
            if FILE not in result.hidden:
                return None
            known = Names(work.output.schema.names or fitted.schema.names)
            columns = ", ".join(quote(n) for n in fitted.schema.names if n in known)
            path = literal(str(work.scratch / f"{file_name(work.flow)}-again.parquet"))
            select = f"SELECT {fitted.projection}, CAST({FILE} AS BIGINT) AS {ENTRY}"
            with explained(work.query, result.names, views=self._views):
                self.con.execute(
                    f"COPY ({select} FROM ({result.select})) TO {path} "
                    "(FORMAT parquet, COMPRESSION lz4)"
                )
        except (QanatError, duckdb.Error) as error:
            if by_data(error):
                return None  # what fails is none of the query's expressions
            raise
        self._keep_early([n for n in fitted.schema.names if n not in known], path)
        return f"SELECT {columns}, {ENTRY} FROM read_parquet({path})"

    def _keep_early(self, names: list[str], path: str) -> None:
        """Have rows stay that have a value in a column which only the next update adds."""
        for name in names:
            why = f"the table has no column {name!r} yet: run an update, then replay again"
            self.early.append(
                f"SELECT {ENTRY} AS entry, {literal(why)} AS reason "
                f"FROM read_parquet({path}) WHERE {quote(name)} IS NOT NULL"
            )

    @property
    def unparsed(self) -> tuple[str, str]:
        """SELECT texts: of all rows that were parsed; of those that were not, with the reason."""
        parsed, malformed = zip(*self._parsed, strict=True)
        return " UNION ALL ".join(parsed), " UNION ALL ".join(malformed)

    @property
    def failed(self) -> tuple[str, str]:
        """SELECT texts: of all rows that were computed; of those that failed, with the reason."""
        reasons = map(self.aside.reasons, self._sources)
        return " UNION ALL ".join(self._taken), " UNION ALL ".join(reasons)

    def _filter(self, view: ViewWork, result: Result) -> Result:
        """A temporary view's rows without those that its rules remove, which stay."""
        plain = Output(view.quarantine.folder, view.quarantine.prefix)
        fitted = fit(result.names, result.types, plain, view.query, view.name)
        result, splitter, split = self._split(
            view.name, view.query, result, fitted, view.expectations, None
        )
        if split.removed is not None and FILE in result.hidden:
            rules = f"CAST(r.{FILE} AS BIGINT) AS entry, {splitter.failed_rules('b')} AS rules"
            self.removed.append(
                f"SELECT {rules} FROM ({result.select}) AS r "
                f"JOIN {split.removed} AS b ON r.{RID} = b.{RID}"
            )
        return replace(result, select=f"SELECT * FROM ({result.select}) AS r{split.kept}")

    def _take_all(self, sources: Sequence[str], labels: Mapping[str, str]) -> bool:
        """Put the rows into the places of streams; False if rows of one have no identity.

        Args:
            sources: the inputs whose rows those of the result come from.
            labels: tell them apart, by name.
        """
        self._sources = sources
        self._parsed: list[tuple[str, str]] = []
        self._taken: list[str] = []
        if not all(RID in self.bindings.bound[name].hidden for name in sources):
            return False
        for name in sources:
            self._take(name, labels[name], alone=len(sources) == 1)
        return bool(sources)

    def _take(self, stream: str, label: str, alone: bool) -> None:
        """Put the rows of one stream into its place."""
        bound = self.bindings.bound[stream]
        parsed = self._parse(stream)
        described = self.con.sql(f"SELECT * FROM ({parsed or bound.full}) LIMIT 0")
        typed = dict(zip(described.columns, map(str, described.types), strict=True))
        types = {n: t for n, t in typed.items() if n not in (FILE, ROW, RID)}
        rows = self._rows.failed(self.work.flow, types, label, alone)
        if parsed:
            columns = "".join(f"{quote(n)}, " for n in types)
            rows += f" UNION ALL SELECT {columns}{ROW} FROM ({parsed})"
        self._taken.append(f"SELECT {RID} AS rid FROM ({rows})")
        hidden = tuple(h for h in (METADATA,) if h in types)
        plain = ", ".join(quote(n) for n in types if n not in hidden)
        # What is carried along as the file tells also behind a join which row it was.
        every = f"{RID}::VARCHAR AS {FILE}, 0::BIGINT AS {ROW}, {RID}"
        self.bindings.bound[stream] = Bound(
            f"SELECT {plain} FROM ({rows})",
            f"SELECT {', '.join(map(quote, types))}, {every} FROM ({rows})",
            (*hidden, FILE, ROW, RID),
        )

    def _parse(self, stream: str) -> str | None:
        """Parse rows of a stream's files again; SELECT text of those that can be.

        What is a row's number in its file otherwise is its identifier in the quarantine here.
        """
        # Imported only here: it reads files.
        again = import_module("qanat.engines.duckdb.files.again")
        rows = self.con.execute(self._rows.unparsed(self.work.flow, again.RAW_LIMIT)).fetchall()
        others = self._files_beside(stream, {path for _, path, *_ in rows})
        rows = [] if others is None else [row for row in rows if row[1] not in others]
        paths = {path for _, path, *_ in rows}
        found = self._again.files(stream, sorted(paths)) if rows else None
        bound: BoundFiles | None = None
        if isinstance(found, FilesBatch) and found.files:
            name = f"{stream}__again"
            bound = again.bind_again(self.con, name, found, rows, self.work.scratch)
        parsed = bound.relation if bound else None
        malformed = (bound.malformed if bound else None) or _NO_ROW
        self._parsed.append(
            (
                f"SELECT {ROW} AS rid FROM ({parsed or _NO_ROW})",
                f"SELECT row AS rid, error AS reason FROM ({malformed})",
            )
        )
        return parsed

    def _files_beside(self, stream: str, paths: Collection[str]) -> set[str] | None:
        """Files whose malformed rows may be another input's; None if it cannot be told.

        What else an epoch of several streams would have read cannot be said any more, unless
        each row of the result comes from one of them.

        Args:
            paths: of the files that are asked about.
        """
        reads = [r for q in (*self._views, self.work.query) for r in q.reads]
        inputs = {n: b for n, b in self.work.inputs.items() if n != stream}
        views = {n for n, b in inputs.items() if isinstance(b, ViewBatch)}
        streams = {
            r.name for r in reads if r.streaming and r.name in inputs and r.name not in views
        }
        if not streams <= set(self._sources):
            return None
        beside = {f.path for b in inputs.values() if isinstance(b, FilesBatch) for f in b.files}
        for other in streams if paths else ():
            found = self._again.files(other, sorted(paths))
            if isinstance(found, FilesBatch):
                beside.update(f.path for f in found.files)
        return beside


def recomputing(staging: Staging, again: Recomputation, rows: Quarantined) -> Recomputing:
    """What computes the rows of one flow, beside the staging of a replay."""
    work, start = staging.work, again.key("")
    inputs = {n.removeprefix(start): b for n, b in work.inputs.items() if n.startswith(start)}
    own = replace(
        work,
        flow=again.flow,
        query=again.query,
        views=again.views,
        inputs=inputs,
        expectations=(),
    )
    return Recomputing(
        staging.con, own, staging.footers, staging.queries, staging.stopping, again, rows
    )
