"""The rows of one epoch on their way into quarantines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID, SOURCE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.quarantine import (
    late_rows,
    malformed_rows,
    quarantine_table,
    removed_rows,
)
from qanat.engines.duckdb.split import Split, Splitter, unbalanced
from qanat.engines.duckdb.types import Result
from qanat.model.quarantine import FAILED, LATE, MALFORMED
from qanat.model.schema import Schema
from qanat.model.staged import RuleCount, StagedTable
from qanat.model.work import Output, Work


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
        rows = removed_rows(result.select, schema, splitter, split, result.hidden)
        staged = quarantine_table(
            self._con,
            self._bindings,
            rows,
            schema,
            self._work,
            output,
            number=f"q.{RID}",
            sourced=SOURCE in result.hidden,
        )
        if staged.rows != split.quarantined:
            raise unbalanced(dataset, split.quarantined, staged.rows)
        self.tables[dataset] = staged

    def malformed(self, schema: Schema) -> int:
        """Stage the rows that could not be parsed; they never reached the query."""
        bound = [b for b in self._bindings.bound.values() if b.malformed]
        parts = [b.malformed for b in bound if b.malformed]
        sourced = all(SOURCE in b.hidden for b in bound)
        found = [("", malformed_rows(parts, schema, sourced), sourced)] if parts else []
        return self._put_aside(found, schema, MALFORMED, "row_number() OVER ()")

    def failed(self, found: Sequence[tuple[str, str, bool]], schema: Schema) -> int:
        """Stage the rows that the query could not compute.

        Args:
            found: for each input what tells it from others, SELECT text of its rows, and whether
                they tell their source file.
        """
        return self._put_aside(found, schema, FAILED, f"q.{RID}")

    def late(self, found: Sequence[tuple[str, str, bool]], schema: Schema) -> int:
        """Stage the rows that came too late to count; as `failed` does."""
        rows = [(n, late_rows(self._con, text, schema), told) for n, text, told in found]
        return self._put_aside(rows, schema, LATE, "row_number() OVER ()")

    def _put_aside(
        self, found: Sequence[tuple[str, str, bool]], schema: Schema, rule: str, number: str
    ) -> int:
        """Stage rows that have no columns of the table; how many there are."""
        work, total = self._work, 0
        for n, (label, rows, sourced) in enumerate(found):
            # Each SELECT numbers its rows by itself, and has files of its own.
            series, prefix = rule[1], f"{work.quarantine.prefix}-{rule[1]}{n or ''}-"
            output = replace(work.quarantine, prefix=prefix)
            before = self.tables.get(work.dataset)
            if before is not None:
                # Its columns have the types by now that all rows of the epoch need.
                output = replace(output, schema=before.schema, stored=None)
            staged = quarantine_table(
                self._con,
                self._bindings,
                rows,
                schema,
                work,
                output,
                series + label,
                number,
                sourced,
            )
            self.tables[work.dataset] = (
                replace(
                    before,
                    files=before.files + staged.files,
                    sourced=before.sourced and staged.sourced,
                    by_column=before.by_column or staged.by_column,
                )
                if before
                else staged
            )
            total += staged.rows
        if found:
            self.rules.append(RuleCount(work.dataset, rule, "quarantine", total))
        return total
