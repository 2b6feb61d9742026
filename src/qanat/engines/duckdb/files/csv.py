"""CSV files: grouped by dialect and header, read by DuckDB or, where it errs, with care."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb

from qanat.engines.duckdb.files.again import Kept, KeptSalvage
from qanat.engines.duckdb.files.bound import (
    BatchColumns,
    BoundFiles,
    FileTable,
    OnePass,
    expected,
    is_folder,
    lay_out,
)
from qanat.engines.duckdb.files.cast import (
    Formats,
    Value,
    failed,
    typed_columns,
)
from qanat.engines.duckdb.files.counted import LinesOf
from qanat.engines.duckdb.files.dialect import Dialect, chosen, formats, infers
from qanat.engines.duckdb.files.folders import contradiction, folder_types
from qanat.engines.duckdb.files.groups import Group, present, raw, sought
from qanat.engines.duckdb.files.heads import Head, read_heads
from qanat.engines.duckdb.files.infer import Seen, survey
from qanat.engines.duckdb.files.many import beside, text_values
from qanat.engines.duckdb.files.records import LIMIT, may_have_long_lines
from qanat.engines.duckdb.files.salvage import MANY, SMALL, Salvage, lines_of
from qanat.engines.duckdb.files.sniff import Sniffer
from qanat.engines.duckdb.files.spool import Spools, blaming
from qanat.engines.duckdb.files.trust import look
from qanat.errors import FileUnreadableError
from qanat.model.name import Named
from qanat.model.schema import DataType
from qanat.model.work import FilesBatch
from qanat.text import literal, quote

SAMPLE = 20480
"""Rows that types are inferred from, together."""

_SAMPLED_FILES = 5
_PARALLEL = 256 * 1024
"""Bytes of a file that DuckDB gives to one thread in any case."""
_NAMED_RETRIES = 5


def bind_csv(table: FileTable, batch: FilesBatch, scratch: Path) -> BoundFiles:
    """Read CSV files into spools.

    Raises:
        SchemaDriftError: a new column under `freeze`.
        FileUnreadableError: a file cannot be opened or decompressed.
    """
    with blaming(batch.files, "csv"):
        reader, heads = _open(table, batch, scratch)
        return reader.read(heads)


def pass_csv(table: FileTable, batch: FilesBatch, scratch: Path) -> OnePass | None:
    """CSV files to be read once, in place; None if a look at their heads shows trouble.

    Raises:
        SchemaDriftError, FileUnreadableError: as for `bind_csv`.
    """
    with blaming(batch.files, "csv"):
        reader, heads = _open(table, batch, scratch)
        return reader.pass_by(heads)


def bind_csv_again(table: FileTable, batch: FilesBatch, scratch: Path, kept: Kept) -> BoundFiles:
    """Parse texts of rows of CSV files again (see `again.bind_again`).

    Raises:
        SchemaDriftError, FileUnreadableError: as for `bind_csv`.
    """
    with blaming(batch.files, "csv"):
        reader, heads = _open(table, batch, scratch)
        manners = {h.index: h.manner for h in heads}
        reader.salvage = KeptSalvage(table, scratch, chosen(dict(batch.options)), kept, manners)
        return reader.read(heads, careful=True)


def _open(table: FileTable, batch: FilesBatch, scratch: Path) -> tuple[_Reader, list[Head]]:
    options = dict(batch.options)
    sniffer = Sniffer(table.con, options, expected(batch))
    heads = read_heads(batch, sniffer, table.partitions.names)
    return _Reader(table, batch, scratch, sniffer.base, heads), heads


class _Reader:
    def __init__(
        self, table: FileTable, batch: FilesBatch, scratch: Path, base: Dialect,
        heads: Sequence[Head],
    ) -> None:  # fmt: skip
        self.table, self.batch = table, batch
        options = dict(batch.options)
        self.formats: Formats = formats(options)
        self.infers = infers(options)
        self.heads = {h.index: h for h in heads}
        self._uneven: set[int] = set()
        self.salvage: Salvage = Salvage(table, scratch, base, {h.index: h.manner for h in heads})
        self.scratch = scratch

    def read(self, heads: Sequence[Head], careful: bool = False) -> BoundFiles:
        groups: list[Group] = []
        doubtful = [head.index for head in heads]
        if not careful:
            groups, doubtful = self._group(heads, lines=True)
        groups += self._careful(doubtful)
        spools = Spools(self.table, self._layout(heads, groups), self.scratch)
        dirty: set[int] = set()
        for group in groups:
            for scan in self._scans(group):
                dirty |= self._spool(spools, scan)
        again = self._careful(sorted(dirty))
        for group in again:
            self._spool(spools, group)
        spools.bad += self.salvage.finish()
        counted = dict(map(self._counted, self._uneven - dirty))
        return replace(spools.bind(self.formats), counted=counted)

    def _counted(self, index: int) -> tuple[str, LinesOf]:
        head, path = self.heads[index], self.batch.files[index].path
        return path, partial(lines_of, head.local, head.manner, len(head.names), head.skip + 1)

    def pass_by(self, heads: Sequence[Head]) -> OnePass | None:
        """The rows of files that all have the same columns, without a spool.

        A value that does not fit ends the query that reads it: where it stands, and what else
        is wrong, only the spool can tell. Records that DuckDB refuses are in its rejects.
        """
        groups, doubtful = self._group(heads, lines=False)
        if len(groups) != 1 or doubtful:
            return None
        layout = self._layout(heads, groups)
        if layout.rescue or self.table.partitions.columns:
            return None
        (group,) = groups
        values, more = self._values(layout, group)
        self._forget_rejects()
        typed, checks = typed_columns(layout.fields, values)
        columns = "".join(f"v{i} AS {quote(f.name)}, " for i, f in enumerate(layout.fields))
        scans = self._scans(group)
        sources = (self._source(scan, str(n)) for n, scan in enumerate(scans))
        rows = beside(" UNION ALL ".join(sources), more)
        relation = (
            f"SELECT {columns}{self.table.metadata('file')} "
            f"FROM (SELECT {', '.join(['*', *typed])} FROM ({rows}))"
        )
        if checks:
            # DuckDB neither drops nor moves a filter with a side effect.
            stop = "CAST(error('a value does not fit') AS BOOLEAN)"
            # Cheap for rows without any NULL, which most files have.
            missing = " OR ".join(f"{check.result} IS NULL" for check in checks)
            wrong = f"CASE WHEN {missing} THEN {failed(checks)} ELSE false END"
            relation += f" WHERE CASE WHEN {wrong} THEN {stop} ELSE true END"
        lax = any(not scan.strict for scan in scans)
        return OnePass(
            relation, layout.schema, lambda: not (lax and self._rejects()), layout.missing
        )

    def _layout(self, heads: Sequence[Head], groups: Sequence[Group]) -> BatchColumns:
        found: Named[str] = Named()
        for head in heads:
            for name in head.names:
                if not is_folder(self.table, name):
                    found.setdefault(name, self.batch.files[head.index].path)
        for name in self.table.partitions.names:
            found.setdefault(name, self.batch.files[0].path)
        return lay_out(self.batch, found, lambda new: self._infer(new, groups))

    def _small(self, heads: Sequence[Head]) -> frozenset[int]:
        """Files so small that opening each costs DuckDB more than its rows cost us."""
        found = frozenset(h.index for h in heads if self.batch.files[h.index].size <= SMALL)
        return found if len(found) >= MANY else frozenset()

    def _group(self, heads: Sequence[Head], lines: bool) -> tuple[list[Group], list[int]]:
        """The files that DuckDB reads together, and those that have to be read with care.

        Args:
            lines: whether it matters on which lines their rows are.
        """
        small = self._small(heads)
        doubtful: list[int] = []
        quoted: set[int] = set()
        underscores = False
        found: dict[Group, list[tuple[int, str]]] = {}
        for head in heads:
            trusted = not head.odd and head.index not in small
            if trusted:
                seen = look(head.local, head.manner.dialect, head.skip, lines)
                trusted = seen.trusted
            if not trusted:
                doubtful.append(head.index)
                continue
            underscores |= seen.underscores
            if seen.quotes:
                quoted.add(head.index)
            if not seen.even:
                self._uneven.add(head.index)
            parallel = not seen.spans or self.batch.files[head.index].size < _PARALLEL
            alike = Group(
                head.names, head.manner.dialect, head.skip, (), seen.end, parallel=parallel
            )
            found.setdefault(alike, []).append((head.index, head.local))
        groups = [
            replace(alike, files=tuple(files), quoted=frozenset(quoted), underscores=underscores)
            for alike, files in found.items()
        ]
        return groups, doubtful

    def _careful(self, indexes: Iterable[int]) -> list[Group]:
        alike: dict[tuple[tuple[str, ...], Dialect], list[int]] = {}
        for index in indexes:
            head = self.heads[index]
            alike.setdefault((head.names, head.manner.dialect), []).append(index)
        groups = []
        for (names, dialect), files in alike.items():
            copy = self.salvage.rewrite(files, len(names))
            if copy is not None:
                groups.append(
                    Group(names, dialect, 0, ((files[0], copy),), parallel=False, careful=True)
                )
        return groups

    def _scans(self, group: Group) -> list[Group]:
        """The files of a group that one `read_csv` may read together.

        Of more than twice as many files as it has threads, DuckDB 2.0 skips what follows a quote
        that is never closed, and says nothing.
        """
        if group.careful:
            return [group]
        [(threads,)] = self.table.con.execute("SELECT current_setting('threads')").fetchall()
        together = 2 * int(threads)
        plain: list[tuple[int, str]] = []
        quoted: list[tuple[int, str]] = []
        long: list[tuple[int, str]] = []
        many = len(group.files) > together
        for index, local in group.files:
            size = self.batch.files[index].size
            if may_have_long_lines(local, group.dialect.compression, size):
                long.append((index, local))
            elif many and index in group.quoted:
                quoted.append((index, local))
            else:
                plain.append((index, local))
        parts = [plain, *(quoted[n : n + together] for n in range(0, len(quoted), together))]
        scans = [replace(group, files=tuple(files)) for files in parts if files]
        parts = [long[n : n + together] for n in range(0, len(long), together)]
        return scans + [replace(group, files=tuple(files), strict=True) for files in parts]

    def _scan(self, group: Group, more: str, purpose: str = "") -> str:
        """FROM text that reads a group as c0, c1, … of text."""
        columns = [f"'c{i}': 'VARCHAR'" for i in range(len(group.names))]
        if group.careful:
            columns += ["'file': 'INTEGER'", "'line': 'BIGINT'"]
            options = Dialect().options(0, group.end)
            if self.salvage.longest > 1 << 20:
                options += f", max_line_size = {4 * LIMIT}, buffer_size = {8 * LIMIT}"
        else:
            options = group.dialect.options(group.skip, group.end)
        if not group.parallel:
            options += ", parallel = false"
        paths = [path for _, path in group.files]
        files = self.table.variable(f"read{purpose}", paths, "VARCHAR")
        return f"read_csv({files}, columns = {{{', '.join(columns)}}}, {options}{more}) AS r"

    def _source(self, group: Group, purpose: str = "") -> str:
        """SELECT text of a group's columns, `file` and `line`; refused records are put aside.

        Args:
            purpose: tells it from others in the same statement.
        """
        tables, more = self.table.rejects, ""
        if not group.strict:
            more = (
                ", store_rejects = true, rejects_limit = 0, "
                f"rejects_table = {literal(tables[0])}, rejects_scan = {literal(tables[1])}"
            )
        line = "r.line" if group.careful else "CAST(NULL AS BIGINT)"
        index = "r.file"
        if not group.careful:
            indexes = [i for i, _ in group.files]
            index = self.table.at(f"index{purpose}", indexes, "INTEGER", "r.file_index")
        columns = "".join(f"r.c{i}, " for i in range(len(group.names)))
        scan = self._scan(group, more, purpose)
        return f"SELECT {columns}{index} AS file, {line} AS line FROM {scan}"

    def _forget_rejects(self) -> None:
        for name in self.table.rejects:
            self.table.con.execute(f"DROP TABLE IF EXISTS {quote(name)}")

    def _rejects(self) -> list[int]:
        """The files of which DuckDB has refused a record, by their place in the scan."""
        found = self.table.con.execute(
            f"SELECT DISTINCT file_id FROM {quote(self.table.rejects[0])}"
        ).fetchall()
        self._forget_rejects()
        return [file_id for (file_id,) in found]

    def _spool(self, spools: Spools, group: Group) -> set[int]:
        """Spool a group; returns the files that need care."""
        dirty: set[int] = set()
        layout, names = spools.layout, group.names
        extras = [(name, f"CAST(to_json(c{i}) AS VARCHAR)") for i, name in enumerate(names)
                  if name in layout.extras]  # fmt: skip
        texts = {name: present(f"c{i}", group) for i, name in enumerate(names)}
        fault = contradiction(self.table, layout, texts, self.formats) or "NULL"
        while group.files:
            self._forget_rejects()
            values, more = self._values(layout, group)
            try:
                source = beside(self._source(group), more)
                path = spools.write(source, values, extras, raw(group.dialect, len(names)), fault)
            except (duckdb.InvalidInputException, duckdb.NotImplementedException) as error:
                if group.careful:
                    raise
                stuck = _named(group, str(error)) if len(dirty) < _NAMED_RETRIES else group.files
                dirty |= {i for i, _ in stuck}
                left = tuple(f for f in group.files if f not in stuck)
                group = replace(group, files=left)
                continue
            places = [] if group.strict else self._rejects()
            rejected = [group.files[place][0] for place in places]
            if rejected and group.careful:
                raise FileUnreadableError(
                    f"cannot read {self.batch.files[rejected[0]].path} as csv",
                    hint="this is a defect of Qanat: a record it had found good was refused",
                )
            dirty |= set(rejected)
            if len(rejected) < len(group.files):
                spools.excluded |= set(rejected)
                first = dict.fromkeys((i for i, _ in group.files), group.skip + 1)
                spools.accept(path, first, group.careful)
            break
        self._forget_rejects()
        return dirty

    def _values(self, layout: BatchColumns, group: Group) -> tuple[list[Value | None], list[str]]:
        places = Named((name, i) for i, name in enumerate(group.names))
        found = (None if is_folder(self.table, n) else places.get(n) for n in layout.names)
        texts = [None if place is None else f"c{place}" for place in found]
        how = replace(self.formats, underscores=group.underscores)
        return text_values(
            layout.fields, texts, lambda t: present(t, group), lambda t: sought(t, group),
            self.batch.declared, how,
        )  # fmt: skip

    def _infer(self, new: Sequence[str], groups: Sequence[Group]) -> dict[str, DataType]:
        if not self.infers:
            return {}
        wanted = Named((name, Seen()) for name in new)
        chosen: list[tuple[Group, tuple[int, str]]] = []
        for group in groups:
            if any(n in wanted for n in group.names):
                chosen += [(group, f) for f in _spread(group.files, self.batch)]
        share = max(SAMPLE // max(len(chosen), 1), 100)
        for group, file in chosen:
            names = {f"c{i}": n for i, n in enumerate(group.names) if n in wanted}
            scan = self._scan(replace(group, files=(file,)), ", ignore_errors = true")
            rows = f"(SELECT * FROM {scan} LIMIT {share})"
            try:
                value = present("v", group)
                found = survey(self.table.con, rows, tuple(names), self.formats, value)
            except duckdb.InvalidInputException:
                continue  # the careful reader takes this file; the other files give the types
            for name, seen in zip(names.values(), found, strict=True):
                wanted[name] = wanted[name].merge(seen)
        types = {name: wanted[name].type_by(self.batch.inference) for name in new}
        return types | folder_types(self.table, new)


def _spread(files: Sequence[tuple[int, str]], batch: FilesBatch) -> list[tuple[int, str]]:
    """The first, the last and some in between; the largest too, since tiny ones tell little."""
    count = min(len(files), _SAMPLED_FILES)
    places = {round(k * (len(files) - 1) / max(count - 1, 1)) for k in range(count)}
    places.add(max(range(len(files)), key=lambda k: batch.files[files[k][0]].size))
    return [files[k] for k in sorted(places)]


def _named(group: Group, message: str) -> tuple[tuple[int, str], ...]:
    """The files that a message names; all of the group if it names none."""
    named = tuple(f for f in group.files if f"file = {f[1]}\n" in message)
    return named or group.files
