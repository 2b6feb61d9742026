"""Files that a query can read: a SELECT, its columns, and the rows that could not be parsed."""

from __future__ import annotations

from collections.abc import Sequence
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
# A row identifier packs the index of the file above the row in it: 2^23 files of 2^40 rows.
ROW_BITS = 40
RESERVED = "__qanat_"


@dataclass(frozen=True, slots=True)
class BoundFiles:
    """A batch of files as DuckDB can read it.

    Args:
        relation: SELECT text: the visible columns, then `_metadata`, `__qanat_file`,
            `__qanat_row` and `__qanat_rid` (unique, the same each time). It may be evaluated
            many times, on the connection it was bound on.
        schema: the visible columns.
        malformed: SELECT text giving (file, row, raw, error); None if there are none.
        rows: rows in `relation`, where known cheaply.
    """

    relation: str
    schema: Schema
    malformed: str | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class FileTable:
    """The files of a batch by position, as session variables.

    Variables, not a table: DuckDB folds them into the plan as constants, so that a column
    nobody asks for costs nothing, and 10,000 paths never enter a SQL text.
    """

    con: duckdb.DuckDBPyConnection
    name: str
    files: tuple[LocalFile, ...]
    partitions: Partitions
    _made: set[str] = field(default_factory=set)

    @property
    def rejects(self) -> tuple[str, str]:
        """Names of tables for what DuckDB could not parse, and of the scans that met it.

        It takes no name that would have to be quoted, and ours may be any path.
        """
        name = f"qanat_rejects_{blake2b(self.name.encode(), digest_size=8).hexdigest()}"
        return name, f"{name}_scan"

    def variable(self, purpose: str, values: Sequence[Any], type_: str) -> str:
        """Store a list and give the SQL that reads it."""
        name = f"qanat_{self.name}_{purpose}"
        self.con.execute(f"SET VARIABLE {quote(name)} = CAST(? AS {type_}[])", [list(values)])
        self._made.add(purpose)
        return f"getvariable({literal(name)})"

    def at(self, purpose: str, values: Sequence[Any], type_: str, index: str) -> str:
        """SQL for the value at 0-based `index`; equal values are one constant, no list."""
        if values and type_ != "VARCHAR" and all(v == values[0] for v in values):
            return f"CAST({values[0]} AS {type_})"
        return f"{self.variable(purpose, values, type_)}[CAST({index} AS BIGINT) + 1]"

    def path(self, index: str) -> str:
        """SQL for the path of the file at `index`, as the author knows it."""
        values = [f.path for f in self.files]
        if "path" in self._made:
            made = literal(f"qanat_{self.name}_path")
            return f"getvariable({made})[CAST({index} AS BIGINT) + 1]"
        return self.at("path", values, "VARCHAR", index)

    def hidden(self, index: str, row: str, number: str | None = None) -> str:
        """SQL for the hidden columns, from SQL.

        Args:
            index: of the file.
            row: 1-based, as people count.
            number: as the file's own reader counts, if that is cheaper.
        """
        path = self.path(index)
        name = self.at(
            "name", [f.path.rstrip("/").rpartition("/")[2] for f in self.files], "VARCHAR", index
        )
        size = self.at("size", [f.size for f in self.files], "BIGINT", index)
        micros = self.at("micros", [f.modified_ns // 1000 for f in self.files], "BIGINT", index)
        # The bare row lets DuckDB push joins on it into the scan; arithmetic does not.
        rid = number or f"CAST({row} AS BIGINT)"
        if len(self.files) > 1:
            rid = f"(CAST({index} AS BIGINT) << {ROW_BITS}) + {rid}"
        return (
            f"struct_pack(file_path := {path}, file_name := {name}, file_size := {size}, "
            "file_modification_time := "
            f"CAST(make_timestamp({micros}) AS TIMESTAMPTZ)) AS {METADATA}, "
            f"{path} AS {FILE}, CAST({row} AS BIGINT) AS {ROW}, "
            f"{rid} AS {RID}"
        )


def check_names(names: Sequence[str], path: str) -> None:
    """Refuse columns that would hide Qanat's own.

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
    """A relation without rows."""
    columns = "".join(
        f"CAST(NULL AS {type_}) AS {quote(f.name)}, "
        for f, type_ in zip(schema.fields, types, strict=True)
    )
    return f"SELECT {columns}{table.hidden('0', '0')} WHERE false"


def nullable(fields: Sequence[Field]) -> Schema:
    """Columns as files can deliver them: any value may be missing."""
    return Schema(tuple(Field(f.name, f.type, comment=f.comment) for f in fields))
