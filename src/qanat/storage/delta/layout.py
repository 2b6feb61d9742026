"""Which files of a table are to be written again: small ones together, up to a size.

Rows keep their order: files that become one lie next to each other, and the new one takes their
place among the rest (`LiveFile.made_ms`). Only a table that is clustered has its rows sorted.

After an update the newest small files are taken, and older ones as long as they are not much
larger than those together: so each row is written again as often as the table has doubled, and
not each time. When somebody asks for it, all small files are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote

from qanat.model.name import Names
from qanat.model.owner import brought_by
from qanat.model.schema import Schema
from qanat.model.upkeep import Bin, Layout, Policy
from qanat.storage.delta.state import LiveFile, TableState, hive_style, local_path
from qanat.storage.delta.vectors import can_be_fetched

_ALWAYS = 4 * 1024 * 1024
"""Files up to this size are taken along at any time: to open one costs more than to write it."""
_CLUSTERED = 32
"""How many files of the wanted size are sorted together at most."""

Fetching = Callable[[Sequence[LiveFile]], Callable[[], None] | None]


class Planner:
    """The plan for one table.

    Args:
        table: its folder on this machine.
        fetching: what brings files there.
        policy: how it is maintained.
        frozen: paths of files that have to stay, as in the log.
        by_flow: whether files of different flows have to stay apart.
        thorough: whether all small files are taken.
        deleted: see `TableBatch.deleted`.
    """

    def __init__(
        self,
        table: Path,
        fetching: Fetching,
        policy: Policy,
        frozen: Collection[str],
        by_flow: bool,
        thorough: bool,
        deleted: Callable[[], Mapping[str, Sequence[int]]] | None = None,
    ) -> None:
        self._table, self._fetching, self._policy = table, fetching, policy
        self._frozen, self._by_flow, self._thorough = frozen, by_flow, thorough
        self._deleted = deleted

    def layout(self, state: TableState) -> Layout:
        """The files of the table as it is, and which of them are to be written again."""
        found = Layout(state.version, len(state.files), sum(f.size for f in state.files))
        # Which rows of a table in an object store are deleted may stand in a file elsewhere.
        far = state.masked and self._fetching(state.files) and not can_be_fetched(state)
        if (
            far
            or not state.plain
            or not all(
                hive_style(f.path, state.partition_by) and local_path(self._table, f.path)
                for f in state.files
            )
        ):
            why = "another tool has deleted single rows, renamed columns or moved files"
            return replace(found, why_not=why)
        columns = tuple(
            f.name
            for c in self._policy.cluster_by
            if (f := state.schema.get(c)) is not None and f.name not in state.partition_by
        )
        bins = []
        for key, files in self._apart(state.files):
            runs = self._clustered(files, columns) if columns else self._runs(files)
            bins += [self._bin(state, run, since, key, columns) for run, since in runs]
        return replace(found, bins=tuple(bins), clustered=columns)

    def _apart(self, files: Sequence[LiveFile]) -> Iterator[tuple[str, list[LiveFile]]]:
        """The files of each partition, in order, and whose they are if that matters."""

        def key(file: LiveFile) -> tuple[str, str]:
            folder, _, name = file.path.rpartition("/")
            return folder, (brought_by(unquote(name)) or "") if self._by_flow else ""

        # Sorting keeps the order of what is alike.
        for (_, whose), found in groupby(sorted(files, key=key), key):
            yield whose, list(found)

    def _runs(self, files: list[LiveFile]) -> Iterator[tuple[list[LiveFile], int]]:
        """Files next to each other that become one, each with its place among the rest."""
        packed = self._packed if self._thorough else self._newest
        small = [self._is_small(f) for f in files]
        start = 0
        for is_small, group in groupby(range(len(files)), lambda n: small[n]):
            length = len(list(group))
            for first, last in packed(files, start, start + length) if is_small else ():
                yield from _placed(files, first, last)
            start += length

    def _is_small(self, file: LiveFile) -> bool:
        return 2 * file.size < self._policy.target and file.path not in self._frozen

    def _packed(self, files: list[LiveFile], start: int, end: int) -> Iterator[tuple[int, int]]:
        """All of some files, so many together as make the wanted size."""
        size, first = 0, start
        for number in range(start, end):
            if size and size + files[number].size > self._policy.target:
                yield first, number
                size, first = 0, number
            size += files[number].size
        yield first, end

    def _newest(self, files: list[LiveFile], start: int, end: int) -> Iterator[tuple[int, int]]:
        """The last of some files, as far as they are not much larger than those after them."""
        size, first = 0, end
        while first > start and files[first - 1].size <= max(size, _ALWAYS):
            if size + files[first - 1].size > self._policy.target:
                break
            first -= 1
            size += files[first].size
        yield first, end

    def _clustered(
        self, files: list[LiveFile], columns: tuple[str, ...]
    ) -> Iterator[tuple[list[LiveFile], int]]:
        """Files whose rows are sorted together: those that are small, or not sorted yet."""
        mark = f"-{_mark(columns)}-"
        loose = [
            f
            for f in files
            if f.path not in self._frozen and (mark not in f.path or self._is_small(f))
        ]
        if not self._thorough:
            loose = [f for f in loose if self._is_small(f)]
            spans = list(self._newest(loose, 0, len(loose)))
        else:
            spans = [(0, len(loose))]
        some: list[LiveFile] = []
        for first, last in spans:
            for file in loose[first:last]:
                some.append(file)
                if sum(f.size for f in some) >= _CLUSTERED * self._policy.target:
                    yield some, some[-1].made_ms
                    some = []
        if len(some) > 1 or any(mark not in f.path for f in some):
            yield some, some[-1].made_ms

    def _bin(
        self,
        state: TableState,
        files: list[LiveFile],
        since: int,
        whose: str,
        columns: tuple[str, ...],
    ) -> Bin:
        own = [f for f in state.schema.fields if f.name not in Names(state.partition_by)]
        moments = {p: f.made_ms for f in files if (p := local_path(self._table, f.path))}
        size = sum(f.size for f in files)
        return Bin(
            files=tuple(moments),
            schema=Schema(tuple(own)),
            fetch=self._fetching(files),
            folder=unquote(files[0].path.rpartition("/")[0]),
            partition_values=files[0].partition_values,
            since_ms=since,
            bytes=size,
            name=f"of{whose}" if whose else _mark(columns) if columns else "",
            parts=max(1, round(size / self._policy.target)) if columns else 1,
            deleted=self._deleted if any(f.vector for f in files) else None,
            moments=moments,
        )


def _mark(columns: tuple[str, ...]) -> str:
    """What the names of files have whose rows are sorted by some columns."""
    return "by" + blake2b("\n".join(columns).encode(), digest_size=4).hexdigest()


def _placed(files: list[LiveFile], first: int, last: int) -> Iterator[tuple[list[LiveFile], int]]:
    """Some files and a moment for the one they become: after those before, before those after.

    Files of one commit may have the same moment; then the first or last of them stay as they are.
    """
    while last - first > 1:
        before = files[first - 1].made_ms if first else -1
        after = files[last].made_ms if last < len(files) else None
        since = (
            files[last - 1].made_ms if after is None else min(after - 1, files[last - 1].made_ms)
        )
        # The latest that will do: the newest moment of a table never goes back.
        if files[first].made_ms <= since > before:
            yield files[first:last], since
            return
        if since <= before:
            first += 1
        else:
            last -= 1
