"""Partition columns in SQL: their types, and each file's value."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.cast import ISO, Evidence, Formats, evidence, from_text
from qanat.errors import SchemaDriftError
from qanat.model.schema import DataType, Field


def is_folder(table: FileTable, name: str) -> bool:
    """True if a column comes from folder names."""
    return any(name.casefold() == n.casefold() for n in table.partitions.names)


def folder_types(table: FileTable, names: Sequence[str]) -> dict[str, DataType]:
    """The narrowest type of each column of `names` that comes from folder names."""
    types: dict[str, DataType] = {}
    for name, values in table.partitions.columns:
        if name in names:
            found = Evidence()
            [row] = table.con.execute(
                f"SELECT {evidence('v')} FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS v)",
                [list(values)],
            ).fetchall()
            found.add(row[0], row[1:])
            types[name] = found.type
    return types


def folder_value(table: FileTable, field: Field, index: str, formats: Formats = ISO) -> str:
    """SQL for a partition column's value in the file at `index`.

    Raises:
        SchemaDriftError: the value in a folder's name does not fit the column's type.
    """
    names = [n.casefold() for n in table.partitions.names]
    place = names.index(field.name.casefold())
    values = table.partitions.columns[place][1]
    variable = table.variable(f"folder{place}", values, "VARCHAR")
    bad = table.con.execute(
        f"SELECT v FROM (SELECT unnest({variable}) AS v) WHERE v IS NOT NULL "
        f"AND {from_text('v', field.type, formats)} IS NULL LIMIT 1"
    ).fetchall()
    if bad:
        file = table.files[values.index(bad[0][0])]
        raise SchemaDriftError(
            f"{file.path} lies in a folder whose {field.name!r} does not fit the column",
            wanted=str(field.type),
            got=str(bad[0][0]),
            hint="declare the column as string in schema",
        )
    return from_text(f"{variable}[CAST({index} AS BIGINT) + 1]", field.type, formats)
