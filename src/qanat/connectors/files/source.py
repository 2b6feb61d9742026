"""Files as a source: each is read once, whole, by the version that was found."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast
from uuid import uuid4

from qanat.connectors.files.copies import check_libraries, readable
from qanat.connectors.files.folder import Folder, check_allowed
from qanat.connectors.files.format import FileFormat, compression_named, shapes, suffixes
from qanat.connectors.files.glob import Place, described, name_regex
from qanat.connectors.files.options import Overwrite, ReadOptions, check_enveloped, read_options
from qanat.connectors.files.sample import heads, spread
from qanat.errors import (
    FileChangedError,
    FileVanishedError,
    SourceNotFoundError,
    full_refresh,
    needing,
)
from qanat.model.amount import Amount
from qanat.model.dialect import dialect_of
from qanat.model.location import is_url
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import FileRef, Range, Unread
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.work import Batch, FilesBatch, Input, LocalFile
from qanat.ports.source import Everywhere, Past, Surroundings

_CORRECTED = "corrected"
"""In the value of a range: the files of it that replace what was read of them before."""


class FilesSource(Everywhere):
    """The `Source` of files, in folders of this machine or in object stores.

    A range is a list of whole files. Their paths are relative to the project's root where they
    lie below it, so that a project that is moved takes along what it has read.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._root = surroundings.root
        self._folder = Folder(self._root)
        self._allowed = surroundings.folders
        self._buckets: Place | None = None

    def plan(
        self, ref: SourceRef, past: Past, without: frozenset[str] = frozenset()
    ) -> Unread | None:
        """What is there and has not been read, at most what one epoch may take.

        Args:
            without: paths of files to leave for a later update (they are still being written).

        Raises:
            SourceNotFoundError: the path names a file, folder or bucket that does not exist.
            FileChangedError: a file that was read has come back with new content.
            OptionError: an option is wrong, or the names do not tell one format.
            MissingExtraError: the library for ORC or lz4 is not installed.
        """
        options = read_options(ref)
        place = self._place(ref.place)
        try:
            found = _wanted(place.find(ref.place, options.recursive), options)
        except SourceNotFoundError:
            if self._was_read(ref.place, past):
                return None
            raise
        found = _settled([f for f in found if f.path not in without], options.min_age, past)
        before = self._seen(past, [f.path for f in found])
        fresh: list[FileRef] = []
        changed: list[FileRef] = []
        corrected: set[str] = set()
        for file in found:
            old = before.get(file.path)
            if old is None:
                fresh.append(file)
            elif not _untouched(old, file) and not place.same(old, file):
                corrects = self._portable(file.path) in past.corrects
                policy = Overwrite.REPLACE if corrects else options.on_overwrite
                (changed if policy is Overwrite.ERROR else fresh).append(file)
                if policy is Overwrite.REPLACE:
                    corrected.add(file.path)
        if changed:
            name = self._portable(changed[0].path)
            raise _changed(before[changed[0].path], changed, name if past.replaceable else "")
        if not fresh:
            return None
        taken = _capped(fresh, options)
        more = len(taken) < len(fresh)
        paths = [f.path for f in taken]
        check_libraries(paths, _shapes(paths, ref, options)[1])
        range_ = self._range(taken)
        if replaced := [self._portable(p) for p in paths if p in corrected]:
            range_ = replace(range_, value={**range_.value, _CORRECTED: replaced})
        return Unread(range_, _amount(fresh), more)

    def corrected(self, range: Range) -> tuple[str, ...]:
        """The files of a range that have come back with new content, to replace the old."""
        return tuple(range.value.get(_CORRECTED, ()))

    def renamed(self, old: str, new: str) -> tuple[str, str]:
        """The folders of two patterns; or the places themselves, which are folders or files."""
        before, after = self._fixed(old), self._fixed(new)
        if before.endswith("/") or after.endswith("/") or "" in (before, after):
            # One of them is a pattern: a place without one is the folder that it looks into.
            before, after = (f"{p.rstrip('/')}/" if p else p for p in (before, after))
        return before, after

    def _fixed(self, path: str) -> str:
        """What the paths of files in a place begin with, as ranges have it."""
        fixed = re.split(r"[*?\[{]", path, maxsplit=1)[0]
        folder = fixed if fixed == path else fixed[: fixed.rfind("/") + 1]
        if is_url(path) or not folder:
            return folder
        slash = "/" if folder.endswith("/") else ""
        return self._portable(f"{self._folder.named(folder).rstrip('/')}{slash}")

    def everything(self, ref: SourceRef) -> Range | None:
        """All that is there now; None when a pattern matches nothing and no columns are given.

        Raises:
            SourceNotFoundError: the path names a file, folder or bucket that does not exist.
            OptionError: an option is wrong.
        """
        options = read_options(ref)
        found = self._place(ref.place).find(ref.place, options.recursive)
        wanted = _wanted(found, options)
        return self._range(wanted) if wanted or options.schema else None

    def bind(
        self, ref: SourceRef, range: Range | None, known: Schema, drift: Drift, scratch: Path
    ) -> Input:
        """Exactly that range, as files that an engine can open.

        Raises:
            FileVanishedError: a file of the range is gone or has changed since.
            FileUnreadableError: a file may not be read, or its compression or ORC is broken.
            OptionError: the names do not tell one format, or an option is wrong.
        """
        options = read_options(ref)
        if range is None:
            options = self._with_format(ref, options)
        files = self._files(range) if range is not None else []
        batch = self._batch(ref, options, files, known, drift, scratch)
        return Input(batch, Amount(len(files), sum(f.size for f in files)))

    def sample(
        self,
        ref: SourceRef,
        known: Schema,
        drift: Drift,
        scratch: Path,
        range: Range | None = None,
    ) -> Batch | None:
        """The heads of some files, to tell columns; None if no file has content.

        Raises:
            SourceNotFoundError, FileUnreadableError, OptionError: as for `everything` and `bind`.
        """
        options = read_options(ref)
        if range is not None:
            found = self._files(range)
        else:
            found = _wanted(self._place(ref.place).find(ref.place, options.recursive), options)
        files = spread(found)
        if not files:
            return None
        paths = [f.path for f in files]
        format, each = _shapes(paths, ref, options)
        cut = heads(files, format, each, scratch / f"heads-{uuid4().hex}")
        if not cut:
            return None
        return self._batch(ref, replace(options, format=format), cut, known, drift, scratch)

    def again(
        self,
        ref: SourceRef,
        past: Past,
        files: Iterable[str],
        known: Schema,
        drift: Drift,
        scratch: Path,
    ) -> FilesBatch:
        """Of these files, those that were read, with today's options.

        Raises:
            FileUnreadableError, OptionError: as for `bind`.
        """
        options = read_options(ref)
        read = self._seen(past, list(files))
        # The names of files tell their format, also of those that are gone.
        options = replace(options, format=_shapes(list(read), ref, options)[0])
        there: list[FileRef] = list(read.values())
        gone: list[FileRef] = []
        while True:
            try:
                batch = self._batch(ref, options, there, known, drift, scratch)
            except FileVanishedError as error:
                gone += [f for f in there if f.path == error.path]
                there = [f for f in there if f.path != error.path]
                if error.path not in read:
                    raise
                continue
            lost = tuple(LocalFile(f.path, "", f.size, f.modified_ns) for f in gone)
            return replace(batch, files=batch.files + lost)

    def verify(self, ref: SourceRef, range: Range) -> Range:
        """Confirm that no file changed while it was read; returns the range with digests.

        Raises:
            FileChangedError: a file grew or was rewritten; a later update will take it.
            FileVanishedError: a file is gone.
        """
        files = self._files(range)
        if not files:
            return range
        verified = self._range(self._place(ref.place).verify(files))
        return replace(verified, value=range.value)

    def _with_format(self, ref: SourceRef, options: ReadOptions) -> ReadOptions:
        """The options with the format of the files that are there, if nothing else tells it."""
        if options.format is not None or suffixes(ref.place)[0] is not None:
            return options
        found = self._place(ref.place).find(ref.place, options.recursive)
        paths = [f.path for f in _wanted(found, options)]
        return replace(options, format=_shapes(paths, ref, options)[0])

    def _batch(
        self,
        ref: SourceRef,
        options: ReadOptions,
        files: Sequence[FileRef],
        known: Schema,
        drift: Drift,
        scratch: Path,
    ) -> FilesBatch:
        paths = [f.path for f in files]
        format, each = _shapes(paths, ref, options)
        check_enveloped(ref, format)
        own = scratch / f"files-{uuid4().hex}"  # several reads of one query share the scratch
        fetched = self._place(ref.place).fetch(files, own)
        ready = readable(fetched, each, own, guess=options.compression is None)
        passed = dict(options.engine)
        if format == "tsv":
            passed.setdefault("delimiter", "\t")
        if ready.compression is not None:
            passed["compression"] = ready.compression
        elif options.compression is not None and compression_named(options.compression) is None:
            passed["compression"] = "none"  # the author says so, whatever the names end in
        return FilesBatch(
            files=ready.files,
            format={"tsv": "csv", "orc": "parquet"}.get(format, format),
            options=tuple(passed.items()),
            declared=_declared(options),
            known=known,
            drift=drift,
            path=ref.place,
            root=f"{self._root}/",
            inference=dialect_of(options.dialect).inference,
        )

    # -- paths -----------------------------------------------------------------------------

    def _range(self, files: Sequence[FileRef]) -> Range:
        kept = tuple(replace(f, path=self._portable(f.path)) for f in files)
        # The ledger keeps the files of a range one by one, beside this value.
        value = {"kind": "files"} if kept else {"kind": "files", "files": []}
        return Range(value, kept, amount=_amount(files) if kept else Amount(rows=0))

    def _files(self, range: Range) -> list[FileRef]:
        return [replace(f, path=self._absolute(f.path)) for f in range.files]

    def _seen(self, past: Past, paths: Sequence[str]) -> Mapping[str, FileRef]:
        asked = {self._portable(p): p for p in paths}
        found = past.seen(asked)
        return {asked[k]: replace(f, path=asked[k]) for k, f in found.items()}

    def _portable(self, path: str) -> str:
        return path.removeprefix(f"{self._root}/")

    def _absolute(self, path: str) -> str:
        return path if "://" in path or path.startswith("/") else f"{self._root}/{path}"

    def _place(self, path: str) -> Place:
        if not is_url(path):
            check_allowed(path, self._root, self._allowed)
            return self._folder
        if self._buckets is None:
            with needing(f"reading {path!r}", "cloud"):
                module = import_module("qanat.connectors.files.bucket")
            self._buckets = cast(Place, module.Buckets())
        return self._buckets

    def _was_read(self, path: str, past: Past) -> bool:
        """True if a single file that is gone now has been read before, which is fine."""
        return bool(self._seen(past, [path if is_url(path) else self._folder.named(path)]))


def _shapes(
    paths: Sequence[str], ref: SourceRef, options: ReadOptions
) -> tuple[str, tuple[FileFormat, ...]]:
    return shapes(paths, ref.place, options.format, options.compression, options.encoding)


def _amount(files: Sequence[FileRef]) -> Amount:
    return Amount(len(files), sum(f.size for f in files))


def _declared(options: ReadOptions) -> Schema:
    if not options.schema:
        return NO_COLUMNS
    # Imported when a schema is to be parsed: its parser costs as much as all of an unchanged run.
    module = import_module("qanat.declare.described")
    return cast(Schema, module.columns(options.schema, options.dialect))


def _wanted(files: list[FileRef], options: ReadOptions) -> list[FileRef]:
    """Those that the options about names and times let through."""
    if options.path_glob_filter is not None:
        regex = name_regex(options.path_glob_filter)
        files = [f for f in files if regex.fullmatch(f.path.rpartition("/")[2])]
    if (after := options.modified_after_ns) is not None:
        files = [f for f in files if f.modified_ns > after]
    if (before := options.modified_before_ns) is not None:
        files = [f for f in files if f.modified_ns < before]
    return files


def _settled(files: list[FileRef], age: float, past: Past) -> list[FileRef]:
    """The files that have not changed for `age` seconds: nobody is writing them any more.

    A flow that runs once waits for all of them. A file from the future has been given its time, or
    comes from a machine whose clock is ahead: it would never be old enough.
    """
    if not age:
        return files
    now = time.time_ns()
    settled = [f for f in files if abs(now - f.modified_ns) >= age * 1e9]
    return [] if past.final and len(settled) < len(files) else settled


def _capped(files: Sequence[FileRef], options: ReadOptions) -> tuple[FileRef, ...]:
    """The first files that one epoch may take, at least one."""
    taken = files if options.max_files is None else files[: options.max_files]
    if options.max_bytes is not None:
        total, count = 0, 0
        for file in taken:
            total += file.size
            if count and total > options.max_bytes:
                break
            count += 1
        taken = taken[:count]
    return tuple(taken)


def _untouched(old: FileRef, new: FileRef) -> bool:
    if old.digest is not None and new.digest is not None:
        return old.digest == new.digest  # a store's clock may tick only once a second
    return old.size == new.size and old.modified_ns == new.modified_ns


def _changed(old: FileRef, changed: Sequence[FileRef], name: str) -> FileChangedError:
    """The error for files that have come back.

    Args:
        name: of the first one, as `--replace` takes it; empty if its rows cannot go again.
    """
    replacing = (
        f"`qanat run --replace {shlex.quote(name)}` puts its rows in the place of those of"
        " before, once; `on_overwrite => 'replace'` in read_files does so always,"
        " `on_overwrite => 'append'` adds them"
    )
    reading = "`on_overwrite => 'append'` in read_files takes its rows beside those of before"
    more = len(changed) - 1
    others = f" (and {more:,} other file{'s' if more > 1 else ''})" if more else ""
    return FileChangedError(
        f"the file {old.path!r} was read before and has come back with new content{others}",
        wanted=described(old),
        got=described(changed[0]),
        hint=f"{replacing if name else reading}; `{full_refresh()}` reads all files again",
    )
