"""Files in object stores: S3, Google Cloud Storage and Azure, through `obstore`.

Imported only when a URL is read: `obstore` is the extra `cloud`. Credentials, endpoint and region
come from the environment variables that Delta tables in the same stores use too
(`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, `GOOGLE_SERVICE_ACCOUNT`,
`AZURE_STORAGE_ACCOUNT_NAME`, …).

An object is known by its ETag. What is fetched is fetched on the condition that the ETag still
is the one that was found, so what an engine reads cannot change under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import ObjectStore, from_url

from qanat.connectors.files.format import ending, place_for
from qanat.connectors.files.glob import Glob, alternatives, described, has_wildcard
from qanat.errors import (
    AdapterError,
    FileChangedError,
    FileUnreadableError,
    FileVanishedError,
    OptionError,
    SourceNotFoundError,
    SourceUnavailableError,
    StorageFullError,
    UnsupportedError,
    disk_full,
    nearest,
)
from qanat.frozen import Frozen
from qanat.model.record import FileRef
from qanat.model.work import LocalFile

if TYPE_CHECKING:
    from obstore import GetOptions  # exists for type checkers only

_SCHEMES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "az": "az",
    "azure": "az",
    "abfs": "abfss",
    "abfss": "abfss",
}
_DOWNLOADS = 8
_CHUNK = 8 * 2**20  # of each download at a time, so 64 MiB in all
_FAILURES = (BaseError, OSError, ValueError)
_STATUS = re.compile(r"status code: (\d{3})")


class ObjectUrl(Frozen):
    """Where an object or prefix is.

    >>> ObjectUrl.parse("s3a://bucket/in/*.csv")
    ObjectUrl(store='s3://bucket', key='in/*.csv')
    """

    store: str
    key: str

    @staticmethod
    def parse(url: str) -> ObjectUrl:
        """Take a URL apart; nothing in it is percent-encoded.

        Raises:
            UnsupportedError: the scheme is none that Qanat reads.
            OptionError: there is no bucket in it.
        """
        written, _, rest = url.partition("://")
        scheme = _SCHEMES.get(written.lower())
        if scheme is None:
            raise UnsupportedError(
                f"read_files does not read {url!r}",
                wanted="a local path, s3://, gs://, abfss:// or az://",
                nearest=nearest(written, _SCHEMES),
            )
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise OptionError(
                f"the URL {url!r} names no bucket", wanted="such as s3://bucket/path"
            )
        return ObjectUrl(f"{scheme}://{bucket}", key.lstrip("/"))

    def __str__(self) -> str:
        return f"{self.store}/{self.key}"


class Buckets:
    """A `Place`: all object stores; opens each bucket once."""

    def __init__(self) -> None:
        self._stores: dict[str, ObjectStore] = {}

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
            self._open(ObjectUrl.parse(file.path))

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

    def _open(self, url: ObjectUrl) -> ObjectStore:
        if url.store not in self._stores:
            try:
                self._stores[url.store] = from_url(
                    url.store,
                    retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
                )
            except _FAILURES as error:
                raise AdapterError(
                    f"the store {url.store!r} cannot be opened: {_detail(error)}",
                    hint="set the environment variables of the store (AWS_…, GOOGLE_…, AZURE_…)",
                ) from error
        return self._stores[url.store]

    def _single(self, url: ObjectUrl) -> FileRef | None:
        """The object of exactly that name, if there is one."""
        if not url.key or url.key.endswith("/"):
            return None
        try:
            return _ref(url, obstore.head(self._open(url), url.key))
        except FileNotFoundError:
            return None
        except _FAILURES as error:
            raise _failure(error, url) from error

    def _listed(self, url: ObjectUrl, globs: Iterable[Glob]) -> list[FileRef]:
        found: dict[str, FileRef] = {}
        for glob in globs:
            skip = len(glob.base) + 1 if glob.base else 0
            try:
                for meta in self._below(url, glob):
                    key = meta["path"]
                    # A zero-byte object without a suffix is how consoles mark a folder.
                    marker = meta["size"] == 0 and "." not in key.rpartition("/")[2]
                    if not marker and glob.accepts_path(key[skip:]):
                        found[key] = _ref(ObjectUrl(url.store, key), meta)
            except _FAILURES as error:
                raise _failure(error, url) from error
        return [found[key] for key in sorted(found)]

    def _below(self, url: ObjectUrl, glob: Glob) -> Iterator[obstore.ObjectMeta]:
        store, prefix = self._open(url), glob.base or None
        if len(glob.parts) == 1 and glob.parts[0] != "**":
            yield from obstore.list_with_delimiter(store, prefix)["objects"]
            return
        for page in obstore.list(store, prefix):
            yield from page

    def _exists(self, url: ObjectUrl) -> bool:
        if not url.key:
            return True  # listing it was no error
        try:
            below = obstore.list_with_delimiter(self._open(url), url.key)
        except _FAILURES as error:
            raise _failure(error, url) from error
        return bool(below["objects"] or below["common_prefixes"])

    def _missing(self, url: ObjectUrl) -> SourceNotFoundError:
        parent, _, name = url.key.rstrip("/").rpartition("/")
        try:
            beside = obstore.list_with_delimiter(self._open(url), parent or None)
        except _FAILURES as error:
            raise _failure(error, url) from error
        keys = [*beside["common_prefixes"], *(m["path"] for m in beside["objects"])]
        by_name = {key.rpartition("/")[2]: key for key in keys}
        close = nearest(name, by_name)
        return SourceNotFoundError(
            f"there is nothing at {str(url)!r}",
            nearest=str(ObjectUrl(url.store, by_name[close])) if close else None,
        )

    def _download(self, file: FileRef, target: Path) -> None:
        """In ranges, so that a slow line never runs into the time limit of one request."""
        url = ObjectUrl.parse(file.path)
        options: GetOptions = {}
        if file.digest is not None:
            options["if_match"] = file.digest.removeprefix("etag:")
        try:
            with target.open("wb") as copy:
                for start in range(0, file.size, _CHUNK):
                    options["range"] = (start, min(start + _CHUNK, file.size))
                    copy.write(self._range(file, url, options))
        except OSError as error:
            if disk_full(error):
                raise StorageFullError(
                    f"no space left in {str(target.parent)!r} to fetch {file.path!r}"
                ) from error
            raise

    def _range(self, file: FileRef, url: ObjectUrl, options: GetOptions) -> obstore.Bytes:
        try:
            return obstore.get(self._open(url), url.key, options=options).bytes()
        except (PreconditionError, FileNotFoundError) as error:
            gone = isinstance(error, FileNotFoundError)
            vanished = FileVanishedError(
                f"the object {file.path!r} {'is gone' if gone else 'has changed'} since it was "
                "found",
                wanted=described(file),
                hint="run again: the update then takes what is there",
            )
            vanished.path = file.path
            raise vanished from error
        except _FAILURES as error:
            raise _failure(error, url) from error

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


def _detail(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _failure(error: Exception, url: ObjectUrl) -> AdapterError:
    """Our error for one of the store's, by what can be done about it."""
    match = _STATUS.search(str(error))
    status = int(match[1]) if match else 0
    if isinstance(error, FileNotFoundError) or status == 404:
        bucket = "NoSuchBucket" in str(error) or not url.key
        name = url.store if bucket else str(url)
        return SourceNotFoundError(f"there is no {'bucket' if bucket else 'object'} {name!r}")
    if status in (401, 403) or isinstance(error, PermissionError):
        return FileUnreadableError(
            f"the store does not let us read {str(url)!r}: {_detail(error)}",
            hint="check the credentials in the environment (AWS_…, GOOGLE_…, AZURE_…)",
        )
    if "builder error" in str(error):
        return AdapterError(
            f"the endpoint of {url.store!r} is refused: {_detail(error)}",
            hint="an endpoint without TLS needs AWS_ALLOW_HTTP=true",
        )
    if (400 <= status < 500 and status not in (408, 429)) or isinstance(error, ValueError):
        return AdapterError(f"the store refuses to read {str(url)!r}: {_detail(error)}")
    return SourceUnavailableError(
        f"the store of {str(url)!r} does not answer: {_detail(error)}",
        hint="check the network, the endpoint and the credentials in the environment",
    )
