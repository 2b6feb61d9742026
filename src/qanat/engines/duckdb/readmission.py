"""One replay, from the rows of a quarantine to staged files."""

from __future__ import annotations

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.quarantine import Quarantined
from qanat.engines.duckdb.split import unbalanced
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.types import Result, fit
from qanat.engines.duckdb.write import write
from qanat.model.query import Computation
from qanat.model.work import Counts, Staged
from qanat.text import quote


class Readmitting(Staging):
    """The staging of rows that leave a quarantine if they pass."""

    __slots__ = ()

    def _run(self) -> Staged:
        """Stage the rows of a quarantine that pass now, and the quarantine without them."""
        work, query = self.work, self.work.query
        rows = self._quarantined(query)
        result = self._candidates(rows)
        fitted = fit(result.names, result.types, work.output, query, work.dataset)
        result, _, split = self._split(
            work.dataset, query, result, fitted, work.expectations, work.output.existing
        )
        names = ", ".join(quote(n) for n in fitted.schema.names)
        kept = f"SELECT {names} FROM ({result.select}) AS r{split.kept}"
        table = write(self.con, kept, fitted.schema, work.output)
        left = rows.remaining(split, work.quarantine.schema)
        rest = write(self.con, left, work.quarantine.schema, work.quarantine)
        total = self.con.execute(f"SELECT count(*) FROM ({rows.relation})").fetchone()
        if total is None or table.rows + rest.rows != total[0]:
            raise unbalanced(work.dataset, total[0] if total else 0, table.rows + rest.rows)
        # Count only the rows that pass: those that stay were counted when they came.
        counts = Counts(out=table.rows, written=table.rows)
        return Staged(table, counts, (), {work.dataset: rest}, read=total[0])

    def _query(self, name: str, query: Computation, positions: bool) -> Result:
        return self._candidates(self._quarantined(query))

    def _quarantined(self, query: Computation) -> Quarantined:
        read, *_ = query.reads
        bound = self.bindings.bind(read.name, self.work.inputs[read.name])
        described = self.con.sql(f"{bound.plain} LIMIT 0")
        rows = Result(bound.full, described.columns, described.types, bound.hidden)
        if RID not in bound.hidden:
            rows = self._materialize("quarantine", rows)
        return Quarantined(rows.select, tuple(rows.names))

    def _candidates(self, rows: Quarantined) -> Result:
        """The quarantined rows that may pass, in the columns of the table."""
        schema = rows.schema(self.work.output.schema, self.work.quarantine.schema)
        select = rows.candidates(schema)
        relation = self.con.sql(f"SELECT * EXCLUDE {RID} FROM ({select}) LIMIT 0")
        return Result(select, relation.columns, relation.types, (RID,))
