"""Bind the inputs of an epoch to names, and remember where their rows came from."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from datafusion import DataFrame, Expr, SessionContext, col, functions, lit

from qanat.errors import UnsupportedError
from qanat.model.name import Names
from qanat.model.work import ArrowBatch, Batch, FilesBatch, TableBatch, ViewBatch
from tests.conformance.datafusion_engine.columns import arrow_schema, quote, to_arrow
from tests.conformance.datafusion_engine.faults import explained
from tests.conformance.datafusion_engine.positions import AT
from tests.conformance.datafusion_engine.write import NULL_FOLDER

_ROW_BITS = 40


class Inputs:
    """What has been bound to a session.

    Each input is a view of its name. One that has positions is also a view of its name and
    `__at`, with the column `__qanat_at` besides its own.
    """

    def __init__(self, session: SessionContext) -> None:
        self.session = session
        self.bound: set[str] = set()
        self.files: dict[str, tuple[str, ...]] = {}

    def bind(self, name: str, batch: Batch) -> DataFrame:
        """Make a batch known by a name."""
        with explained(None):
            match batch:
                case TableBatch():
                    frame = self._table(name, batch)
                case ArrowBatch():
                    frame = self.session.from_arrow(batch.open())
                case ViewBatch(view):
                    frame = self.session.table(quote(view_name(view)))
                case FilesBatch(format=format):
                    raise UnsupportedError(f"this engine does not read {format} files itself")
            self.session.register_view(quote(name), frame)
        self.bound.add(name)
        return frame

    def source(self, name: str, at: int) -> dict[str, str | int]:
        """Which row of which file of an input a row came from."""
        return {"file": self.files[name][at >> _ROW_BITS], "row": at & ((1 << _ROW_BITS) - 1)}

    def _table(self, name: str, batch: TableBatch) -> DataFrame:
        """A table's files one below the other, each row with its position."""
        frames = [self._file(batch, number) for number in range(len(batch.files))]
        if not frames:
            positioned = arrow_schema(batch.schema).append(pa.field(AT, pa.int64()))
            frames = [self.session.from_arrow(positioned.empty_table())]
        while len(frames) > 1:  # as a tree: DataFusion plans by recursion
            pairs = zip(frames[::2], frames[1::2], strict=False)
            frames = [a.union(b) for a, b in pairs] + frames[len(frames) & ~1 :]
        self.files[name] = batch.files
        self.session.register_view(quote(f"{name}__at"), frames[0])
        return frames[0].drop(AT)

    def _file(self, batch: TableBatch, number: int) -> DataFrame:
        path = batch.files[number]
        frame = self.session.read_parquet(path)
        have = Names(frame.schema().names)
        own = len(batch.partition_by)
        folders = Path(path).parent.parts[-own:] if own else ()
        keys = dict(zip(batch.partition_by, map(_value, folders), strict=True))
        keys |= _told(batch, number)

        def column(name: str) -> Expr:
            if name in keys:
                return lit(keys[name])
            stored = have.find(name)
            # A column that joined the table later is not in its older files.
            return lit(None) if stored is None else col(quote(stored))

        columns = [
            column(f.name).cast(to_arrow(f.type)).alias(f.name) for f in batch.schema.fields
        ]
        position = lit(number << _ROW_BITS) + functions.row_number().cast(pa.int64())
        return frame.select(*columns, position.alias(AT))


def view_name(view: str) -> str:
    """The relation of a temporary view: a function's parameter may have the view's own name."""
    return f"__view_{view}"


def _value(folder: str) -> str | None:
    text = folder.partition("=")[2]
    return None if text == NULL_FOLDER else unquote(text)


def _told(batch: TableBatch, number: int) -> dict[str, str | None]:
    """The columns that a file of a batch lacks, and their values."""
    for part in batch.narrower:
        if number < len(part.files):
            return _told(part, number)
        number -= len(part.files)
    return {name: values[number] for name, values in batch.told.items()}
