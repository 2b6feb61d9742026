"""Files as a sink: each epoch of a flow becomes visible whole, once.

An epoch is staged in a hidden folder beside its destination, in the same file system. One file
is published by renaming it; several by renaming the folder that holds them. Either is one atomic
step, so that no list of what is valid has to be kept or read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from qanat.connectors.files import FILES
from qanat.connectors.files.folder import means
from qanat.disk import explained, sync, sync_path
from qanat.errors import (
    FileVanishedError,
    HistoryMismatchError,
    OptionError,
    UnsupportedError,
    nearest,
)
from qanat.model.location import is_url
from qanat.model.name import Named
from qanat.model.owner import tag
from qanat.model.pipeline import SinkTarget
from qanat.model.query import SourceRef
from qanat.model.staged import StagedTable
from qanat.model.work import Output
from qanat.ports.sink import Delivery
from qanat.ports.source import Surroundings
from qanat.text import expanded

_LONGEST_NAME = 150
_GONE = ".gone-"
_STAGING = ".qanat"
"""The folder in a sink's own that holds what is not published yet."""
_OWNED = re.compile(r"(?:\.gone-)?([0-9a-f]{8})-.*")
"""A name in that folder, which begins with whose it is."""


class FilesSink:
    """The `Sink` of Parquet, CSV or JSON files in a folder of this machine."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._root = surroundings.root
        self._tag = tag(surroundings.scope)

    def check(self, target: SinkTarget) -> None:
        """Look at format, place and options.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            UnsupportedError: the format or the place is one for a later release.
        """
        _checked(target)
        self._folder(target)

    def place(self, target: SinkTarget) -> object:
        """The folder, however it is written.

        Raises:
            OptionError, UnsupportedError: the place cannot be written to.
        """
        return os.path.realpath(self._folder(target))

    def feeds(self, target: SinkTarget, ref: SourceRef) -> bool:
        """True if a path or pattern means files in the folder, as an epoch publishes them."""
        if ref.connector != target.connector or is_url(ref.place):
            return False
        own = Path(os.path.realpath(self._folder(target)))
        epoch, ending = own / _name("flow", 1), target.format.lower()
        files = [f"{epoch}-0.{ending}", f"{epoch}-0.{ending}.gz", f"{epoch}/part.{ending}"]
        return any(means(ref.place, self._root, bool(ref.option("recursive")), f) for f in files)

    def output(self, delivery: Delivery) -> Output:
        """Where the engine stages the rows; what a crash had left there is removed.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            UnsupportedError: the format or the place is one for a later release.
        """
        target = delivery.target
        options = _checked(target)
        name = f"{self._tag}-{_name(delivery.flow, delivery.epoch)}"
        mine = self._folder(target) / _STAGING / name
        # Each attempt has a folder of its own and removes those of earlier ones, so that a process
        # that slept meanwhile has nothing left to publish.
        staging = mine / uuid4().hex
        with explained("stage in", staging):
            self._remove(mine)
            staging.mkdir(parents=True)
        return Output(staging, "part", target.format.lower(), options=options)

    def publish(
        self, delivery: Delivery, staging: Path, staged: StagedTable, may_be_published: bool
    ) -> None:
        """Make the epoch visible, whole and durably; doing it twice is the same as once.

        Args:
            staging: the folder of the output in which the rows were staged.
            may_be_published: an earlier attempt may have published the epoch; if it has, what is
                staged is thrown away.

        Raises:
            HistoryMismatchError: there is an epoch of that number which is not this one.
            FileVanishedError: staged files were removed.
            StorageFullError, AdapterError: the disk refuses.
        """
        flow, epoch = delivery.flow, delivery.epoch
        folder, name = self._folder(delivery.target), _name(flow, epoch)
        with explained("publish to", folder):
            if epoch not in _held(folder, flow):
                if staged.files:
                    self._publish(folder / name, staging, staged)
            # Staged files that are gone were published, or removed by a later attempt.
            elif not may_be_published and any((staging / f.path).is_file() for f in staged.files):
                raise HistoryMismatchError(
                    f"there is an epoch {epoch} of flow {flow} in {str(folder)!r} already, which"
                    " this project has not sent",
                    hint="if another project or environment sends there too, give each a folder of"
                    " its own",
                )
            sync_path(folder)
        shutil.rmtree(staging.parent, ignore_errors=True)

    def _folder(self, target: SinkTarget) -> Path:
        path = Named(target.options).get("path")
        if not path:
            raise OptionError("a sink of files needs the option 'path'", wanted="path => 'folder'")
        if is_url(path):
            raise UnsupportedError(
                f"a sink cannot write to {path!r}: object stores come in a later release",
                hint="write to a local folder and copy it",
            )
        folder = expanded(path)
        if folder.startswith("~"):
            raise OptionError(
                "the folder of a sink does not fit",
                wanted="a folder; ~NAME is the home folder of a user of this machine",
                got=repr(path),
            )
        return self._root / folder

    def _publish(self, published: Path, staging: Path, staged: StagedTable) -> None:
        for file in staged.files:
            if not (staging / file.path).is_file():
                raise FileVanishedError(f"the staged file {str(staging / file.path)!r} is gone")
        try:
            if len(staged.files) == 1 and "/" not in (name := staged.files[0].path):
                suffixes = name.partition(".")[2]
                (staging / name).rename(f"{published}-0.{suffixes}")
            else:
                _only(staging, {file.path for file in staged.files})
                staging.rename(published)
        except FileNotFoundError as error:
            raise FileVanishedError(f"what was staged in {str(staging)!r} is gone") from error

    def carries(self, target: SinkTarget, flow: str, epoch: int) -> bool:
        """True if the epoch has been published (an epoch without rows publishes nothing)."""
        return epoch in _held(self._folder(target), flow)

    def last(self, target: SinkTarget, flow: str) -> int:
        """The greatest number of the flow's epochs that are still there; 0 if none is.

        Raises:
            StorageFullError, AdapterError: the disk refuses.
        """
        folder = self._folder(target)
        with explained("look into", folder):
            return max(_held(folder, flow), default=0)

    def secure(self, target: SinkTarget) -> None:
        """Make durable what has been published, also by other processes.

        Raises:
            StorageFullError, AdapterError: the disk refuses.
        """
        folder = self._folder(target)
        with explained("publish to", folder):
            sync_path(folder)

    def rename(self, target: SinkTarget, flow: str, new: str) -> None:
        """Nothing: files keep the names that receivers know them by.

        One who watches the folder would take renamed files for new ones.
        """

    def sweep(self, target: SinkTarget, confirm: Callable[[], object]) -> None:
        """Remove what was staged and not published; what another project has staged stays.

        Args:
            confirm: called once it has been found, before any of it is removed; raises if another
                update may have begun. Nothing that came later is removed.
        """
        # The flow of a wrong target reports it, with its place.
        with suppress(OptionError, UnsupportedError):
            staging = self._folder(target) / _STAGING
            # Folders of single attempts, whose names are never used again.
            own = [p for p in staging.glob("*") if self._is_own(p.name)]
            found = [p for p in own if p.name.startswith(_GONE)]
            if found := [*found, *(p for folder in own for p in folder.glob("*"))]:
                confirm()
            for path in found:
                self._remove(path)
            for path in (*own, staging):
                with suppress(OSError):
                    path.rmdir()

    def _is_own(self, name: str) -> bool:
        """True if it is not another project's; what an older Qanat has left is anybody's."""
        found = _OWNED.fullmatch(name)
        return found is None or found[1] == self._tag

    def _remove(self, path: Path) -> None:
        """Remove a folder; renamed first, it is gone at once for a process that works in it."""
        away = path.with_name(f"{_GONE}{self._tag}-{uuid4().hex}")
        with suppress(FileNotFoundError):
            path.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _held(folder: Path, flow: str) -> set[int]:
    """The numbers of a flow's epochs in a folder, whatever else is in it.

    What follows a number has no other hyphen, and so no other flow's name can look like it. The
    ledger counts no further than 18 digits.
    """
    if not folder.is_dir():
        return set()
    number = "([0-9]{10}|[1-9][0-9]{10,17})"
    epoch = re.compile(rf"{re.escape(_plain(flow))}-{number}(?:-0\.[^-]+)?")
    with os.scandir(folder) as entries:
        return {int(found[1]) for e in entries if (found := epoch.fullmatch(e.name))}


def _checked(target: SinkTarget) -> tuple[tuple[str, str], ...]:
    """The options for the engine, by canonical name.

    Raises:
        OptionError: there is no such format, or an option is missing or does not fit.
    """
    table = FILES.sinks.get(target.format.lower())
    if table is None:
        raise OptionError(
            f"there is no sink format {target.format!r}",
            wanted=" or ".join(FILES.sinks),
            nearest=nearest(target.format, FILES.sinks),
        )
    found = table.check_all(target.options)
    del found["path"]
    return tuple(found.items())


def _name(flow: str, epoch: int) -> str:
    return f"{_plain(flow)}-{epoch:010}"


def _plain(flow: str) -> str:
    """A flow's name as the start of a file name that every system takes and readers see."""
    name = quote(flow, safe=" ")
    if name[:1] in "._~":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}~{blake2b(flow.encode(), digest_size=8).hexdigest()}"
    return name


def _only(staging: Path, wanted: set[str]) -> None:
    """Remove what an engine left beside its files: it would be published with them."""
    for folder, _, names in os.walk(staging):
        paths = (Path(folder, name) for name in names)
        others = [p for p in paths if p.relative_to(staging).as_posix() not in wanted]
        for path in others:
            path.unlink()
        if others:
            # Sync: a power loss could bring them back, and they would be published.
            sync(Path(folder))
