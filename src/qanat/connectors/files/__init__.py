"""Files: CSV, JSON, Parquet and ORC, compressed or not, in folders and object stores.

Here stands what an author may say. Read on in this order: `format` (what a name says), `content`
(what the first bytes say), `copies` (of what no engine reads as it is, such as `orc`), `glob`
(which names are meant, and what a folder and a bucket have in common), `folder` and `bucket` (the
two places), `sample` (the heads of files), `options` (of a read), then `source` and `sink`, which
put these together. `places` names them for catalogs.
"""

from __future__ import annotations

from qanat.connectors.files.format import FORMATS
from qanat.model.adapter import Connector, Option, OptionTable, TableFunction, ValueType
from qanat.model.envelope import OPTION as ENVELOPE

_TEXT_COMPRESSION = {"none": "none", "uncompressed": "none", "gzip": "gzip", "zstd": "zstd"}
_PARQUET_COMPRESSION = _TEXT_COMPRESSION | {n: n for n in ("snappy", "lz4", "brotli")}
_TRUTH = {
    "true": "true",
    "1": "true",
    "yes": "true",
    "false": "false",
    "0": "false",
    "no": "false",
}
_FORMATS = FORMATS | {"json_lines": "ndjson", "jsonlines": "ndjson"}

_READ = OptionTable(
    "read_files",
    (
        Option(
            "format",
            "csv, tsv, json, ndjson, parquet or orc; by the file name if left out",
            choices=_FORMATS,
        ),
        Option("header", "whether the first line has the column names", type=ValueType.BOOLEAN),
        Option("delimiter", "what separates fields", ("delim", "sep", "separator")),
        Option("quote", "the character around fields that contain a delimiter", ("quote_char",)),
        Option("escape", "the character before a quote inside a quoted field", ("escape_char",)),
        Option("comment", "lines that begin with this character are left out"),
        Option(
            "encoding",
            "of the text, by Python's names, such as utf-8, utf-16 or windows-1252; byte order"
            " marks tell UTF-16 and UTF-32",
            ("charset",),
        ),
        Option(
            "null_value",
            "the text that means NULL, instead of an empty field; not where it stands in quotes",
            ("nullstr",),
        ),
        Option("date_format", "how dates are written, such as %d/%m/%Y"),
        Option("timestamp_format", "how timestamps are written"),
        Option(
            "skip", "lines to leave out at the start of each file", ("skip_rows",), ValueType.COUNT
        ),
        Option("compression", "none, gzip, zstd, bz2, xz or lz4; by name and content if left out"),
        Option(
            "multi_line", "JSON: values may span lines; CSV: fields may", type=ValueType.BOOLEAN
        ),
        Option(
            "schema", "the columns, as in CREATE TABLE: 'id BIGINT, at TIMESTAMP'", ("columns",)
        ),
        ENVELOPE,
        Option(
            "infer_schema",
            "whether to infer types; false reads every column as text",
            ("infer_column_types", "auto_detect"),
            ValueType.BOOLEAN,
        ),
        Option("all_varchar", "read every column as text", type=ValueType.BOOLEAN),
        Option(
            "hive_partitioning",
            "take columns from folders such as year=2013",
            type=ValueType.BOOLEAN,
        ),
        Option(
            "recursive",
            "look into sub-folders",
            ("recursive_file_lookup",),
            ValueType.BOOLEAN,
            identity=True,
        ),
        Option(
            "path_glob_filter",
            "only files whose name matches",
            ("file_name_pattern",),
            identity=True,
        ),
        Option("modified_after", "only files changed after this time (ISO 8601)", identity=True),
        Option("modified_before", "only files changed before this time (ISO 8601)", identity=True),
        Option(
            "on_overwrite",
            "what to do with a file that comes back with new content: error; append (read it"
            " again, beside what was read of it); or replace (in the place of that)",
            choices={n: n for n in ("error", "append", "replace")},
            corrects="replace",
        ),
        Option(
            "allow_overwrites",
            "an older way to say on_overwrite => 'append'",
            type=ValueType.BOOLEAN,
        ),
        Option(
            "min_file_age",
            "a stream takes a file only once it has not changed for so long, such as 10 seconds;"
            " for files that are written in place",
            ("minimum_file_age",),
            ValueType.DURATION,
        ),
        Option(
            "max_files_per_trigger",
            "at most so many files in one epoch",
            type=ValueType.COUNT,
            limits=True,
            least=1,
        ),
        Option(
            "max_bytes_per_trigger",
            "about so many bytes in one epoch, such as 1GB",
            type=ValueType.SIZE,
            limits=True,
            least=1,
        ),
    ),
    refused={
        "ignore_errors": "malformed rows always go to quarantine, with file and line",
        "store_rejects": "malformed rows always go to quarantine, with file and line",
        "mode": "malformed rows always go to quarantine, with file and line",
        "bad_records_path": "malformed rows always go to quarantine, with file and line",
        "filename": "select _metadata.file_path",
        "union_by_name": "leave it out: columns of different files are always matched by name",
        "schema_hints": "name all columns: schema => '…', or cast in the query",
        "partition_columns": "hive_partitioning => true takes all of them",
        "include_existing_files": "files that are already there are always read",
        "schema_evolution_mode": "set the table property 'qanat.schema_drift'",
        "rescued_data_column": "set the table property 'qanat.schema_drift' = 'rescue'",
    },
)

_PATH = Option("path", "the folder to write to, relative to the project", required=True)
_WRITE_TEXT = (
    Option("compression", "none, gzip or zstd", choices=_TEXT_COMPRESSION),
    Option("date_format", "how dates are written, such as %d/%m/%Y"),
    Option("timestamp_format", "how timestamps are written"),
)
_SINKS = {
    "parquet": (
        _PATH,
        Option(
            "compression",
            "none, gzip, zstd, snappy, lz4 or brotli",
            choices=_PARQUET_COMPRESSION,
        ),
    ),
    "csv": (
        _PATH,
        *_WRITE_TEXT,
        Option("delimiter", "what separates fields", ("sep", "delim")),
        Option("escape", "the character before a quote inside a quoted field"),
        Option("header", "whether the first line has the column names", choices=_TRUTH),
        Option(
            "null_value",
            "what NULL is written as, instead of nothing; a text that is the same gets quotes",
            ("nullstr",),
        ),
        Option("quote", "the character around fields that contain a delimiter"),
    ),
    "json": (_PATH, *_WRITE_TEXT),
}

FILES = Connector(
    name="files",
    noun="files",
    options=_READ,
    source="qanat.connectors.files.source:FilesSource",
    sink="qanat.connectors.files.sink:FilesSink",
    dialect="duckdb",
    functions={
        "read_files": TableFunction(),
        "read_csv": TableFunction({"format": "csv"}),
        "read_csv_auto": TableFunction({"format": "csv"}),
        "read_json": TableFunction({"format": "json"}),
        "read_json_auto": TableFunction({"format": "json"}),
        "read_ndjson": TableFunction({"format": "ndjson"}),
        "read_ndjson_auto": TableFunction({"format": "ndjson"}),
        "read_parquet": TableFunction({"format": "parquet"}),
        "parquet_scan": TableFunction({"format": "parquet"}),
    },
    formats={f: {"format": f} for f in ("csv", "json", "parquet", "orc")},
    sinks={
        name: OptionTable(f"a sink of the format {name!r}", options)
        for name, options in _SINKS.items()
    },
    hidden=("_metadata",),
    locate="qanat.connectors.files.places:place",
)
"""What is said of files in SQL, in Python and in the reference."""
