"""Rows that change a table as the clauses of `MERGE INTO` say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.changes import Changes, Expression
from qanat.model.name import Names, fold, same


class Does(StrEnum):
    """What a clause does."""

    UPDATE = "update"
    DELETE = "delete"
    INSERT = "insert"
    NOTHING = "do nothing"


class Clause(Frozen):
    """`WHEN [NOT] MATCHED [BY SOURCE] [AND condition] THEN …`.

    Args:
        matched: whether it is about rows of the source that a row of the table matches.
        does: what it does.
        condition: None: it is about all of them.
        sets: the columns of the table that get a value, each with that; of an insertion, the
            others get NULL.
        every: whether columns of the source set those of the same name (`*`).
        missing: whether it is about rows of the table that no row of the source matches.
    """

    matched: bool
    does: Does
    location: Location
    condition: Expression | None = None
    sets: tuple[tuple[str, Expression], ...] = ()
    every: bool = False
    missing: bool = False


class MergeInto(Changes):
    """How the rows of a flow change its target (`MERGE INTO`).

    Args:
        condition: true for a row of the source and one of the table that match.
        clauses: what becomes of them; the first one counts that is about a row.
        source, table: what expressions call a row of the source, and one of the table.
    """

    condition: Expression
    clauses: tuple[Clause, ...]
    source: str
    table: str

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        return "MERGE INTO"

    @property
    def whole(self) -> bool:
        """True if clauses are about rows that the source lacks: then it has all there are."""
        return any(each.missing for each in self.clauses)

    @property
    def needs_all(self) -> str:
        """Why an epoch has all rows of the source, half a sentence; empty: it has not."""
        return "has WHEN NOT MATCHED BY SOURCE"

    @property
    def joining(self) -> str:
        """What to write instead of a flow that adds rows to the same table, for a hint."""
        return "let it merge, too: MERGE INTO {target} USING … WHEN NOT MATCHED THEN INSERT *"

    @property
    def first_load(self) -> str:
        """How a flow that runs a single time begins, for a hint; empty if INSERT does it."""
        return "MERGE INTO ONCE {target}"

    @property
    def epochs_matter(self) -> str:
        """What depends on how input is split into epochs, half a sentence; empty: nothing."""
        return (
            ""
            if self.whole
            else "rows of a later one match those that an earlier one has inserted"
        )

    @property
    def called(self) -> Mapping[str, bool]:
        """What expressions call rows: by name, whether it is a row of the flow's query."""
        return {fold(self.table): False, fold(self.source): True}

    def given(self, names: Sequence[str]) -> list[str]:
        """The columns of the table, of those that the flow's query gives."""
        every = any(c.every for c in self.clauses)
        found = Names(names if every else ())
        for clause in self.clauses:
            for name, _ in clause.sets:
                found.add(name)
        return list(found)

    def makers(self, column: str) -> tuple[Expression, ...] | None:
        """What a column of the table is computed from; None: the query's column of that name."""
        sets = (pair for clause in self.clauses for pair in clause.sets)
        found = tuple(value for name, value in sets if same(name, column))
        if not found:
            return None
        if any(c.every for c in self.clauses):
            return (Expression('"' + column.replace('"', '""') + '"', "duckdb"), *found)
        return found

    def translated(self, by: Callable[[Expression], Expression]) -> MergeInto:
        """The same with each expression translated."""
        clauses = tuple(
            replace(
                each,
                condition=each.condition and by(each.condition),
                sets=tuple((name, by(value)) for name, value in each.sets),
            )
            for each in self.clauses
        )
        return replace(self, condition=by(self.condition), clauses=clauses)

    def lines(self, text: Callable[[Expression], str], function: bool) -> Iterator[str]:
        """What it says as lines of a definition.

        Args:
            text: an expression in one normal form.
            function: whether a Python function gives the rows.
        """
        del function
        yield f"merge of {fold(self.source)} into {fold(self.table)} on {text(self.condition)}"
        for each in self.clauses:
            when = "when matched" if each.matched else "when not matched"
            when += " by source" if each.missing else ""
            if each.condition is not None:
                when += f" and {text(each.condition)}"
            sets = ", ".join(f"{fold(name)} = {text(value)}" for name, value in each.sets)
            yield f"{when} then {each.does} {'*' if each.every else sets}".rstrip()
