"""Where rows of a table's files come from: the rows that their epoch gives now are compared.

A row that is written to a table keeps no note of the line that it was; that would cost every row
for the few that are ever asked about. So the epoch is computed again, with the positions that its
inputs have, and a row comes from where a row of the same values comes from now. Where several rows
are alike, their numbers tell them apart if all rows are in the same order as in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qanat.engines.duckdb.files.bound import FILE, RID, ROW
from qanat.engines.duckdb.order import keep_order
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.tables import Bound
from qanat.model.query import SqlQuery
from qanat.model.work import Batch
from qanat.ports.engine import RowOrigin, RowPlace
from qanat.text import quote

_PLACES, _WANTED, _GIVEN = "__qanat_places", "__qanat_wanted", "__qanat_given"


class Tracing(Staging):
    """The search for the places that rows of one epoch come from. Nothing is staged."""

    __slots__ = ()

    def origins(
        self, written: Batch, rows: Sequence[RowPlace]
    ) -> Mapping[RowPlace, RowOrigin] | None:
        """See `qanat.ports.engine.Engine.origins`."""
        work = self.work
        if not all(isinstance(q, SqlQuery) for q in (work.query, *(v.query for v in work.views))):
            return None  # functions are not called for a look
        self._bind_inputs()
        keep_order(self.con, work.inputs.values(), work.ordered)
        found = self._without_failing(lambda: self._origins(written, rows))
        return None if found is None else self._with_lines(found)

    def _with_lines(self, found: Mapping[RowPlace, RowOrigin]) -> dict[RowPlace, RowOrigin]:
        """The places by lines, of files of which rows were counted."""
        counted, numbers = self.bindings.counted, dict[str, set[int]]()
        for origin in found.values():
            if origin.file in counted:
                numbers.setdefault(origin.file, set()).add(origin.row)
        lines = {file: counted[file](wanted) for file, wanted in numbers.items()}
        return {
            place: replace(o, row=lines.get(o.file, {}).get(o.row, o.row))
            for place, o in found.items()
        }

    @property
    def _traced(self) -> bool:
        return True

    def _origins(
        self, written: Batch, rows: Sequence[RowPlace]
    ) -> Mapping[RowPlace, RowOrigin] | None:
        for view in self.work.views:
            self._view(view)
        result, fitted = self._compiled()
        if FILE not in result.hidden:
            return None
        bound = self.bindings.bind("__qanat_written", written)
        names = fitted.schema.names
        hidden = ", ".join(result.hidden)
        given = f"SELECT {fitted.projection}, {hidden} FROM ({result.select})"
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_PLACES} AS "
            "SELECT unnest(?::VARCHAR[]) AS file, unnest(?::BIGINT[]) AS number",
            [[file for file, _ in rows], [row for _, row in rows]],
        )
        self._make(
            _WANTED,
            f"SELECT {', '.join(map(quote, names))}, {FILE}, {ROW} FROM ({bound.full}) "
            f"WHERE ({FILE}, {ROW}) IN (SELECT (file, number) FROM {_PLACES})",
        )
        found = self.con.execute(
            f"SELECT w.{FILE}, w.{ROW}, arg_min(g.{FILE}, (g.{FILE}, g.{ROW})), "
            f"arg_min(g.{ROW}, (g.{FILE}, g.{ROW})), count(*) "
            f"FROM {_WANTED} AS w JOIN ({given}) AS g ON {_alike('w', 'g', names)} GROUP BY ALL"
        ).fetchall()
        origins = {(f, r): RowOrigin(file, row, alike) for f, r, file, row, alike in found}
        if any(o.alike > 1 for o in origins.values()) and RID in result.hidden:
            origins |= self._numbered(given, bound, names, rows)
        return origins

    def _numbered(
        self, given: str, bound: Bound, names: Sequence[str], rows: Sequence[RowPlace]
    ) -> dict[RowPlace, RowOrigin]:
        """The places by the rows' numbers, if one file has just the rows that there are now.

        Args:
            given: SELECT text of the rows that there are now.
        """
        files = {file for file, _ in rows}
        if len(files) > 1:
            return {}
        self._make(
            _GIVEN,
            f"SELECT *, row_number() OVER (ORDER BY {RID}) AS __qanat_number FROM ({given})",
        )
        (counts,) = self.con.execute(
            f"SELECT (SELECT count(*) FROM {_GIVEN}), (SELECT count(*) FROM ({bound.full})), "
            f"(SELECT count(*) FROM ({bound.full}) AS w JOIN {_GIVEN} AS g "
            f"ON w.{ROW} = g.__qanat_number AND {_alike('w', 'g', names)})"
        ).fetchall()
        if len(set(counts)) > 1:
            return {}
        found = self.con.execute(
            f"SELECT __qanat_number, {FILE}, {ROW} FROM {_GIVEN} "
            f"WHERE __qanat_number IN (SELECT number FROM {_PLACES})"
        ).fetchall()
        (written,) = files
        return {(written, number): RowOrigin(file, row) for number, file, row in found}

    def _make(self, name: str, select: str) -> None:
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}")


def _alike(left: str, right: str, names: Sequence[str]) -> str:
    """SQL that is true of rows with the same values."""
    return " AND ".join(
        f"{left}.{quote(n)} IS NOT DISTINCT FROM {right}.{quote(n)}" for n in names
    )
