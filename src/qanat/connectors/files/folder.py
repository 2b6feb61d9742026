"""Files on this machine.

Thousands of files are listed on every update, so this reads each folder once with `os.scandir`
and each file's status once, and makes no `Path` for either.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from hashlib import blake2b, sha256
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from qanat.connectors.files.glob import Glob, alternatives, described, has_wildcard
from qanat.errors import (
    FileChangedError,
    FileUnreadableError,
    FileVanishedError,
    NotAllowedError,
    SourceNotFoundError,
    full_refresh,
    nearest,
)
from qanat.model.location import meant_url
from qanat.model.record import FileRef
from qanat.model.work import LocalFile
from qanat.text import expanded

_CHUNK = 2**20
_WORTH_THREADS = 64 * 2**20  # for less, handing files to threads costs more than hashing them


def check_allowed(path: str, root: Path, folders: tuple[str, ...] | None) -> None:
    """Refuse a path, or a pattern, outside of the folders that a spec allows.

    Args:
        root: where a relative path starts.
        folders: absolute; None: any will do.

    Raises:
        NotAllowedError: it is in none of them.
    """
    if folders is None:
        return
    fixed = [*takewhile(lambda part: not has_wildcard(part), Path(path).parts)]
    # Links are followed: DuckDB does not look where one leads.
    place = Path(os.path.realpath(root.joinpath(*fixed)))
    allowed = [os.path.realpath(folder) for folder in folders]
    if not any(place.is_relative_to(folder) for folder in allowed):
        raise NotAllowedError(path, link=_link_out(root.joinpath(*fixed), allowed))


def _link_out(path: Path, allowed: Sequence[str]) -> tuple[str, str] | None:
    """The link by which a path leaves the allowed folders, and where it leads; None if by none."""
    inside = False
    for part in (*reversed(path.parents), path):
        place = Path(os.path.realpath(part))
        if any(place.is_relative_to(folder) for folder in allowed):
            inside = True
        elif inside and part.is_symlink():
            return str(part), str(place)
    return None


def means(path: str, root: Path, recursive: bool, file: str) -> bool:
    """True if a path, folder or pattern would mean a file, were it there.

    Args:
        root: where a relative path starts.
        file: its absolute path, links followed.
    """
    absolute = str(root / expanded(path))
    if not has_wildcard(path):
        globs = [Glob.of(absolute, "**" if recursive else "*")]
    else:
        globs = [Glob.parse(each) for each in alternatives(absolute)]
        globs += [Glob.of(g.base, *g.parts, "**") for g in globs if recursive]
    for glob in globs:
        base = os.path.realpath(glob.base)
        if file.startswith(f"{base}/") and glob.accepts_path(file.removeprefix(f"{base}/")):
            return True
    return False


class Folder:
    """A `Place`: the file system below (or outside of) a project's root."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._digests: dict[FileRef, str] = {}
        self._hashing = Lock()

    def find(self, path: str, recursive: bool) -> list[FileRef]:
        """See `Place.find`."""
        absolute = self._absolute(path)
        status = _status(absolute, path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            globs = [Glob.of(os.path.normpath(absolute), "**" if recursive else "*")]
        elif status is not None:
            return [_ref(os.path.normpath(absolute), status)]
        elif has_wildcard(path):
            globs = self._globs(path)
            if recursive:
                globs += [Glob.of(g.base, *g.parts, "**") for g in globs if g.parts[-1] != "**"]
        else:
            raise self._missing(path, absolute)
        found: dict[str, FileRef] = {}
        for glob in globs:
            base = os.path.normpath(glob.base)
            if not Path(base).is_dir():
                raise self._missing(path, base)
            _walk(base, glob, glob.start(), (os.path.realpath(base),), found)
        return [found[name] for name in sorted(found)]

    def same(self, before: FileRef, now: FileRef) -> bool:
        """See `Place.same`: reads the file only when the sizes agree."""
        return (
            before.size == now.size
            and before.digest is not None
            and before.digest == _digest(now, before.digest.partition(":")[0])
        )

    def _verified(self, file: FileRef) -> FileRef:
        # Several flows of an update may read one version of a file: one of them hashes it.
        plain = replace(file, digest=None)
        digest = self._digests.get(plain)
        if digest is None:
            alone = file.size >= _WORTH_THREADS
            with self._hashing if alone else nullcontext():
                digest = self._digests.get(plain) or _digest(file)
                if alone:
                    self._digests[plain] = digest
        now = _current(file)
        if now == (file.size, file.modified_ns):
            return replace(file, digest=digest)
        error = FileChangedError(
            f"the file {file.path!r} changed while it was read: it is still being written",
            wanted=described(file),
            got=described(FileRef(file.path, *now)),
            hint="a later update takes it when it is complete; best write it under a name that "
            "starts with '.' and rename it",
        )
        error.path = file.path
        raise error

    def fetch(self, files: Sequence[FileRef], scratch: Path) -> list[LocalFile]:
        """See `Place.fetch`: the files are used where they lie, nothing goes to `scratch`."""
        for file in files:
            now = _current(file)
            if now != (file.size, file.modified_ns):
                changed = FileVanishedError(
                    f"the file {file.path!r} has changed since it was found",
                    wanted=described(file),
                    got=described(FileRef(file.path, *now)),
                    hint="run again: the update then takes it as it is",
                )
                changed.path = file.path
                raise changed
            if not os.access(file.path, os.R_OK, effective_ids=True):
                raise _forbidden(file.path)
        return [LocalFile(f.path, f.path, f.size, f.modified_ns) for f in files]

    def verify(self, files: Sequence[FileRef]) -> list[FileRef]:
        """See `Place.verify`."""
        if sum(f.size for f in files) < _WORTH_THREADS:
            return [self._verified(f) for f in files]
        with ThreadPoolExecutor(2, "digest") as pool:
            return list(pool.map(self._verified, files))

    def named(self, path: str) -> str:
        """The path that a file of that written path has in a range."""
        return os.path.normpath(self._absolute(path))

    def _absolute(self, path: str) -> str:
        folder, rest = self._parted(path)
        return f"{folder}/{rest}"

    def _globs(self, path: str) -> list[Glob]:
        folder, rest = self._parted(path)
        globs = [Glob.parse(one) for one in alternatives(rest)]
        return [Glob.of(f"{folder}/{g.base}", *g.parts) for g in globs]

    def _parted(self, path: str) -> tuple[str, str]:
        """The folder that a path starts from, and the rest of it.

        Only the rest is the author's: a `[` in the name of the project's folder is no wildcard.
        """
        if path.lower().startswith("file://"):
            path = unquote(urlsplit(path).path)
        home, slash, rest = path.partition("/")
        if home.startswith("~") and (found := expanded(home)) != home:
            return found, rest if slash else ""
        return ("", path[1:]) if path.startswith("/") else (self._root, path)

    def _missing(self, written: str, absolute: str) -> SourceNotFoundError:
        """An error that names what comes closest in the deepest folder that does exist."""
        if meant := meant_url(written):
            return SourceNotFoundError(f"read_files({written!r}): this is no URL", nearest=meant)
        gone = Path(os.path.normpath(absolute))
        while not gone.parent.is_dir():
            gone = gone.parent
        parent = gone.parent
        try:
            names = [p.name for p in parent.iterdir()]
        except OSError:
            names = []
        close = nearest(gone.name, names)
        return SourceNotFoundError(
            f"read_files({written!r}): there is no {self._shown(gone)!r}",
            nearest=self._shown(parent / close) if close else None,
            hint=f"{self._shown(parent)!r} has {_listed(names)}" if not close else None,
        )

    def _shown(self, path: Path) -> str:
        root = Path(self._root)
        return str(path.relative_to(root)) if root in path.parents else str(path)


def _walk(
    folder: str,
    glob: Glob,
    at: frozenset[int],
    entered: tuple[str, ...],
    found: dict[str, FileRef],
) -> None:
    """Collect what `glob` means below a folder; `entered`: real paths of links on the way."""
    try:
        below = _look(folder, glob, at, found)
    except PermissionError as error:
        raise FileUnreadableError(
            f"the folder {folder!r} may not be listed", hint="give this user the right to read it"
        ) from error
    except FileNotFoundError:
        return  # deleted since
    for entry, next_ in below:
        inside = entered
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if real in entered or f"{os.path.realpath(folder)}/".startswith(f"{real}/"):
                continue  # a link to a folder around it: following it would never end
            inside = (*entered, real)
        _walk(entry.path, glob, next_, inside, found)


def _look(
    folder: str, glob: Glob, at: frozenset[int], found: dict[str, FileRef]
) -> list[tuple[os.DirEntry[str], frozenset[int]]]:
    """Collect the files of one folder; returns the folders in it that may have some, too."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if next_ := glob.descend(at, entry.name):
                    below.append((entry, next_))
            elif glob.accepts(at, entry.name):
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # deleted since, or a link to nothing
                if stat.S_ISREG(status.st_mode):
                    found[entry.path] = _ref(entry.path, status)
    return below


def _ref(path: str, status: os.stat_result) -> FileRef:
    if not path.isascii():
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise FileUnreadableError(
                f"the name of the file {os.fsencode(path)!r} is not UTF-8", hint="rename the file"
            ) from error
    return FileRef(path, status.st_size, status.st_mtime_ns)


def _status(absolute: str, written: str) -> os.stat_result | None:
    try:
        return Path(absolute).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        if has_wildcard(written):
            return None  # listing the folder will tell
        raise _forbidden(written) from error
    except (OSError, ValueError) as error:  # a name too long, or with a NUL character
        raise SourceNotFoundError(f"{written!r} cannot be the name of a file: {error}") from error


def _current(file: FileRef) -> tuple[int, int]:
    try:
        status = os.stat(file.path)  # noqa: PTH116 - a Path for each of thousands of files costs too much
    except (FileNotFoundError, NotADirectoryError) as error:
        gone = FileVanishedError(
            f"the file {file.path!r} is gone",
            wanted=described(file),
            hint=f"put it back, or start over from what is there: {full_refresh()}",
        )
        gone.path = file.path
        raise gone from error
    except PermissionError as error:
        raise _forbidden(file.path) from error
    return status.st_size, status.st_mtime_ns


_HASHERS: dict[str, Callable[[], Any]] = {
    "sha256": sha256,
    "blake2b": partial(blake2b, digest_size=20),
}
"""By the start of a digest. Processors compute SHA-256 twice as fast as BLAKE2, which earlier
releases took."""


def _digest(file: FileRef, algorithm: str = "sha256") -> str:
    hasher = _HASHERS.get(algorithm, sha256)()
    buffer = memoryview(bytearray(min(_CHUNK, max(file.size, 1))))
    try:
        with Path(file.path).open("rb", buffering=0) as content:
            while count := content.readinto(buffer):
                hasher.update(buffer[:count])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileVanishedError(
            f"the file {file.path!r} is gone", wanted=described(file)
        ) from error
    except PermissionError as error:
        raise _forbidden(file.path) from error
    except OSError as error:
        raise FileUnreadableError(
            f"the file {file.path!r} cannot be read: {error.strerror}"
        ) from error
    return f"{hasher.name}:{hasher.hexdigest()}"


def _forbidden(path: str) -> FileUnreadableError:
    return FileUnreadableError(
        f"the file {path!r} may not be read", hint="give this user the right to read it"
    )


def _listed(names: Sequence[str]) -> str:
    shown = [repr(n) for n in sorted(names) if not n.startswith(".")]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return ", ".join(shown[:5]) + more if shown else "nothing in it"
