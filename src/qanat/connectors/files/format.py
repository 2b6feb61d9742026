"""What the name of a file says about its content: format and compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qanat.errors import OptionError, UnsupportedError, nearest

_FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "json": "json",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "parquet": "parquet",
    "pq": "parquet",
    "orc": "orc",
}
_ELSEWHERE = frozenset({"avro", "binaryfile", "delta", "excel", "text", "xlsx", "xml"})
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


@dataclass(frozen=True, slots=True)
class Shape:
    """How the bytes of one file are to be read: `compression` None means as they are."""

    format: str
    compression: str | None


def format_named(name: str) -> str:
    """The format that an author means by a name, compared without case.

    Raises:
        OptionError: there is no such format.
        UnsupportedError: there is, and Qanat does not read it.
    """
    folded = name.casefold()
    if folded in _FORMATS:
        return _FORMATS[folded]
    if folded in _ELSEWHERE:
        raise UnsupportedError(
            f"read_files does not read the format {name!r}",
            wanted=WANTED,
            hint="convert the files to Parquet first",
        )
    raise OptionError(
        f"read_files knows no format {name!r}", wanted=WANTED, nearest=nearest(name, _FORMATS)
    )


def compression_named(name: str) -> str | None:
    """The compression that an author means by a name; None for none at all.

    Raises:
        OptionError: there is no such compression.
    """
    folded = name.casefold()
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
    parts = path.rpartition("/")[2].casefold().split(".")
    compression = _COMPRESSIONS.get(parts[-1]) if len(parts) > 1 else None
    if compression is not None:
        parts.pop()
    return (_FORMATS.get(parts[-1]) if len(parts) > 1 else None), compression


def shapes(
    paths: Sequence[str], written: str, format: str | None, compression: str | None
) -> tuple[str, tuple[Shape, ...]]:
    """The one format of all files of a read, and how each is to be read.

    Args:
        paths: of the files; may be empty.
        written: the path as the author wrote it, which tells when there are no files.
        format, compression: as the author said, None to go by the names.

    Raises:
        OptionError: the names do not tell the format, or tell more than one.
    """
    said = None if format is None else format_named(format)
    forced = None if compression is None else compression_named(compression)
    found: dict[str, str] = {}
    result = []
    for path in paths or (written,):
        by_name, packed = suffixes(path)
        one = said or by_name
        if one is None:
            raise OptionError(
                f"the name {path!r} does not tell its format",
                wanted=f"format => one of {WANTED}",
            )
        found.setdefault(one, path)
        # Parquet and ORC compress inside the file: there the option speaks of something else.
        by_suffix = compression is None or one in ("parquet", "orc")
        result.append(Shape(one, packed if by_suffix else forced))
    if len(found) > 1:
        examples = ", ".join(f"{one} ({path!r})" for one, path in sorted(found.items()))
        raise OptionError(
            f"read_files({written!r}) finds files of {len(found)} formats",
            wanted="files of one format",
            got=examples,
            hint="narrow the path (`*.csv`) or say format => '…'",
        )
    return next(iter(found)), tuple(result) if paths else ()
