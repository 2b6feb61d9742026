"""What an author declares of rows that change a table, instead of being added to it.

`Changes` is what all kinds of them tell about themselves. `AutoCdc` is the kind that Lakeflow has:
a flow with it gives events, each of which inserts or updates the row of its key, deletes it, or
empties the table. Which event comes after which says their sequence alone, never the order in
which they arrive. The other kinds have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import Any

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.chosen import EVERY, Chosen
from qanat.model.envelope import Envelope
from qanat.model.name import Names, fold
from qanat.secret import masked

START_AT, END_AT = "__START_AT", "__END_AT"
"""The columns of SCD type 2 that tell from which sequence on a version holds, and up to which."""

RETENTION = "pipelines.cdc.tombstoneGCThresholdInSeconds"
"""The table property that says how long events are kept which rows of the table do not tell."""
_RETENTION_SECONDS = 2 * 24 * 3600


def parse_retention(text: str | None) -> int:
    """Seconds for which such events are kept; two days if nothing is said, as in Lakeflow.

    Raises:
        ValueError: the text is no number of seconds.

    >>> parse_retention(None), parse_retention("3600")
    (172800, 3600)
    """
    if text is None:
        return _RETENTION_SECONDS
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"no number of seconds: {text}")
    return int(text)


class Expression(Frozen):
    """A value that is computed from one row.

    Args:
        sql: the expression, in `dialect`.
        written: what the author wrote, if that was in another dialect.
        location: where that stands; None if it is not known. It makes no other expression.
    """

    sql: str
    dialect: str
    written: str | None = None
    location: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return masked(self.sql if self.written is None else self.written)


class ScdType(StrEnum):
    """How changes are kept (slowly changing dimensions)."""

    ONE = "1"
    """One row for each key, as it is now."""
    TWO = "2"
    """A row for each version of a key, with `__START_AT` and `__END_AT`."""


KEY, SEQUENCE = "_key", "_sequence"
"""The rules that changes must keep: they say which row they are about, and when they happened."""


class Changes(Frozen):
    """How the rows of a flow change its target: what each kind of changes tells of itself.

    What becomes of the rows of the table, an engine knows for each subclass.
    """

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        raise NotImplementedError

    @property
    def joining(self) -> str:
        """What to write instead of a flow that adds rows to the same table, for a hint."""
        return ""

    @property
    def whole(self) -> bool:
        """True if an epoch has all rows of the target, so that what it lacks is deleted."""
        return False

    @property
    def identifies(self) -> tuple[str, ...]:
        """The columns that tell the rows of the target apart; empty if none are known to."""
        return ()

    @property
    def needs_all(self) -> str:
        """Why an epoch has all rows of its source if it has, half a sentence about its flow."""
        return "takes snapshots"

    @property
    def unique(self) -> str:
        """Why an expectation UNIQUE is not needed, for a hint; empty if it might be."""
        return ""

    @property
    def first_load(self) -> str:
        """How a flow that runs a single time begins, for a hint; empty if INSERT does it."""
        return ""

    @property
    def called(self) -> Mapping[str, bool]:
        """What expressions call rows: by name, whether it is a row of the flow's query."""
        return {}

    @property
    def ordered(self) -> bool:
        """True if it matters in which order rows come."""
        return False

    @property
    def epochs_matter(self) -> str:
        """What depends on how input is split into epochs, half a sentence; empty: nothing."""
        return ""

    @property
    def columns_named(self) -> Mapping[str, tuple[str, ...]]:
        """By clause, the columns that it names and the flow's query has to give."""
        return {}

    @property
    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """All expressions over one row of the flow's query, each with its clause."""
        return iter(())

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns of the table that no query gives."""
        return ()

    @property
    def may_delete(self) -> bool:
        """True if messages in an envelope have to say which rows they delete, and it does not."""
        return False

    def enveloped(self, envelope: Envelope) -> Changes:
        """The same for messages in an envelope, with what that says where nothing else does."""
        del envelope
        return self

    def given(self, names: Sequence[str]) -> list[str]:
        """The columns of the table, of those that the flow's query gives."""
        return list(names)

    def makers(self, column: str) -> tuple[Expression, ...] | None:
        """What a column of the table is computed from; None: the query's column of that name."""
        del column
        return None

    def translated(self, by: Callable[[Expression], Expression]) -> Changes:
        """The same with each expression translated."""
        del by
        return self

    def rules(self, quoted: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
        """What each row must keep, or go to quarantine: name, SQL, and as an author would say it.

        Args:
            quoted: SQL of a column's value in the engine's dialect.
        """
        del quoted
        return iter(())

    def parts(self, others: Any) -> Iterator[tuple[str, str, str]]:
        """In what it differs from another flow's, of the same kind, into the same table.

        Yields:
            The part that must be the same, its value here, and its value there.
        """
        del others
        return iter(())

    def lines(self, text: Callable[[Expression], str], function: bool) -> Iterator[str]:
        """What it says as lines of a definition.

        Args:
            text: an expression in one normal form.
            function: whether a Python function gives the rows.
        """
        raise NotImplementedError


class AutoCdc(Changes):
    """How events change the target of a flow (AUTO CDC).

    Args:
        keys: columns of the query that identify a row of the target.
        sequence: values that say in which order the events of a key happened; several are
            compared one after the other.
        deletes: an event for which this is true deletes the row of its key.
        truncates: an event for which this is true empties the target (SCD type 1 only).
        columns: which columns of the query the target has.
        keeps: columns in which NULL leaves the value as it was (`IGNORE NULL UPDATES`); None:
            there are none.
        scd: how changes are kept.
        tracked: columns of the target whose change makes a new version (SCD type 2); a change of
            others is written into the version that there is.
    """

    keys: tuple[str, ...]
    sequence: tuple[Expression, ...]
    deletes: Expression | None = None
    truncates: Expression | None = None
    columns: Chosen = EVERY
    keeps: Chosen | None = None
    scd: ScdType = ScdType.ONE
    tracked: Chosen = EVERY

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        return "AUTO CDC"

    @property
    def identifies(self) -> tuple[str, ...]:
        """The columns that tell the rows of the target apart; empty if none are known to."""
        return self.keys if self.scd is ScdType.ONE else ()

    @property
    def joining(self) -> str:
        """What to write instead of a flow that adds rows to the same table, for a hint."""
        return "make its rows changes, too: a first load is AUTO CDC ONCE INTO {target}"

    @property
    def first_load(self) -> str:
        """How a flow that runs a single time begins, for a hint; empty if INSERT does it."""
        return "AUTO CDC ONCE INTO {target}"

    @property
    def unique(self) -> str:
        """Why an expectation UNIQUE is not needed, for a hint; empty if it might be."""
        return ": KEYS keeps one row for each key"

    @property
    def columns_named(self) -> Mapping[str, tuple[str, ...]]:
        """By clause, the columns that it names and the flow's query has to give."""
        return {
            "KEYS": self.keys,
            "COLUMNS": self.columns.names,
            "IGNORE NULL UPDATES": self.keeps.names if self.keeps else (),
            "TRACK HISTORY ON": self.tracked.names,
        }

    @property
    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """All expressions over one row of the flow's query, each with its clause."""
        yield from (("SEQUENCE BY", each) for each in self.sequence)
        if self.deletes is not None:
            yield "APPLY AS DELETE WHEN", self.deletes
        if self.truncates is not None:
            yield "APPLY AS TRUNCATE WHEN", self.truncates

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns of the table that no query gives."""
        return (START_AT, END_AT) if self.scd is ScdType.TWO else ()

    @property
    def may_delete(self) -> bool:
        """True if messages in an envelope have to say which rows they delete, and it does not."""
        return self.deletes is None and not self.whole

    def enveloped(self, envelope: Envelope) -> AutoCdc:
        """The same for messages in an envelope, with what that says where nothing else does."""
        if self.whole:
            return self
        columns = self.columns
        if columns.all_but:
            columns = Chosen(columns.names, all_but=True, hidden=envelope.patterns)
        # A history is not emptied: such messages wait in quarantine, as they have no key.
        empties = self.scd is ScdType.ONE
        truncates = Expression(envelope.truncates, "duckdb") if empties else None
        return replace(
            self,
            deletes=self.deletes or Expression(envelope.deletes, "duckdb"),
            truncates=self.truncates or truncates,
            columns=columns,
        )

    def given(self, names: Sequence[str]) -> list[str]:
        """The columns of the table, of those that the flow's query gives."""
        return self.columns.among(names)

    def makers(self, column: str) -> tuple[Expression, ...] | None:
        """What a column of the table is computed from; None: the query's column of that name."""
        return self.sequence if column in Names(self.adds) else None

    def translated(self, by: Callable[[Expression], Expression]) -> AutoCdc:
        """The same with each expression translated."""
        return replace(
            self,
            sequence=tuple(map(by, self.sequence)),
            deletes=self.deletes and by(self.deletes),
            truncates=self.truncates and by(self.truncates),
        )

    def rules(self, quoted: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
        """What each row must keep, or go to quarantine: name, SQL, and as an author would say it.

        Args:
            quoted: SQL of a column's value in the engine's dialect.
        """
        name, key, shown = rule_of_keys(self.keys, quoted)
        if self.truncates is not None:
            # What empties the table is about no row.
            key = f"coalesce({self.truncates.sql}, FALSE) OR ({key})"
            shown = f"{self.truncates} OR ({shown})"
        yield name, key, shown
        if self.sequence:
            sequence = " AND ".join(f"({s.sql}) IS NOT NULL" for s in self.sequence)
            yield SEQUENCE, sequence, " AND ".join(f"{s} IS NOT NULL" for s in self.sequence)

    def parts(self, others: AutoCdc) -> Iterator[tuple[str, str, str]]:
        """In what it differs from another flow's, of the same kind, into the same table.

        Yields:
            The part that must be the same, its value here, and its value there.
        """
        # `* EXCEPT (…)` may differ: it leaves out what only one of the sources has.
        listed = not (self.columns.all_but and others.columns.all_but)
        if Names(self.keys) != Names(others.keys):
            yield "KEYS", f"({', '.join(self.keys)})", f"({', '.join(others.keys)})"
        if len(self.sequence) != len(others.sequence):
            yield "SEQUENCE BY", _values(self), _values(others)
        if self.scd is not others.scd:
            yield "SCD TYPE", self.scd.value, others.scd.value
        if listed and not self.columns.same(others.columns):
            yield "COLUMNS", str(self.columns), str(others.columns)
        if not self.tracked.same(others.tracked):
            yield "TRACK HISTORY ON", str(self.tracked), str(others.tracked)

    def lines(self, text: Callable[[Expression], str], function: bool) -> Iterator[str]:
        """What it says as lines of a definition.

        Args:
            text: an expression in one normal form.
            function: whether a Python function gives the rows.
        """
        yield f"changes by keys ({', '.join(map(fold, self.keys))})"
        yield f"sequence by {self._order(text, function)}"
        if self.deletes is not None:
            yield f"delete when {text(self.deletes)}"
        if self.truncates is not None:
            yield f"truncate when {text(self.truncates)}"
        if self.columns.names:
            yield f"columns {self.columns.in_order}"
        if self.keeps is not None:
            yield f"ignore null updates on {self.keeps.in_order}"
        yield f"stored as SCD type {self.scd}"
        if self.tracked != EVERY:
            yield f"track history on {self.tracked.in_order}"

    def _order(self, text: Callable[[Expression], str], function: bool) -> str:
        """By what changes are ordered, for a definition."""
        del function
        return f"({', '.join(map(text, self.sequence))})"


def rule_of_keys(keys: tuple[str, ...], quoted: Callable[[str], str]) -> tuple[str, str, str]:
    """The rule that a row has all its keys: name, SQL, and as an author would say it."""
    key = " AND ".join(f"{quoted(k)} IS NOT NULL" for k in keys)
    return KEY, key, " AND ".join(f"{k} IS NOT NULL" for k in keys)


def _values(changes: AutoCdc) -> str:
    return f"({', '.join(map(str, changes.sequence))})"
