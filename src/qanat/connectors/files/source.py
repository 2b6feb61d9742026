"""Files as a source: each is read once, whole, by the version that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast
from uuid import uuid4

from qanat.connectors.files.copies import readable
from qanat.connectors.files.folder import Folder
from qanat.connectors.files.format import compression_named, format_named, shapes
from qanat.connectors.files.glob import name_regex
from qanat.connectors.files.options import ReadOptions, read_options
from qanat.connectors.files.place import Place, described, is_url
from qanat.connectors.files.sample import heads, spread
from qanat.errors import FileChangedError, MissingExtraError, SourceNotFoundError
from qanat.model.batch import FilesBatch
from qanat.model.dataset import Drift
from qanat.model.position import FileRef, FilesRange, Range
from qanat.model.query import FilesRead
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.ports.source import Seen


class FilesSource:
    """A `Source` of files, in folders of this machine or in object stores.

    Args:
        root: absolute folder that relative paths start from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = Folder(root)
        self._buckets: Place | None = None

    def unread(
        self, read: FilesRead, seen: Seen, without: frozenset[str] = frozenset()
    ) -> Range | None:
        """What is there and has not been read, at most what one epoch may take.

        Args:
            without: paths of files to leave for a later update (they are still being written).

        Raises:
            SourceNotFoundError: the path names a file, folder or bucket that does not exist.
            FileChangedError: a file that was read has come back with new content.
            OptionError: an option is wrong.
        """
        options = _checked(read)
        place = self._place(read.path)
        try:
            found = _wanted(place.find(read.path, options.recursive), options)
        except SourceNotFoundError:
            if self._was_read(read.path, seen):
                return None
            raise
        found = [f for f in found if f.path not in without]
        before = seen([f.path for f in found])
        fresh: list[FileRef] = []
        changed: list[FileRef] = []
        for file in found:
            old = before.get(file.path)
            if old is None:
                fresh.append(file)
            elif not _untouched(old, file) and not place.same(old, file):
                (fresh if options.allow_overwrites else changed).append(file)
        if changed:
            raise _changed(before[changed[0].path], changed)
        return FilesRange(_capped(fresh, options)) if fresh else None

    def everything(self, read: FilesRead) -> FilesRange:
        """All that is there now; an empty range when a pattern matches nothing.

        Raises:
            SourceNotFoundError: the path names a file, folder or bucket that does not exist.
            OptionError: an option is wrong.
        """
        options = _checked(read)
        found = self._place(read.path).find(read.path, options.recursive)
        return FilesRange(tuple(_wanted(found, options)))

    def fetch(
        self, read: FilesRead, range: Range, known: Schema, drift: Drift, scratch: Path
    ) -> FilesBatch:
        """Exactly that range, as files that an engine can open.

        Raises:
            FileVanishedError: a file of the range is gone or has changed since.
            FileUnreadableError: a file may not be read, or its compression or ORC is broken.
            OptionError: the names do not tell one format, or an option is wrong.
        """
        options = _checked(read)
        files = _files(range)
        format, each = shapes([f.path for f in files], read.path, read.format, options.compression)
        own = scratch / f"files-{uuid4().hex}"  # several reads of one query share the scratch
        local = self._place(read.path).fetch(files, own)
        ready = readable(local, each, own)
        passed = dict(options.engine)
        if format == "tsv":
            passed.setdefault("delimiter", "\t")
        if ready.compression is not None:
            passed["compression"] = ready.compression
        elif options.compression is not None and compression_named(options.compression) is None:
            passed["compression"] = "none"  # whatever the names say
        return FilesBatch(
            files=ready.files,
            format={"tsv": "csv", "orc": "parquet"}.get(format, format),
            options=tuple(passed.items()),
            declared=_declared(options),
            known=known,
            drift=drift,
            path=read.path,
        )

    def sample(
        self, read: FilesRead, range: Range, known: Schema, drift: Drift, scratch: Path
    ) -> FilesBatch | None:
        """The heads of some files, to tell columns; None if no file has content.

        Raises:
            FileUnreadableError, OptionError: as for `fetch`.
        """
        options = _checked(read)
        files = spread(_files(range))
        if not files:
            return None
        paths = [f.path for f in files]
        format, each = shapes(paths, read.path, read.format, options.compression)
        cut = heads(files, format, each, scratch / f"heads-{uuid4().hex}")
        if not cut:
            return None
        named = replace(read, format=format)
        return self.fetch(named, FilesRange(tuple(cut)), known, drift, scratch)

    def verify(self, range: Range) -> FilesRange:
        """Confirm that no file changed while it was read; returns the range with digests.

        Raises:
            FileChangedError: a file grew or was rewritten; a later update will take it.
            FileVanishedError: a file is gone.
        """
        files = _files(range)
        remote = [f for f in files if is_url(f.path)]
        local = [f for f in files if not is_url(f.path)]
        done = [*self._folder.verify(local)] if local else []
        if remote:
            done += self._place(remote[0].path).verify(remote)
        by_path = {f.path: f for f in done}
        return FilesRange(tuple(by_path[f.path] for f in files))

    def _place(self, path: str) -> Place:
        if not is_url(path):
            return self._folder
        if self._buckets is None:
            try:
                module = import_module("qanat.connectors.files.bucket")
            except ModuleNotFoundError as error:
                if error.name != "obstore":
                    raise
                raise MissingExtraError(
                    f"reading {path!r} needs the package obstore",
                    hint="pip install 'qanat[cloud]'",
                ) from error
            self._buckets = cast(Place, module.Buckets())
        return self._buckets

    def _was_read(self, path: str, seen: Seen) -> bool:
        """Whether a single file that is gone now has been read before, which is fine."""
        if is_url(path):
            return bool(seen([path]))
        return bool(seen([self._folder.named(path)]))


def _checked(read: FilesRead) -> ReadOptions:
    if read.format is not None:
        format_named(read.format)
    return read_options(read)


def _declared(options: ReadOptions) -> Schema:
    if not options.schema:
        return NO_COLUMNS
    # Imported when a schema is to be parsed: its parser costs as much as all of an unchanged run.
    module = import_module("qanat.connectors.files.columns")
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


def _changed(old: FileRef, changed: Sequence[FileRef]) -> FileChangedError:
    more = len(changed) - 1
    others = f" (and {more:,} other file{'s' if more > 1 else ''})" if more else ""
    return FileChangedError(
        f"the file {old.path!r} was read before and has come back with new content{others}",
        wanted=described(old),
        got=described(changed[0]),
        hint="`allowOverwrites => true` in read_files reads changed files again,"
        " `qanat run --full-refresh TABLE` all files",
    )


def _files(range: Range) -> tuple[FileRef, ...]:
    if not isinstance(range, FilesRange):
        raise TypeError(f"files are read by FilesRange, not {type(range).__name__}")
    return range.files
