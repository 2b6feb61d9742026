"""Rows of tables written again in other files: small ones together, in their order or sorted.

No row changes, and none is lost: each new file is counted against those that it replaces.

**Clustered tables.** By one column, rows are sorted. By several, they are in Z-order: of each
column the rank of a value, in 1024 steps, and the bits of all ranks in turn. Then the row groups
of a file, and the files, have narrow bounds in each of the columns, by which readers leave them
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from qanat.engines.duckdb.files.bound import FILE, RID, ROW, SOURCE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.pieces import SEQUENCE
from qanat.engines.duckdb.order import keep_sorted, keeping_order
from qanat.engines.duckdb.places import PLACE, Placed
from qanat.engines.duckdb.sources import by_name
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.typenames import from_duckdb
from qanat.engines.duckdb.write import check_rewritten, write
from qanat.errors import InvariantError
from qanat.model.schema import Field, Schema
from qanat.model.staged import Counts, DataFile, Staged, StagedTable
from qanat.model.upkeep import Bin
from qanat.model.work import Output, TableBatch
from qanat.text import literal, quote

_BITS = 10
"""Of the rank of a value in Z-order."""
_SORTED = "__qanat_sorted"


class Rearrange(Staging):
    """The staging of the same rows in other files."""

    __slots__ = ()

    def _run(self) -> Staged:
        """Stage the files."""
        layout, output = self.work.rearranged, self.work.output
        if layout is None:
            raise InvariantError("there is nothing to write again")
        written: list[DataFile] = []
        for number, each in enumerate(layout.bins):
            mark = f"-{each.name}" if each.name else ""
            prefix = f"{output.prefix}{mark}-{number:06d}"
            folder = output.folder / each.folder if each.folder else output.folder
            one = Output(folder, prefix)
            files = self._bin(number, each, one, layout.clustered)
            written += (_placed(f, each) for f in files)
        removed = tuple(path for b in layout.bins for path in b.files)
        table = StagedTable(output.schema, (), rewritten=tuple(written), removed=removed)
        return Staged(table, Counts(), ())

    def _bin(
        self, number: int, wanted: Bin, output: Output, clustered: Sequence[str]
    ) -> Iterator[DataFile]:
        files = TableBatch(
            wanted.files,
            wanted.schema,
            (),
            wanted.fetch,
            deleted=wanted.deleted,
            moments=wanted.moments,
        )
        batch, sourced = self._with_hidden(files)
        bindings = Bindings(self.con, self.work.scratch)
        # Within a partition files stay in order, but not among those of others.
        scattered = self.work.ordered and bool(clustered or wanted.folder)
        scattered = scattered and batch.schema.get(SEQUENCE) is None
        placed = Placed.ALWAYS if scattered else Placed.IF_TOLD
        bound = bindings.bind(f"__rearranged_{number}", batch, sourced, placed)
        rows, told = bound.plain, PLACE in bound.hidden
        if sourced or told:
            rows = f"SELECT * EXCLUDE ({FILE}, {ROW}, {RID}) FROM ({bound.full})"
        before = self._number(rows)
        after = 0
        with keeping_order(self.con):
            selects = self._sorted(rows, clustered, wanted.parts, before) if clustered else [rows]
            for part, select in enumerate(selects):
                one = replace(output, prefix=f"{output.prefix}-{part:04d}")
                table = write(self.con, select, batch.schema, one, told)
                after += table.rows
                yield from table.files
        if clustered:
            self.con.execute(f"DROP TABLE {_SORTED}")
        check_rewritten(after, before)

    def _with_hidden(self, batch: TableBatch) -> tuple[TableBatch, bool]:
        """The files with the column that they have and the table has not; and whether their rows
        tell which source file they come from."""
        batch.ready()
        paths = ", ".join(map(literal, batch.files))
        found = self.con.sql(
            f"SELECT * FROM read_parquet([{paths}], union_by_name = true,"
            " hive_partitioning = false) LIMIT 0"
        )
        types = dict(zip(found.columns, found.types, strict=True))
        if SEQUENCE not in types:
            return batch, SOURCE in types or any(by_name(f) is not None for f in batch.files)
        hidden = Field(SEQUENCE, from_duckdb(types[SEQUENCE]))
        return replace(batch, schema=Schema((*batch.schema.fields, hidden))), False

    def _sorted(self, rows: str, columns: Sequence[str], parts: int, total: int) -> list[str]:
        """Sort rows; SELECT texts of as many parts of them."""
        names = keep_sorted(self.con, _SORTED, _by(rows, columns))
        bounds = [total * n // parts for n in range(parts + 1)]
        return [
            f"SELECT {names} FROM {_SORTED} WHERE rowid >= {low} AND rowid < {high}"
            for low, high in pairwise(bounds)
            if low < high
        ]

    def _number(self, rows: str) -> int:
        row = self.con.execute(f"SELECT count(*) FROM ({rows})").fetchone()
        return int(row[0]) if row else 0


def _by(rows: str, columns: Sequence[str]) -> str:
    """SELECT text of rows sorted by one column, or in Z-order by several."""
    if len(columns) == 1:
        return f"SELECT * FROM ({rows}) ORDER BY {quote(columns[0])} NULLS LAST"
    ranks = [f"__qanat_rank_{n}" for n in range(len(columns))]
    steps = (1 << _BITS) - 1
    ranked = ", ".join(
        f"CAST(floor(percent_rank() OVER (ORDER BY {quote(c)} NULLS LAST) * {steps}) AS BIGINT)"
        f" AS {rank}"
        for c, rank in zip(columns, ranks, strict=True)
    )
    bits = min(_BITS, 62 // len(columns))
    place = " | ".join(
        f"((({rank} >> {_BITS - bits + bit}) & 1) << {bit * len(ranks) + len(ranks) - 1 - n})"
        for n, rank in enumerate(ranks)
        for bit in range(bits)
    )
    hidden = ", ".join(ranks)
    return f"SELECT * EXCLUDE ({hidden}) FROM (SELECT *, {ranked} FROM ({rows})) ORDER BY {place}"


def _placed(file: DataFile, wanted: Bin) -> DataFile:
    """A file as the table knows it: in its partition, and with its place among the others."""
    path = f"{wanted.folder}/{file.path}" if wanted.folder else file.path
    return replace(
        file,
        path=path,
        partition_values=wanted.partition_values,
        since_ms=wanted.since_ms,
    )
