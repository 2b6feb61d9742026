"""Rows that leave a quarantine: by a replay, if they pass, or for good."""

from __future__ import annotations

from dataclasses import replace

from qanat.engines.duckdb.faults import condition, explained
from qanat.engines.duckdb.files.bound import RID, SOURCE
from qanat.engines.duckdb.merge.pieces import SEQUENCE
from qanat.engines.duckdb.quarantine import ENTRY, Quarantined, chosen
from qanat.engines.duckdb.recomputing import Recomputing, recomputing
from qanat.engines.duckdb.split import unbalanced
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.staying import Staying
from qanat.engines.duckdb.types import Fitted, Result, fit
from qanat.engines.duckdb.write import write
from qanat.errors import InvariantError
from qanat.model.name import Names, fold
from qanat.model.query import Computation, Discard, Readmission
from qanat.model.schema import Schema
from qanat.model.staged import Counts, Staged, StagedTable
from qanat.text import literal, quote


class Readmitting(Staging):
    """The staging of rows that leave a quarantine if they pass."""

    __slots__ = ()

    def _run(self) -> Staged:
        """Stage the rows of a quarantine that pass now, and the quarantine without them."""
        work, query = self.work, self.work.query
        rows = self._quarantined(query)
        staying = Staying(self.con, rows)
        result = self._with_recomputed(
            self._candidates(rows),
            [recomputing(self, each, rows) for each in work.again],
            staying,
        )
        fitted = fit(result.names, result.types, work.output, query, work.dataset)
        result, splitter, split = self._split(
            work.dataset, query, result, fitted, work.expectations, work.output.existing
        )
        staying.add_broken(result.select, splitter, split)
        names = ", ".join(quote(n) for n in fitted.schema.names)
        passing = f"FROM ({result.select}) AS r WHERE {ENTRY} NOT IN {staying.entries}"
        kept = self._dated(f"SELECT {names}", passing, rows)
        table, written = self._readmit(kept, names, rows, result, fitted, staying)
        rest = write(
            self.con,
            staying.select(work.quarantine.schema, rows.sourced),
            work.quarantine.schema,
            work.quarantine,
        )
        total = self._count(rows.relation)
        gone = total - rest.rows
        if gone != staying.leaving or written.written != self._count(kept):
            raise unbalanced(work.dataset, staying.leaving, gone)
        rest = replace(rest, sourced=rows.sourced, by_column=rows.sourced)
        # Those that stay were counted when they came. What the query leaves out now is gone.
        moved = self._count(f"SELECT DISTINCT {ENTRY} FROM ({passing})")
        counts = written + Counts(out=written.written + gone - moved, dropped=gone - moved)
        return Staged(
            table,
            counts,
            (),
            {work.dataset: rest},
            read=total,
            refreshed=bool(gone) or staying.refreshed,
            events=None if work.merge is None else fitted.schema,
        )

    def _dated(self, select: str, passing: str, rows: Quarantined) -> str:
        """The rows that pass; with the epoch that put each of them aside, where that counts."""
        merge = self.work.merge
        if merge is None or not self._merging(merge).dated:
            return f"{select} {passing}"
        epoch = (
            "at := epoch_us(_quarantine_at), flow := _quarantine_flow, epoch := _quarantine_epoch"
        )
        dated = f"SELECT {RID} AS {ENTRY}, struct_pack({epoch}) AS {SEQUENCE}"
        dates = f"({dated} FROM ({rows.relation}))"
        return (
            f"{select}, {SEQUENCE} FROM (SELECT * {passing}) JOIN {dates} USING ({ENTRY}) "
            f"ORDER BY {SEQUENCE}, {ENTRY}"
        )

    def _readmit(
        self,
        kept: str,
        names: str,
        rows: Quarantined,
        result: Result,
        fitted: Fitted,
        staying: Staying,
    ) -> tuple[StagedTable, Counts]:
        """Stage the rows that pass.

        Args:
            kept: SELECT text of theirs.
            names: of the columns, as SQL.
        """
        if not rows.sourced or self.work.merge is not None:
            return self._write(kept, result, fitted)
        # Those that flows compute again have lost on their way which file they come from.
        told = f"SELECT {RID} AS entry, {SOURCE} FROM ({rows.relation})"
        select = (
            f"SELECT {names}, s.{SOURCE} FROM ({result.select}) AS r JOIN ({told}) AS s "
            f"ON s.entry = r.{ENTRY} WHERE {ENTRY} NOT IN {staying.entries}"
        )
        return self._write(select, replace(result, hidden=(*result.hidden, SOURCE)), fitted)

    def _with_recomputed(
        self, candidates: Result, again: list[Recomputing], staying: Staying
    ) -> Result:
        """The rows that may pass, with those that flows compute again."""
        parts = [f"SELECT *, {RID} AS {ENTRY} FROM ({candidates.select})"]
        for each in again:
            select = each.recomputed()
            if select is not None:
                staying.add_unparsed(*each.unparsed)
                staying.add_failed(*each.failed)
                staying.add_early(each.early)
                staying.add_removed(each.removed)
                parts.append(select)
        if len(parts) == 1:
            hidden = (RID, ENTRY)
            return Result(parts[0], candidates.names, candidates.types, hidden)
        parts[0] = f"SELECT * EXCLUDE ({RID}) FROM ({parts[0]})"
        union = " UNION ALL BY NAME ".join(parts)
        described = self.con.sql(f"SELECT * EXCLUDE ({ENTRY}) FROM ({union}) LIMIT 0")
        result = Result(union, described.columns, described.types, (ENTRY,))
        return self._materialize("readmitted", result)

    def _count(self, select: str) -> int:
        row = self.con.execute(f"SELECT count(*) FROM ({select})").fetchone()
        return int(row[0]) if row else 0

    def _query(self, name: str, query: Computation, positions: bool) -> Result:
        return self._candidates(self._quarantined(query))

    def _quarantined(self, query: Computation) -> Quarantined:
        read, *_ = query.reads
        bound = self.bindings.bind(read.name, self.work.inputs[read.name])
        described = self.con.sql(f"{bound.plain} LIMIT 0")
        rows = Result(bound.full, described.columns, described.types, bound.hidden)
        if RID not in bound.hidden:
            rows = self._materialize("quarantine", rows)
        flows = query.flows if isinstance(query, Readmission) else None
        return Quarantined(rows.select, tuple(rows.names), SOURCE in rows.hidden, flows)

    def _candidates(self, rows: Quarantined) -> Result:
        """The quarantined rows that may pass, in the columns of the table, or of its changes."""
        schema = rows.schema(self.work.output.schema, self.work.quarantine.schema)
        schema = self._own(rows, schema)
        select = rows.candidates(schema)
        relation = self.con.sql(f"SELECT * EXCLUDE {RID} FROM ({select}) LIMIT 0")
        return Result(select, relation.columns, relation.types, (RID,))

    def _own(self, rows: Quarantined, schema: Schema) -> Schema:
        """The columns without those that only changes of other flows have.

        A star would add them to the table. One that the table has, or that a clause or rule may
        name, stays.
        """
        merge = self.work.merge
        if merge is None or rows.flows is None or not schema.fields:
            return schema
        texts = [e.sql for _, e in merge.changes.expressions]
        texts += [str(e.rule) for e in self.work.expectations]
        named = fold(" ".join(texts))
        listed = (n for names in merge.changes.columns_named.values() for n in names)
        known = Names((*merge.target.schema.names, *listed))
        filled = self.con.execute(rows.filled(schema)).fetchone() or ()
        return Schema(
            tuple(
                each
                for each, values in zip(schema.fields, filled, strict=True)
                if values or each.name in known or fold(each.name) in named
            )
        )


class Discarding(Readmitting):
    """The staging of a quarantine without rows that are thrown away."""

    __slots__ = ()

    def _run(self) -> Staged:
        """Stage the rows that stay."""
        work, query = self.work, self.work.query
        rows = self._quarantined(query)
        if not isinstance(query, Discard):
            raise InvariantError("a discard is no other computation")
        names = ", ".join(quote(n) for n in work.quarantine.schema.names)
        gone = chosen(query.rule, query.where)
        own = f", {SOURCE}" if rows.sourced else ""
        relation = f"({rows.relation})"
        if query.origins is not None:
            told = f"read_parquet({literal(query.origins)})"
            noted = "o.file = q._quarantine_source.file AND o.row = q._quarantine_source.row"
            relation = (
                f"(SELECT q.*, o.* EXCLUDE (file, row) FROM {relation} AS q "
                f"LEFT JOIN {told} AS o ON {noted})"
            )
        left = f"SELECT {names}{own} FROM {relation} WHERE ({gone}) IS NOT TRUE"
        with explained(None if query.where is None else condition(query.where), rows.columns):
            rest = write(self.con, left, work.quarantine.schema, work.quarantine)
        total = self._count(rows.relation)
        discarded = total - rest.rows
        table = StagedTable(work.output.schema, ())
        counts = Counts(out=discarded, dropped=discarded)
        staged = {work.dataset: rest}
        return Staged(table, counts, (), staged, read=total, refreshed=bool(discarded))
