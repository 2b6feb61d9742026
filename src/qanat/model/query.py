"""What an author wrote to compute a dataset, and what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from qanat.model.location import Location
from qanat.model.source import SourceRef


@dataclass(frozen=True, slots=True)
class Read:
    """One input of a query.

    Args:
        name: the relation's name inside the executable query (see `SqlQuery.sql`).
        source: what is read.
        streaming: True under STREAM: each row is taken once; else the source as it is now.
        location: where the author wrote it.
    """

    name: str
    source: SourceRef
    streaming: bool
    location: Location


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """A query as SQL text.

    Args:
        text: as the author wrote it, in the project's dialect, STREAM and all.
        sql: the same query made executable: in the same dialect, with STREAM removed and each
            input replaced by the relation name of its `Read` (aliased to what the author
            called it, so that qualified columns still resolve).
        dialect: `duckdb` or `spark`.
        reads: the inputs, in order of appearance.
        location: of the first character of `text`.
    """

    text: str
    sql: str
    dialect: str
    reads: tuple[Read, ...]
    location: Location

    def at(self, offset: int) -> Location:
        """The place of a character of `text` in the author's file.

        >>> query = SqlQuery("SELECT\\n  1", "", "duckdb", (), Location("gold.sql", 3, 8))
        >>> str(query.at(0)), str(query.at(9))
        ('gold.sql:3:8', 'gold.sql:4:3')
        """
        where = self.location
        if where.line is None:
            return where
        before = self.text[:offset]
        column = offset - (before.rfind("\n") + 1) + 1
        if "\n" not in before:
            if where.column is None:
                return where
            column += where.column - 1
        return Location(where.file, where.line + before.count("\n"), column)


@dataclass(frozen=True, slots=True)
class FunctionQuery:
    """A query as a Python function that takes and returns data frames.

    Args:
        function: the user's function, unchanged.
        source: its source text, for fingerprints.
        reads: one per parameter, in order; `Read.name` is the parameter's name.
        takes: per parameter `arrow`, `polars`, `polars.lazy` or `pandas`.
        returns: `arrow`, `polars` or `pandas`; `any` when unannotated (decided by the value).
        location: of the `def`.
    """

    function: Callable[..., Any]
    source: str
    reads: tuple[Read, ...]
    takes: tuple[str, ...]
    returns: str
    location: Location


@dataclass(frozen=True, slots=True)
class Readmission:
    """The rows of a quarantine, to be checked against the rules as they are now.

    Rows that pass go into the table, without what the quarantine knows of them; all others go
    back as they are. Rows that could not be parsed (`_malformed`) never pass.

    Args:
        reads: the quarantine, alone.
    """

    reads: tuple[Read]
    location: Location


Query: TypeAlias = SqlQuery | FunctionQuery
Computation: TypeAlias = Query | Readmission
