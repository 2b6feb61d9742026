"""Compare a dataset's columns with what contracts promise of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qanat.errors import BreakingChangeError, QanatError, nearest
from qanat.model.contract import Promise, PromisedColumn
from qanat.model.name import Names, same
from qanat.model.pipeline import Dataset
from qanat.model.schema import Array, DataType, Decimal, MapType, Primitive, Schema, Struct

_LOGICAL = {
    "string": ("string", "binary"),
    "integer": ("byte", "short", "integer", "long"),
    "number": ("byte", "short", "integer", "long", "float", "double"),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamp", "timestamp_ntz"),
}


def breaches(
    promises: Sequence[Promise], dataset: Dataset, schema: Schema, lacks: Sequence[str] = ()
) -> Iterator[QanatError]:
    """An error for each promised column that a dataset has no longer, or of another type.

    Args:
        promises: of all datasets.
        schema: the dataset's columns, as its queries give them.
        lacks: columns that its table has, and its queries no longer give.
    """
    gone = Names(lacks)
    for promise in promises:
        if not same(promise.dataset, dataset.name):
            continue
        for column in promise.columns:
            found = schema.get(column.name)
            told = f"{dataset.name}.{column.name}"
            if found is None or column.name in gone:
                yield BreakingChangeError(
                    f"breaking: {told} is gone",
                    location=dataset.location,
                    wanted=f"column {column.name} (contract {promise.contract})",
                    nearest=nearest(column.name, schema.names),
                    hint=f"keep the contract, or change it and its version: {column.at}",
                )
            elif not _fits(found.type, column):
                yield BreakingChangeError(
                    f"breaking: the type of {told} is now {found.type}",
                    location=dataset.location,
                    wanted=f"{column.type or column.logical} (contract {promise.contract})",
                    hint=f"keep the contract, or change it and its version: {column.at}",
                )


def _fits(found: DataType, column: PromisedColumn) -> bool:
    if column.type is not None:
        return found == column.type
    logical = column.logical
    if logical in (None, "time", "vector"):
        return True
    if isinstance(found, Decimal):
        return logical == "number" or (logical == "integer" and not found.scale)
    nested = {"object": Struct, "map": MapType, "array": Array}
    if logical in nested:
        return isinstance(found, nested[logical])
    return isinstance(found, Primitive) and found.name in _LOGICAL.get(str(logical), ())
