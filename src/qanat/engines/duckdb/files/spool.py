"""Spools: text files are read once and copied to Parquet, typed, with each row's file and line.

A spool has the columns v0, v1, … (the layout's fields in order), `error`, `raw` and `originals`
(not NULL in rows whose values did not fit; the last has a text for each field), `rescued`, `file`
(the file's index in the batch), `line` (NULL if the row's position in the spool gives the line),
and those that `FileTable.carried` names. Errors of DuckDB are made to name the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

import duckdb

from qanat.engines.duckdb.faults import is_full, plain
from qanat.engines.duckdb.files.bound import (
    BatchColumns,
    BoundFiles,
    FileTable,
    folder_value,
    is_folder,
    nothing,
)
from qanat.engines.duckdb.files.cast import Formats, Value, judged, rescued, typed_columns
from qanat.engines.duckdb.files.infer import tally
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.errors import (
    FileUnreadableError,
    FileVanishedError,
    InvariantError,
    QanatError,
    StorageFullError,
    disk_full,
)
from qanat.model.quarantine import RESCUED
from qanat.model.schema import Array, DataType, Struct
from qanat.model.work import LocalFile
from qanat.text import literal, quote

# The errors that a file's content can cause. Others (Binder, Parser, …) are defects of Qanat and
# are raised as they are.
_ABOUT_FILES = (
    duckdb.IOException,
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.SerializationException,
    duckdb.OutOfRangeException,
    duckdb.NotImplementedException,
)


def translate(error: Exception, files: Sequence[LocalFile], format_: str) -> QanatError | None:
    """The Qanat error for an error while files were read; None if no file caused it.

    Args:
        error: what DuckDB or the operating system raised.
        files: the files that were read; the one that the message names is blamed.
        format_: the files' format, for the message.
    """
    text = str(error).strip()
    if is_full(error) or (isinstance(error, OSError) and disk_full(error)):
        return StorageFullError(
            "no space left for scratch files",
            got=plain(text),
            hint="free space below the project's storage and run again; nothing was published",
        )
    # DuckDB reports some damage as a plain duckdb.Error, without a class of its own.
    if type(error) is not duckdb.Error and not isinstance(
        error, (*_ABOUT_FILES, OSError, EOFError)
    ):
        return None
    missing = next((f for f in files if not Path(f.local).exists()), None)
    if missing is not None:
        return FileVanishedError(
            f"{missing.path} is gone",
            wanted="the file as it was when it was found",
            hint="put it back, or run again without it",
        )
    named = [f for f in files if f.local in text]
    # One path may be the beginning of another: the longest path in the message is the one meant.
    blamed = max(named, key=lambda f: len(f.local), default=files[0] if len(files) == 1 else None)
    named_file = blamed.path if blamed else f"one of {len(files)} files ({files[0].path}, …)"
    return FileUnreadableError(
        f"cannot read {named_file} as {format_}",
        wanted=f"a readable {format_} file",
        got=plain(text),
        hint="mend the file or take it away, and run again",
    )


@contextmanager
def blaming(files: Sequence[LocalFile], format_: str) -> Iterator[None]:
    """Turn errors of the block into Qanat errors that name the file.

    Args:
        files: the files that the block reads.
        format_: their format, for the message.

    Raises:
        FileVanishedError: a file is gone.
        FileUnreadableError: a file's content is not of its format.
        StorageFullError: the scratch folder is full.
    """
    try:
        yield
    except (duckdb.Error, OSError, EOFError) as error:
        found = translate(error, files, format_)
        if found is None:
            raise
        raise found from error


OPTIONS = "FORMAT parquet, COMPRESSION snappy"


@dataclass(slots=True)
class Spools:
    """The spools of one batch.

    Args:
        table: the files of the batch.
        layout: the columns of the batch.
        scratch: the folder for the spools.
        paths: the spools.
        bases: by file, the number to add to a row's position in its spool to get its line.
        excluded: the files that were read again with `Salvage`; their rows in other spools do not
            count.
        bad: Parquet files with (file, row, raw, error), for rows that could not be split into
            columns.
        rows: the number of rows that fit.
        misfits: the number of rows with a value that does not fit.
        explicit: True if a spool has line numbers of its own.
    """

    table: FileTable
    layout: BatchColumns
    scratch: Path
    paths: list[str] = field(default_factory=list)
    bases: dict[int, int] = field(default_factory=dict)
    excluded: set[int] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)
    rows: int = 0
    misfits: int = 0
    explicit: bool = False

    def path(self, suffix: str) -> Path:
        """The path of a file of this batch in the scratch folder."""
        return self.scratch / f"{self.table.name}_{suffix}"

    def write(self, source: str, values: Sequence[Value | None], extras: Sequence[tuple[str, str]],
              raw: str, fault: str = "NULL") -> str:  # fmt: skip
        """Copy the rows of a SELECT to a new spool.

        Args:
            source: a SELECT of the columns that `values` use, those that the table has carried,
                `file` and `line`.
            values: for each field of the layout; None if the files have no such column.
            extras: the unexpected columns: each name, with SQL for the value as JSON text.
            raw: SQL for the whole row as text; kept for malformed rows.
            fault: SQL for what is wrong with the row apart from its values; NULL if nothing is.

        Returns:
            The path of the spool; it counts only once it is passed to `accept`.
        """
        typed, checks = typed_columns(self.layout.fields, values)
        columns = "".join(f"v{i}, " for i in range(len(values)))
        rows = f"SELECT {', '.join(['*', *typed])} FROM ({source})"
        rows, error = judged(rows, checks)
        wrong, saved = f"coalesce({fault}, {error})", "CAST(NULL AS VARCHAR)"
        if self.layout.rescue:
            wrong = f"CAST({fault} AS VARCHAR)"
            saved = rescued(checks, extras, self.table.path("file"))
        target = str(self.path(f"{len(self.paths)}.parquet"))
        keep = f"CASE WHEN error IS NOT NULL THEN {raw} END"
        given = ", ".join("NULL" if v is None else v.original for v in values)
        originals = f"CASE WHEN error IS NOT NULL THEN CAST([{given}] AS VARCHAR[]) END"
        carried = "".join(f"{name}, " for name in self.table.carried)
        self.table.con.execute(
            f"COPY (SELECT * EXCLUDE (raw_), CAST(raw_ AS VARCHAR) AS raw FROM (SELECT {columns}"
            f"{carried}error, {keep} AS raw_, {originals} AS originals, rescued, file, line "
            f"FROM (SELECT *, {wrong} AS error, {saved} AS rescued FROM ({rows})))) "
            f"TO {literal(target)} ({OPTIONS})"
        )
        return target

    def accept(self, path: str, first_lines: dict[int, int], explicit: bool) -> None:
        """Add a spool to the batch, and count its rows.

        Args:
            path: the spool.
            first_lines: by file, the line of its first row.
            explicit: True if the spool has line numbers of its own.

        Raises:
            InvariantError: DuckDB wrote the rows of a file out of order.
        """
        self.paths.append(path)
        self.explicit |= explicit
        found = self.table.con.execute(
            "SELECT file, min(file_row_number), max(file_row_number), count(*), count(error) "
            f"FROM read_parquet({literal(path)}) GROUP BY file"
        ).fetchall()
        for file, first, last, count, errors in found:
            if not explicit:
                if last - first + 1 != count:
                    raise InvariantError(
                        f"the rows of {self.table.files[file].path} were spooled out of order",
                        hint="DuckDB's preserve_insertion_order must be on",
                    )
                if file in self.excluded:
                    continue
                self.bases[file] = first_lines[file] - first
            self.rows += count - errors
            self.misfits += errors

    def sort(self) -> None:
        """Make one spool of several that have line numbers of their own, in the order of these.

        A table gets its rows in the order of the spool, and of equal ones UNIQUE keeps the first.
        """
        if len(self.paths) < 2:
            return
        target = str(self.path("sorted.parquet"))
        self.table.con.execute(
            f"COPY (SELECT *{self._from()} ORDER BY file, line) TO {literal(target)} ({OPTIONS})"
        )
        self.paths = [target]

    def bind(self, formats: Formats) -> BoundFiles:
        """The batch as DuckDB reads it from the spools."""
        table, layout = self.table, self.layout
        types = [to_duckdb(f.type) for f in layout.schema.fields]
        if not self.paths:
            return BoundFiles(
                nothing(table, layout.schema, types), layout.schema, self.malformed(), 0
            )
        columns = ""
        for i, f in enumerate(layout.fields):
            folder = is_folder(table, f.name)
            sql = folder_value(table, f, "s.file", formats) if folder else f"s.v{i}"
            columns += f"{sql} AS {quote(f.name)}, "
        if layout.rescue:
            columns += f"s.rescued AS {quote(RESCUED)}, "
        where = self._where("error IS NULL") if self.misfits else self._where("")
        relation = f"SELECT {columns}{table.hidden('s.file', self._line())}{self._from()}{where}"
        wider = partial(self._wider, formats) if self.misfits else None
        return BoundFiles(
            relation,
            layout.schema,
            self.malformed(),
            self.rows,
            wider,
            missing=layout.missing,
        )

    def _wider(self, formats: Formats) -> Mapping[str, DataType]:
        """Types for columns with values that do not fit."""
        # Imported only here: most files fit.
        drift = import_module("qanat.engines.duckdb.files.drift")
        fields = self.layout.fields
        missing = ", ".join(f"v{i} IS NULL" for i in range(len(fields)))
        rows = f"SELECT *{self._from()}{self._where('s.error IS NOT NULL')}"
        pairs = (
            f"SELECT name, v FROM (SELECT unnest(range({len(fields)})) AS name, "
            f"unnest(originals) AS v, unnest([{missing}]) AS missing FROM ({rows})) WHERE missing"
        )
        con, found, nested = self.table.con, {}, {}
        for at, seen in tally(con, pairs, formats).items():
            field = fields[int(at)]
            count = f"SELECT count(v{at}){self._from()}{self._where('')}"
            [(fitting,)] = con.execute(count).fetchall()
            if isinstance(field.type, Array | Struct):
                nested_type = import_module("qanat.engines.duckdb.files.nested").nested_type
                texts = f"SELECT v FROM ({pairs}) WHERE name = {at} AND v IS NOT NULL"
                nested[field.name] = nested_type(con, field.type, texts, fitting)
            else:
                found[field.name] = drift.Misfits(seen, fitting)
        wider = drift.wider_types(self.layout.schema, found, self.table.inference)
        return {**wider, **{name: type_ for name, type_ in nested.items() if type_ is not None}}

    def _line(self) -> str:
        bases = [self.bases.get(i, 0) for i in range(len(self.table.files))]
        place = "s.file_row_number + " + self.table.at("base", bases, "BIGINT", "s.file")
        return f"coalesce(s.line, {place})" if self.explicit else place

    def _from(self) -> str:
        return f" FROM read_parquet([{', '.join(literal(p) for p in self.paths)}]) AS s"

    def _where(self, condition: str) -> str:
        tests = [condition] if condition else []
        if self.excluded:
            flags = [i in self.excluded for i in range(len(self.table.files))]
            out = self.table.at("excluded", flags, "BOOLEAN", "s.file")
            # Rows that `Salvage` read again have line numbers of their own, and stay.
            tests.append(f"(s.line IS NOT NULL OR NOT {out})")
        return f" WHERE {' AND '.join(tests)}" if tests else ""

    def malformed(self) -> str | None:
        """A SELECT of all malformed rows; None if there are none."""
        parts = []
        path = self.table.path("file")
        if self.bad:
            files = ", ".join(literal(p) for p in self.bad)
            parts.append(
                f"SELECT {path} AS file, row, raw, error FROM read_parquet([{files}]) AS b"
            )
        if self.misfits:
            parts.append(
                f"SELECT {self.table.path('s.file')} AS file, {self._line()} AS row, s.raw, "
                f"s.error{self._from()}{self._where('s.error IS NOT NULL')}"
            )
        return " UNION ALL ".join(parts) or None
