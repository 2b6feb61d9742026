"""PostgreSQL as a source: a table or query, read on by a cursor column or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.connectors.postgres.drift import drifted
from qanat.connectors.postgres.inquiry import Inquiry, address, inquiry
from qanat.connectors.postgres.position import Position, Ruler, Window
from qanat.connectors.postgres.server import SNAPSHOT, batches, bulk
from qanat.connectors.postgres.spool import nothing, spool
from qanat.connectors.postgres.types import Column
from qanat.errors import ConversionError, OptionError
from qanat.model.amount import Amount
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import Range, Unread
from qanat.model.schema import Field, Schema
from qanat.model.work import ArrowBatch, Batch, Input
from qanat.ports.source import Everywhere, Past, Surroundings
from qanat.text import quote

MOST_HASHES = 100_000
"""How many rows of a window are remembered one by one, at most: 3.5 MB in the ledger."""

_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
_OTHERS = frozenset({"text", "varchar", "uuid"})
_ENDLESS = frozenset({"infinity", "Infinity", "NaN"})


class PostgresSource(Everywhere):
    """A `Source` of PostgreSQL tables and queries."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def plan(
        self, ref: SourceRef, past: Past, without: frozenset[str] = frozenset()
    ) -> Unread | None:
        """The rows whose cursor has grown since; None if there are none.

        Raises:
            OptionError: there is no cursor, or an option does not fit.
            ColumnNotFoundError: the cursor or a key is no column.
            ConversionError: a cursor is NULL or infinite.
            QanatError: the server says no, as `server.explained` tells.
        """
        if not ref.option("cursor"):
            raise OptionError(
                f"a stream of {ref.place[:80]} needs a cursor: a column that tells new rows",
                wanted="read_postgres(…, cursor => 'id')",
                hint="name a column that grows with every new row, or leave STREAM out: a"
                " materialized view reads the whole table in each update",
            )
        with inquiry(ref) as found:
            cursor = found.column(ref.option("cursor"))
            ruler = Ruler(found.relation.text, cursor, _cursor_type(found, cursor))
            _check_null(found, ruler)
            return _unread(found, ruler, past.position)

    def renamed(self, old: str, new: str) -> tuple[str, str]:
        """Nothing: there are no files."""
        del old, new
        return "", ""

    def everything(self, ref: SourceRef) -> Range | None:
        """The whole relation, known by what had been committed in the database.

        Raises:
            QanatError: the server says no, as `server.explained` tells.
        """
        with inquiry(ref) as found:
            # This number changes exactly when a transaction that wrote something has ended.
            return Range({"snapshot": found.one("SELECT txid_current_snapshot()::text")})

    def bind(
        self, ref: SourceRef, range: Range | None, known: Schema, drift: Drift, scratch: Path
    ) -> Input:
        """Exactly that range, written down as Arrow.

        Raises:
            ConversionError: a value does not fit the type of its column.
            SchemaDriftError: the columns have changed and `drift` is `freeze`.
            QanatError: the server says no, as `server.explained` tells.
        """
        with inquiry(ref) as found:
            columns = drifted(found.columns, known, drift, ref.place[:80])
            sql = None if range is None else _rows(found, range, columns)
        schema = Schema(tuple(Field(c.name, c.type) for c in columns))
        if sql is None:
            return Input(ArrowBatch(nothing(columns), schema), Amount(rows=0))
        url = address(ref)
        with bulk(url, SNAPSHOT) as cursor:
            cursor.execute(sql)
            opened, rows = spool(batches(cursor, url), columns, scratch)
        return Input(ArrowBatch(opened, schema), Amount(rows=rows))

    def sample(
        self,
        ref: SourceRef,
        known: Schema,
        drift: Drift,
        scratch: Path,
        range: Range | None = None,
    ) -> Batch | None:
        """The columns, without rows: the server knows them."""
        return self.bind(ref, None, known, drift, scratch).batch

    def verify(self, ref: SourceRef, range: Range) -> Range:
        """The range as it is: its rows were read in one snapshot."""
        return range


# -- the cursor ----------------------------------------------------------------------------------


def _cursor_type(found: Inquiry, cursor: str) -> str:
    name = found.types[cursor].name
    if name not in _NUMBERS | _TIMES | _OTHERS:
        raise OptionError(
            f"the column {cursor} of {found.ref.place[:80]} cannot be a cursor",
            wanted="a number, a date, a timestamp, a text or a uuid",
            got=name,
        )
    return "text" if name == "varchar" else name


def _check_null(found: Inquiry, ruler: Ruler) -> None:
    """Refuse to pass over rows without a cursor, unless the author says so."""
    if found.ref.option("null_cursor", "fail") == "skip" or found.never_null(ruler.cursor):
        return
    missing = f"SELECT 1 FROM {ruler.relation} AS q WHERE {ruler.name} IS NULL LIMIT 1"
    if found.one(missing) is not None:
        raise ConversionError(
            f"{found.ref.place[:80]} has rows whose cursor {ruler.cursor} is NULL",
            hint="they would never be read: give the column a value, leave them out with"
            " null_cursor => 'skip', or use another column",
        )


# -- what is unread ------------------------------------------------------------------------------


def _unread(found: Inquiry, ruler: Ruler, past: Mapping[str, Any] | None) -> Unread | None:
    last = None if past is None else Position.of(past)
    inclusive = found.ref.option("cursor_mode", "inclusive") == "inclusive"
    if found.ref.option("lookback") and not inclusive:
        raise OptionError(
            "a lookback of read_postgres needs the cursor_mode 'inclusive'",
            hint="without it nothing is remembered of the rows below the greatest cursor",
        )
    after = last.upto if last else found.ref.option("initial_cursor") or None
    before = last.window if last and inclusive else None
    closed = inclusive and last is None and after is not None
    fresh = ruler.beyond(after, closed)
    waiting = found.one(ruler.count(fresh))
    late = found.one(ruler.late(before, after)) if before is not None and after else 0
    if not waiting + late:
        return None
    upto, taken = _end(found, ruler, fresh, waiting) if waiting else (str(after), 0)
    position = Position(ruler.cursor, after, upto, closed, before)
    if inclusive:
        window = _window(found, ruler, position)
        position = Position(ruler.cursor, after, upto, closed, before, window)
    amount = Amount(rows=taken + late)
    return Unread(
        Range(position.value(), positioned=True, amount=amount),
        Amount(rows=waiting + late),
        more=taken < waiting,
    )


def _end(found: Inquiry, ruler: Ruler, fresh: str, waiting: int) -> tuple[str, int]:
    """The cursor value up to which an epoch reads, and how many rows that are."""
    most = found.ref.option("max_rows_per_trigger")
    if most and most < waiting:
        upto = found.one(ruler.nth(fresh, most))
        taken = found.one(ruler.count(f"{fresh} AND {ruler.name} <= {ruler.at(upto)}"))
    else:
        upto, taken = found.one(ruler.greatest(fresh)), waiting
    if upto in _ENDLESS:
        raise ConversionError(
            f"a cursor {ruler.cursor} of {found.ref.place[:80]} is {upto}: no row comes after it",
            hint="leave such rows out: read a query with a WHERE",
        )
    return upto, taken


def _window(found: Inquiry, ruler: Ruler, position: Position) -> Window:
    """The rows of which must be known that they have been read."""
    start, lookback = position.upto, found.ref.option("lookback")
    if lookback:
        if ruler.type not in _NUMBERS | _TIMES:
            raise OptionError(
                f"a cursor of the type {ruler.type} has no lookback",
                wanted="a number, a date or a timestamp as cursor",
            )
        unit = ruler.type if ruler.type in _NUMBERS else "interval"
        # The window cannot begin earlier: which rows were read below it is not recorded.
        least = position.before.start if position.before else position.after
        start = found.one(ruler.below(position.upto, lookback, unit, least))
    columns = found.identity(ruler.cursor)
    sql = ruler.hashes(start, position.upto, columns, MOST_HASHES)
    rows: dict[str, int] = dict(found.session.execute(sql.encode()).fetchall())
    if len(rows) > MOST_HASHES:
        raise OptionError(
            f"more than {MOST_HASHES:,} rows of {found.ref.place[:80]} have the greatest"
            f" {ruler.cursor}" + (" or lie within the lookback" if lookback else ""),
            hint="use a finer cursor, a shorter lookback, or cursor_mode => 'exclusive' if no row"
            " comes late",
        )
    return Window(start, rows, columns)


# -- what is read --------------------------------------------------------------------------------


def _rows(found: Inquiry, range: Range, columns: tuple[Column, ...]) -> str:
    """The rows of a range, as SQL."""
    select = ", ".join(f"{c.select} AS {quote(c.name)}" for c in columns)
    if not range.positioned and "cursor" not in range.value:
        return f"SELECT {select} FROM {found.relation.text} AS q"
    position = Position.of(range.value)
    cursor = found.column(position.cursor)
    ruler = Ruler(found.relation.text, cursor, _cursor_type(found, cursor))
    return ruler.rows(position, select)
