"""Random queries over random streams, cut into epochs, and the batch query that each has to equal.

Rows come out of order within the delay; some come too late, and must be counted as such and no
more. Keys, event times and values are NULL now and then, and many are equal.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from qanat.model.stateful import OutputMode
from tests.streams.operating import Running, query_of

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
"""2026-01-01, in microseconds since 1970."""
FAR = START + 10_000_000 * SECOND
COLUMNS = ("id", "k", "s", "ts", "v", "d", "late")
TYPES = "id BIGINT, k INTEGER, s VARCHAR, ts TIMESTAMP, v BIGINT, d DECIMAL(12, 2), late BOOLEAN"
WORDS = ("a", "b", "A", "ü", "日本", "", "it's", None)

AGGREGATES = (
    "count(*)", "count(v)", "sum(v)", "sum(d)", "avg(v)", "avg(d)", "min(s)", "max(v)", "min(ts)",
    "count(DISTINCT v)", "count(DISTINCT s) FILTER (WHERE v > 1)", "bool_and(v > 0)",
    "string_agg(s, '|' ORDER BY id)", "list(v ORDER BY id)", "median(v)", "quantile_disc(v, 0.3)",
    "any_value(s)", "arg_min(s, v)", "arg_max(id, d)", "sum(v) FILTER (WHERE s = 'a')",
    "bit_xor(v)", "first(id ORDER BY id)", "var_pop(v)", "stddev(v)", "max(v) - min(v)",
    "count_if(v > 2)", "sum(v * 2 + 1)", "mode(v % 2)", "approx_count_distinct(v)",
    "list(DISTINCT v ORDER BY v)", "sum(v::DOUBLE)", "max(d) + count(*)", "min(v::HUGEINT)",
    "first(s)", "last(s)", "list(id)",
)  # fmt: skip
KEYS = ("k", "s", "v % 3", "upper(s)", "k IS NULL", "d", "r.k")
FILTERS = ("", "v > 0", "s IS NOT NULL", "id % 3 <> 0")
HAVINGS = ("", "count(*) > 1", "count(*) % 2 = 0", "max(v) > 2")


@dataclass(frozen=True)
class Case:
    """A query over streams, and what it has to equal.

    Args:
        sql: over the streams by name; `wanted` is over tables of all their rows.
        epochs: for each, the rows of each stream.
        delay: of all watermarks, in microseconds; None: there are none.
        excluded: how many rows are late.
    """

    seed: int
    kind: str
    sql: str
    wanted: str
    streams: tuple[str, ...]
    delay: int | None
    mode: OutputMode | None
    excluded: int
    epochs: tuple[dict[str, list[tuple[Any, ...]]], ...] = field(repr=False)


def draw(seed: int) -> Case:
    """A case."""
    chance = random.Random(seed)  # noqa: S311
    kind = chance.choice(
        ("running", "window", "window", "bucket", "session", "distinct", "join", "join")
    )
    return {
        "running": _running,
        "window": _window,
        "bucket": _bucket,
        "session": _session,
        "distinct": _distinct,
        "join": _join,
    }[kind](chance, seed)


# -- queries --------------------------------------------------------------------------------


def _listed(chance: random.Random, keys: Sequence[str], first: Sequence[str] = ()) -> str:
    """A select list: keys and aggregates, each with a name."""
    values = [*first, *(k for k in keys if chance.random() < 0.8)]
    values += chance.sample(AGGREGATES, chance.randint(1, 5))
    return ", ".join(f"{v} AS c{n}" for n, v in enumerate(values))


def _tail(chance: random.Random, keys: Sequence[str]) -> tuple[str, str]:
    where, having = chance.choice(FILTERS), chance.choice(HAVINGS)
    return (
        f" WHERE {where}" if where else "",
        (f" GROUP BY {', '.join(keys)}" if keys else "") + (f" HAVING {having}" if having else ""),
    )


def _running(chance: random.Random, seed: int) -> Case:
    keys = chance.sample(KEYS, chance.randint(0, 3))
    listed, (where, group) = _listed(chance, keys), _tail(chance, keys)
    sql = f"SELECT {listed} FROM r{where}{group}"
    shape = chance.random()
    some = f"FROM r{where}"
    if shape < 0.2:
        sql = f"SELECT * FROM ({sql}) AS q WHERE c0 IS NOT NULL"
    elif shape < 0.4:
        sql = (
            f"WITH b AS (SELECT * FROM r WHERE id % 7 <> 1) {sql.replace('FROM r', 'FROM b AS r')}"
        )
        some = f"FROM (FROM r WHERE id % 7 <> 1) AS r{where}"
    epochs, _ = _epochs(chance, ("r",), None)
    # Of no row, a query over a stream has no result; a batch query without GROUP BY has one.
    wanted = sql if keys else f"SELECT * FROM ({sql}) WHERE EXISTS ({some})"
    return Case(seed, "running", sql, wanted, ("r",), None, None, 0, epochs)


def _mode(chance: random.Random) -> OutputMode | None:
    return chance.choice((None, None, OutputMode.APPEND, OutputMode.UPDATE))


def _window(chance: random.Random, seed: int) -> Case:
    slide = chance.choice((7, 60, 300))
    width = slide * chance.choice((1, 1, 2, 3)) + chance.choice((0, 0, 2))
    offset = chance.choice((0, 0, 5))
    keys = chance.sample(KEYS, chance.randint(0, 2))
    shifts = range(-(-width // slide))
    at = f"(epoch_us(ts) - {offset * SECOND})"
    last = f"({at} - {at} % {slide * SECOND}) + {offset * SECOND}"
    starts = ", ".join(f"{last} - {n * slide * SECOND}" for n in shifts)
    each = f"(SELECT * FROM (SELECT *, unnest([{starts}]) AS w FROM r WHERE ts IS NOT NULL)"
    each += f" WHERE w > epoch_us(ts) - {width * SECOND})"
    mode, delay = _mode(chance), chance.choice((0, 10, 90)) * SECOND
    epochs, late = _epochs(chance, ("r",), delay, width)
    where, group = _tail(chance, keys)
    listed = _listed(chance, keys, ("window.start", 'window."end"'))
    text = f"event_window(ts, '{width} seconds', '{slide} seconds', '{offset} seconds')"
    if width == slide and not offset:
        text = f"event_window(ts, '{width} seconds')"
    window = f"GROUP BY {text}"
    sql = f"SELECT {listed} FROM r{where}" + (
        group.replace("GROUP BY", f"{window},") if keys else f" {window}{group}"
    )
    by = "GROUP BY w"
    wanted = listed.replace("window.start", "make_timestamp(w)")
    wanted = wanted.replace('window."end"', f"make_timestamp(w + {width * SECOND})")
    wanted = f"SELECT {wanted} FROM {each} AS r{where}" + (
        group.replace("GROUP BY", f"{by},") if keys else f" {by}{group}"
    )
    return Case(seed, "window", sql, wanted, ("r",), delay, mode, late, epochs)


def _bucket(chance: random.Random, seed: int) -> Case:
    bucket, width = chance.choice(
        (
            ("time_bucket(INTERVAL '5 minutes', ts)", 300),
            ("time_bucket(INTERVAL 20 SECONDS, ts)", 20),
            ("date_trunc('minute', ts)", 60),
            ("ts", 0),
        )
    )
    keys = [bucket, *chance.sample(KEYS, chance.randint(0, 2))]
    mode, delay = _mode(chance), chance.choice((0, 10, 90)) * SECOND
    epochs, late = _epochs(chance, ("r",), delay, width + 1)
    where, group = _tail(chance, keys)
    sql = f"SELECT {_listed(chance, keys)} FROM r{where}{group}"
    wanted = sql
    if mode is not OutputMode.UPDATE:
        # Rows without event time are in no group that is ever complete.
        wanted = sql.replace("FROM r", "FROM (FROM r WHERE ts IS NOT NULL) AS r")
    return Case(seed, "bucket", sql, wanted, ("r",), delay, mode, late, epochs)


def _session(chance: random.Random, seed: int) -> Case:
    gap = chance.choice((3, 20, 100))
    keys = chance.sample(KEYS, chance.randint(0, 2))
    mode, delay = _mode(chance), chance.choice((0, 10, 90)) * SECOND
    epochs, late = _epochs(chance, ("r",), delay, gap + 1)
    where, group = _tail(chance, keys)
    listed = _listed(chance, keys, ("session_window.start", 'session_window."end"'))
    window = f"GROUP BY session_window(ts, '{gap} seconds')"
    sql = f"SELECT {listed} FROM r{where}" + (
        group.replace("GROUP BY", f"{window},") if keys else f" {window}{group}"
    )
    named = "".join(f", {k} AS __k{n}" for n, k in enumerate(keys))
    by = f"PARTITION BY {', '.join(f'__k{n}' for n in range(len(keys)))} " if keys else ""
    over = f"{by}ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    rows = f"SELECT *{named} FROM r{where or ' WHERE true'} AND ts IS NOT NULL"
    gaps = f"SELECT *, max(ts) OVER ({over}) + INTERVAL {gap} SECONDS AS __e FROM ({rows})"
    opens = "count_if(__e IS NULL OR ts > __e)"
    numbered = (
        f"SELECT *, {opens} OVER ({by}ORDER BY ts ROWS UNBOUNDED PRECEDING) AS __n FROM ({gaps})"
    )
    wanted = listed.replace("session_window.start", "min(ts)")
    wanted = wanted.replace('session_window."end"', f"max(ts) + INTERVAL {gap} SECONDS")
    wanted = f"SELECT {wanted} FROM (FROM ({numbered}) ORDER BY id) AS r" + (
        group.replace("GROUP BY", "GROUP BY __n,") if keys else f" GROUP BY __n{group}"
    )
    return Case(seed, "session", sql, wanted, ("r",), delay, mode, late, epochs)


def _distinct(chance: random.Random, seed: int) -> Case:
    where = chance.choice(FILTERS)
    tail = f" WHERE {where}" if where else ""
    if chance.random() < 0.4:
        # An event time among the keys: they are forgotten, and it makes no difference.
        delay = chance.choice((0, 10, 90)) * SECOND
        epochs, late = _epochs(chance, ("r",), delay, 1)
        sql = f"SELECT DISTINCT {chance.choice(('k, ts', 's, ts, v', 'ts'))} FROM r{tail}"
        # The last row is one of the result, as all others.
        return Case(seed, "distinct", sql, sql, ("r",), delay, None, late, epochs)
    epochs, _ = _epochs(chance, ("r",), None)
    keys = chance.sample(KEYS, chance.randint(1, 2))
    if chance.random() < 0.5:
        sql = (
            f"SELECT DISTINCT {', '.join(f'{k} AS c{n}' for n, k in enumerate(keys))} FROM r{tail}"
        )
        return Case(seed, "distinct", sql, sql, ("r",), None, None, 0, epochs)
    on = ", ".join(keys)
    sql = f"SELECT DISTINCT ON ({on}) id, s, v FROM r{tail}"
    first = f"row_number() OVER (PARTITION BY {on} ORDER BY id) = 1"
    wanted = f"SELECT id, s, v FROM r{tail} QUALIFY {first}"
    return Case(seed, "distinct", sql, wanted, ("r",), None, None, 0, epochs)


def _join(chance: random.Random, seed: int) -> Case:
    kind = chance.choice(
        ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN")
    )
    low, high = chance.choice(((-60, 60), (0, 30), (-20, 0), (0, 0)))
    least, most = f"INTERVAL '{low} seconds'", f"INTERVAL '{high} seconds'"
    delay = chance.choice((0, 10, 90)) * SECOND
    epochs, late = _epochs(chance, ("l", "r"), delay, 1)
    parts = [chance.choice(("a.k = b.k", "a.s = b.s", "a.k = b.k AND a.s = b.s", "a.v + 1 = b.v"))]
    parts.append(
        chance.choice(
            (
                f"b.ts BETWEEN a.ts + {least} AND a.ts + {most}",
                f"b.ts >= a.ts + {least} AND b.ts - {most} <= a.ts",
                f"a.ts <= b.ts - {least} AND a.ts > b.ts - {most}",
            )
        )
    )
    if chance.random() < 0.3:
        parts.append(chance.choice(("a.v < b.v", "a.id % 2 = b.id % 2", "b.s <> 'a'")))
    where = chance.choice(("", "", " WHERE a.id % 5 <> 2"))
    columns = (
        "a.id AS x, a.s, a.ts"
        if kind in ("SEMI JOIN", "ANTI JOIN")
        else "a.id AS x, b.id AS y, b.s"
    )
    on = " AND ".join(parts)
    if chance.random() < 0.3:
        on = f"({parts[0]} AND ({' AND '.join(parts[1:])}))"
    sql = f"SELECT {columns} FROM l AS a {kind} r AS b ON {on}{where}"
    return Case(seed, "join", sql, sql, ("l", "r"), delay, None, late, epochs)


# -- rows -----------------------------------------------------------------------------------


def _epochs(
    chance: random.Random, streams: Sequence[str], delay: int | None, spans: int = 0
) -> tuple[tuple[dict[str, list[tuple[Any, ...]]], ...], int]:
    """Epochs of rows, the last one far in the future; and how many rows are late.

    Args:
        spans: how many seconds after its event time a row may still count.
    """
    epochs: list[dict[str, list[tuple[Any, ...]]]] = []
    newest: dict[str, int | None] = dict.fromkeys(streams)
    watermark: int | None = None
    number, late, clock = 0, 0, START
    rate = chance.choice((1, 5, 40)) * SECOND
    for _ in range(chance.randint(1, 6)):
        epoch: dict[str, list[tuple[Any, ...]]] = {name: [] for name in streams}
        for name in streams:
            at = clock
            for _ in range(chance.choice((0, 1, 4, 12))):
                number += 1
                at += chance.choice((0, 0, 1, 1, 3)) * rate
                moment: int | None = at - chance.choice((0, 0, chance.randint(0, delay or SECOND)))
                moment = moment if delay else at
                is_late = watermark is not None and chance.random() < 0.1
                if is_late and watermark is not None:
                    moment = watermark - (spans + chance.randint(1, 100)) * SECOND
                    late += 1
                elif chance.random() < 0.05:
                    moment = None
                if moment is not None:
                    known = newest[name]
                    newest[name] = moment if known is None else max(known, moment)
                epoch[name].append(_row(chance, number, moment, is_late))
        clock = max([clock, *(n for n in newest.values() if n is not None)])
        epochs.append(epoch)
        known_all = [n for n in newest.values() if n is not None]
        if delay is not None and len(known_all) == len(streams):
            watermark = max(min(known_all) - delay, watermark or -FAR)
    if delay is not None:
        last = {}
        for at_, name in enumerate(streams):
            # Its keys are those of no other row, so that it matches none.
            row = (number + 1 + at_, 77 + at_, f"far {at_}", FAR, 900 + 50 * at_, None, None)
            last[name] = [row]
        epochs.append(last)
    return tuple(epochs), late


def _row(chance: random.Random, number: int, moment: int | None, late: bool) -> tuple[Any, ...]:
    value = chance.choice((None, 0, 1, 2, 3, 4, -5, 2**40))
    cents = None if chance.random() < 0.1 else chance.randint(-300, 300)
    return (
        number,
        chance.choice((None, 1, 2, 3)),
        chance.choice(WORDS),
        moment,
        value,
        cents,
        late,
    )


# -- running them ---------------------------------------------------------------------------


def differs(case: Case, con: duckdb.DuckDBPyConnection) -> str | None:
    """How the result over the epochs differs from that of the batch query; None if it does not."""
    con.execute("DROP TABLE IF EXISTS state")
    delay = case.delay
    marks = None if delay is None else dict.fromkeys(case.streams, ("ts", delay))
    running = Running(query_of(case.sql, case.streams, marks), case.mode, con)
    for epoch in case.epochs:
        running.take({name: rows_sql(rows) for name, rows in epoch.items()})
    everything: dict[str, list[tuple[Any, ...]]] = {name: [] for name in case.streams}
    # The last row closes all others' windows, and no row closes its own.
    keeps_last = case.mode is OutputMode.UPDATE or case.kind == "distinct"
    for epoch in case.epochs:
        for name, rows in epoch.items():
            everything[name] += [r for r in rows if not r[6] and (r[6] is False or keeps_last)]
    for name, rows in everything.items():
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {rows_sql(rows)}")
    wanted = con.sql(case.wanted).fetchall()
    if difference := compare(wanted, running.result()):
        return difference
    return None if running.late >= _least_late(case) else f"{running.late} rows were late"


def _least_late(case: Case) -> int:
    return case.excluded if " WHERE " not in case.sql else 0


def compare(wanted: Sequence[tuple[Any, ...]], found: Sequence[tuple[Any, ...]]) -> str | None:
    """How rows differ, in any order; doubles are equal but for their last bits."""
    one, other = sorted(wanted, key=_key), sorted(found, key=_key)
    for a, b in zip(one, other, strict=False):
        if len(a) != len(b) or not all(map(_same, a, b)):
            return f"wanted {a}, got {b}"
    return None if len(one) == len(other) else f"wanted {len(one)} rows, got {len(other)}"


def _key(row: tuple[Any, ...]) -> str:
    return repr([f"{v:.6g}" if isinstance(v, float) else v for v in row])


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)
    return bool(one == other)


def rows_sql(rows: Sequence[tuple[Any, ...]]) -> str:
    """SELECT text of rows."""
    if not rows:
        return f"SELECT * FROM (SELECT {_typed('NULL')}) WHERE false"
    values = ", ".join(
        "({})".format(", ".join("NULL" if v is None else _literal(v) for v in row)) for row in rows
    )
    names = ", ".join(f"c{n}" for n in range(len(COLUMNS)))
    return f"SELECT {_typed('')} FROM (VALUES {values}) AS v({names})"


def _typed(value: str) -> str:
    found = []
    for number, column in enumerate(TYPES.split(", ", 5)[:5]):
        name, type_ = column.split(" ", 1)
        given = value or f"c{number}"
        if name == "ts":
            given = f"make_timestamp(({given})::BIGINT)"
        found.append(f"CAST({given} AS {type_}) AS {name}")
    found.append(f"CAST(({value or 'c5'}) / 100 AS DECIMAL(12, 2)) AS d")
    return ", ".join(found)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else str(value)
