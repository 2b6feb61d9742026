"""Files as a query reads them: a SELECT, its columns, and the rows that could not be parsed.

Columns come from the files, from what is known of earlier ones (schema drift), and from the names
of folders such as `…/month=3/…` (Hive's convention).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from hashlib import blake2b
from typing import Any

import duckdb

from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.files.counted import LinesOf
from qanat.engines.duckdb.files.infer import exact
from qanat.engines.duckdb.files.partitions import Partitions
from qanat.engines.duckdb.files.widen import extend
from qanat.errors import OptionError, SchemaDriftError, nearest
from qanat.frozen import Frozen
from qanat.model.inference import OWN, Inference
from qanat.model.name import Named, Names, fold, same
from qanat.model.pipeline import Drift
from qanat.model.quarantine import RESCUED
from qanat.model.schema import NO_COLUMNS, STRING, DataType, Field, Schema
from qanat.model.work import FilesBatch, LocalFile
from qanat.text import literal, quote


def is_folder(table: FileTable, name: str) -> bool:
    """True if a column comes from folder names."""
    return any(same(name, n) for n in table.partitions.names)


def folder_value(table: FileTable, field: Field, index: str, formats: Formats = ISO) -> str:
    """SQL for a partition column's value in the file at `index`.

    Raises:
        SchemaDriftError: the value in a folder's name does not fit the column's type.
    """
    names = [fold(n) for n in table.partitions.names]
    place = names.index(fold(field.name))
    values = table.partitions.columns[place][1]
    variable = table.variable(f"folder{place}", values, "VARCHAR")
    cast = exact if table.declared.get(field.name) is None else from_text
    bad = table.con.execute(
        f"SELECT v FROM (SELECT unnest({variable}) AS v) WHERE v IS NOT NULL "
        f"AND {cast('v', field.type, formats)} IS NULL LIMIT 1"
    ).fetchall()
    if bad:
        file = table.files[values.index(bad[0][0])]
        raise SchemaDriftError(
            f"{file.path} lies in a folder whose {field.name!r} does not fit the column",
            wanted=str(field.type),
            got=str(bad[0][0]),
            hint="declare the column as string in schema",
        )
    return cast(f"{variable}[CAST({index} AS BIGINT) + 1]", field.type, formats)


class BatchColumns(Frozen):
    """The columns of a batch.

    Args:
        fields: the visible columns that files or folder names fill, in order.
        extras: the names of unexpected columns, whose values are rescued.
        rescue: True if the column `_rescued_data` follows the fields.
        missing: the names of columns that earlier files had, and that none of these has.
    """

    fields: tuple[Field, ...]
    extras: Names
    rescue: bool
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(f.name for f in self.fields)

    @property
    def schema(self) -> Schema:
        """The visible columns, each nullable."""
        last = (Field(RESCUED, STRING),) if self.rescue else ()
        return nullable((*self.fields, *last))


def expected(batch: FilesBatch) -> Schema:
    """The columns that are known before a file is opened.

    They are in the order of earlier epochs and have the declared types. `_rescued_data` is left
    out: Qanat fills it, no file has it.
    """
    order = list(batch.known.fields)
    order += [f for f in batch.declared.fields if batch.known.get(f.name) is None]
    fields = [batch.declared.get(f.name) or f for f in order]
    if batch.drift is Drift.RESCUE:
        fields = [f for f in fields if not same(f.name, RESCUED)]
    return Schema(tuple(fields))


def lay_out(
    batch: FilesBatch,
    found: Named[str],
    infer: Callable[[Sequence[str]], Mapping[str, DataType]],
    found_types: Named[DataType] | None = None,
) -> BatchColumns:
    """Decide a batch's columns by its drift policy.

    Args:
        batch: the batch.
        found: the columns of its files in order of appearance, each with a file that has it.
        infer: gives the types of new columns, by name.
        found_types: the types of columns in typed files. Under `evolve`, a struct whose type is
            not declared gains the new fields of these.

    Raises:
        SchemaDriftError: the files have a new column, and the policy is `freeze`.
        OptionError: a column has a reserved name.
    """
    base = expected(batch)
    rescue = batch.drift is Drift.RESCUE
    names = Names(base.names)
    new = [name for name in found if name not in names]
    extras = Names()
    if rescue:
        extras = Names(n for n in new if base.fields or same(n, RESCUED))
        new = [n for n in new if n not in extras]
    check_names([f.name for f in base.fields] + new, batch.path)
    if new and base.fields and batch.drift is Drift.FREEZE:
        raise frozen(batch, new, found[new[0]], base)
    types = infer(new) if new else {}
    old = base.fields
    if found_types and batch.drift is Drift.EVOLVE:
        old = tuple(_grown(f, batch, found_types) for f in old)
    fields = (*old, *(Field(n, types.get(n, STRING)) for n in new))
    known = batch.known.fields if batch.files else ()
    missing = tuple(
        f.name for f in known if f.name not in found and not (rescue and same(f.name, RESCUED))
    )
    return BatchColumns(fields, extras, rescue, missing)


def _grown(field: Field, batch: FilesBatch, found_types: Named[DataType]) -> Field:
    found = found_types.get(field.name)
    if found is None or batch.declared.get(field.name) is not None:
        return field
    return Field(field.name, extend(field.type, found), field.nullable, field.comment)


def frozen(batch: FilesBatch, new: Sequence[str], path: str, base: Schema) -> SchemaDriftError:
    """The error for new columns under the policy `freeze`."""
    several = len(new) > 1
    missing = [f.name for f in base.fields]
    return SchemaDriftError(
        f"{path} has {'columns' if several else 'a column'} that {batch.path} did not have: "
        + ", ".join(repr(n) for n in new),
        wanted=", ".join(str(f) for f in base.fields),
        got=", ".join(new),
        nearest=nearest(new[0], missing),
        hint="declare "
        + ("them" if several else "it")
        + " in schema, or let new columns in: TBLPROPERTIES ('qanat.schema_drift' = 'evolve')",
    )


METADATA = "_metadata"
FILE = "__qanat_file"
ROW = "__qanat_row"
RID = "__qanat_rid"
SOURCE = "__qanat_source"  # which source file a row comes from, also through tables: a number
ROW_BITS = 40  # a row identifier has the file's index above: up to 2^23 files of 2^40 rows
RESERVED = "__qanat_"


class BoundFiles(Frozen):
    """A batch of files that DuckDB can read.

    Args:
        relation: a SELECT of the visible columns, then `_metadata`, `__qanat_file`,
            `__qanat_row` and `__qanat_rid` (unique, and the same each time). It may be evaluated
            many times, on the connection that it was bound on.
        schema: the visible columns.
        malformed: a SELECT of (file, row, raw, error); None if every row could be parsed.
        rows: the number of rows in `relation`; None if counting them would cost a scan.
        wider: finds the columns with values that do not fit, and types in which more of them do.
        widened: True if it has been asked, and columns have these types now.
        missing: see `BatchColumns`.
        counted: by path, the files of which `__qanat_row`, and `row` of a malformed row, are the
            row's number, but may be another line.
    """

    relation: str
    schema: Schema
    malformed: str | None
    rows: int | None
    wider: Callable[[], Mapping[str, DataType]] | None = None
    widened: bool = False
    missing: tuple[str, ...] = ()
    counted: Mapping[str, LinesOf] = field(default_factory=dict)


class OnePass(Frozen):
    """A batch of files that DuckDB reads while it computes, without a copy of their rows.

    Args:
        relation: a SELECT of the visible columns and `_metadata`, to be evaluated once, on the
            connection that it was bound on. It raises a `duckdb.Error` at a value that does not
            fit its column.
        schema: the visible columns.
        complete: tells, after `relation` was evaluated, whether it gave every row of the files.
        missing: see `BatchColumns`.
        count: tells how many rows there are; None if only a query that gives all of them may read
            the batch, as it does not look at rows that a condition leaves out.
        path: SQL for the path of a row's file, of `_metadata`.
    """

    relation: str
    schema: Schema
    complete: Callable[[], bool]
    missing: tuple[str, ...] = ()
    count: Callable[[], int] | None = None
    path: str = f"{METADATA}.file_path"


class FileTable(Frozen):
    """The files of a batch by their index, stored in session variables of DuckDB.

    DuckDB folds variables into the plan as constants, so a metadata column that no query reads
    costs nothing, and the SQL stays short with 10,000 paths.

    Args:
        con: the connection that reads them.
        name: of the batch.
        files: the files.
        partitions: the columns that come from the names of their folders.
        declared, inference: types that the author chose; which ones other columns get.
    """

    con: duckdb.DuckDBPyConnection
    name: str
    files: tuple[LocalFile, ...]
    partitions: Partitions
    declared: Schema = NO_COLUMNS
    inference: Inference = OWN
    _made: set[str] = field(default_factory=set)

    @property
    def carried(self) -> Mapping[str, str]:
        """Columns, with their types, that `hidden` needs of every row besides; none for files."""
        return {}

    @property
    def stored(self) -> Mapping[str, str]:
        """SQL by name for what files have besides: what is carried, a row's place, its `raw`."""
        return {}

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
        if "path" in self._made:
            made = literal(f"qanat_{self.name}_path")
            return f"getvariable({made})[CAST({index} AS BIGINT) + 1]"
        return self.at("path", [f.path for f in self.files], "VARCHAR", index)

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
        names = [f.path.rstrip("/").rpartition("/")[2] for f in self.files]
        name = self.at("name", names, "VARCHAR", index)
        size = self.at("size", [f.size for f in self.files], "BIGINT", index)
        micros = self.at("micros", [f.modified_ns // 1000 for f in self.files], "BIGINT", index)
        time = f"CAST(make_timestamp({micros}) AS TIMESTAMPTZ)"
        return (
            f"struct_pack(file_path := {path}, file_name := {name}, file_size := {size}, "
            f"file_modification_time := {time}) AS {METADATA}"
        )


def is_reserved(name: str) -> bool:
    """True if Qanat keeps a name for itself: `_metadata`, and all that begin with `__qanat_`."""
    folded = fold(name)
    return folded == METADATA or folded.startswith(RESERVED)


def check_names(names: Sequence[str], path: str) -> None:
    """Refuse columns with names that Qanat reserves.

    Args:
        names: the columns' names.
        path: the file or folder, for the message.

    Raises:
        OptionError: a column is called `_metadata` or `__qanat_…`.
    """
    for name in names:
        if is_reserved(name):
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
    carried = "".join(
        f"CAST(NULL AS {type_}) AS {name}, " for name, type_ in table.carried.items()
    )
    return f"SELECT {columns}{table.hidden('0', '0')} FROM (SELECT {carried}0 AS file) WHERE false"


def by_row(relation: str) -> str:
    """Rows that were put together from parts, in the order in which their sources have them.

    A table gets them in this order, and of equal ones UNIQUE keeps the first.

    Args:
        relation: as in `BoundFiles`.
    """
    return f"SELECT * FROM ({relation}) ORDER BY {RID}"


def nullable(fields: Sequence[Field]) -> Schema:
    """The columns with NULL allowed in each: files may lack any value."""
    return Schema(tuple(Field(f.name, f.type, comment=f.comment) for f in fields))
