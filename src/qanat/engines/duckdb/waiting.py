"""The rows of one epoch on their way into quarantines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.quarantine import malformed_rows, quarantine_table, removed_rows
from qanat.engines.duckdb.split import Split, Splitter, unbalanced
from qanat.engines.duckdb.types import Result
from qanat.model.schema import Schema
from qanat.model.staged import RuleCount, StagedTable
from qanat.model.work import FAILED, MALFORMED, Output, Work


class Waiting:
    """What an epoch puts aside.

    Args:
        bindings: its inputs.
        tables: by dataset, what was staged for its quarantine.
        rules: how many rows were put aside that have no columns of the table.
    """

    def __init__(self, con: DuckDBPyConnection, bindings: Bindings, work: Work) -> None:
        self._con, self._bindings, self._work = con, bindings, work
        self.tables: dict[str, StagedTable] = {}
        self.rules: list[RuleCount] = []

    def removed(
        self,
        dataset: str,
        result: Result,
        schema: Schema,
        splitter: Splitter,
        split: Split,
        output: Output,
    ) -> None:
        """Stage the rows that rules of a dataset send to quarantine."""
        if not split.quarantined:
            return
        rows = removed_rows(result.select, schema, splitter, split, FILE in result.hidden)
        staged = quarantine_table(
            self._con, self._bindings, rows, schema, self._work, output, number=f"q.{RID}"
        )
        if staged.rows != split.quarantined:
            raise unbalanced(dataset, split.quarantined, staged.rows)
        self.tables[dataset] = staged

    def malformed(self, schema: Schema) -> int:
        """Stage the rows that could not be parsed; they never reached the query."""
        parts = [b.malformed for b in self._bindings.bound.values() if b.malformed]
        found = [("", malformed_rows(parts, schema))] if parts else []
        return self._put_aside(found, schema, MALFORMED, "row_number() OVER ()")

    def failed(self, found: Sequence[tuple[str, str]], schema: Schema) -> int:
        """Stage the rows that the query could not compute.

        Args:
            found: for each input what tells it from others, and SELECT text of its rows.
        """
        return self._put_aside(found, schema, FAILED, f"q.{RID}")

    def _put_aside(
        self, found: Sequence[tuple[str, str]], schema: Schema, rule: str, number: str
    ) -> int:
        """Stage rows that have no columns of the table; how many there are."""
        work, total = self._work, 0
        for n, (label, rows) in enumerate(found):
            # Each SELECT numbers its rows by itself, and has files of its own.
            series, prefix = rule[1], f"{work.quarantine.prefix}-{rule[1]}{n or ''}-"
            output = replace(work.quarantine, prefix=prefix)
            before = self.tables.get(work.dataset)
            if before is not None:
                # Its columns have the types by now that all rows of the epoch need.
                output = replace(output, schema=before.schema, stored=None)
            staged = quarantine_table(
                self._con, self._bindings, rows, schema, work, output, series + label, number
            )
            self.tables[work.dataset] = (
                replace(before, files=before.files + staged.files) if before else staged
            )
            total += staged.rows
        if found:
            self.rules.append(RuleCount(work.dataset, rule, "quarantine", total))
        return total
