"""Rows on their way into quarantine and back.

They go in with the rules they broke and where they came from. A replay checks them again: those
that pass leave, all others go back as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, RID, ROW
from qanat.engines.duckdb.split import Split, Splitter
from qanat.engines.duckdb.types import to_duckdb
from qanat.engines.duckdb.write import write
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.schema import Field, Schema
from qanat.model.work import (
    FAILED,
    MALFORMED,
    QUARANTINE_FIELDS,
    Output,
    StagedTable,
    Work,
    quarantine_fields,
)
from qanat.planning.fit import quarantined
from qanat.text import literal, quote

_RULES, _SOURCE, _RAW = "_quarantine_rules", "_quarantine_source", "_quarantine_raw"
# The columns of these rows do not say all that the row was: it could not be parsed, or a value did
# not fit into the quarantine's columns. The whole row is in its raw text alone.
_INCOMPLETE = f"(list_contains(map_keys({_RULES}), {literal(MALFORMED)}) OR {_RAW} IS NOT NULL)"
# A fixed order, that of the sources: two calls give the same rows.
_ORDER = (
    "ORDER BY _quarantine_epoch, _quarantine_source.file, _quarantine_source.row, _quarantine_id"
)

QUARANTINE = "__quarantine"
"""The name of the relation that the following queries read."""

BROKEN_RULES = (
    f"SELECT rule, count(*) FROM (SELECT unnest(map_keys({_RULES})) AS rule FROM {QUARANTINE})"
    " GROUP BY rule ORDER BY count(*) DESC, rule"
)
"""How many rows broke each rule."""


def rows_of_rule(rule: str | None) -> str:
    """SELECT text of all rows of a quarantine, or of those that broke one rule."""
    where = f" WHERE list_contains(map_keys({_RULES}), {literal(rule)})" if rule else ""
    return f"SELECT * FROM {QUARANTINE}{where} {_ORDER}"


def removed_rows(
    relation: str, schema: Schema, splitter: Splitter, split: Split, positions: bool
) -> str:
    """SELECT text of the rows that go to quarantine, with rules, source and raw text."""
    columns = ", ".join(f"r.{quote(n)}" for n in schema.names)
    source = f"{{'file': r.{FILE}, 'row': r.{ROW}}}" if positions else "NULL"
    return (
        f"SELECT {columns}, {splitter.failed_rules('b')} AS {_RULES}, {source} AS {_SOURCE}, "
        f"NULL AS {_RAW}, r.{RID} FROM ({relation}) AS r JOIN {split.removed} AS b "
        f"ON r.{RID} = b.{RID} WHERE b.quarantined"
    )


def malformed_rows(parts: Sequence[str], schema: Schema) -> str:
    """SELECT text of the rows that could not be parsed: no columns, but the raw text."""
    columns = ", ".join(f"NULL AS {quote(n)}" for n in schema.names)
    union = " UNION ALL ".join(f"SELECT file, row, raw, error FROM ({p})" for p in parts)
    return (
        f"SELECT {columns}, MAP {{{literal(MALFORMED)}: error}} AS {_RULES}, "
        f"{{'file': file, 'row': row}} AS {_SOURCE}, raw AS {_RAW} FROM ({union})"
    )


def failed_rows(relation: str, failed: str, columns: Sequence[str], schema: Schema) -> str:
    """SELECT text of rows of an input that a query fails for: no columns, but the row as JSON.

    All values of that are text: as numbers, some would not come back as they were.

    Args:
        relation: SELECT text of the input, with its positions.
        failed: name of a table of (rid, reason).
        columns: those of the input that make the row.
        schema: the columns of the dataset.
    """
    nothing = ", ".join(f"NULL AS {quote(n)}" for n in schema.names)
    row = ", ".join(f"{literal(c)}: CAST(r.{quote(c)} AS VARCHAR)" for c in columns)
    rules = f"MAP {{{literal(FAILED)}: f.reason}} AS {_RULES}"
    source = f"{{'file': r.{FILE}, 'row': r.{ROW}}} AS {_SOURCE}"
    raw = f"to_json({{{row}}})::VARCHAR AS {_RAW}"
    return (
        f"SELECT {nothing}, {rules}, {source}, {raw}, r.{RID} FROM ({relation}) AS r "
        f"JOIN {failed} AS f ON f.rid = r.{RID}"
    )


def quarantine_table(
    con: DuckDBPyConnection,
    rows: str,
    schema: Schema,
    work: Work,
    output: Output,
    series: str = "",
    number: str = "row_number() OVER ()",
) -> StagedTable:
    """Stage quarantined rows.

    Args:
        rows: SELECT text of `schema`'s columns and rules, source and raw text.
        output: of the quarantine table; its `schema` is what the table has so far.
        series: tells the identifiers of two calls in one epoch apart.
        number: SQL that numbers the rows uniquely within the call.
    """
    mine = quarantine_fields(schema)
    fields, misfits = quarantined(output.schema, Schema(mine))
    values = {
        "_quarantine_id": f"concat({literal(f'{work.flow}:{work.epoch}:{series}')}, {number})",
        "_quarantine_flow": literal(work.flow),
        "_quarantine_update": literal(work.update),
        "_quarantine_epoch": str(work.epoch),
        "_quarantine_at": f"make_timestamptz({work.at_ns // 1000})",
    }
    if misfits:
        # A column of the view changed its type: the quarantine keeps its own column, and the row
        # goes into the raw text.
        row = ", ".join(f"{literal(f.name)}: q.{quote(f.name)}" for f in schema.fields)
        values[_RAW] = f"coalesce(q.{_RAW}, to_json({{{row}}})::VARCHAR)"
    have = Names(f.name for f in mine)
    select = ", ".join(
        f"TRY_CAST({_value(f, values, have)} AS {to_duckdb(f.type)}) AS {quote(f.name)}"
        for f in fields
    )
    return write(con, f"SELECT {select} FROM ({rows}) AS q", Schema(fields), output)


def _value(field: Field, values: dict[str, str], have: Names) -> str:
    if field.name in values:
        return values[field.name]
    return f"q.{quote(field.name)}" if field.name in have else "NULL"


class Quarantined(Frozen):
    """The rows of a quarantine, bound for an engine.

    Args:
        relation: SELECT text of all columns of the quarantine and `__qanat_rid`.
        columns: those that the quarantine has.
    """

    relation: str
    columns: tuple[str, ...]

    def schema(self, table: Schema, quarantine: Schema) -> Schema:
        """The columns to check: the table's, or the rows' own before there is a table."""
        about = {f.name for f in QUARANTINE_FIELDS}
        own = tuple(f for f in quarantine.fields if f.name not in about)
        return table if table.fields else Schema(own)

    def candidates(self, schema: Schema) -> str:
        """SELECT text of a table's columns of the rows that may pass, and `__qanat_rid`."""
        names = Names(self.columns)
        columns = ", ".join(
            f"{quote(found)} AS {quote(f.name)}"
            if (found := names.find(f.name)) is not None
            else f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}"
            for f in schema.fields
        )
        return f"SELECT {columns}, {RID} FROM ({self.relation}) WHERE NOT {_INCOMPLETE}"

    def remaining(self, split: Split, schema: Schema) -> str:
        """SELECT text of the rows that stay, in the columns of the quarantine."""
        columns = ", ".join(f"q.{quote(n)}" for n in schema.names)
        stays = _INCOMPLETE
        if split.removed is not None:
            stays += f" OR q.{RID} IN (SELECT {RID} FROM {split.removed})"
        return f"SELECT {columns} FROM ({self.relation}) AS q WHERE {stays}"
