"""Objects in object stores: S3, Google Cloud Storage and Azure, through `obstore`.

Imported only where there is a URL: `obstore` is the extra `cloud`. Credentials, endpoint and
region come from the environment variables that delta-rs and others use, too: `AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, ….
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from qanat.disk import disk_error
from qanat.errors import (
    AdapterError,
    FileUnreadableError,
    SourceNotFoundError,
    SourceUnavailableError,
    StorageFullError,
    disk_full,
)
from qanat.model.location import ObjectUrl

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta  # exist for type checkers only

CHUNK = 8 * 2**20
"""Bytes of each transfer at a time."""

_PARTS = 4
"""Parts of one upload on their way at once, so that it holds `_PARTS * CHUNK` bytes."""
DELETED = 1000
"""Objects that S3 deletes in one request."""
_FAILURES = (BaseError, OSError, ValueError)
# What the system says of a file of this machine; errors of the network are of another type.
_LOCAL = re.compile(r"\(os error (\d+)\)$")
_STATUS = re.compile(r"status code: (\d{3})")
# Where a client asks for the role of the machine it is on, once it has found no key.
_ROLES = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "abfss": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


class Objects:
    """All object stores. Opens each bucket once; safe to use from several threads."""

    def __init__(self) -> None:
        self._stores: dict[str, ObjectStore] = {}

    def store(self, url: ObjectUrl) -> ObjectStore:
        """The opened bucket that a URL is in.

        Raises:
            AdapterError: it cannot be opened; the environment lacks something.
        """
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

    def below(self, prefix: ObjectUrl, after: str | None = None) -> Iterator[ObjectMeta]:
        """All objects below a prefix, in the order of their keys.

        Args:
            after: only those with a key that comes after this one, in the store's order.
        """
        with failures(prefix, "list"):
            for page in obstore.list(self.store(prefix), f"{prefix.key}/", offset=after):
                yield from page

    def folders(self, prefix: ObjectUrl) -> list[str]:
        """The keys of the folders right below a prefix."""
        with failures(prefix, "list"):
            found = obstore.list_with_delimiter(self.store(prefix), prefix.key)
        return list(found["common_prefixes"])

    def read(self, url: ObjectUrl) -> bytes:
        """The content of an object.

        Raises:
            SourceNotFoundError: there is none.
        """
        with failures(url, "read"):
            return bytes(obstore.get(self.store(url), url.key).bytes())

    def create(self, url: ObjectUrl, content: bytes) -> str | None:
        """Create an object unless there is one, in one request; its ETag, None if there is one.

        Raises:
            SourceUnavailableError: the store did not answer: the object may be there, or come to
                be there later.
        """
        with failures(url, "write"):
            try:
                made = obstore.put(
                    self.store(url), url.key, content, mode="create", use_multipart=False
                )
            except AlreadyExistsError:
                return None
        return made["e_tag"] or ""

    def upload(self, url: ObjectUrl, path: Path) -> None:
        """Write a file of this machine to an object; a large one in parts, several at once."""
        with failures(url, "write"):
            obstore.put(self.store(url), url.key, path, chunk_size=CHUNK, max_concurrency=_PARTS)

    def download(self, url: ObjectUrl, target: Path, size: int, etag: str | None = None) -> None:
        """Write an object to a file of this machine.

        In ranges, so that a slow line never runs into the time limit of one request. The client's
        errors pass: who fetches knows best what is gone or has changed.

        Args:
            size: of the object, in bytes.
            etag: fetch it only as long as it has this ETag.

        Raises:
            FileNotFoundError: there is no such object.
            StorageFullError: there is no space for it.
        """
        options: GetOptions = {} if etag is None else {"if_match": etag}
        try:
            with target.open("wb") as copy:
                for start in range(0, size, CHUNK):
                    options["range"] = (start, min(start + CHUNK, size))
                    copy.write(obstore.get(self.store(url), url.key, options=options).bytes())
        except OSError as error:
            if disk_full(error):
                raise StorageFullError(
                    f"no space left in {str(target.parent)!r} to fetch {str(url)!r}"
                ) from error
            raise

    def copy(self, url: ObjectUrl, to: ObjectUrl) -> None:
        """Copy an object within its bucket; the store does it by itself."""
        with failures(url, "copy"):
            obstore.copy(self.store(url), url.key, to.key)

    def delete(self, urls: Iterable[ObjectUrl]) -> None:
        """Delete objects; one that is not there counts as deleted."""
        found = list(urls)
        for start in range(0, len(found), DELETED):
            some = found[start : start + DELETED]
            with failures(some[0], "delete"):
                try:
                    obstore.delete(self.store(some[0]), [url.key for url in some])
                except FileNotFoundError:
                    # Google's and Azure's complain; what came after that one may still be there.
                    for url in some:
                        with suppress(FileNotFoundError):
                            obstore.delete(self.store(url), url.key)


@contextmanager
def failures(url: ObjectUrl, doing: str) -> Iterator[None]:
    """Turn what a store's client raises into our error.

    Args:
        doing: a verb such as 'read'.

    Raises:
        AdapterError: one of its kinds, by what can be done about it.
    """
    try:
        yield
    except _FAILURES as error:
        raise _object_error(error, url, doing) from error


def _object_error(error: Exception, url: ObjectUrl, doing: str) -> AdapterError:
    """Our error for one of the store's, by what can be done about it."""
    if number := _local(error):
        system = OSError(number, os.strerror(number))
        return disk_error(system, f"use a file of this machine to {doing}", url)
    match = _STATUS.search(str(error))
    status = int(match[1]) if match else 0
    if _ROLES.search(str(error)):
        keys = _KEYS[url.store.partition(":")[0]]
        # A machine with a role may not get an answer for a moment: a later try may help.
        kind = FileUnreadableError if status in (401, 403, 404) else SourceUnavailableError
        return kind(
            f"there are no credentials for {url.store!r}",
            wanted=f"{keys} in the environment, or a machine with a role",
            got=_detail(error),
            hint=f"set {keys}",
        )
    if isinstance(error, FileNotFoundError) or status == 404:
        bucket = "NoSuchBucket" in str(error) or not url.key
        name = url.store if bucket else str(url)
        return SourceNotFoundError(
            f"there is no {'bucket' if bucket else 'object'} {name!r}",
            hint="create it, or name another one" if bucket else None,
        )
    if status in (401, 403) or isinstance(error, PermissionError):
        return FileUnreadableError(
            f"the store does not let us {doing} {str(url)!r}: {_detail(error)}",
            hint="check the credentials in the environment (AWS_…, GOOGLE_…, AZURE_…)",
        )
    if "builder error" in str(error):
        return AdapterError(
            f"the endpoint of {url.store!r} is refused: {_detail(error)}",
            hint="an endpoint without TLS needs AWS_ALLOW_HTTP=true",
        )
    if (400 <= status < 500 and status not in (408, 429)) or isinstance(error, ValueError):
        return AdapterError(f"the store refuses to {doing} {str(url)!r}: {_detail(error)}")
    return SourceUnavailableError(
        f"the store of {str(url)!r} does not answer: {_detail(error)}",
        hint="check the network, the endpoint and the credentials in the environment",
    )


def _local(error: Exception) -> int:
    """The system's number of an error about a file of this machine; 0 if it is about the store."""
    if not isinstance(error, OSError):
        return 0
    match = _LOCAL.search(_detail(error))
    return error.errno or (int(match[1]) if match else 0)


def _detail(error: Exception) -> str:
    return str(error).partition("\n")[0]
