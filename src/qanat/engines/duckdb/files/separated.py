"""Messages that are each one line of CSV: read by the rules for files of lines.

The lines become a file, in the order of the messages, so that the number of a line tells its
message. What would not stay one line (a line end, an odd number of quotes) is malformed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qanat.engines.duckdb.files.bound import ROW, BoundFiles, FileTable, by_row
from qanat.engines.duckdb.files.csv import bind_csv
from qanat.engines.duckdb.files.partitions import Partitions
from qanat.engines.duckdb.files.records import NOT_UTF_8
from qanat.engines.duckdb.files.sound import blank
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.model.work import FilesBatch, LocalFile
from qanat.text import literal, quote

_PASSED = ("delimiter", "quote", "null_value", "date_format", "timestamp_format")
_AT_ONCE = 50_000


def bind_separated(table: Any, batch: FilesBatch, scratch: Path, messages: str) -> BoundFiles:
    """The rows of some messages.

    Args:
        table: of the messages (a `PayloadTable`).
        messages: a SELECT of them; empty without any.

    Raises:
        OptionError: an option does not fit.
    """
    given = dict(batch.options)
    options = {name: given[name] for name in _PASSED if name in given}
    spool = scratch / f"{table.name}_lines.parquet"
    path = scratch / f"{table.name}_lines.csv"
    names = ", ".join(table.carried)
    if not messages:
        nulls = "".join(f"CAST(NULL AS {t}) AS {n}, " for n, t in table.carried.items())
        messages = (
            f"SELECT 0 AS file, CAST(0 AS BIGINT) AS line, {nulls}''::BLOB AS value WHERE false"
        )
    mark = literal(given.get("quote", '"'))
    marks = f"len(text) - len(replace(text, {mark}, ''))"
    wrong = (
        f"CASE WHEN value IS NULL THEN NULL WHEN text IS NULL THEN '{NOT_UTF_8} (kept as base64)' "
        f"WHEN {blank('text')} THEN 'an empty line' "
        "WHEN contains(text, chr(10)) OR contains(text, chr(13)) THEN 'more than one line' "
        f"WHEN ({marks}) % 2 = 1 THEN 'a quote is opened and never closed' END"
    )
    table.con.execute(
        f"COPY (SELECT *, CASE WHEN wrong IS NULL AND value IS NOT NULL THEN "
        "sum(CAST(wrong IS NULL AND value IS NOT NULL AS BIGINT)) OVER (ROWS UNBOUNDED PRECEDING) "
        f"END AS number FROM (SELECT *, {wrong} AS wrong FROM "
        f"(SELECT *, TRY(decode(value)) AS text FROM ({messages})))) "
        f"TO {literal(str(spool))} ({OPTIONS})"
    )
    source = f"read_parquet({literal(str(spool))})"
    with path.open("w", encoding="utf-8", newline="") as out:
        found = table.con.execute(f"SELECT text FROM {source} WHERE number > 0 ORDER BY number")
        while part := found.fetchmany(_AT_ONCE):
            out.writelines(f"{text}\n" for (text,) in part)
    file = LocalFile(str(path), str(path), path.stat().st_size, 0)
    lines = FileTable(
        table.con, f"{table.name}_lines", (file,), Partitions(), table.declared, table.inference
    )
    plain = {"header": False, "delimiter": ",", **options}
    bound = bind_csv(
        lines,
        replace(batch, files=(file,), format="csv", options=tuple(plain.items())),
        scratch,
    )
    columns = "".join(f"r.{quote(f.name)}, " for f in bound.schema.fields)
    nothing = "".join(
        f"CAST(NULL AS {to_duckdb(f.type)}) AS {quote(f.name)}, " for f in bound.schema.fields
    )
    hidden = table.hidden("m.file", "m.line")
    places = f"(SELECT number, file, line, {names} FROM {source}) AS m"
    malformed = [
        (
            f"SELECT {table.path('file')} AS file, line AS row, "
            f"coalesce(text, to_base64(value)) AS raw, wrong AS error FROM {source} "
            "WHERE wrong IS NOT NULL"
        )
    ]
    if bound.malformed:
        malformed.append(
            f"SELECT {table.path('m.file')} AS file, m.line AS row, b.raw, b.error "
            f"FROM ({bound.malformed}) AS b JOIN {places} ON b.row = m.number"
        )
    return replace(
        bound,
        relation=by_row(
            f"SELECT {columns}{hidden} FROM ({bound.relation}) AS r "
            f"JOIN {places} ON r.{ROW} = m.number UNION ALL "
            f"SELECT {nothing}{hidden} FROM (SELECT * FROM {source} WHERE value IS NULL) AS m"
        ),
        malformed=" UNION ALL ".join(malformed),
        rows=None,
        counted={},
    )
