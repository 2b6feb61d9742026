"""Where the tables of each environment are: a folder, or a prefix in an object store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from qanat.declare.document import Entry
from qanat.declare.environments import DEV, Entries
from qanat.errors import OptionError, ProblemsError, QanatError, SpecError, UnsupportedError
from qanat.model.location import ObjectUrl, is_url, meant_url
from qanat.model.pipeline import ProjectSpec
from qanat.text import expanded


def location(root: Path, storage: str) -> str:
    """The absolute folder, or the URL, that a spec's `storage` means.

    >>> location(Path("/home/ada/shop"), "data"), location(Path("/"), "s3a://lake/shop/")
    ('/home/ada/shop/data', 's3://lake/shop')
    """
    if is_url(storage):
        try:
            return str(ObjectUrl.parse(storage)).rstrip("/")
        except (OptionError, UnsupportedError):
            return storage  # `check_storage` has told the author
    if storage.lower().startswith("file:"):
        storage = unquote(re.sub(r"^file:(//)?", "", storage, flags=re.IGNORECASE))
    return os.path.normpath(root / expanded(storage))


def check_storage(storage: Entry | None, problems: list[QanatError]) -> None:
    """Add a problem if tables cannot be kept where an author wants them."""
    if storage is None or not isinstance(storage.value, str):
        return
    text = storage.value
    if expanded(text).startswith("~"):
        problems.append(
            SpecError(
                "storage does not fit",
                location=storage.at,
                wanted="a folder; ~NAME is the home folder of a user of this machine",
                got=repr(text),
            )
        )
    wrong = _refusal(text)
    if wrong is not None:
        problems.append(
            SpecError(
                "storage does not fit",
                location=storage.at,
                wanted="a folder, or a URL such as s3://bucket/path, gs://bucket/path or"
                " abfss://container@account.dfs.core.windows.net/path",
                got=repr(text),
                nearest=wrong.nearest,
            )
        )


def _refusal(text: str) -> QanatError | None:
    """Why a storage is no URL, although it looks like one."""
    if meant := meant_url(text):
        return OptionError(f"{text!r} is no URL", nearest=meant)
    try:
        if is_url(text):
            ObjectUrl.parse(text)
    except (OptionError, UnsupportedError) as error:
        return error
    return None


def check_apart(storage: str, name: str, other: ProjectSpec, given: Entry | None) -> None:
    """Refuse to write where only to read: a variable may have set the storage.

    Args:
        name: of the environment that writes.
        other: the one that it reads from.
        given: what says the storage.

    Raises:
        ProblemsError: both environments have one storage.
    """
    if storage == other.storage:
        problem = SpecError(
            f"environment {name!r} has the storage of {other.environment!r}, which it reads from",
            location=given.at if given else None,
            got=storage,
            wanted="another storage: an environment never writes to the one that it reads from",
        )
        raise ProblemsError([problem])


def check_storages(
    root: Path, base: Entries, environments: dict[str, Entries], problems: list[QanatError]
) -> None:
    """Add a problem for two environments with one storage, which would share their tables."""
    default = base.get("storage")
    start = location(root, str(default.text if default else "storage"))
    dev = environments.get(DEV, {}).get("storage")
    used = {location(root, str(dev.text)) if dev else start: DEV}
    for name, settings in environments.items():
        own = settings.get("storage")
        if name == DEV:
            continue
        place = location(root, str(own.text)) if own else f"{start}/{name}"
        other = used.setdefault(place, name)
        if other != name:
            problems.append(
                SpecError(
                    f"environments {other!r} and {name!r} have one storage",
                    location=own.at if own else None,
                    got=str(own.text) if own else place,
                    hint=f"leave it out to get a folder {name!r} below the spec's storage",
                )
            )
