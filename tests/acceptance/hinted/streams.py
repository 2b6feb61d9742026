"""Hints about event time and state: what they say is written."""

from __future__ import annotations

from tests.acceptance.hinted.case import SILVER, Case, mended, stream

TIMED = (
    "CREATE STREAMING TABLE visits AS SELECT *, TIMESTAMP '2026-01-01' AS ts,"
    " TIMESTAMP '2026-01-01' AS other FROM STREAM orders;\n"
    "CREATE STREAMING TABLE sales AS SELECT *, TIMESTAMP '2026-01-01' AS ts FROM STREAM orders;\n"
)
MARK = "WATERMARK ts DELAY OF INTERVAL 5 MINUTES"
APPEND = " TBLPROPERTIES ('qanat.output_mode' = 'append')"
WINDOW = "window(ts, '10 minutes')"
JOINED = f"SELECT a.id FROM STREAM visits {MARK} AS a {{}} JOIN STREAM sales {MARK} AS b ON {{}}"
BOUND = "a.id = b.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL 1 HOUR"


def visits(what: str, tail: str = "", mark: str = MARK, more: str = "") -> str:
    """A table of a query over the visits."""
    return TIMED + stream(f"SELECT {what} FROM STREAM visits {mark} {tail}", more=more)


def joined(kind: str, condition: str) -> str:
    """A table of a join of two streams."""
    return TIMED + stream(JOINED.format(kind, condition))


COUNTED = visits("id, count(*) AS n", "GROUP BY id", "")
TWO_LEVELS = "SELECT max(n) AS m FROM (SELECT id, count(*) AS n FROM STREAM visits GROUP BY id)"
LEVELS = TIMED + stream("SELECT id, count(*) AS n FROM STREAM visits GROUP BY id", "counts")
HOURS = visits("count(*) AS n", "GROUP BY window(ts, '1 hour')").replace("silver", "hours")
GOLD = "CREATE MATERIALIZED VIEW gold AS {};\n"
AGED = " (CONSTRAINT new EXPECT FRESH (day) WITHIN 100000 DAYS)"

CASES = {
    "two operators": mended(
        "give one of them a STREAMING TABLE of its own, and read that",
        TIMED + stream(TWO_LEVELS),
        LEVELS + GOLD.format("SELECT max(n) AS m FROM counts"),
    ),
    "a limit over a stream": mended(
        "compute it in a MATERIALIZED VIEW over the streaming table",
        visits("id", "LIMIT 5", ""),
        TIMED + GOLD.format("SELECT id FROM visits LIMIT 5"),
    ),
    "a window function over groups": mended(
        "compute it in a MATERIALIZED VIEW over the streaming table",
        visits("id, rank() OVER (ORDER BY count(*)) AS r", "GROUP BY id", ""),
        COUNTED + GOLD.format("SELECT id, rank() OVER (ORDER BY n) AS r FROM silver"),
    ),
    "sets of groups": mended(
        "give each set of keys a STREAMING TABLE of its own",
        visits("id, count(*) AS n", "GROUP BY ROLLUP (id)", ""),
        COUNTED + visits("count(*) AS n", "", "").replace(TIMED, "").replace("silver", "all_ids"),
    ),
    "a star that is grouped": mended(
        "name the columns, or write SELECT DISTINCT *",
        visits("*", "GROUP BY ALL", ""),
        visits("DISTINCT *", "", ""),
    ),
    "several windows": mended(
        "give each a STREAMING TABLE of its own",
        visits("count(*) AS n", f"GROUP BY {WINDOW}, window(ts, '1 hour')"),
        visits("count(*) AS n", f"GROUP BY {WINDOW}") + HOURS.replace(TIMED, ""),
    ),
    "windows of another column": mended(
        "have both of one column",
        visits("count(*) AS n", "GROUP BY window(other, '1 hour')"),
        visits("count(*) AS n", "GROUP BY window(ts, '1 hour')"),
    ),
    "no watermark to close windows": mended(
        "write one behind the stream: WATERMARK ts DELAY OF INTERVAL 5 MINUTES",
        visits("count(*) AS n", f"GROUP BY {WINDOW}", "", APPEND),
        visits("count(*) AS n", f"GROUP BY {WINDOW}", MARK, APPEND),
    ),
    "no window to close": mended(
        "group by windows of the column that has the watermark: window(ts, '10 minutes')",
        visits("count(*) AS n", "GROUP BY id", MARK, APPEND),
        visits("count(*) AS n", f"GROUP BY id, {WINDOW}", MARK, APPEND),
    ),
    "a column that is not grouped": mended(
        "add it to GROUP BY, or write any_value(…) if it does not matter which value it is",
        visits("amount, count(*) AS n", "GROUP BY id", ""),
        visits("any_value(amount) AS amount, count(*) AS n", "GROUP BY id", ""),
    ),
    "a window of months": mended(
        "write window(ts, '10 minutes'), or window(ts, '10 minutes', '5 minutes') if they overlap",
        visits("count(*) AS n", "GROUP BY window(ts, '1 month')"),
        visits("count(*) AS n", f"GROUP BY {WINDOW}"),
    ),
    "a session of months": mended(
        "write session_window(ts, '5 minutes')",
        visits("count(*) AS n", "GROUP BY session_window(ts, '1 month')"),
        visits("count(*) AS n", "GROUP BY session_window(ts, '5 minutes')"),
    ),
    "aggregates and DISTINCT": mended(
        "give the inner one a STREAMING TABLE of its own, and read that",
        visits("DISTINCT count(*) AS n", "GROUP BY id", ""),
        COUNTED + GOLD.format("SELECT DISTINCT n FROM silver"),
    ),
    "rows that never change": mended(
        "leave out the table property 'qanat.output_mode'",
        visits("DISTINCT id", "", "", " TBLPROPERTIES ('qanat.output_mode' = 'update')"),
        visits("DISTINCT id", "", ""),
    ),
    "an order that chooses rows": mended(
        "leave it out: the row that comes first counts",
        visits("DISTINCT ON (id) id, amount", "ORDER BY amount", ""),
        visits("DISTINCT ON (id) id, amount", "", ""),
    ),
    "a plain SELECT around an aggregate": mended(
        "put the aggregate into a STREAMING TABLE of its own, and read its changes:"
        " STREAM table_changes('…')",
        TIMED
        + stream("SELECT id FROM STREAM visits UNION ALL SELECT max(id) AS id FROM STREAM sales"),
        TIMED
        + stream("SELECT max(id) AS id FROM STREAM sales", "highest")
        + stream(
            "SELECT id FROM STREAM visits UNION ALL SELECT id FROM STREAM table_changes('highest')"
        ),
    ),
    "three streams": mended(
        "write the two streams first; give a join of three two STREAMING TABLEs",
        TIMED
        + stream(
            "SELECT a.id FROM STREAM visits AS a JOIN range(9) AS r(id) ON a.id = r.id"
            " JOIN STREAM sales AS b ON a.id = b.id"
        ),
        TIMED
        + stream(
            "SELECT a.id FROM STREAM visits AS a JOIN STREAM sales AS b ON a.id = b.id"
            " JOIN range(9) AS r(id) ON a.id = r.id"
        ),
    ),
    "a join without equal values": mended(
        "write ON a.key = b.key, with the alias before each column",
        joined("", "a.id < b.id"),
        joined("", "a.id = b.id"),
    ),
    "a natural join of streams": mended(
        "write USING (…) with the columns that both have",
        TIMED + stream("SELECT id FROM STREAM visits AS a NATURAL JOIN STREAM sales AS b"),
        TIMED + stream("SELECT id FROM STREAM visits AS a JOIN STREAM sales AS b USING (id)"),
    ),
    "another join of streams": mended(
        "compute it in a MATERIALIZED VIEW over the streaming tables",
        TIMED + stream("SELECT a.id FROM STREAM visits AS a POSITIONAL JOIN STREAM sales AS b"),
        TIMED + GOLD.format("SELECT a.id FROM visits AS a POSITIONAL JOIN sales AS b"),
    ),
    "a subquery without a name": mended(
        "give it one",
        TIMED
        + stream(
            "SELECT a.id FROM STREAM visits AS a"
            " JOIN (SELECT id AS i FROM STREAM sales) ON a.id = i"
        ),
        TIMED
        + stream(
            "SELECT a.id FROM STREAM visits AS a"
            " JOIN (SELECT id AS i FROM STREAM sales) AS b ON a.id = b.i"
        ),
    ),
    "a table that keeps its rows": mended(
        "give the join of the streams a STREAMING TABLE of its own",
        TIMED
        + stream(
            "SELECT a.id FROM STREAM visits AS a JOIN STREAM sales AS b ON a.id = b.id"
            " RIGHT JOIN range(9) AS r(id) ON a.id = r.id"
        ),
        joined("", "a.id = b.id")
        + GOLD.format("SELECT r.id FROM silver AS a RIGHT JOIN range(9) AS r(id) ON a.id = r.id"),
    ),
    "an outer join without watermarks": mended(
        "give both streams a watermark: WATERMARK ts DELAY OF INTERVAL 5 MINUTES",
        TIMED
        + stream("SELECT a.id FROM STREAM visits AS a LEFT JOIN STREAM sales AS b ON a.id = b.id"),
        joined("LEFT", BOUND),
    ),
    "an outer join without a bound": mended(
        "bound it in ON: b.ts <= a.ts + INTERVAL 1 HOUR",
        joined("LEFT", "a.id = b.id"),
        joined("LEFT", "a.id = b.id AND b.ts <= a.ts + INTERVAL 1 HOUR"),
    ),
    "a watermark of an expression": mended(
        "compute the column in a TEMPORARY VIEW over the stream, and read that:"
        " STREAM view WATERMARK ts DELAY OF …",
        visits("count(*) AS n", f"GROUP BY {WINDOW}", MARK.replace("ts", "ts + INTERVAL 1 DAY")),
        TIMED
        + "CREATE TEMPORARY VIEW later AS SELECT ts + INTERVAL 1 DAY AS ts FROM STREAM visits;\n"
        + stream(f"SELECT count(*) AS n FROM STREAM later {MARK} GROUP BY {WINDOW}"),
    ),
    "a watermark of a text": mended(
        "make it one in a TEMPORARY VIEW over the stream, and read that: CAST(… AS TIMESTAMP)",
        TIMED
        + "CREATE TEMPORARY VIEW later AS SELECT ts::TEXT AS ts FROM STREAM visits;\n"
        + stream(f"SELECT count(*) AS n FROM STREAM later {MARK} GROUP BY {WINDOW}"),
        TIMED + "CREATE TEMPORARY VIEW later AS SELECT CAST(ts::TEXT AS TIMESTAMP) AS ts"
        " FROM STREAM visits;\n"
        + stream(f"SELECT count(*) AS n FROM STREAM later {MARK} GROUP BY {WINDOW}"),
    ),
    "a watermark behind no stream": mended(
        "leave it out where all rows are read each time, as in a MATERIALIZED VIEW",
        TIMED + GOLD.format(f"SELECT count(*) AS n FROM visits {MARK} GROUP BY {WINDOW}"),
        TIMED + GOLD.format(f"SELECT count(*) AS n FROM visits GROUP BY {WINDOW}"),
    ),
    "the name of a state": mended(
        "choose a name that neither ends in __state nor has __state__ in it",
        stream("SELECT id FROM STREAM orders", "orders__state"),
        stream("SELECT id FROM STREAM orders", "states"),
    ),
    "a table without a state": Case(
        "qanat show silver --state",
        "each of its epochs is computed by itself",
        SILVER,
        before=("qanat run",),
        follow="qanat show silver",
        again="qanat show silver",
    ),
    "a state of another name": Case(
        "qanat profile silver__state__more",
        "qanat show silver --state names those that there are",
        stream("SELECT id, count(*) AS n FROM STREAM orders GROUP BY id"),
        before=("qanat run",),
        follow="qanat show silver --state",
        again="qanat profile silver__state",
    ),
    "results in quarantine": Case(
        "qanat quarantine replay silver",
        "a group's next row computes its result again, and checks it; for all of them:"
        " qanat run --full-refresh silver",
        stream(
            "SELECT id, count(*) AS n FROM STREAM orders GROUP BY id",
            more=" (CONSTRAINT two EXPECT (n > 1) ON VIOLATION QUARANTINE ROW)",
        ),
        before=("qanat run",),
        again="qanat show silver",
    ),
    "the age of a text": mended(
        "convert it in the query: CAST(day AS TIMESTAMP)",
        stream("SELECT id, '2020-01-01' AS day FROM STREAM orders", more=AGED),
        stream("SELECT id, CAST('2020-01-01' AS TIMESTAMP) AS day FROM STREAM orders", more=AGED),
        "qanat run",
    ),
}
