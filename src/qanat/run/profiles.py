"""Profiles that updates make of tables and keep: files beside the ledger, a hundred at most.

They are files, and no rows of the ledger, as nothing depends on them: an update that cannot write
one warns, and one that is lost is missed by nobody but the reader of a history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from shutil import rmtree
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from qanat.disk import explained
from qanat.errors import UpdateNotFoundError, nearest
from qanat.frozen import Frozen
from qanat.model.profile import PROFILED, Profile
from qanat.run.known import remembered
from qanat.run.readable import folder_name
from qanat.run.session import Session
from qanat.run.watching import LAST

MOST, MOST_BYTES = 100, 50_000_000
"""Profiles of a dataset that are kept, and how large they may be together."""


def kept_profiles(session: Session, dataset: str, limit: int = MOST) -> tuple[Profile, ...]:
    """The profiles that updates have kept of a dataset, newest first.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
    """
    name = remembered(session, dataset)
    paths = _paths(session, name)
    found = (_read(path, name) for path in reversed(paths[-limit:]))
    return tuple(each for each in found if each is not None)


def kept_profile(session: Session, dataset: str, update: str = LAST) -> Profile:
    """The profile that an update has kept of a dataset.

    Args:
        update: its identifier, or `last`: the newest that has kept one.

    Raises:
        DatasetNotFoundError: no such dataset is declared, and none has epochs.
        UpdateNotFoundError: that update has kept none.
    """
    name = remembered(session, dataset)
    paths = {_update_of(path): path for path in _paths(session, name)}
    wanted = next(reversed(paths), "") if update == LAST else update
    found = _read(paths[wanted], name) if wanted in paths else None
    if found is None:
        raise UpdateNotFoundError(
            f"no update has kept a profile of {name}"
            if update == LAST
            else f"update {update} has kept no profile of {name}",
            nearest=nearest(update, paths),
            hint=f"TBLPROPERTIES ('{PROFILED}' = 'true') has each update keep one",
        )
    return found


def profiles_of(session: Session, update: str, datasets: Sequence[str]) -> Iterator[Profile]:
    """The profiles that an update has kept, of those of the datasets that have one."""
    for name in datasets:
        for path in _paths(session, name):
            if _update_of(path) == update and (found := _read(path, name)) is not None:
                yield found


def move_profiles(session: Session, old: str, new: str | None) -> None:
    """Let the profiles of a dataset have another name, or go with it; twice does no harm."""
    folder = _folder(session, old)
    if not folder.is_dir():
        return
    if new is None:
        rmtree(folder, ignore_errors=True)
        return
    with explained("rename", folder):
        to = _folder(session, new)
        to.mkdir(parents=True, exist_ok=True)
        for path in _paths(session, old):
            path.replace(to / path.name)
        folder.rmdir()


def _folder(session: Session, dataset: str) -> Path:
    return session.project.private / "profiles" / folder_name(dataset)


def _paths(session: Session, dataset: str) -> list[Path]:
    """Oldest first: their names begin with the microsecond."""
    return sorted(_folder(session, dataset).glob("*.json"))


def _update_of(path: Path) -> str:
    return path.stem.partition("_")[2]


def keep_profile(session: Session, found: Profile) -> None:
    """Keep the profile that an update has made; the oldest go."""
    # Updates alone, whose names tell the second, have no order within it.
    path = _folder(session, found.name) / f"{round(found.at * 1e6)}_{found.update}.json"
    part = path.with_suffix(f".{os.getpid()}.part")
    with explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(_plain(found), separators=(",", ":")), encoding="utf-8")
        part.replace(path)
        paths = _paths(session, found.name)[::-1]
        total = 0
        for at, each in enumerate(paths):
            total += each.stat().st_size
            if at and (at >= MOST or total > MOST_BYTES):
                each.unlink(missing_ok=True)


def _read(path: Path, dataset: str) -> Profile | None:
    """A profile; None if it is not there, or was written by a release that had others.

    Args:
        dataset: its name by now.
    """
    try:
        read: Profile = _made(Profile, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return replace(read, name=dataset)


def _plain(value: Any) -> Any:
    """A value as JSON has it, so that `_made` finds the same again."""
    match value:
        case Decimal():
            return {"decimal": str(value)}
        case Enum():
            return value.value
        case tuple():
            return [_plain(each) for each in value]
        case Frozen():
            return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
    return value


def _made(kind: Any, value: Any) -> Any:
    """The value of a kind that `_plain` has written."""
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], each) for each in value)
    if get_origin(kind) in (Union, UnionType):
        frozen = [k for k in get_args(kind) if isinstance(k, type) and issubclass(k, Frozen)]
        if isinstance(value, dict):
            return _made(frozen[0], value) if frozen else Decimal(value["decimal"])
        return value
    if isinstance(kind, type) and issubclass(kind, Frozen):
        hints = get_type_hints(kind)
        return kind(**{name: _made(hints[name], v) for name, v in value.items() if name in hints})
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value
