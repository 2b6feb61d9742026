"""What an author wrote to compute a dataset, and what that reads, of the project or outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.name import fold, same
from qanat.model.schema import Field

DATASET = "dataset"
"""The connector of the project's own datasets."""


class SourceRef(Frozen):
    """A reference to one source, by the connector that reads it.

    The kernel never asks what kind of source it is: whatever differs between kinds stands here
    as a value, or the connector answers it.

    Args:
        connector: name of the connector in the registry: `dataset`, `files`, `delta`, …
        place: what is read, as written: a dataset's name, a path, a table.
        options: by canonical name, as the connector declares them; values are str, int, float
            or bool.
        key: the name under which the ledger keeps how far it has been read. Two references
            with one key are one source.
        noun: what people call it, such as `files`; for lineage.
        label: the place as people read it; default: as written.
        function: the SQL function that reads it, for fingerprints and messages.
        hidden: columns that it has and `SELECT *` leaves out, such as `_metadata`.
        dataset: the dataset of this project that it is; None if it is outside.
        adds: columns that its rows have besides those of the dataset.
        survives: whether a stream of it goes on where rows of it are removed or rewritten.
        corrects: whether what changes there takes the place of what was read of it.

    >>> ref = SourceRef("files", "in/*.csv", (("format", "csv"),))
    >>> ref.option("FORMAT"), ref.option("header", default=False)
    ('csv', False)
    """

    connector: str
    place: str
    options: tuple[tuple[str, Any], ...] = ()
    key: str = ""
    noun: str = ""
    label: str = ""
    function: str = ""
    hidden: tuple[str, ...] = ()
    dataset: str | None = None
    adds: tuple[Field, ...] = ()
    survives: bool = False
    corrects: bool = False

    @property
    def text(self) -> str:
        """The reference as SQL: what a fingerprint is made of.

        >>> options = (("delimiter", ";"), ("format", "csv"))
        >>> SourceRef("files", "in", options, function="read_files").text
        "read_files('in', format => 'csv', delimiter => ';')"
        """
        # `format` first, as in the definitions that earlier releases have kept.
        options = sorted(self.options, key=lambda o: (o[0] != "format", o))
        named = "".join(f", {k} => {v!r}" for k, v in options)
        if self.dataset is not None:
            name = fold(self.dataset)
            return f"{self.function}({name!r}{named})" if named else name
        return f"{self.function or self.connector}({self.place!r}{named})"

    def option(self, name: str, default: Any = None) -> Any:
        """The option of that name, compared without case."""
        return next((v for k, v in self.options if same(k, name)), default)


def dataset_ref(name: str) -> SourceRef:
    """A reference to a dataset of the project.

    >>> dataset_ref("Bronze").key
    'dataset:bronze'
    """
    key = f"{DATASET}:{fold(name)}"
    return SourceRef(
        DATASET, name, key=key, noun=DATASET, label=name, function="read_table", dataset=name
    )


class EventTime(Frozen):
    """When rows of a stream happened, and how much later they may come (`WATERMARK`).

    Args:
        column: a column of timestamps.
        delay_us: how much later, in microseconds.
        location: where the author wrote it.
    """

    column: str
    delay_us: int
    location: Location


class Read(Frozen):
    """One input of a query.

    Args:
        name: the relation's name inside the executable query (see `SqlQuery.sql`).
        source: what is read.
        streaming: True under STREAM: each row is taken once; else the source as it is now.
        location: where the author wrote it.
        event_time: of a stream with a watermark.
    """

    name: str
    source: SourceRef
    streaming: bool
    location: Location
    event_time: EventTime | None = None


class SqlQuery(Frozen):
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


class FunctionQuery(Frozen):
    """A query as a Python function that takes and returns data frames.

    Args:
        function: the user's function, unchanged.
        text: its source text, for fingerprints.
        reads: one per parameter, in order; `Read.name` is the parameter's name.
        takes: per parameter `arrow`, `polars`, `polars.lazy` or `pandas`.
        returns: `arrow`, `polars` or `pandas`; `any` when unannotated (decided by the value).
        location: of the `def`.
    """

    function: Callable[..., Any]
    text: str
    reads: tuple[Read, ...]
    takes: tuple[str, ...]
    returns: str
    location: Location


class Readmission(Frozen):
    """The rows of a quarantine, to be checked against the rules as they are now.

    Rows that pass go into the table, without what the quarantine knows of them; all others go
    back, with the reasons for which they stay. Rows that could not be parsed (`_malformed`) or
    computed (`_failed`) are parsed and computed again first (`Work.again`).

    Args:
        reads: the quarantine, alone.
        flows: only rows that these have put there; all others stay as they are. None: all rows.
    """

    reads: tuple[Read]
    location: Location
    flows: tuple[str, ...] | None = None


class Discard(Frozen):
    """Rows of a quarantine that are thrown away; all others stay as they are.

    Args:
        reads: the quarantine, alone.
        rule: only rows that broke this one.
        where: only rows for which this condition is true, in the engine's dialect.
        origins: a Parquet file with the columns `file` and `row`, as the quarantine has noted
            them, and a column that `where` may name; None if it names none.
    """

    reads: tuple[Read]
    location: Location
    rule: str | None
    where: str | None
    origins: str | None = None


class Rearranging(Frozen):
    """The same rows in other files: nothing is read but the table itself (`Work.rearranged`)."""

    reads: tuple[()]
    location: Location


Query: TypeAlias = SqlQuery | FunctionQuery
Computation: TypeAlias = Query | Readmission | Discard | Rearranging
