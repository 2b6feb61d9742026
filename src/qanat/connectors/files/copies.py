"""Copies of files in a form that an engine reads.

An engine reads CSV and JSON in UTF-8, through gzip and zstd by itself, and Parquet. All else is
unpacked, transcoded or converted into scratch space first, in chunks, so that memory stays
bounded.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from qanat.connectors.files.content import UTF_8, looked, open_content, transcoded
from qanat.connectors.files.format import TEXT, FileFormat
from qanat.errors import FileUnreadableError, StorageFullError, check_installed, disk_full, needing
from qanat.frozen import Frozen
from qanat.model.work import LocalFile

# What an engine undoes, and the suffix by which it knows so without being told.
_BY_ENGINE = {"gzip": ".gz", "zstd": ".zst"}
# Engines take paths as patterns; these would mean something else than the one file.
_PATTERN = re.compile(r"[*?\[\]{}]")
_PARTITION = re.compile(r"[^=*?\[\]{}]+=[^*?\[\]{}]+")


class Readable(Frozen):
    """Files in order, and the compression that the engine must undo in all of them."""

    files: tuple[LocalFile, ...]
    compression: str | None


def readable(
    files: Sequence[LocalFile],
    shapes: Sequence[FileFormat],
    scratch: Path,
    guess: bool = False,
) -> Readable:
    """Copy what an engine could not read into `scratch`, two files at a time.

    Args:
        guess: whether a compression that a name does not tell may be told by the content.

    Raises:
        FileUnreadableError: a compressed or ORC file is damaged, or a text file is no text.
        StorageFullError: the scratch space is full.
        MissingExtraError: the library for ORC or lz4 is not installed.
    """
    shapes = [_looked(f, s, guess) for f, s in zip(files, shapes, strict=True)]
    found = {s.compression if s.format in TEXT else None for s in shapes}
    as_it_is = all(s.encoding == UTF_8 for s in shapes)
    common = next(iter(found)) if len(found) == 1 and as_it_is else None
    kept = common if common in _BY_ENGINE else None

    result = list(files)
    work = []
    for number, (file, shape) in enumerate(zip(files, shapes, strict=True)):
        packed = _to_undo(file, shape, kept)
        if shape.format == "orc" or packed is not None or shape.encoding != UTF_8:
            work.append((number, file, shape, packed))
        elif _PATTERN.search(file.local):
            result[number] = _linked(file, number, scratch)
    if work:
        with ThreadPoolExecutor(2, "copies") as pool:
            copies = pool.map(lambda item: _explained_copy(scratch, *item), work)
            for (number, *_), file in zip(work, copies, strict=True):
                result[number] = file
    return Readable(tuple(result), kept)


def check_libraries(paths: Sequence[str], shapes: Sequence[FileFormat]) -> None:
    """Raise if files cannot be read because a library is not installed.

    Raises:
        MissingExtraError: the library for ORC or lz4 is not.
    """
    libraries = {"orc": "pyarrow", "lz4": "lz4"}
    for path, shape in zip(paths, shapes, strict=True):
        needed = {libraries.get(shape.format), libraries.get(shape.compression or "")}
        check_installed(f"reading {path!r}", filter(None, needed))


def _looked(file: LocalFile, shape: FileFormat, guess: bool) -> FileFormat:
    if shape.format not in TEXT or file.size == 0:
        return replace(shape, encoding=UTF_8)
    try:
        return looked(file.path, file.local, shape, guess)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(file, shape, error) from error


def _to_undo(file: LocalFile, shape: FileFormat, kept: str | None) -> str | None:
    """The compression to undo for an engine that undoes one itself, if any."""
    packed = shape.compression
    if shape.encoding != UTF_8:
        return packed
    if kept is None and shape.format in TEXT and packed in _BY_ENGINE:
        return None if file.local.endswith(_BY_ENGINE[packed]) else packed
    return None if packed == kept else packed


def _explained_copy(
    scratch: Path, number: int, file: LocalFile, shape: FileFormat, packed: str | None
) -> LocalFile:
    try:
        return _copied(file, shape, packed, number, scratch)
    except OSError as error:
        if disk_full(error):
            raise StorageFullError(
                f"no space left in {str(scratch)!r} to unpack {file.path!r}"
            ) from error
        raise _damaged(file, shape, error) from error
    except (EOFError, ValueError) as error:
        raise _damaged(file, shape, error) from error


def place_for(path: str, number: int, suffix: str, scratch: Path) -> Path:
    """Where a copy of a file goes: a plain name, in the same `column=value` folders.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as scratch:
    ...     place = place_for("s3://b/t/month=1/a.csv.gz", 7, "csv.gz", Path(scratch))
    ...     place.relative_to(scratch).as_posix()
    'month=1/7.csv.gz'
    """
    partitions = [p for p in path.split("/")[:-1] if _PARTITION.fullmatch(p)]
    folder = scratch.joinpath(*partitions)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{number}.{suffix}"


def _linked(file: LocalFile, number: int, scratch: Path) -> LocalFile:
    link = place_for(file.path, number, ending(file.local), scratch)
    link.unlink(missing_ok=True)
    link.symlink_to(file.local)
    return replace(file, local=str(link))


def ending(path: str) -> str:
    """The suffixes of a name, at most two.

    >>> ending("in/2026.05.csv.gz")
    'csv.gz'
    """
    return ".".join(re.sub(_PATTERN, "", path.rpartition("/")[2]).split(".")[1:][-2:]) or "data"


def _copied(
    file: LocalFile, shape: FileFormat, packed: str | None, number: int, scratch: Path
) -> LocalFile:
    local = Path(file.local)
    if packed is not None or shape.encoding != UTF_8:
        suffix = "csv" if shape.format == "tsv" else shape.format
        plain = place_for(file.path, number, suffix, scratch / "unpacked")
        with open_content(file.local, packed) as stream, plain.open("wb") as target:
            if shape.encoding == UTF_8:
                shutil.copyfileobj(stream, target, 2**20)
            else:
                transcoded(stream, target, shape.encoding)
        local = _instead(plain, local, scratch)
    if shape.format == "orc":
        converted = place_for(file.path, number, "parquet", scratch / "converted")
        _convert(file, local, converted)
        local = _instead(converted, local, scratch)
    return replace(file, local=str(local))


def _instead(new: Path, old: Path, scratch: Path) -> Path:
    if scratch in old.parents:
        old.unlink()  # a copy of our own, no longer needed
    return new


def _convert(file: LocalFile, source: Path, target: Path) -> None:
    with needing(f"reading {file.path!r}"):
        orc = import_module("qanat.connectors.files.orc")
    orc.to_parquet(source, target)


def _damaged(file: LocalFile, shape: FileFormat, error: Exception) -> FileUnreadableError:
    kind = " ".join(p for p in (shape.compression, shape.format) if p)
    detail = str(error).partition("\n")[0]
    return FileUnreadableError(
        f"the file {file.path!r} cannot be read as {kind}: {detail}",
        hint="it is damaged or incomplete, or is of another format than its name says",
    )
