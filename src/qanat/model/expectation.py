"""Named rules on a dataset, and what happens to a row that breaks one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from qanat.model.location import Location


class Action(StrEnum):
    """What a violated expectation does."""

    WARN = "warn"
    """Keep the row, count the violation."""
    DROP = "drop"
    """Leave the row out, count the violation."""
    QUARANTINE = "quarantine"
    """Move the row to `<dataset>__quarantine`."""
    FAIL = "fail"
    """Publish nothing of this epoch and fail the dataset."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on one row; FALSE or NULL is a violation.

    Args:
        sql: the condition, in `dialect`.
        written: what the author wrote, if that was in another dialect.
    """

    sql: str
    dialect: str
    written: str | None = None

    def __str__(self) -> str:
        return self.sql if self.written is None else self.written


@dataclass(frozen=True, slots=True)
class Unique:
    """No two kept rows of the table agree on all `columns`.

    As SQL's UNIQUE: a key with a NULL in it equals nothing. The first row with a key is kept,
    later ones (in the table's history, then in source order) are violations.
    """

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"UNIQUE ({', '.join(self.columns)})"


@dataclass(frozen=True, slots=True)
class References:
    """Each row's `columns` occur as `target_columns` of `dataset`.

    As SQL's FOREIGN KEY (MATCH SIMPLE): a row with a NULL among `columns` passes.
    """

    columns: tuple[str, ...]
    dataset: str
    target_columns: tuple[str, ...]

    def __str__(self) -> str:
        mine, theirs = ", ".join(self.columns), ", ".join(self.target_columns)
        return f"({mine}) REFERENCES {self.dataset} ({theirs})"


Rule: TypeAlias = Predicate | Unique | References


@dataclass(frozen=True, slots=True)
class Expectation:
    """A named rule on a dataset with an action."""

    name: str
    rule: Rule
    action: Action
    location: Location
