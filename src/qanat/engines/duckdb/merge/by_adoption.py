"""What becomes of rows that another environment's table has: they stay as they are."""

from __future__ import annotations

from dataclasses import replace

from qanat.engines.duckdb.files.bound import RESERVED, RID
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Taken, Target
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, make
from qanat.engines.duckdb.typenames import from_duckdb
from qanat.errors import UnsupportedError, full_refresh
from qanat.model.adopted import Adopted
from qanat.model.schema import Field, Schema
from qanat.model.work import TableBatch
from qanat.text import literal

_ADOPTED, _BESIDE = "__qanat_adopted", "__qanat_beside"


class ByAdoption(Becoming[Adopted]):
    """Rows that come with their hidden columns, and with the events beside them."""

    def target(self, select: str) -> Target:
        """The columns of the table there, with those that its readers do not see."""
        del select
        batch = self._batch
        hidden = tuple(self._hidden(batch))
        stored = Schema((*batch.schema.fields, *hidden))
        return Target(batch.schema, stored, batch.schema.names[:1], hidden=hidden)

    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`: all rows are new."""
        del select, stored, given
        target = self.target("")
        batch = replace(self._batch, schema=target.stored)
        columns = columns_in(target.stored.names)
        rows = self.bindings.bind(_ADOPTED, batch).plain
        make(self.con, FRESH, f"SELECT {columns}, NULL::BIGINT AS {RID} FROM ({rows})", "VIEW")
        make(self.con, GONE, f"SELECT * FROM {FRESH} WHERE false")
        return Taken(count_of(self.con, FRESH))

    def untold(self) -> tuple[str, Schema] | None:
        """SELECT text and columns of the events that are kept beside the rows there."""
        events = self.merge.events
        if not isinstance(events, TableBatch):
            return None
        return self.bindings.bind(_BESIDE, events).plain, events.schema

    @property
    def _batch(self) -> TableBatch:
        batch = self.merge.adopts
        if isinstance(batch, TableBatch):
            return batch
        raise UnsupportedError(
            f"{self.work.dataset} cannot be taken over: the files of its table are not plain"
            " Parquet (another tool has deleted single rows, or renamed columns)",
            location=self.work.query.location,
            hint=f"start over: {full_refresh(self.work.dataset)}",
        )

    def _hidden(self, batch: TableBatch) -> list[Field]:
        """The columns of the files that are none of the table; all files have the same."""
        batch.ready()
        if not batch.files:
            return []
        file = literal(batch.files[0])
        found = self.con.sql(
            f"SELECT * FROM read_parquet({file}, hive_partitioning = false) LIMIT 0"
        )
        types = zip(found.columns, found.types, strict=True)
        return [Field(n, from_duckdb(t)) for n, t in types if n.startswith(RESERVED)]
