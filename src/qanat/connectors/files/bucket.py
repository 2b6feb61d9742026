"""Files in object stores: S3, Google Cloud Storage and Azure, through `obstore`.

Imported only when a URL is read: `obstore` is the extra `cloud` (see `qanat.objects`).

An object is known by its ETag. What is fetched is fetched on the condition that the ETag still
is the one that was found, so what an engine reads cannot change under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.exceptions import PreconditionError

from qanat.connectors.files.copies import ending, place_for
from qanat.connectors.files.glob import Glob, alternatives, described, has_wildcard
from qanat.errors import (
    FileChangedError,
    FileVanishedError,
    SourceNotFoundError,
    nearest,
)
from qanat.model.location import ObjectUrl
from qanat.model.record import FileRef
from qanat.model.work import LocalFile
from qanat.objects import Objects, failures

_DOWNLOADS = 8


class Buckets:
    """A `Place`: all object stores; opens each bucket once."""

    def __init__(self) -> None:
        self._objects = Objects()

    def find(self, path: str, recursive: bool) -> list[FileRef]:
        """See `Place.find`; a folder of an object store exists as long as something is in it."""
        url = ObjectUrl.parse(path)
        if has_wildcard(url.key):
            globs = [Glob.parse(one) for one in alternatives(url.key)]
            if recursive:
                globs += [Glob.of(g.base, *g.parts, "**") for g in globs if g.parts[-1] != "**"]
            return self._listed(url, globs)
        single = self._single(url)
        if single is not None:
            return [single]
        glob = Glob.of(url.key.rstrip("/"), "**" if recursive else "*")
        found = self._listed(url, [glob])
        if not found and not self._exists(url):
            raise self._missing(url)
        return found

    def same(self, before: FileRef, now: FileRef) -> bool:
        """See `Place.same`: by ETag."""
        return before.digest is not None and before.digest == now.digest

    def fetch(self, files: Sequence[FileRef], scratch: Path) -> list[LocalFile]:
        """See `Place.fetch`: downloads to `scratch`, several at once, in chunks.

        Raises:
            SourceUnavailableError: the store does not answer.
            StorageFullError: the scratch space is full.
        """
        for file in files:
            self._objects.store(ObjectUrl.parse(file.path))

        def fetched(item: tuple[int, FileRef]) -> LocalFile:
            number, file = item
            target = place_for(file.path, number, ending(file.path), scratch)
            self._download(file, target)
            return LocalFile(file.path, str(target), file.size, file.modified_ns)

        with ThreadPoolExecutor(_DOWNLOADS, "download") as pool:
            return list(pool.map(fetched, enumerate(files)))

    def verify(self, files: Sequence[FileRef]) -> list[FileRef]:
        """See `Place.verify`: an ETag was the condition of the download, so it holds."""
        return [f if f.digest is not None else self._unchanged(f) for f in files]

    def _single(self, url: ObjectUrl) -> FileRef | None:
        """The object of exactly that name, if there is one."""
        if not url.key or url.key.endswith("/"):
            return None
        with failures(url, "read"):
            try:
                return _ref(url, obstore.head(self._objects.store(url), url.key))
            except FileNotFoundError:
                return None

    def _listed(self, url: ObjectUrl, globs: Iterable[Glob]) -> list[FileRef]:
        found: dict[str, FileRef] = {}
        for glob in globs:
            skip = len(glob.base) + 1 if glob.base else 0
            with failures(url, "read"):
                for meta in self._below(url, glob):
                    key = meta["path"]
                    # A zero-byte object without a suffix is how consoles mark a folder.
                    marker = meta["size"] == 0 and "." not in key.rpartition("/")[2]
                    if not marker and glob.accepts_path(key[skip:]):
                        found[key] = _ref(ObjectUrl(url.store, key), meta)
        return [found[key] for key in sorted(found)]

    def _below(self, url: ObjectUrl, glob: Glob) -> Iterator[obstore.ObjectMeta]:
        store, prefix = self._objects.store(url), glob.base or None
        if len(glob.parts) == 1 and glob.parts[0] != "**":
            yield from obstore.list_with_delimiter(store, prefix)["objects"]
            return
        for page in obstore.list(store, prefix):
            yield from page

    def _exists(self, url: ObjectUrl) -> bool:
        if not url.key:
            return True  # listing it was no error
        with failures(url, "read"):
            below = obstore.list_with_delimiter(self._objects.store(url), url.key)
        return bool(below["objects"] or below["common_prefixes"])

    def _missing(self, url: ObjectUrl) -> SourceNotFoundError:
        parent, _, name = url.key.rstrip("/").rpartition("/")
        with failures(url, "read"):
            beside = obstore.list_with_delimiter(self._objects.store(url), parent or None)
        keys = [*beside["common_prefixes"], *(m["path"] for m in beside["objects"])]
        by_name = {key.rpartition("/")[2]: key for key in keys}
        close = nearest(name, by_name)
        return SourceNotFoundError(
            f"there is nothing at {str(url)!r}",
            nearest=str(ObjectUrl(url.store, by_name[close])) if close else None,
        )

    def _download(self, file: FileRef, target: Path) -> None:
        url = ObjectUrl.parse(file.path)
        tag = file.digest.removeprefix("etag:") if file.digest is not None else None
        with failures(url, "read"):
            try:
                self._objects.download(url, target, file.size, tag)
            except (PreconditionError, FileNotFoundError) as error:
                gone = isinstance(error, FileNotFoundError)
                vanished = FileVanishedError(
                    f"the object {file.path!r} {'is gone' if gone else 'has changed'} since it"
                    " was found",
                    wanted=described(file),
                    hint="run again: the update then takes what is there",
                )
                vanished.path = file.path
                raise vanished from error

    def _unchanged(self, file: FileRef) -> FileRef:
        """For the rare store that gives no ETag when it lists."""
        url = ObjectUrl.parse(file.path)
        now = self._single(url)
        if now is None:
            raise FileVanishedError(f"the object {file.path!r} is gone", wanted=described(file))
        if (now.size, now.modified_ns) != (file.size, file.modified_ns):
            error = FileChangedError(
                f"the object {file.path!r} changed while it was read",
                wanted=described(file),
                got=described(now),
                hint="a later update takes it",
            )
            error.path = file.path
            raise error
        return now


def _ref(url: ObjectUrl, meta: obstore.ObjectMeta) -> FileRef:
    modified = round(meta["last_modified"].timestamp() * 1_000_000) * 1000
    tag = meta["e_tag"]
    return FileRef(str(url), meta["size"], modified, None if tag is None else f"etag:{tag}")
