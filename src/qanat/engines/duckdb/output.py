"""The text of COPY: formats and options of staged files."""

from __future__ import annotations

from collections.abc import Mapping

from qanat.engines.duckdb.types import literal, quote
from qanat.errors import OptionError, nearest
from qanat.model.work import Output

_COMPRESSIONS: Mapping[str, Mapping[str, str]] = {
    "parquet": {n: n for n in ("snappy", "zstd", "gzip", "lz4_raw", "brotli", "uncompressed")}
    | {"none": "uncompressed", "lz4": "lz4_raw"},
    "csv": {"none": "none", "uncompressed": "none", "gzip": "gzip", "zstd": "zstd"},
    "json": {"none": "none", "uncompressed": "none", "gzip": "gzip", "zstd": "zstd"},
}
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
_KEYWORDS = {
    "delimiter": "DELIMITER",
    "quote": "QUOTE",
    "escape": "ESCAPE",
    "null_value": "NULLSTR",
    "date_format": "DATEFORMAT",
    "timestamp_format": "TIMESTAMPFORMAT",
}
_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false"}


def copy_text(select: str, output: Output) -> str:
    """A COPY of a SELECT into new files of `output`.

    Raises:
        OptionError: an option of a sink has a value that does not fit.
    """
    if output.partition_by:
        by = ", ".join(quote(c) for c in output.partition_by)
        return (
            f"COPY ({select}) TO {literal(str(output.folder))} (FORMAT parquet, RETURN_STATS, "
            f"PARTITION_BY ({by}), FILENAME_PATTERN {literal(output.prefix + '-{i}')}, "
            "OVERWRITE_OR_IGNORE)"
        )
    options = dict(output.options)
    compression = _compression(output.format, options)
    # A reader tells compressed text by the name; Parquet says inside how it is compressed.
    suffix = "" if output.format == "parquet" else _SUFFIXES.get(compression, "")
    path = output.folder / f"{output.prefix}-0.{output.format}{suffix}"
    # Only Parquet has statistics to return.
    returned = "RETURN_STATS" if output.format == "parquet" else "RETURN_FILES"
    parts = [f"FORMAT {output.format}", returned]
    if compression:
        parts.append(f"COMPRESSION {compression}")
    if output.format == "csv":
        parts.append(f"HEADER {_truth('header', options.get('header', 'true'))}")
    parts += [f"{word} {literal(options[n])}" for n, word in _KEYWORDS.items() if n in options]
    return f"COPY ({select}) TO {literal(str(path))} ({', '.join(parts)})"


def _compression(format_: str, options: Mapping[str, str]) -> str:
    written = options.get("compression")
    if written is None:
        return ""
    known = _COMPRESSIONS[format_]
    found = known.get(written.casefold())
    if found is None:
        raise OptionError(
            f"a sink of the format {format_!r} has no compression {written!r}",
            wanted=" or ".join(known),
            nearest=nearest(written, known),
        )
    return found


def _truth(name: str, written: str) -> str:
    found = _TRUTH.get(str(written).casefold())
    if found is None:
        raise OptionError(
            f"the option {name!r} of a sink does not fit", wanted="true or false", got=written
        )
    return found
