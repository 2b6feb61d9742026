"""One epoch, from bound inputs to staged files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, TypeVar

from qanat.engines.duckdb.faults import BY_DATA, by_data, explained
from qanat.engines.duckdb.files.bound import RID, SOURCE
from qanat.engines.duckdb.inputs import Bindings, file_name
from qanat.engines.duckdb.measuring import of_these_rows, references_of
from qanat.engines.duckdb.merge.pieces import count_of
from qanat.engines.duckdb.onepass import copy_input
from qanat.engines.duckdb.order import keep_order
from qanat.engines.duckdb.places import number_of, order_of
from qanat.engines.duckdb.quarantine import unparsed_files
from qanat.engines.duckdb.querying import Querying
from qanat.engines.duckdb.rules import compile_predicates
from qanat.engines.duckdb.sources import named, only_file
from qanat.engines.duckdb.split import Split, Splitter, unbalanced
from qanat.engines.duckdb.types import Fitted, Result, columns_of, fit
from qanat.engines.duckdb.waiting import Waiting
from qanat.engines.duckdb.widening import Widening, gone_of, without
from qanat.engines.duckdb.write import discard, write
from qanat.errors import (
    DeclarationError,
    FileUnreadableError,
    FileVanishedError,
    InvariantError,
    QanatError,
    SchemaDriftError,
    SchemaMismatchError,
)
from qanat.model.expectation import Expectation
from qanat.model.query import Computation, SqlQuery
from qanat.model.staged import Counts, RuleCount, Staged, StagedTable
from qanat.model.stateful import GROUP
from qanat.model.work import Batch, Merge, Output, ViewWork
from qanat.text import quote

T = TypeVar("T")
_ABOUT_FILES = (FileUnreadableError, FileVanishedError, SchemaDriftError)

_FEW = 10_000
"""Rows, see `Splitter`."""


@dataclass(slots=True)
class Staging(Querying):
    """The staging of one `Work` on one connection."""

    rules: list[RuleCount] = field(default_factory=list)
    waiting: Waiting = field(init=False)
    view_counts: dict[str, Counts] = field(default_factory=dict)
    aside: Any = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Querying.__post_init__(self)
        self.waiting = Waiting(self.con, self.bindings, self.work)

    def run(self) -> Staged:
        """Stage everything, or leave nothing staged."""
        try:
            staged = self._corrected(self._run())
        except BaseException:
            self._discard()
            raise
        if staged.failed:
            self._discard()
            staged = replace(
                staged, table=replace(staged.table, files=(), rewritten=None), quarantines={}
            )
        return staged

    def describe(self) -> Fitted:
        """Compile everything, run nothing."""
        return self._or_narrower(self._described)

    def _described(self) -> Fitted:
        for view in self.work.views:
            described = self._query(view.name, view.query, positions=False)
            self.bindings.define_view(view.name, described.select, described.names, ())
        result = self._query(self.work.flow, self.work.query, False)
        fitted = self._fitted(result)
        relation = f"SELECT {fitted.projection} FROM ({result.select})"
        compile_predicates(self.con, relation, self.work.expectations)
        return self._merged(fitted, relation)

    def _run(self) -> Staged:
        return self._or_narrower(self._staged)

    def _corrected(self, staged: Staged) -> Staged:
        """What was staged, and what is left of tables without the rows that it replaces."""
        correction = self.work.correction
        if correction is None or staged.failed:
            return staged
        # Imported only here: few files come back with new content.
        module = import_module("qanat.engines.duckdb.correcting")
        corrected: Staged = module.correct(self.con, self.bindings, self.work, staged)
        return corrected

    def _or_narrower(self, act: Callable[[], T]) -> T:
        """What `act` gives; with the types of before if wider ones stand in its way."""
        try:
            return act()
        except (DeclarationError, SchemaMismatchError):
            if not self.bindings.widened:
                raise
        # The query, a rule or the table cannot take the wider types: what needs them waits in
        # quarantine.
        self.bindings = Bindings(
            self.con, self.work.scratch, self.footers, sourced=self.work.sourced
        )
        self.aside = None
        self._start_over()
        return act()

    def _staged(self) -> Staged:
        work = self.work
        copied = copy_input(
            self.con, work, self.bindings, self.queries, self._located, self._compiled
        )
        if copied is not None:
            return copied
        self._bind_inputs()
        keep_order(self.con, work.inputs.values(), work.ordered)
        return self._without_failing(self._computed)

    def _without_failing(self, compute: Callable[[], T]) -> T:
        """What is computed, if need be without the rows that cannot be."""
        work = self.work
        for strictly in (False, True, None):
            try:
                return compute()
            except (QanatError, *BY_DATA) as error:
                if not by_data(error):
                    raise
                if strictly is None or not work.sets_aside or not self._set_aside(strictly):
                    # Imported only here: with it comes the parser.
                    import_module("qanat.engines.duckdb.blame").blame(error, work, self.bindings)
                    raise
        raise InvariantError("an epoch either fails or is computed")

    def _computed(self) -> Staged:
        """Compute and stage the rows of bound inputs."""
        work = self.work
        for view in work.views:
            self._view(view)
        result, fitted = self._compiled()
        rewritten = None
        if fitted.widens:
            # Before new rows are written: files are read in the order in which they were made.
            gone = gone_of(work.correction.files) if work.correction else "false"
            rewritten = self._widening().rewrite(fitted.schema, work.query, gone)
        if work.row_rules:
            table, counts = self._split_and_write(result, fitted)
        else:
            own = "".join(f", {name}" for name in self._carried(result))
            columns = f"SELECT {fitted.projection}{own} FROM ({result.select})"
            if work.ordered and (by := order_of(result.hidden)):
                columns += f" ORDER BY {by}"
            table, counts = self._write(columns, result, fitted)
            counts = replace(counts, out=counts.written)
        aside = tuple(self.aside.rows(fitted.schema)) if self.aside else ()
        failed = self.waiting.failed(aside, fitted.schema)
        malformed = self.waiting.malformed(fitted.schema)
        counts += Counts(out=failed, quarantined=failed, malformed=malformed)
        bound = self.bindings.bound
        staged = Staged(
            table if rewritten is None else replace(table, rewritten=rewritten),
            counts,
            (*self.rules, *self.waiting.rules),
            quarantines=self.waiting.tables,
            view_counts=self.view_counts,
            source_schemas={n: b.schema for n, b in bound.items() if b.schema is not None},
            read=sum(b.rows for b in bound.values() if b.rows is not None),
            missing={n: b.missing for n, b in bound.items() if b.missing},
            unparsed=unparsed_files(self.con, bound.values()) if counts.malformed else {},
            events=None if work.merge is None else fitted.schema,
            notes=self.notes,
        )
        return self._with_state(staged)

    def _with_state(self, staged: Staged) -> Staged:
        """The same with what the flow keeps for its next epoch: nothing."""
        return staged

    def _set_aside(self, strictly: bool) -> bool:
        """Take rows that cannot be computed out of the inputs; True if there are some (more)."""
        self._start_over()
        if self.aside is None:
            # Imported only here: with it comes the parser.
            module = import_module("qanat.engines.duckdb.aside")
            self.aside = module.RowsAside(self.con, self.work, self.bindings, self.queries)
        aside, before = self.aside, self.aside.total
        for view in self.work.views:
            self._bind_reads(view.query)
            aside.look(view.query, strictly, view.name)
            self._view(view)
        self._look_with(aside, strictly)
        self._start_over()
        return aside.total > before or (not strictly and self._set_aside(strictly=True))

    def _look_with(self, aside: Any, strictly: bool) -> None:
        """Look for rows that the query, or a conversion of its values, fails for."""
        self._bind_reads(self.work.query)
        aside.look(self.work.query, strictly)
        aside.look_at_casts(self._converted)

    def _start_over(self) -> None:
        """Forget what was computed; inputs stay bound."""
        self._discard()
        self.bindings.forget_views()
        self.rules, self.view_counts = [], {}
        self.waiting = Waiting(self.con, self.bindings, self.work)

    # -- queries ---------------------------------------------------------------------------

    def _compiled(self) -> tuple[Result, Fitted]:
        """The query of the work over its bound inputs, and how it becomes the table's columns."""
        work = self.work
        result = self._query(work.flow, work.query, positions=self._traced)
        return result, self._fitted(result)

    def _converted(self) -> tuple[Result, Fitted]:
        """The same, with all conversions of values on their way into the table."""
        result, fitted = self._compiled()
        # The rows that are looked for have their positions in front: no columns of changes.
        columns = ", ".join(map(quote, result.names))
        return result, self._merged(fitted, f"SELECT {columns} FROM ({result.select})")

    def _merged(self, fitted: Fitted, select: str) -> Fitted:
        """What becomes of the columns of changes, where the rows are some."""
        if self.work.merge is None:
            return fitted
        target = self._merging(self.work.merge).target(select)
        return replace(fitted, schema=target.schema, casts=target.casts, lacks=target.lacks)

    def _fitted(self, result: Result) -> Fitted:
        """The columns of a query made those of the table, which may get wider types for them."""
        work, types = self.work, None
        if work.output.stored is not None:
            by_rows = work.widens and (work.unchanged or self.bindings.widened)
            columns = columns_of(result.names, result.types)
            types = self._widening().types([(columns, result.select)] if by_rows else [])
        return fit(result.names, result.types, work.output, work.query, work.dataset, types)

    def _widening(self) -> Widening:
        return Widening(self.con, self.bindings, file_name(self.work.dataset), self.work.output)

    @property
    def _traced(self) -> bool:
        """True if rows of the result have to say where they came from."""
        work = self.work
        return bool(work.row_rules or work.sourced) or work.ordered or self.aside is not None

    def _view(self, view: ViewWork) -> None:
        """Define a temporary view, without the rows that its rules remove."""
        traced = self._traced or bool(view.row_rules)
        result = self._query(view.name, view.query, positions=traced)
        positions = result.hidden if isinstance(view.query, SqlQuery) else ()
        if view.row_rules:
            result = self._filter(view, result)
        self.rules += of_these_rows(self.bindings, self.work, view, result.select)
        self.bindings.define_view(view.name, result.select, result.names, positions)

    # -- rules -----------------------------------------------------------------------------

    def _split_and_write(self, result: Result, fitted: Fitted) -> tuple[StagedTable, Counts]:
        work = self.work
        if not isinstance(work.query, SqlQuery):
            # Only now it is known which columns a function gives: rules of ours are about keys.
            self._merged(fitted, f"SELECT {fitted.projection} FROM ({result.select})")
        result, splitter, split = self._split(
            work.dataset, work.query, result, fitted, work.expectations, work.output.existing
        )
        if split.failed:
            return StagedTable(fitted.schema, ()), Counts(out=split.total)
        columns = ", ".join((*map(quote, fitted.schema.names), *self._carried(result)))
        kept = f"SELECT {columns} FROM ({result.select}) AS r{split.kept}"
        by = order_of(result.hidden, "r")
        if work.ordered and (by or split.kept):
            # With several threads DuckDB 2.0 keeps no order through a join, as `kept` is.
            kept += f" ORDER BY {by or f'r.{RID}'}"
        table, counts = self._write(kept, result, fitted)
        self.waiting.removed(work.dataset, result, fitted.schema, splitter, split, work.quarantine)
        return table, self._balance(work.dataset, counts, split)

    def _write(self, kept: str, result: Result, fitted: Fitted) -> tuple[StagedTable, Counts]:
        """Stage the rows that stay, as rows of the table or as changes of its rows."""
        with explained(self.work.query, result.names, views=self._views):
            if self.work.merge is not None or self.work.output.format != "parquet":
                # Else the files that were staged are looked at, which is cheaper.
                self.rules += of_these_rows(self.bindings, self.work, self.work, kept)
            if self.work.merge is None:
                output, told = self.work.output, SOURCE in result.hidden
                if told and (only := only_file(self.work)) is not None:
                    output = named(output, only)
                table = write(self.con, kept, fitted.schema, output)
                table = replace(table, sourced=told, by_column=self._tells(result))
                return table, Counts(written=table.rows)
            merging = self._merging(self.work.merge)
            merged: tuple[StagedTable, Counts] = merging.merge(kept, self._given(result))
            self.notes = merging.notes
            return merged

    def _given(self, result: Result) -> Any:
        """What changes were made from: the rows before rules took some, and how many were lost."""
        module = import_module("qanat.engines.duckdb.merge.kind")
        parts = (b.malformed for b in self.bindings.bound.values())
        malformed = sum(count_of(self.con, f"({p})") for p in parts if p)
        aside = self.aside.total if self.aside is not None else 0
        views = sum(c.quarantined for c in self.view_counts.values())
        return module.Given(result.select, malformed + aside + views, self._groups())

    def _groups(self) -> str | None:
        """SELECT text of the groups whose earlier rows go; None: rows have none."""
        return None

    def _carried(self, result: Result) -> tuple[str, ...]:
        """Hidden columns that rows have on their way into the table."""
        own = (SOURCE,) if self._tells(result) else ()
        return (*own, *(n for n in (GROUP,) if n in result.hidden))

    def _tells(self, result: Result) -> bool:
        """True if rows have to tell by a column which source file they come from."""
        return SOURCE in result.hidden and only_file(self.work) is None

    def _merging(self, merge: Merge) -> Any:
        # Imported only here: few tables have changes.
        module = import_module("qanat.engines.duckdb.merge.merging")
        return module.Merging(self.con, self.bindings, self.work, merge)

    def _filter(self, view: ViewWork, result: Result) -> Result:
        """A temporary view's rows without those that its rules remove."""
        name = view.name
        # A view has no table whose columns its own would have to match.
        plain = Output(view.quarantine.folder, view.quarantine.prefix)
        fitted = fit(result.names, result.types, plain, view.query, name)
        result, splitter, split = self._split(
            name, view.query, result, fitted, view.expectations, None
        )
        self.waiting.removed(name, result, fitted.schema, splitter, split, view.quarantine)
        kept = f"SELECT * FROM ({result.select}) AS r{split.kept}"
        written = Counts(written=count_of(self.con, f"({kept})"))
        self.view_counts[name] = self._balance(name, written, split)
        return replace(result, select=kept)

    def _split(
        self,
        name: str,
        query: Computation,
        result: Result,
        fitted: Fitted,
        expectations: Sequence[Expectation],
        existing: Batch | None,
    ) -> tuple[Result, Splitter, Split]:
        hidden = "".join(f", {h}" for h in result.hidden)
        select = f"SELECT {fitted.projection}{hidden} FROM ({result.select})"
        result = replace(result, select=select, names=list(fitted.schema.names))
        if RID not in result.hidden:
            with explained(query, result.names, views=self._views):
                result = self._materialize(name, result)
        references = references_of(self.bindings, self.work.references, file_name(name))
        current = None
        if existing is not None:
            known = f"__existing_{file_name(name)}"
            current = self.bindings.bind(known, existing, self.work.correction is not None).plain
            if self.work.correction is not None:
                current = without(self.bindings.bound[known], self.work.correction.files)
            if fitted.widens:
                current = self._widening().recast(current, fitted.schema, query)
        splitter = Splitter(
            self.con,
            file_name(name),
            name,
            result.select,
            tuple(e for e in expectations if e.rule.level.of_rows),
            current,
            references,
            number_of(result.hidden, "r"),
            few=sum(b.rows or _FEW for b in self.bindings.bound.values()) < _FEW,
        )
        split = splitter.split()
        self.rules.extend(split.rules)
        return result, splitter, split

    def _balance(self, dataset: str, written: Counts, split: Split) -> Counts:
        counts = written + Counts(split.total, 0, split.dropped, split.quarantined)
        if not counts.balanced:
            left = counts.out - counts.dropped - counts.quarantined
            raise unbalanced(dataset, left, counts.written)
        return counts

    def _discard(self) -> None:
        for output in self.work.outputs:
            discard(output)
