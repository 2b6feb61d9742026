"""Rows on their way into quarantine and back.

They go in with the rules they broke and where they came from. A replay checks them again: those
that pass leave, all others stay (see `staying`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, RID, ROW, SOURCE
from qanat.engines.duckdb.files.widen import convert
from qanat.engines.duckdb.inputs import Bindings, file_name
from qanat.engines.duckdb.split import Split, Splitter
from qanat.engines.duckdb.tables import Bound
from qanat.engines.duckdb.types import to_duckdb
from qanat.engines.duckdb.widening import Widening, gone_of
from qanat.engines.duckdb.write import write
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.quarantine import FAILED, LATE, MALFORMED, QUARANTINE_FIELDS, quarantine_fields
from qanat.model.schema import Field, Schema
from qanat.model.staged import DataFile, StagedTable
from qanat.model.work import Output, Work
from qanat.planning.fit import Column, quarantined
from qanat.text import literal, quote

RULES, _SOURCE, _RAW = "_quarantine_rules", "_quarantine_source", "_quarantine_raw"
# The columns of these rows do not say all that the row was: it could not be parsed, or a value did
# not fit into the quarantine's columns. The whole row is in its raw text alone.
INCOMPLETE = f"(list_contains(map_keys({RULES}), {literal(MALFORMED)}) OR {_RAW} IS NOT NULL)"

ENTRY = "__qanat_entry"
"""Which row of the quarantine a row was that is checked again: its identifier there."""

# A fixed order, that of the sources: two calls give the same rows.
_ORDER = (
    "ORDER BY _quarantine_epoch, _quarantine_source.file, _quarantine_source.row, _quarantine_id"
)

QUARANTINE = "__quarantine"
"""The name of the relation that the following queries read."""

BROKEN_RULES = (
    f"SELECT rule, count(*) FROM (SELECT unnest(map_keys({RULES})) AS rule FROM {QUARANTINE})"
    " GROUP BY rule ORDER BY count(*) DESC, rule"
)
"""How many rows broke each rule."""


def _is_broken(rule: str, rules: str) -> str:
    return f"list_contains(map_keys({rules}), {literal(rule)})"


def chosen(rule: str | None, where: str | None) -> str:
    """The condition of rows that broke a rule and meet a condition, as far as these are given."""
    # The user's condition may end in a -- comment, so the closing parenthesis needs its own line.
    conditions = [f"(\n{where}\n)"] if where else []
    if rule:
        conditions.append(f"list_contains(map_keys({RULES}), {literal(rule)})")
    return " AND ".join(conditions) or "true"


def chosen_rows(rule: str | None, where: str | None) -> str:
    """SELECT text of all rows of a quarantine, or of some."""
    return f"SELECT * FROM {QUARANTINE} WHERE {chosen(rule, where)} {_ORDER}"


def removed_rows(
    relation: str, schema: Schema, splitter: Splitter, split: Split, hidden: Sequence[str]
) -> str:
    """SELECT text of the rows that go to quarantine, with rules, source and raw text.

    Args:
        hidden: columns of the relation that tell where its rows come from.
    """
    columns = ", ".join(f"r.{quote(n)}" for n in schema.names)
    source = f"{{'file': r.{FILE}, 'row': r.{ROW}}}" if FILE in hidden else "NULL"
    own = f", r.{SOURCE}" if SOURCE in hidden else ""
    return (
        f"SELECT {columns}, {splitter.failed_rules('b')} AS {RULES}, {source} AS {_SOURCE}, "
        f"NULL AS {_RAW}, r.{RID}{own} FROM ({relation}) AS r JOIN {split.removed} AS b "
        f"ON r.{RID} = b.{RID} WHERE b.quarantined"
    )


def malformed_rows(parts: Sequence[str], schema: Schema, sourced: bool) -> str:
    """SELECT text of the rows that could not be parsed: no columns, but the raw text.

    Args:
        sourced: whether they tell their source file.
    """
    own = f", {SOURCE}" if sourced else ""
    columns = ", ".join(f"NULL AS {quote(n)}" for n in schema.names)
    union = " UNION ALL ".join(f"SELECT file, row, raw, error{own} FROM ({p})" for p in parts)
    return (
        f"SELECT {columns}, MAP {{{literal(MALFORMED)}: error}} AS {RULES}, "
        f"{{'file': file, 'row': row}} AS {_SOURCE}, raw AS {_RAW}{own} FROM ({union})"
    )


def failed_rows(
    relation: str, failed: str, columns: Sequence[str], schema: Schema, sourced: bool
) -> str:
    """SELECT text of rows of an input that a query fails for: no columns, but the row as JSON.

    All values of that are text: as numbers, some would not come back as they were.

    Args:
        relation: SELECT text of the input, with its positions.
        failed: name of a table of (rid, reason); without a reason a row is not needed.
        columns: those of the input that make the row.
        schema: the columns of the dataset.
        sourced: whether the rows tell their source file.
    """
    own = f", r.{SOURCE}" if sourced else ""
    nothing = ", ".join(f"NULL AS {quote(n)}" for n in schema.names)
    row = ", ".join(f"{literal(c)}: CAST(r.{quote(c)} AS VARCHAR)" for c in columns)
    rules = f"MAP {{{literal(FAILED)}: f.reason}} AS {RULES}"
    source = f"{{'file': r.{FILE}, 'row': r.{ROW}}} AS {_SOURCE}"
    raw = f"to_json({{{row}}})::VARCHAR AS {_RAW}"
    return (
        f"SELECT {nothing}, {rules}, {source}, {raw}, r.{RID}{own} FROM ({relation}) AS r "
        f"JOIN {failed} AS f ON f.rid = r.{RID} AND f.reason IS NOT NULL"
    )


def late_rows(con: DuckDBPyConnection, rows: str, schema: Schema) -> str:
    """SELECT text of rows that came too late to count: no columns, but the row as JSON.

    They are those of what goes into an operator; its result has other columns.
    """
    nothing = ", ".join(f"NULL AS {quote(n)}" for n in schema.names)
    columns = con.sql(f"SELECT * FROM ({rows}) LIMIT 0").columns
    row = ", ".join(f"{literal(c)}: CAST(r.{quote(c)} AS VARCHAR)" for c in columns)
    return (
        f"SELECT {nothing}, MAP {{{literal(LATE)}: 'the watermark had passed'}} AS {RULES}, "
        f"NULL AS {_SOURCE}, to_json({{{row}}})::VARCHAR AS {_RAW} FROM ({rows}) AS r"
    )


def unparsed_files(con: DuckDBPyConnection, inputs: Iterable[Bound]) -> dict[str, int]:
    """The files of which no row could be parsed, each with how many it has."""
    found: dict[str, int] = {}
    for bound in inputs:
        if bound.malformed:
            rows = f"SELECT file, count(*) FROM ({bound.malformed}) GROUP BY file"
            parsed = f"SELECT {FILE} FROM ({bound.whole or bound.full})"
            found.update(
                con.execute(
                    f"SELECT * FROM ({rows}) WHERE file NOT IN ({parsed}) ORDER BY file"
                ).fetchall()
            )
    return found


def quarantine_table(
    con: DuckDBPyConnection,
    bindings: Bindings,
    rows: str,
    schema: Schema,
    work: Work,
    output: Output,
    series: str = "",
    number: str = "row_number() OVER ()",
    sourced: bool = False,
) -> StagedTable:
    """Stage quarantined rows.

    Args:
        rows: SELECT text of `schema`'s columns and rules, source and raw text.
        output: of the quarantine table; its `schema` is what the table has so far.
        series: tells the identifiers of two calls in one epoch apart.
        number: SQL that numbers the rows uniquely within the call.
        sourced: whether the rows tell their source file.
    """
    mine, rows = quarantine_fields(schema), bindings.with_lines(rows)
    output, rewritten = _widened(con, bindings, rows, schema, work, output)
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
    have = Named((f.name, f) for f in mine)
    select = ", ".join(f"{_value(f, values, have)} AS {quote(f.name)}" for f in fields)
    own = f", q.{SOURCE}" if sourced else ""
    table = write(con, f"SELECT {select}{own} FROM ({rows}) AS q", Schema(fields), output)
    return replace(table, rewritten=rewritten, sourced=sourced, by_column=sourced)


def _widened(
    con: DuckDBPyConnection,
    bindings: Bindings,
    rows: str,
    schema: Schema,
    work: Work,
    output: Output,
) -> tuple[Output, tuple[DataFile, ...] | None]:
    """The quarantine with the types that the dataset's columns have got, and its rows in them.

    So values stay in their columns, and a replay finds them there.
    """
    if output.stored is None:
        return output, None
    widening = Widening(con, bindings, f"{file_name(work.dataset)}_quarantine", output)
    columns = [Column(f.name, f.type, to_duckdb(f.type)) for f in schema.fields]
    types = widening.types([(columns, rows)])
    fields = (replace(f, type=types.get(f.name, f.type)) for f in output.schema.fields)
    wider = Schema(tuple(fields))
    if wider == output.schema:
        return output, None
    gone = "false"
    for stale in work.correction.quarantines.values() if work.correction else ():
        if work.correction and stale.output.folder == output.folder:
            gone = gone_of(work.correction.files, stale.flow)
    return replace(output, schema=wider), widening.rewrite(wider, work.query, gone)


def _value(field: Field, values: dict[str, str], have: Named[Field]) -> str:
    """SQL for a column of the quarantine; NULL where it would be another value than the row's."""
    wanted, mine = to_duckdb(field.type), have.get(field.name)
    if field.name in values:
        return f"TRY_CAST({values[field.name]} AS {wanted})"
    if mine is None:
        return f"CAST(NULL AS {wanted})"
    own = f"q.{quote(field.name)}"
    if mine.type == field.type:
        return f"TRY_CAST({own} AS {wanted})"
    source = to_duckdb(mine.type)
    return convert(f"CAST({own} AS {source})", source, mine.type, field.type)[0]


class Quarantined(Frozen):
    """The rows of a quarantine, bound for an engine.

    Args:
        relation: SELECT text of all columns of the quarantine and `__qanat_rid`.
        columns: those that the quarantine has.
        sourced: whether rows tell, in a further column, which source file they come from.
        flows: only rows that these have put there are asked about; None: all are.
    """

    relation: str
    columns: tuple[str, ...]
    sourced: bool = False
    flows: tuple[str, ...] | None = None

    @property
    def asked(self) -> str:
        """SQL that is true of a row that is asked about, and false of all others."""
        if self.flows is None:
            return "true"
        named = ", ".join(map(literal, self.flows))
        return f"coalesce(_quarantine_flow IN ({named}), false)"

    def filled(self, schema: Schema) -> str:
        """SELECT text of one row: per column, how many rows that are asked about have a value."""
        each = ", ".join(f"count({quote(f.name)})" for f in schema.fields)
        return f"SELECT {each} FROM ({self.relation}) WHERE {self.asked}"

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
        where = f"NOT {INCOMPLETE} AND {self.asked}"
        return f"SELECT {columns}, {RID} FROM ({self.relation}) WHERE {where}"

    def failed(self, flow: str, types: Mapping[str, str], label: str, alone: bool) -> str:
        """SELECT text of the rows of a stream that its flow could not compute.

        Args:
            types: of the columns that the stream has now. A row whose values are not of these
                types is left out.
            label: tells the stream from other inputs of the flow.
            alone: whether rows that do not say which input they are of are its own.
        """
        texts = json.dumps(dict.fromkeys(types, "VARCHAR"))
        texts_of = {n: f"texts.{quote(n)}" for n in types}
        columns = ", ".join(f"CAST({texts_of[n]} AS {t}) AS {quote(n)}" for n, t in types.items())
        fitting = " AND ".join(
            f"({texts_of[n]} IS NULL OR TRY_CAST({texts_of[n]} AS {t}) IS NOT NULL)"
            for n, t in types.items()
        )
        failed = _is_broken(FAILED, RULES)
        # An identifier ends in the rule's letter, the label, if there is one, and a number.
        series = "rtrim(_quarantine_id, '0123456789')"
        of_input = f"ends_with({series}, {literal(f':{FAILED[1]}({label})')})"
        if alone:
            of_input += f" OR ends_with({series}, {literal(f':{FAILED[1]}')})"
        # In the CASE, too: DuckDB may parse the JSON before it filters, and other texts are none.
        own = f"CASE WHEN {failed} THEN {_RAW} END"
        rows = (
            f"SELECT from_json({own}, {literal(texts)}) AS texts, {RID} FROM ({self.relation}) "
            f"WHERE _quarantine_flow = {literal(flow)} AND {failed} AND ({of_input})"
        )
        return f"SELECT {columns}, {RID} FROM ({rows}) WHERE {fitting or 'true'}"

    def unparsed(self, flow: str, limit: int) -> str:
        """SELECT text of the rows of a flow that could not be parsed: what is kept of them.

        The columns: identifier, path of the file, line, text (NULL if it was cut), reason.

        Args:
            limit: bytes of a text that is kept whole.
        """
        cut = f"strlen({_RAW}) >= {limit}"
        return (
            f"SELECT {RID}, {_SOURCE}.file, {_SOURCE}.row, CASE WHEN NOT {cut} THEN {_RAW} END, "
            f"{RULES}[{literal(MALFORMED)}] FROM ({self.relation}) "
            f"WHERE _quarantine_flow = {literal(flow)} AND {_RAW} IS NOT NULL "
            f"AND {_SOURCE}.file IS NOT NULL AND {_is_broken(MALFORMED, RULES)} "
            f"ORDER BY {_SOURCE}.file, {RID}"
        )
