"""The format of files by their names, and copies in a form that an engine reads.

An engine reads CSV and JSON through gzip and zstd by itself, and Parquet. Everything else is
unpacked or converted into scratch space first, in chunks, so that memory stays bounded.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from qanat.compression import open_plain
from qanat.errors import (
    FileUnreadableError,
    MissingExtraError,
    OptionError,
    StorageFullError,
    disk_full,
    install,
    nearest,
)
from qanat.frozen import Frozen
from qanat.model.work import LocalFile

FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "json": "json",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "parquet": "parquet",
    "pq": "parquet",
    "orc": "orc",
}
"""Formats by the ends of names; they are also what an author may call them."""
_COMPRESSIONS = {
    "gz": "gzip",
    "gzip": "gzip",
    "zst": "zstd",
    "zstd": "zstd",
    "bz2": "bz2",
    "bzip2": "bz2",
    "xz": "xz",
    "lz4": "lz4",
}
_PLAIN = frozenset({"none", "uncompressed"})
WANTED = "csv, tsv, json, ndjson, parquet or orc"


class FileFormat(Frozen):
    """How the bytes of one file are to be read: `compression` None means as they are."""

    format: str
    compression: str | None


def compression_named(name: str) -> str | None:
    """The compression that an author means by a name; None for none at all.

    Raises:
        OptionError: there is no such compression.
    """
    folded = name.lower()
    if folded in _PLAIN:
        return None
    if folded in _COMPRESSIONS:
        return _COMPRESSIONS[folded]
    raise OptionError(
        f"read_files knows no compression {name!r}",
        wanted="auto, none, gzip, zstd, bz2, xz or lz4",
        nearest=nearest(name, [*_COMPRESSIONS, *_PLAIN, "auto"]),
    )


def suffixes(path: str) -> tuple[str | None, str | None]:
    """Format and compression by the end of a name, None where it does not tell.

    >>> suffixes("in/2026-05.CSV.gz")
    ('csv', 'gzip')
    >>> suffixes("in/part-0.snappy.parquet")
    ('parquet', None)
    """
    parts = path.rpartition("/")[2].lower().split(".")
    compression = _COMPRESSIONS.get(parts[-1]) if len(parts) > 1 else None
    if compression is not None:
        parts.pop()
    return (FORMATS.get(parts[-1]) if len(parts) > 1 else None), compression


def shapes(
    paths: Sequence[str], written: str, format: str | None, compression: str | None
) -> tuple[str, tuple[FileFormat, ...]]:
    """The one format of all files of a read, and how each is to be read.

    Args:
        paths: of the files; may be empty.
        written: the path as the author wrote it, which tells when there are no files.
        format: as the author's option has it, None to go by the names.
        compression: as the author wrote it, None to go by the names.

    Raises:
        OptionError: the names do not tell the format, or tell more than one.
    """
    forced = None if compression is None else compression_named(compression)
    found: dict[str, str] = {}
    result = []
    for path in paths or (written,):
        by_name, packed = suffixes(path)
        one = format or by_name
        if one is None:
            raise OptionError(
                f"the name {path!r} does not tell its format",
                wanted=f"format => one of {WANTED}",
            )
        found.setdefault(one, path)
        # Parquet and ORC compress inside the file: there the option speaks of something else.
        by_suffix = compression is None or one in ("parquet", "orc")
        result.append(FileFormat(one, packed if by_suffix else forced))
    if len(found) > 1:
        examples = ", ".join(f"{one} ({path!r})" for one, path in sorted(found.items()))
        raise OptionError(
            f"read_files({written!r}) finds files of {len(found)} formats",
            wanted="files of one format",
            got=examples,
            hint="narrow the path (`*.csv`) or say format => '…'",
        )
    return next(iter(found)), tuple(result) if paths else ()


# What an engine undoes, and the suffix by which it knows so without being told.
_BY_ENGINE = {"gzip": ".gz", "zstd": ".zst"}
_TEXT = frozenset({"csv", "tsv", "json", "ndjson"})
# Engines take paths as patterns; these would mean something else than the one file.
_PATTERN = re.compile(r"[*?\[\]{}]")
_PARTITION = re.compile(r"[^=*?\[\]{}]+=[^*?\[\]{}]+")


class Readable(Frozen):
    """Files in order, and the compression that the engine must undo in all of them."""

    files: tuple[LocalFile, ...]
    compression: str | None


def readable(files: Sequence[LocalFile], shapes: Sequence[FileFormat], scratch: Path) -> Readable:
    """Copy what an engine could not read into `scratch`, two files at a time.

    Raises:
        FileUnreadableError: a compressed or ORC file is damaged.
        StorageFullError: the scratch space is full.
        MissingExtraError: the library for ORC or lz4 is not installed.
    """
    found = {s.compression if s.format in _TEXT else None for s in shapes}
    common = next(iter(found)) if len(found) == 1 else None
    kept = common if common in _BY_ENGINE else None

    result = list(files)
    work = []
    for number, (file, shape) in enumerate(zip(files, shapes, strict=True)):
        packed = _to_undo(file, shape, kept)
        if shape.format == "orc" or packed is not None:
            work.append((number, file, shape, packed))
        elif _PATTERN.search(file.local):
            result[number] = _linked(file, number, scratch)
    if work:
        with ThreadPoolExecutor(2, "copies") as pool:
            copies = pool.map(lambda item: _explained_copy(scratch, *item), work)
            for (number, *_), file in zip(work, copies, strict=True):
                result[number] = file
    return Readable(tuple(result), kept)


def _to_undo(file: LocalFile, shape: FileFormat, kept: str | None) -> str | None:
    """The compression to undo for an engine that undoes one itself, if any."""
    packed = shape.compression
    if kept is None and shape.format in _TEXT and packed in _BY_ENGINE:
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
    if packed is not None:
        suffix = "csv" if shape.format == "tsv" else shape.format
        plain = place_for(file.path, number, suffix, scratch / "unpacked")
        with open_plain(file.local, packed) as stream, plain.open("wb") as target:
            shutil.copyfileobj(stream, target, 2**20)
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
    try:
        orc = import_module("qanat.connectors.files.orc")
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise MissingExtraError(
            f"reading {file.path!r} needs the package pyarrow", hint=install("pyarrow")
        ) from error
    orc.to_parquet(source, target)


def _damaged(file: LocalFile, shape: FileFormat, error: Exception) -> FileUnreadableError:
    kind = " ".join(p for p in (shape.compression, shape.format) if p)
    detail = str(error).partition("\n")[0]
    return FileUnreadableError(
        f"the file {file.path!r} cannot be read as {kind}: {detail}",
        hint="it is damaged or incomplete, or is of another format than its name says",
    )
