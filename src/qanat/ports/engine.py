"""What computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from qanat.frozen import Frozen
from qanat.model.comparison import Comparing, Differences, Relation
from qanat.model.expectation import Expectation
from qanat.model.function import UserFunction
from qanat.model.kept import KeptRows
from qanat.model.name import Name
from qanat.model.profile import Profiled
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate
from qanat.model.schema import Schema
from qanat.model.staged import RuleCount, Staged
from qanat.model.work import Batch, Inputs, Work

Progress = Callable[[float | None], None]
"""Called now and then with the fraction done (0 to 1), or None when unknown."""


RowPlace: TypeAlias = tuple[str, int]
"""A file, and the 1-based line or row in it."""


class RowOrigin(Frozen):
    """Where a row comes from.

    Args:
        file: as the input of the epoch calls it.
        row: 1-based line or row in it.
        alike: how many rows have the same values, of which this is the first; 1: it is this one.
    """

    file: str
    row: int
    alike: int = 1


class Columns(Frozen):
    """The columns of a table after an epoch; `lacks` are those that its query does not give."""

    schema: Schema
    lacks: tuple[str, ...] = ()


class Rows(Frozen):
    """Rows as Python values, for people to look at.

    Args:
        total: how many there are in all, where that was asked for.
    """

    schema: Schema
    values: Sequence[tuple[Any, ...]]
    total: int | None = None


class Reading(Protocol):
    """The rows of a query that a person or a program asks, taken once, in one of three ways.

    Each may raise what `Engine.read` raises: values are computed when they are taken.
    """

    @property
    def schema(self) -> Schema:
        """The columns."""
        ...

    def chunks(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows as Python values, some thousand at a time; never all in memory."""
        ...

    def arrow(self) -> AbstractContextManager[Any]:
        """The rows as an object with `__arrow_c_stream__`, to be read inside the block."""
        ...

    def write(self, path: Path) -> int:
        """Write the rows to one Parquet file, which appears when it is whole; how many."""
        ...


class Engine(Protocol):
    """Runs queries; safe to call from several threads at once.

    A session makes one, as `Class(scratch=…, memory_limit=…, threads=…, notes=…, folders=…)`, from
    the class that `EngineKind.engine` names: a folder for spills and temporary files, which the
    engine makes when needed and removes in `close`; the bytes that it may hold before it spills,
    None for what it finds best; how many threads it may use; and a mapping of texts to plain
    values (texts, numbers, tuples) in which it may note what is expensive to find out. Its notes
    are there again in later processes, as long as no package changes. `folders` are the only ones
    whose files queries may read and write; None: any.

    It is handed values (a query with its dialect, rules, ranges, keys) and never SQL of
    the kernel's making: it turns them into its own language.
    """

    @property
    def dialect(self) -> str:
        """The SQL dialect that queries and predicates come in."""
        ...

    def define(self, functions: Sequence[UserFunction]) -> None:
        """Let queries, rules and conditions call these functions from now on, and no others.

        Raises:
            DeclarationError: the engine cannot call one of them.
        """
        ...

    def stage(self, work: Work, progress: Progress) -> Staged:
        """Run one epoch and stage its rows: files are written and fsynced, not published.

        On any error, and when a `fail` expectation is violated, no staged file remains
        (in the second case the returned `Staged.failed` is not empty and there are no files).

        Raises:
            ContractError: a source's columns or values break a declared contract.
            DeclarationError: the query does not compile against its inputs.
            AdapterError: an input cannot be read or an output cannot be written.
        """
        ...

    def describe(self, work: Work) -> Columns:
        """The columns that the epoch's table would have, without running its query."""
        ...

    def fetch(
        self, batch: Batch, limit: int | None = None, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a batch.

        Args:
            where: a condition in the engine's dialect; errors are placed at `--where`.

        Raises:
            DeclarationError: `where` does not compile.
        """
        ...

    def profile(
        self, batch: Batch, columns: Sequence[str] = (), where: Predicate | None = None
    ) -> Profiled:
        """Describe the columns of a batch, in bounded memory.

        Args:
            columns: only these, in this order; none: all.
            where: a condition in the engine's dialect; errors are placed at `--where`.

        Raises:
            ColumnNotFoundError: there is no such column; names the nearest.
            DeclarationError: `where` does not compile.
        """
        ...

    def check(
        self,
        batch: Batch,
        dataset: str,
        expectations: Sequence[Expectation],
        references: Mapping[Name, Batch],
    ) -> tuple[int, tuple[RuleCount, ...]]:
        """How many rows a batch has, and how many of them violate each expectation.

        Args:
            expectations: those about single rows, in the engine's dialect.
            references: by dataset, for REFERENCES rules.

        Raises:
            DeclarationError: a rule does not compile.
        """
        ...

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
        """What came of rules about all rows together, each with what was measured.

        Args:
            rows: batches that have all of the rows; a column that one lacks is NULL there.
            expectations: rules of the level `table`, in the engine's dialect.
            references: by dataset, those that rules read.
            at_ns: the time of the update, nanoseconds since 1970 (UTC).
            known: how many rows there are; None if they would have to be counted.
            gone: paths of files of tables whose rows do not count.

        Raises:
            CheckUndecidedError: what a rule measures is NULL.
            DeclarationError: a rule does not compile.
        """
        ...

    def broken_rules(self, quarantine: Batch) -> Mapping[str, int]:
        """How many rows of a quarantine broke each rule, most frequent first."""
        ...

    def quarantined(
        self, quarantine: Batch, rule: str | None, limit: int, where: Predicate | None = None
    ) -> Rows:
        """The first rows of a quarantine, in the order of their sources, and how many there are.

        Args:
            rule: only rows that broke this one.
            where: a condition in the engine's dialect; errors are placed at `--where`.

        Raises:
            DeclarationError: `where` does not compile.
        """
        ...

    def origins(
        self, work: Work, written: Batch, rows: Sequence[RowPlace]
    ) -> Mapping[RowPlace, RowOrigin] | None:
        """Where rows come from that an epoch has written, told by computing it again.

        Args:
            work: the epoch, with the same inputs, and without rules. Nothing is staged.
            written: files that it has written, as a batch of the table.
            rows: of these files, by their paths.

        Returns:
            None if its rows are not rows of one input. A row is left out if the epoch gives no
            row with the same values.

        Raises:
            QanatError: as for `stage`.
        """
        ...

    def read(
        self, query: SqlQuery, inputs: Inputs, limit: int | None = None
    ) -> AbstractContextManager[Reading]:
        """Run a query that no dataset declares; its rows are taken while the block lasts.

        Args:
            query: in the engine's dialect; errors are placed in its `text`.
            inputs: by `Read.name`.
            limit: rows at most.

        Raises:
            DeclarationError: the query does not compile against its inputs.
            ContractError: a value cannot be what the query converts it to.
            AdapterError: an input cannot be read.
        """
        ...

    def compare(self, left: Relation, right: Relation, how: Comparing) -> Differences:
        """What two relations have that the other has not, row by row and column by column.

        Rows are matched by keys; those that have one key several times, in the order of their
        values. It takes little memory where few rows differ, and spills where many do.

        Raises:
            ColumnNotFoundError: a key or column is not there, or no column tells rows apart.
            DeclarationError: a query, or `how.where`, does not compile.
        """
        ...

    def kept(self, state: Batch) -> KeptRows:
        """What the rows of a state come to.

        Args:
            state: all rows of its table.
        """
        ...

    def close(self) -> None:
        """Free memory and scratch space."""
        ...
