"""What an author wrote to compute a dataset, and what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from qanat.model.location import Location


@dataclass(frozen=True, slots=True)
class DatasetRead:
    """A read of another dataset of the project, by the name it is declared under."""

    dataset: str


@dataclass(frozen=True, slots=True)
class FilesRead:
    """A read of files: `read_files('glob', format => 'csv', …)` or ``csv.`glob` ``.

    Args:
        path: path, folder, glob or URL as written (relative to the project root).
        format: `csv`, `json`, `ndjson`, `parquet` or `orc`; None means by the file name.
        options: the other named arguments, values as Python values (str, int, float, bool).
    """

    path: str
    format: str | None
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str, default: Any = None) -> Any:
        """The option of that name, compared without case."""
        folded = name.casefold()
        return next((v for k, v in self.options if k.casefold() == folded), default)


@dataclass(frozen=True, slots=True)
class DeltaRead:
    """A read of a Delta table that is not a dataset of this project.

    Args:
        path: folder or URL of the table (`delta_scan('…')` or ``delta.`…` ``), or, with
            `project`, the name of a dataset there (`read_table('name', project => '…')`).
        project: folder of the other Qanat project, or None.
    """

    path: str
    project: str | None = None


Source: TypeAlias = DatasetRead | FilesRead | DeltaRead


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
    source: Source
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


Query: TypeAlias = SqlQuery | FunctionQuery
