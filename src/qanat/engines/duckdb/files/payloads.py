"""Messages of a queue: bytes, each with its key, its time and its place, as rows.

A batch has a file for each partition (its path is `topic/partition`), in Parquet: `line` (the
offset), `value`, and what `MESSAGE` names. Values stay bytes, or are decoded as text or as JSON,
by the rules for files; one that cannot be decoded is a malformed row, whose place is its offset.
What a message has besides is in `_metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from qanat.engines.duckdb.files.again import CUT, Kept
from qanat.engines.duckdb.files.bound import (
    FILE,
    METADATA,
    RESERVED,
    RID,
    ROW,
    ROW_BITS,
    BoundFiles,
    FileTable,
    OnePass,
    lay_out,
    nothing,
)
from qanat.engines.duckdb.files.json import bind_texts
from qanat.engines.duckdb.files.lines import Texts
from qanat.engines.duckdb.files.records import NOT_UTF_8
from qanat.engines.duckdb.files.salvage import quoted
from qanat.engines.duckdb.files.sound import blank, odd
from qanat.engines.duckdb.files.spool import OPTIONS, blaming
from qanat.engines.duckdb.files.wide import HEADERS
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.envelope import OPTION as ENVELOPE
from qanat.model.name import Named
from qanat.model.schema import STRING, Array, DataType, Field, Primitive, Struct
from qanat.model.work import FilesBatch
from qanat.text import literal, quote

MESSAGE: Mapping[str, str] = {
    "message_key": "BLOB",
    "message_time": "BIGINT",
    "message_kind": "INTEGER",
}
"""What a message has besides its value, with the types of DuckDB; times are in microseconds."""

DECODED = ("avro", "protobuf")
"""Payloads that are not text, so that a quarantine has their bytes as base64."""
_AT = "message_offset"
_HEADERS = "message_headers"
_STRAIGHT = "qanat.engines.duckdb.files.straight"
_BINARY, _INT, _LONG = Primitive("binary"), Primitive("integer"), Primitive("long")
_BASE64 = f"{NOT_UTF_8} (kept as base64)"
_BLANK = "not valid JSON"
# Without the zero and the number of a schema that clients of a registry put in front.
_UNFRAMED = (
    "CASE WHEN octet_length(value) >= 5 AND starts_with(hex(value[1:1]), '00') "
    "THEN value[6:] ELSE value END"
)
_UNDECODED = "value IS NOT NULL AND TRY(decode(value)) IS NULL"


class PayloadTable(FileTable):
    """The partitions of a batch of messages.

    Args:
        headers: whether messages have their headers.
        kept: whether `line` is the number of a text in a quarantine, and the offset is a column
            of its own.
    """

    headers: bool = False
    kept: bool = False

    @property
    def carried(self) -> Mapping[str, str]:
        """What a message has besides its value."""
        found = {**MESSAGE, _HEADERS: HEADERS} if self.headers else dict(MESSAGE)
        return {**found, _AT: "BIGINT"} if self.kept else found

    def hidden(self, index: str, row: str, number: str | None = None) -> str:
        """SQL for the hidden columns of a message; its row is its offset."""
        del number
        columns = self.columns(index, row)
        struct = ", ".join(f"{quote(name)} := {sql}" for name, (sql, _) in columns.items())
        rid = row
        if len(self.files) > 1:
            # Offsets may be larger than a row's bits, but not those of one batch.
            rid = f"(CAST({index} AS BIGINT) << {ROW_BITS}) + ({row} & {2**ROW_BITS - 1})"
        return (
            f"struct_pack({struct}) AS {METADATA}, {self.path(index)} AS {FILE}, "
            f"{row} AS {ROW}, {rid} AS {RID}"
        )

    def columns(self, index: str, row: str) -> dict[str, tuple[str, DataType]]:
        """What a message has besides its value, as Spark calls it: SQL, and the type."""
        places = [f.path.rpartition("/") for f in self.files]
        topic = self.at("topic", [topic for topic, _, _ in places], "VARCHAR", index)
        partition = self.at("partition", [int(n) for _, _, n in places], "INTEGER", index)
        found: dict[str, tuple[str, DataType]] = {
            "key": ("message_key", _BINARY),
            "topic": (topic, STRING),
            "partition": (partition, _INT),
            "offset": (_AT if self.kept else row, _LONG),
            "timestamp": (
                "CAST(make_timestamp(message_time) AS TIMESTAMPTZ)",
                Primitive("timestamp"),
            ),
            "timestampType": ("message_kind", _INT),
        }
        if self.headers:
            entry = Struct((Field("key", STRING), Field("value", _BINARY)))
            found["headers"] = (_HEADERS, Array(entry))
        return found


class DecodedTable(PayloadTable):
    """The partitions of a batch of messages whose values are decoded to Parquet files."""

    @property
    def stored_types(self) -> Mapping[str, str]:
        """What these files have beside the values, with DuckDB's types."""
        return {**self.carried, "file": "INTEGER", "line": "BIGINT", "value": "BLOB"}

    @property
    def stored(self) -> Mapping[str, str]:
        """SQL for that, and for the text of a row that does not fit."""
        places = {n: f"t.{quote(RESERVED + n)}" for n in self.stored_types if n != "value"}
        raw = f"to_base64(t.{quote(RESERVED + 'value')})"
        return {**places, "number": places["line"], "raw": raw}


def bind_payloads(table: FileTable, batch: FilesBatch, scratch: Path) -> BoundFiles:
    """Read the messages of a batch.

    Raises:
        SchemaDriftError: JSON has a new key, under `freeze`.
        FileUnreadableError: a file cannot be read.
    """
    made = _table(table, batch)
    messages = _messages(made) if batch.files else ""
    return _bind(made, batch, scratch, messages, None)


def pass_payloads(table: FileTable, batch: FilesBatch, scratch: Path) -> OnePass | None:
    """Messages of JSON to be read once; None if they are others, or need care."""
    del scratch
    options = dict(batch.options)
    care = options.get("registry") is not None or ENVELOPE.name in options
    if options["payload"] != "json" or care or not batch.files:
        return None
    made = _table(table, batch)
    # A message without a value needs care as well.
    source = f"SELECT *, decode(value) AS text FROM ({_messages(made)})"
    columns = made.columns("file", "line")
    struct = ", ".join(f"{quote(name)} := {sql}" for name, (sql, _) in columns.items())

    def count() -> int:
        [(rows,)] = made.con.execute(f"SELECT count(*) FROM ({_messages(made)})").fetchall()
        return int(rows)

    with blaming(batch.files, "messages"):
        found: OnePass | None = import_module(_STRAIGHT).pass_texts(
            made, batch, source, f"struct_pack({struct}) AS {METADATA}", count
        )
    path = f"concat({METADATA}.topic, '/', {METADATA}.partition)"
    return None if found is None else replace(found, path=path)


def _messages(table: PayloadTable) -> str:
    """A SELECT of the messages of a batch, which has some."""
    files = table.variable("messages", [f.local for f in table.files], "VARCHAR")
    return (
        f"SELECT CAST(file_index AS INTEGER) AS file, line, value, {', '.join(table.carried)} "
        f"FROM read_parquet({files})"
    )


def bind_payloads_again(
    table: FileTable, batch: FilesBatch, scratch: Path, kept: Kept
) -> BoundFiles:
    """Decode messages again (see `again.bind_again`): a quarantine has kept their values.

    Raises:
        SchemaDriftError: JSON has a new key, under `freeze`.
    """
    made = _table(table, batch, kept=True)
    copy = scratch / f"{table.name}_kept.csv"
    cut: list[str] = []
    decoded = dict(batch.options)["payload"] in DECODED
    with copy.open("w", encoding="utf-8", newline="") as out:
        for index, texts in kept.items():
            for text in texts:
                if text.raw is None:
                    path = literal(batch.files[index].path)
                    why = literal(f"{text.error}; {CUT}")
                    cut.append(f"({path}, {text.number}, '', {why})")
                    continue
                coded = decoded or text.error.startswith(_BASE64)
                out.write(f"{index},{text.number},{text.line},{coded},{quoted(text.raw)}\n")
    types = {
        "file": "INTEGER",
        "line": "BIGINT",
        "offset_": "BIGINT",
        "coded": "BOOLEAN",
        "raw": "VARCHAR",
    }
    nulls = "".join(f"CAST(NULL AS {t}) AS {n}, " for n, t in made.carried.items() if n != _AT)
    messages = (
        "SELECT file, line, CASE WHEN coded THEN from_base64(raw) ELSE encode(raw) END AS value, "
        f"{nulls}offset_ AS {_AT} FROM read_csv({literal(str(copy))}, columns = {types}, "
        "header = false, delim = ',', quote = '\"', escape = '\"', "
        "new_line = '\\n', auto_detect = false)"
    )
    lost = f"SELECT * FROM (VALUES {', '.join(cut)}) AS t(file, row, raw, error)" if cut else None
    return _bind(made, batch, scratch, messages, lost)


def _table(table: FileTable, batch: FilesBatch, kept: bool = False) -> PayloadTable:
    headers = bool(dict(batch.options)["headers"])
    kind = DecodedTable if dict(batch.options)["payload"] in DECODED else PayloadTable
    return kind(
        table.con,
        table.name,
        table.files,
        table.partitions,
        table.declared,
        table.inference,
        headers=headers,
        kept=kept,
    )


def _bind(
    table: PayloadTable, batch: FilesBatch, scratch: Path, messages: str, lost: str | None
) -> BoundFiles:
    """The rows of some messages.

    Args:
        messages: a SELECT of them; empty without any file.
        lost: a SELECT of malformed rows, as in `BoundFiles`.
    """
    options = dict(batch.options)
    bound: BoundFiles
    with blaming(batch.files, "messages"):
        if options["payload"] in DECODED:
            # Imported only here: it needs Arrow.
            module = import_module("qanat.engines.duckdb.files.decoded")
            manner = module.Manner(
                options["payload"], options["given"], options["message"], options["registry"]
            )
            bound = module.bind_decoded(table, batch, scratch, messages, manner)
            return _with_lost(bound, lost)
        if options["payload"] == "csv":
            bound = import_module("qanat.engines.duckdb.files.separated").bind_separated(
                table, batch, scratch, messages
            )
            return _with_lost(bound, lost)
        if options["payload"] == "json":
            if messages and options.get("registry") is not None:
                messages = f"SELECT * REPLACE ({_UNFRAMED} AS value) FROM ({messages})"
            return _json(table, batch, scratch, messages, ENVELOPE.name in options, lost)
        return _plain(table, batch, messages, options["payload"] == "text", lost)


def _json(
    table: PayloadTable,
    batch: FilesBatch,
    scratch: Path,
    messages: str,
    enveloped: bool,
    lost: str | None,
) -> BoundFiles:
    texts = Texts(table, scratch, None)
    if messages:
        # A message without a value (of a topic that is compacted, it says that its key is gone) is
        # a row without values; an envelope's is no row.
        texts.paths.append(
            "SELECT CASE WHEN value IS NULL THEN '{}' ELSE TRY(decode(value)) END AS text, "
            f"{', '.join(table.carried)}, file, line FROM ({messages})"
            f"{' WHERE value IS NOT NULL' if enveloped else ''}"
        )
        texts.put_aside = partial(_put_aside, table, texts, messages, enveloped)
    bound = bind_texts(table, batch, scratch, texts)
    return _with_lost(bound, lost)


def _put_aside(table: PayloadTable, texts: Texts, messages: str, enveloped: bool) -> None:
    """Make malformed rows of messages that are no text, or one of spaces alone."""
    text = "TRY(decode(value))"
    empty = blank(text)
    [(count, strange)] = table.con.execute(
        f"SELECT count(*) FILTER (({_UNDECODED}) OR {empty}), "
        f"coalesce(bool_or({odd(text)}), false) FROM ({messages})"
    ).fetchall()
    # An envelope's texts are parts of these, whose brackets may have been escaped.
    texts.odd = None if enveloped else strange
    if not count:
        return
    target = str(texts.scratch / f"{table.name}_undecoded.parquet")
    table.con.execute(
        f"COPY (SELECT file, line AS row, to_base64(value) AS raw, {literal(_BASE64)} AS error "
        f"FROM ({messages}) WHERE {_UNDECODED} UNION ALL "
        f"SELECT file, line, decode(value), {literal(_BLANK)} FROM ({messages}) WHERE {empty}) "
        f"TO {literal(target)} ({OPTIONS})"
    )
    texts.bad.append(target)


def _plain(
    table: PayloadTable, batch: FilesBatch, messages: str, text: bool, lost: str | None
) -> BoundFiles:
    """Messages whose values are a column, as bytes with the others beside it, or as text."""
    malformed = None
    if text:
        columns: dict[str, tuple[str, DataType]] = {"value": ("decode(value)", STRING)}
    else:
        rest = table.columns("file", "line")
        columns = {"key": rest.pop("key"), "value": ("value", _BINARY), **rest}
    found = Named((name, batch.path) for name in columns)
    layout = lay_out(batch, found, lambda new: {name: columns[name][1] for name in new})
    types = [to_duckdb(f.type) for f in layout.schema.fields]
    if not messages:
        return _with_lost(
            BoundFiles(nothing(table, layout.schema, types), layout.schema, None, 0), lost
        )
    where = ""
    if text:
        [(count,)] = table.con.execute(
            f"SELECT count(*) FROM ({messages}) WHERE {_UNDECODED}"
        ).fetchall()
        if count:
            where = f" WHERE NOT ({_UNDECODED})"
            columns["value"] = ("TRY(decode(value))", STRING)
            malformed = (
                f"SELECT {table.path('file')} AS file, line AS row, to_base64(value) AS raw, "
                f"{literal(_BASE64)} AS error FROM ({messages}) WHERE {_UNDECODED}"
            )
    [(rows,)] = table.con.execute(f"SELECT count(*) FROM ({messages}){where}").fetchall()
    given = {name: sql for name, (sql, _) in columns.items()}
    selected = "".join(
        f"CAST({given.get(f.name, 'NULL')} AS {type_}) AS {quote(f.name)}, "
        for f, type_ in zip(layout.schema.fields, types, strict=True)
    )
    relation = f"SELECT {selected}{table.hidden('file', 'line')} FROM ({messages}){where}"
    bound = BoundFiles(relation, layout.schema, malformed, rows, missing=layout.missing)
    return _with_lost(bound, lost)


def _with_lost(bound: BoundFiles, lost: str | None) -> BoundFiles:
    parts = [part for part in (bound.malformed, lost) if part]
    return replace(bound, malformed=" UNION ALL ".join(parts) or None)
