"""Files with the same typed columns, which are read together."""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.model.schema import STRING, DataType
from qanat.text import quote


class Column(Frozen):
    """One column of a group.

    Args:
        name: its name in the files.
        source: its DuckDB type.
        type: the model's type; string if Delta cannot store the DuckDB type.
    """

    name: str
    source: str
    type: DataType

    @property
    def value(self) -> tuple[str, str, DataType]:
        """SQL for the value, its DuckDB type and its model type.

        A value whose type Delta cannot store is cast to text.
        """
        text = f"t.{quote(self.name)}"
        if self.type == STRING and self.source != "VARCHAR":
            return f"CAST({text} AS VARCHAR)", "VARCHAR", STRING
        return text, self.source, self.type


class Group(Frozen):
    """Files with the same schema.

    Args:
        indexes: the files, by index in the batch.
        columns: their columns.
        scan: SQL for FROM that reads them.
        rows: their number of rows.
        strange: names of columns that may have a day or time outside the years 1 to 9999.
    """

    indexes: tuple[int, ...]
    columns: tuple[Column, ...]
    scan: str
    rows: int
    strange: frozenset[str]
