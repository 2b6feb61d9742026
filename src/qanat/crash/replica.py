"""Copies of a user's project for the crash test; the original is only read.

The storage, the folders of sinks and the files that declare the project are copied. Everything
else is linked: updates only read it, and it may be large.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from qanat.crash.case import Operation, Scenario
from qanat.crash.deliveries import sink_folder, sinks
from qanat.crash.quarters import places
from qanat.crash.slot import copy_project
from qanat.declare.files import project_files
from qanat.errors import StorageFullError, UnsupportedError
from qanat.model.location import is_url
from qanat.model.pipeline import SinkTarget
from qanat.run.session import Session

_ASIDE = ".qanat-storage"
"""The copy's storage folder if the original's storage is outside of the project's folder."""


class Replica:
    """Copies of a project in several states.

    Args:
        session: the opened original.
        folder: the folder for the copies, as an absolute path.

    Raises:
        UnsupportedError: the project writes to a place that cannot be copied.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        if is_url(session.project.storage):
            raise UnsupportedError(
                f"a crash test works on copies, and there is none of {session.project.storage}",
                hint="test an environment whose storage is a folder: qanat doctor --crash-test"
                " --env NAME",
            )
        root, storage = session.project.root, Path(session.project.storage)
        self.storage = str(storage.relative_to(root)) if storage.is_relative_to(root) else _ASIDE
        if session.project.ledger is not None:
            raise UnsupportedError(
                "a crash test needs a ledger that can be copied, and this one is in a database",
                hint="without `ledger` in the spec it is in the storage; for example in an"
                " environment of its own: qanat doctor --crash-test --env NAME",
            )
        self._sinks = [self._sink(name, target) for name, target in sinks(session)]
        self._declared = [p.relative_to(root) for p in project_files(session.project)]
        self._declared.append(session.project.spec.relative_to(root))

    def scenarios(self) -> list[Scenario]:
        """Make the copies: one as the project is, one without storage; and their scenarios."""
        now = self._image("now", with_storage=True)
        new = self._image("new", with_storage=False)
        named = [("first-run", new, Operation.RUN)]
        if Path(self._session.project.storage).exists():
            named.append(("run", now, Operation.RUN))
            named.append(("full-refresh", now, Operation.REFRESH))
        if any(self._quarantined()):
            named.append(("replay", now, Operation.REPLAY))
        return [
            Scenario(name, image, operation, self.storage, self._session.project.environment)
            for name, image, operation in named
        ]

    def _sink(self, name: str, target: SinkTarget) -> Path:
        found = sink_folder(self._session, target)
        if found is None:
            raise UnsupportedError(
                f"the sink {name} writes to {target.format}, of which there is no copy: a crash"
                " test would write there, too",
                hint="give the sink a folder in the environment to test",
            )
        folder = Path(os.path.normpath(found))
        root = self._session.project.root
        if not folder.is_relative_to(root) or folder == root:
            raise UnsupportedError(
                f"the sink {name} writes to {folder}, which is not in a folder of the project:"
                " a crash test would write there, too",
                hint="give the sink a path relative to the project in the environment to test",
            )
        return folder.relative_to(root)

    def _quarantined(self) -> Iterable[bool]:
        for dataset in self._session.pipeline.datasets:
            table = self._session.table(dataset.quarantine)
            if self._session.store.version(table) is not None:
                yield bool(self._session.store.snapshot(table).rows)

    def _image(self, name: str, with_storage: bool) -> Path:
        project, storage = self._session.project, Path(self._session.project.storage)
        image = self._folder / name
        written = {Path(self.storage), *self._sinks}
        _link(project.root, image, Path(), {*written, *self._declared})
        for path in self._declared:
            shutil.copy2(project.root / path, image / path)
        if with_storage and storage.exists():
            copy_storage(storage, image / self.storage)
            for sink in self._sinks:
                if (project.root / sink).exists():
                    copy_project(project.root / sink, image / sink)
        return image


def roomy(session: Session, jobs: int) -> Path:
    """The best place with room for the copies: in memory if possible, else on a disk.

    Args:
        session: the opened original.
        jobs: the number of processes, each with copies of its own.

    Raises:
        StorageFullError: no place has enough free space.
    """
    storage = Path(session.project.storage)
    size = sum(p.stat().st_size for p in storage.rglob("*") if p.is_file())
    # Two images, and for each slot a copy and what an update adds or rewrites; plus 256 MiB.
    wanted = (3 * jobs + 2) * size + 2**28
    for place in places():
        if shutil.disk_usage(place).free > wanted:
            return place
    raise StorageFullError(
        f"no place for the copies of {storage}",
        wanted=f"{wanted / 2**30:,.1f} GiB free in one of {', '.join(map(str, places()))}",
        hint="set TMPDIR to a folder on a larger disk",
    )


def copy_storage(source: Path, target: Path) -> None:
    """Copy a storage byte by byte, without the scratch space of running updates."""
    private = source / "_qanat"

    def of_the_moment(folder: str, names: list[str]) -> set[str]:
        # Only directly below `_qanat`: a dataset or a partition may be called `scratch`, too.
        return {"scratch"}.intersection(names if Path(folder) == private else ())

    shutil.copytree(source, target, symlinks=True, ignore=of_the_moment)


def _link(source: Path, target: Path, here: Path, own: set[Path]) -> None:
    """Make a folder with links to everything in another folder, except the paths in `own`."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        relative = here / path.name
        if relative in own:
            continue
        if any(w.is_relative_to(relative) for w in own) and path.is_dir():
            _link(path, target / path.name, relative, own)
        else:
            (target / path.name).symlink_to(path)
