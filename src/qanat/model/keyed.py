"""Rows that replace others with equal columns: `KEYS`, and dbt's incremental strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from qanat.model.changes import Changes, Expression, rule_of_keys
from qanat.model.name import Names, fold

STRATEGY = "qanat.incremental_strategy"
"""The table property that says what rows do to a streaming table that has some already."""


class Strategy(StrEnum):
    """What the rows of an epoch do to a streaming table, in the words of dbt."""

    APPEND = "append"
    """They are added."""
    MERGE = "merge"
    """Each replaces the row of its key; of several with one key the last one counts."""
    DELETE_INSERT = "delete+insert"
    """All rows of their keys go, and all of them come."""
    INSERT_OVERWRITE = "insert_overwrite"
    """They replace the partitions that they are in."""

    @staticmethod
    def parse(text: str) -> Strategy:
        """The strategy of that name, in any case.

        Raises:
            ValueError: there is none.

        >>> str(Strategy.parse("Delete+Insert"))
        'delete+insert'
        """
        return Strategy(fold(text))


class Keyed(Changes):
    """How rows change a table whose rows they replace by equal values in some columns.

    Args:
        strategy: any but `append`.
        by: those columns: the keys of the table, or its partitions.
    """

    strategy: Strategy
    by: tuple[str, ...]

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        if self.strategy is Strategy.MERGE:
            return f"KEYS ({', '.join(self.by)})"
        return f"the strategy {self.strategy}"

    @property
    def unique(self) -> str:
        """Why an expectation UNIQUE is not needed, for a hint; empty if it might be."""
        return ": KEYS keeps one row for each key" if self.strategy is Strategy.MERGE else ""

    @property
    def ordered(self) -> bool:
        """True if it matters in which order rows come."""
        return self.strategy is Strategy.MERGE

    @property
    def epochs_matter(self) -> str:
        """What depends on how input is split into epochs, half a sentence; empty: nothing."""
        if self.strategy is Strategy.MERGE:
            return ""
        group = "partition" if self.strategy is Strategy.INSERT_OVERWRITE else "key"
        return f"rows of a {group} that come in a later one replace those of an earlier one"

    @property
    def columns_named(self) -> Mapping[str, tuple[str, ...]]:
        """By clause, the columns that it names and the flow's query has to give."""
        clause = "PARTITIONED BY" if self.strategy is Strategy.INSERT_OVERWRITE else "KEYS"
        return {clause: self.by}

    def rules(self, quoted: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
        """What each row must keep, or go to quarantine: name, SQL, and as an author would say it.

        Args:
            quoted: SQL of a column's value in the engine's dialect.
        """
        # A partition may be that of NULL.
        if self.strategy is not Strategy.INSERT_OVERWRITE:
            yield rule_of_keys(self.by, quoted)

    def parts(self, others: Keyed) -> Iterator[tuple[str, str, str]]:
        """In what it differs from another flow's, of the same kind, into the same table.

        Yields:
            The part that must be the same, its value here, and its value there.
        """
        if (self.strategy, Names(self.by)) != (others.strategy, Names(others.by)):
            yield "", self.label, others.label

    def lines(self, text: Callable[[Expression], str], function: bool) -> Iterator[str]:
        """What it says as lines of a definition.

        Args:
            text: an expression in one normal form.
            function: whether a Python function gives the rows.
        """
        del text, function
        yield f"rows by {self.strategy} of ({', '.join(sorted(map(fold, self.by)))})"
