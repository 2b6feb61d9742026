"""The format of files by their names."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.errors import OptionError, nearest
from qanat.frozen import Frozen

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
TEXT = frozenset({"csv", "tsv", "json", "ndjson"})
WANTED = "csv, tsv, json, ndjson, parquet or orc"


class FileFormat(Frozen):
    """How the bytes of one file are to be read.

    Args:
        compression: None for none.
        encoding: of text, as Python's codecs call it.
    """

    format: str
    compression: str | None
    encoding: str = "utf-8"


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
    paths: Sequence[str],
    written: str,
    format: str | None,
    compression: str | None,
    encoding: str = "utf-8",
) -> tuple[str, tuple[FileFormat, ...]]:
    """The one format of all files of a read, and how each is to be read.

    Args:
        paths: of the files; may be empty.
        written: the path as the author wrote it, which tells when there are no files.
        format: as the author's option has it, None to go by the names.
        compression: as the author wrote it, None to go by the names.
        encoding: of text, as Python's codecs call it.

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
        result.append(FileFormat(one, packed if by_suffix else forced, encoding))
    if len(found) > 1:
        examples = ", ".join(f"{one} ({path!r})" for one, path in sorted(found.items()))
        raise OptionError(
            f"read_files({written!r}) finds files of {len(found)} formats",
            wanted="files of one format",
            got=examples,
            hint="narrow the path (`*.csv`) or say format => '…'",
        )
    return next(iter(found)), tuple(result) if paths else ()
