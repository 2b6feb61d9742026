"""Whose a table is, and whose a staged file: the project and environment that made them.

Several projects may be given one storage by mistake, and tables of one name in it. So a table
carries from its first commit on, in a property, whose it is, and a store writes to no other's. A
file that is staged carries a digest of that in its name: it is part of no table yet, and the
project that sweeps the folder may be another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from qanat.errors import ForeignTableError
from qanat.model.table import Commit

OWNER = "qanat.owner"
"""The table property: `<project>/<environment>`."""

_STAGED = re.compile(r"epoch-\d+-([0-9a-f]{8})-([0-9a-f]{8})[0-9a-f]{24}")


def is_staged(file: str) -> bool:
    """True if the name of a data file is one that Qanat gives, whatever the project.

    Any other may belong to a commit that another tool is about to make.

    >>> is_staged("epoch-7-0692c5ad-0-0.parquet"), is_staged("part-00000-1f.snappy.parquet")
    (True, False)
    """
    return file.startswith(("epoch-", "replay-"))


@lru_cache(maxsize=100)
def tag(owner: str) -> str:
    """An owner in eight characters that any file name takes.

    >>> tag("shop/dev"), tag("shop/prod")
    ('0692c5ad', '94bedab1')
    """
    return blake2b(owner.encode(), digest_size=4).hexdigest()


def attempt_id(application: str) -> str:
    """32 hexadecimal digits for the names of what one attempt stages; they tell whose it is.

    A table's log may lose the entry that says which application has brought a file.

    >>> is_of("epoch-7-0692c5ad-" + attempt_id("qanat:silver") + "-0.parquet", "qanat:silver")
    True
    """
    return tag(application) + uuid4().hex[8:]


def is_of(file: str, application: str) -> bool:
    """True if an attempt of an application has staged a file, by its name."""
    found = _STAGED.match(file)
    return found is not None and found[2] == tag(application)


_BROUGHT = re.compile(r"-of([0-9a-f]{8})-")


def brought_by(file: str) -> str | None:
    """The tag of the application that has brought the rows of a file, by its name.

    Where files were written again, so that they lie in fewer, the name tells whose they were.

    >>> brought_by("epoch-2-0692c5ad-" + "0" * 32 + "-of94bedab1-000000-0.parquet")
    '94bedab1'
    """
    staged = _STAGED.match(file)
    again = _BROUGHT.search(file)
    if staged is None:
        return None
    return again[1] if again else staged[2]


def was_brought_by(file: str, application: str) -> bool:
    """True if the rows of a file are an application's, by the file's name."""
    return brought_by(file) == tag(application)


def number_in(file: str) -> int:
    """The number of the epoch that has written a file of new rows; 0 if its name says none.

    >>> number_in("epoch-7-0692c5ad-0-0.parquet"), number_in("part-0.parquet")
    (7, 0)
    """
    parts = file.split("-")
    # Behind two dashes: rows that were there, written again with wider types.
    new = parts[0] == "epoch" and parts[1].isdigit() and "--" not in file
    return int(parts[1]) if new else 0


def staged_prefix(owner: str, number: int, unique: str) -> str:
    """How the names of the files begin that an attempt at an epoch stages.

    Args:
        number: of the epoch.
        unique: of the attempt, see `attempt_id`.
    """
    return f"epoch-{number}-{tag(owner)}-{unique}"


def is_foreign(file: str, owner: str) -> bool | None:
    """True if another owner has staged a file, by its name; None if the name does not tell.

    >>> name = staged_prefix("shop/dev", 7, "0" * 32) + "-0.parquet"
    >>> is_foreign(name, "shop/dev"), is_foreign(name, "shop/prod"), is_foreign("a.parquet", "")
    (False, True, None)
    """
    found = _STAGED.match(file)
    return None if found is None else found[1] != tag(owner)


def spares(owner: str, found: Callable[[], str | None]) -> Callable[[Path], bool]:
    """Which files of a table's folder an owner may not remove, whatever else is known of them.

    Args:
        found: gives whose the table is, as it says; None if it does not.
    """
    if not owner:
        return lambda path: False
    theirs = found() not in (None, owner)

    def spared(path: Path) -> bool:
        staged = is_foreign(path.name, owner)
        return theirs if staged is None else staged

    return spared


def marked(commit: Commit, owner: str) -> Commit:
    """The commit, which also says whose the table is; as it is if the store has no owner."""
    if not owner:
        return commit
    return replace(commit, properties={**commit.properties, OWNER: owner})


def check_owner(
    table: str, found: str | None, owner: str, got: str = f"its property {OWNER} is {{!r}}"
) -> None:
    """Refuse to change a table that is another's.

    Args:
        table: its name.
        found: whose it is; None if that is not known.
        got: how that is known, with `{!r}` for `found`.
        owner: who wants to change it; empty for a store without an owner, which checks nothing.

    Raises:
        ForeignTableError: it is another's.
    """
    if not owner or found is None or found == owner:
        return
    project, _, environment = found.rpartition("/")
    mine, _, here = owner.rpartition("/")
    if project == mine:
        raise ForeignTableError(
            f"{table} belongs to environment {environment} of this project",
            wanted=f"a table of environment {here}",
            got=got.format(found),
            hint=f"give environment {here} a `storage` of its own, or the dataset another name",
        )
    raise ForeignTableError(
        f"{table} belongs to another project: {project} (environment {environment})",
        wanted=f"a table of {mine} (environment {here})",
        got=got.format(found),
        hint="give this project another `storage`, or the dataset another name; if it is"
        f" {project} under a new name, call it that again (`name: {project}`)",
    )
