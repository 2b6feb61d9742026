"""The text of COPY: formats and options of staged files."""

from __future__ import annotations

from qanat.engines.duckdb.types import literal, quote
from qanat.model.work import Output

_PARQUET: dict[str, str] = {"none": "uncompressed", "lz4": "lz4_raw"}
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
_KEYWORDS = {
    "delimiter": "DELIMITER",
    "quote": "QUOTE",
    "escape": "ESCAPE",
    "null_value": "NULLSTR",
    "date_format": "DATEFORMAT",
    "timestamp_format": "TIMESTAMPFORMAT",
}


def copy_text(select: str, output: Output) -> str:
    """A COPY of a SELECT into new files of `output`, whose options a sink has checked."""
    if output.partition_by:
        by = ", ".join(quote(c) for c in output.partition_by)
        return (
            f"COPY ({select}) TO {literal(str(output.folder))} (FORMAT parquet, RETURN_STATS, "
            f"PARTITION_BY ({by}), FILENAME_PATTERN {literal(output.prefix + '-{i}')}, "
            "OVERWRITE_OR_IGNORE)"
        )
    options = dict(output.options)
    compression = options.get("compression", "")
    # A reader tells compressed text by the name; Parquet says inside how it is compressed.
    suffix = "" if output.format == "parquet" else _SUFFIXES.get(compression, "")
    path = output.folder / f"{output.prefix}-0.{output.format}{suffix}"
    # Only Parquet has statistics to return.
    returned = "RETURN_STATS" if output.format == "parquet" else "RETURN_FILES"
    parts = [f"FORMAT {output.format}", returned]
    if compression:
        codecs = _PARQUET if output.format == "parquet" else {}
        parts.append(f"COMPRESSION {codecs.get(compression, compression)}")
    if output.format == "csv":
        parts.append(f"HEADER {options.get('header', 'true')}")
    parts += [f"{word} {literal(options[n])}" for n, word in _KEYWORDS.items() if n in options]
    return f"COPY ({select}) TO {literal(str(path))} ({', '.join(parts)})"
