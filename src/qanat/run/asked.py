"""Files that a command line names, to be replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from qanat.errors import SelectionError, nearest
from qanat.model.location import is_url
from qanat.model.query import Read
from qanat.run.memo import CompiledFlow
from qanat.run.past import FlowPast
from qanat.run.session import Session


def asked_for(session: Session, files: Iterable[str]) -> frozenset[str]:
    """Files that are named on a command line, as the ledger calls them.

    Args:
        files: paths relative to the project or to the working folder, absolute ones, or URLs.

    Raises:
        SelectionError: no flow has read one of them (names the nearest), or it is gone.
    """
    flows = session.analysis.flows.values() if session.has_ledger else ()
    streams = [(f, r) for f in flows for r in f.reads if r.streaming and not r.source.dataset]
    found: set[str] = set()
    for file in files:
        names = {file, file if is_url(file) else _portable(session, file)}
        known = frozenset().union(*(_seen(session, f, r, names) for f, r in streams))
        if not known:
            read = read_files(session)
            if not names.isdisjoint(read):
                # What reads it otherwise takes all files as they are, each time.
                raise SelectionError(
                    f"no stream has read the file {file!r}, so that no row of it is to be replaced"
                )
            raise SelectionError(f"no flow has read a file {file!r}", nearest=nearest(file, read))
        if not any(is_url(name) or (session.root / name).is_file() for name in known):
            raise SelectionError(
                f"the file {file!r} is not there, so that nothing takes the place of its rows:"
                " write it anew, without rows if none are to stay"
            )
        found |= known
    return frozenset(found)


def _seen(
    session: Session, compiled: CompiledFlow, read: Read, names: Iterable[str]
) -> frozenset[str]:
    generation = session.recorded.generation(compiled.dataset.name)
    past = FlowPast(session.recorded, compiled, read.source.key, generation)
    return frozenset(past.seen(names))


def read_files(session: Session) -> list[str]:
    """The files that flows have read, as the ledger calls them."""
    if not session.has_ledger:
        return []
    epochs = session.recorded.epochs(files=True)
    return sorted({f.path for e in epochs for r in e.ranges.values() for f in r.files})


def _portable(session: Session, file: str) -> str:
    path = os.path.normpath(Path.cwd() / file)
    return path.removeprefix(f"{session.root}/")
