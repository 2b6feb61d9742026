"""Rows that a flow could not compute, computed again by the flow as it is now.

They wait in quarantine as rows of the flow's stream. So the flow's query is run as in any epoch,
with these rows in the place of what its stream has to give.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import duckdb

from qanat.engines.duckdb.faults import by_data, explained
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW
from qanat.engines.duckdb.inputs import Bound, file_name
from qanat.engines.duckdb.quarantine import ORIGIN, Quarantined
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.types import Result, fit
from qanat.errors import QanatError
from qanat.model.name import Names
from qanat.model.work import Output, Recomputation, ViewBatch, ViewWork
from qanat.text import literal, quote


class Recomputing(Staging):
    """The computing of one flow's rows.

    Args:
        removed: SELECT texts of `origin` and `rules` of rows that rules of views remove.
    """

    __slots__ = ("_source", "_taken", "removed", "rows")

    rows: Quarantined
    removed: list[str]

    def recomputed(self) -> str | None:
        """SELECT text of the rows in columns of the table, and which row each was in quarantine.

        None if the flow as it is now cannot compute them one by one.
        """
        work = self.work
        source = import_module("qanat.engines.duckdb.aside").source_of(work)
        for name, batch in work.inputs.items():
            if not isinstance(batch, ViewBatch):
                self._bind(name)
        if source is None or not self._take(source):
            return None
        try:
            self._set_aside(strictly=True)
            self.removed = []
            for view in work.views:
                self._view(view)
            result, fitted = self._compiled()
            if FILE not in result.hidden:
                return None
            known = Names(work.output.schema.names or fitted.schema.names)
            columns = ", ".join(quote(n) for n in fitted.schema.names if n in known)
            path = literal(str(work.scratch / f"{file_name(work.flow)}-again.parquet"))
            every = f"SELECT {fitted.projection}, {FILE} FROM ({result.select})"
            select = f"SELECT {columns}, CAST({FILE} AS BIGINT) AS {ORIGIN} FROM ({every})"
            with explained(work.query, result.names, views=self._views):
                self.con.execute(f"COPY ({select}) TO {path} (FORMAT parquet, COMPRESSION lz4)")
        except (QanatError, duckdb.Error) as error:
            if by_data(error):
                return None  # what fails is none of the query's expressions
            raise
        return f"SELECT * FROM read_parquet({path})"

    @property
    def failed(self) -> tuple[str, str]:
        """SELECT texts: of all rows that were computed; of those that failed, with the reason."""
        return self._taken, self.aside.reasons(self._source)

    def _filter(self, view: ViewWork, result: Result) -> Result:
        """A temporary view's rows without those that its rules remove, which stay."""
        plain = Output(view.quarantine.folder, view.quarantine.prefix)
        fitted = fit(result.names, result.types, plain, view.query, view.name)
        result, splitter, split = self._split(
            view.name, view.query, result, fitted, view.expectations, None
        )
        if split.removed is not None and FILE in result.hidden:
            rules = f"CAST(r.{FILE} AS BIGINT) AS origin, {splitter.failed_rules('b')} AS rules"
            self.removed.append(
                f"SELECT {rules} FROM ({result.select}) AS r "
                f"JOIN {split.removed} AS b ON r.{RID} = b.{RID}"
            )
        return replace(result, select=f"SELECT * FROM ({result.select}) AS r{split.kept}")

    def _take(self, stream: str) -> bool:
        """Put the rows into the place of a stream; False if its rows have no identity."""
        self._source, bound = stream, self.bindings.bound[stream]
        if RID not in bound.hidden:
            return False
        described = self.con.sql(f"SELECT * FROM ({bound.full}) LIMIT 0")
        typed = dict(zip(described.columns, map(str, described.types), strict=True))
        types = {n: t for n, t in typed.items() if n not in (FILE, ROW, RID)}
        rows = self.rows.failed(self.work.flow, types)
        self._taken = f"SELECT {RID} AS rid FROM ({rows})"
        hidden = tuple(h for h in (METADATA,) if h in types)
        plain = ", ".join(quote(n) for n in types if n not in hidden)
        # What is carried along as the file tells also behind a join which row it was.
        every = f"{RID}::VARCHAR AS {FILE}, 0::BIGINT AS {ROW}, {RID}"
        self.bindings.bound[stream] = Bound(
            f"SELECT {plain} FROM ({rows})",
            f"SELECT {', '.join(map(quote, types))}, {every} FROM ({rows})",
            (*hidden, FILE, ROW, RID),
        )
        return True


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
    made = Recomputing(staging.con, own, staging.footers, staging.queries, staging.stopping)
    made.rows, made.removed = rows, []
    return made
