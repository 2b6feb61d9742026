"""All rows of a quarantine for other programs, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from qanat.model.name import fold
from qanat.model.pipeline import QUARANTINE, Drift
from qanat.model.schema import NO_COLUMNS, STRING, Field, Primitive, Schema
from qanat.model.work import Batch, FilesBatch, LocalFile, TableBatch
from qanat.ports.engine import Reading
from qanat.run.origins import ORIGIN, find_origins
from qanat.run.query import condition_of, query
from qanat.run.scratch import make_folder
from qanat.run.session import Session
from qanat.run.stored import Stored, stored
from qanat.text import literal

_ORIGINS = "_quarantine_origins"
_COLUMNS = Schema((Field("file", STRING), Field("row", Primitive("long")), ORIGIN))


def asks_origin(where: str | None) -> bool:
    """True if a condition names the column that tells where a row comes from."""
    return ORIGIN.name in fold(where or "")


class QuarantineExport:
    """The rows of a quarantine with one more column, to be read any number of times.

    Args:
        where: only rows for which this condition, in the project's dialect, is true.
        rule: only rows that broke this one.
        version: of the quarantine; default: as it is.
    """

    def __init__(
        self,
        session: Session,
        dataset: str,
        where: str | None = None,
        rule: str | None = None,
        version: int | None = None,
    ) -> None:
        self._session, self._dataset, self._where = session, dataset, where
        self._version = version
        conditions = [f"_quarantine_rules[{literal(rule)}] IS NOT NULL"] if rule else []
        # The author's condition may end in a -- comment.
        condition = f"({where}\n)" if where else "true"
        # To ask where rows come from, all have to be traced.
        asks = asks_origin(where)
        conditions += [] if asks else [condition]
        self._chosen = f"SELECT * FROM self WHERE {' AND '.join(conditions) or 'true'}"
        self._traced = condition if asks else "true"

    @contextmanager
    def read(self, limit: int | None) -> Iterator[Reading]:
        """The rows while the block lasts.

        Raises:
            TableNotFoundError: no row was ever put there.
            DeclarationError: the condition does not fit the table.
        """
        if self._where:
            # It tells what is wrong in the user's words, and where.
            where = condition_of(self._session, self._where)
            columns = Schema((*self._table.snapshot.schema.fields, ORIGIN))
            self._session.engine.fetch(TableBatch((), columns), 0, where)
        text = (
            f"SELECT * FROM (SELECT q.*, o.{ORIGIN.name} FROM ({self._chosen}) AS q "
            f"LEFT JOIN {_ORIGINS} AS o ON o.file = q._quarantine_source.file "
            f"AND o.row = q._quarantine_source.row) WHERE {self._traced}"
        )
        beside: Mapping[str, Batch] = {_ORIGINS: self._origins}
        with query(self._session, text, limit, self._table, beside) as reading:
            yield reading

    def count(self) -> int:
        """How many rows there are."""
        with self.read(None) as reading:
            return sum(len(chunk) for chunk in reading.chunks())

    def write_origins(self, folder: Path) -> Path:
        """Write where rows come from into a Parquet file: `file`, `row` and `ORIGIN`."""
        target = folder / f"{_ORIGINS}-{uuid4().hex}.parquet"
        beside: Mapping[str, Batch] = {_ORIGINS: self._origins}
        with query(self._session, f"SELECT * FROM {_ORIGINS}", beside=beside) as reading:
            reading.write(target)
        return target

    @cached_property
    def _table(self) -> Stored:
        return stored(self._session, f"{self._dataset}{QUARANTINE}", self._version)

    @cached_property
    def _origins(self) -> Batch:
        """Where each row comes from, by the file and row that the quarantine has noted."""
        text = f"SELECT DISTINCT q._quarantine_source AS place FROM ({self._chosen}) AS q"
        with query(self._session, text, None, self._table) as reading:
            places = [place for chunk in reading.chunks() for (place,) in chunk if place]
        found = find_origins(self._session, ((p["file"], p["row"]) for p in places if p["file"]))
        folder = self._session.scratch / f"export-{uuid4().hex}"
        make_folder(folder)
        target = folder / "origins.ndjson"
        with target.open("w", encoding="utf-8") as file:
            for (path, row), origin in found.items():
                line = {"file": path, "row": row, ORIGIN.name: origin.value}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        local = LocalFile(str(target), str(target), target.stat().st_size, 0)
        return FilesBatch((local,), "ndjson", (), _COLUMNS, NO_COLUMNS, Drift.EVOLVE, str(target))
