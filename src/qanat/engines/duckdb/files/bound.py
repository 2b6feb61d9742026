"""Files as a query reads them: a SELECT, its columns, and the rows that could not be parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import duckdb

from qanat.engines.duckdb.files.partitions import Partitions
from qanat.engines.duckdb.types import literal, quote
from qanat.errors import OptionError
from qanat.model.batch import LocalFile
from qanat.model.schema import Field, Schema

METADATA = "_metadata"
FILE = "__qanat_file"
ROW = "__qanat_row"
RID = "__qanat_rid"
# A row identifier has the file's index above the row's 40 bits: up to 2^23 files of 2^40 rows.
ROW_BITS = 40
RESERVED = "__qanat_"


@dataclass(frozen=True, slots=True)
class BoundFiles:
    """A batch of files that DuckDB can read.

    Args:
        relation: a SELECT of the visible columns, then `_metadata`, `__qanat_file`,
            `__qanat_row` and `__qanat_rid` (unique, and the same each time). It may be evaluated
            many times, on the connection that it was bound on.
        schema: the visible columns.
        malformed: a SELECT of (file, row, raw, error); None if every row could be parsed.
        rows: the number of rows in `relation`; None if counting them would cost a scan.
    """

    relation: str
    schema: Schema
    malformed: str | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class OnePass:
    """A batch of files that DuckDB reads while it computes, without a copy of their rows.

    Args:
        relation: a SELECT of the visible columns and `_metadata`, to be evaluated once, on the
            connection that it was bound on. It raises a `duckdb.Error` at a value that does not
            fit its column.
        schema: the visible columns.
        complete: tells, after `relation` was evaluated, whether it gave every row of the files.
    """

    relation: str
    schema: Schema
    complete: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class FileTable:
    """The files of a batch by their index, stored in session variables of DuckDB.

    DuckDB folds variables into the plan as constants, so a metadata column that no query reads
    costs nothing, and the SQL stays short with 10,000 paths.
    """

    con: duckdb.DuckDBPyConnection
    name: str
    files: tuple[LocalFile, ...]
    partitions: Partitions
    _made: set[str] = field(default_factory=set)

    @property
    def rejects(self) -> tuple[str, str]:
        """Names for DuckDB's two tables of rejects: the errors, and the scans that met them.

        DuckDB accepts no name here that needs quotes, so the batch's name is hashed.
        """
        name = f"qanat_rejects_{blake2b(self.name.encode(), digest_size=8).hexdigest()}"
        return name, f"{name}_scan"

    def variable(self, purpose: str, values: Sequence[Any], type_: str) -> str:
        """Store a list in a session variable; returns the SQL that reads it."""
        name = f"qanat_{self.name}_{purpose}"
        self.con.execute(f"SET VARIABLE {quote(name)} = CAST(? AS {type_}[])", [list(values)])
        self._made.add(purpose)
        return f"getvariable({literal(name)})"

    def at(self, purpose: str, values: Sequence[Any], type_: str, index: str) -> str:
        """SQL for the value at `index`, which is SQL for a number from 0.

        If all values are equal, the SQL is a constant.
        """
        if values and type_ != "VARCHAR" and all(v == values[0] for v in values):
            return f"CAST({values[0]} AS {type_})"
        return f"{self.variable(purpose, values, type_)}[CAST({index} AS BIGINT) + 1]"

    def path(self, index: str) -> str:
        """SQL for the path, as the author wrote it, of the file at `index`."""
        values = [f.path for f in self.files]
        if "path" in self._made:
            made = literal(f"qanat_{self.name}_path")
            return f"getvariable({made})[CAST({index} AS BIGINT) + 1]"
        return self.at("path", values, "VARCHAR", index)

    def hidden(self, index: str, row: str, number: str | None = None) -> str:
        """SQL for the hidden columns of a row; all arguments are SQL, too.

        Args:
            index: the file's index.
            row: the row's number in the file, from 1.
            number: a number that identifies the row in the file, if DuckDB has one more cheaply
                than `row`.
        """
        # Without arithmetic, DuckDB can push joins on the row number into the scan.
        rid = number or f"CAST({row} AS BIGINT)"
        if len(self.files) > 1:
            rid = f"(CAST({index} AS BIGINT) << {ROW_BITS}) + {rid}"
        return (
            f"{self.metadata(index)}, {self.path(index)} AS {FILE}, "
            f"CAST({row} AS BIGINT) AS {ROW}, {rid} AS {RID}"
        )

    def metadata(self, index: str) -> str:
        """SQL for `_metadata` of a row of the file at `index`, which is SQL for a number."""
        path = self.path(index)
        name = self.at(
            "name", [f.path.rstrip("/").rpartition("/")[2] for f in self.files], "VARCHAR", index
        )
        size = self.at("size", [f.size for f in self.files], "BIGINT", index)
        micros = self.at("micros", [f.modified_ns // 1000 for f in self.files], "BIGINT", index)
        return (
            f"struct_pack(file_path := {path}, file_name := {name}, file_size := {size}, "
            "file_modification_time := "
            f"CAST(make_timestamp({micros}) AS TIMESTAMPTZ)) AS {METADATA}"
        )


def check_names(names: Sequence[str], path: str) -> None:
    """Refuse columns with names that Qanat reserves.

    Args:
        names: the columns' names.
        path: the file or folder, for the message.

    Raises:
        OptionError: a column is called `_metadata` or `__qanat_…`.
    """
    for name in names:
        folded = name.casefold()
        if folded == METADATA or folded.startswith(RESERVED):
            raise OptionError(
                f"{path} has a column {name!r}, a name that Qanat keeps for itself",
                wanted=f"a name other than {METADATA} and {RESERVED}…",
                got=name,
                hint="rename the column where the files are written, or read them without a header"
                " and name the columns in schema",
            )


def nothing(table: FileTable, schema: Schema, types: Sequence[str]) -> str:
    """A SELECT without rows, with the columns of `schema` in the given DuckDB types."""
    columns = "".join(
        f"CAST(NULL AS {type_}) AS {quote(f.name)}, "
        for f, type_ in zip(schema.fields, types, strict=True)
    )
    return f"SELECT {columns}{table.hidden('0', '0')} WHERE false"


def nullable(fields: Sequence[Field]) -> Schema:
    """The columns with NULL allowed in each: files may lack any value."""
    return Schema(tuple(Field(f.name, f.type, comment=f.comment) for f in fields))
