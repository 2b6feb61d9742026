"""The tables with the states of flows: their names, and where they go."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import qanat
from qanat.engines.duckdb.files.bound import FILE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.state.kind import Moment
from qanat.engines.duckdb.state.marks import WATERMARK, Mark, Marks, moment, moved
from qanat.engines.duckdb.tables import Bound
from qanat.errors import Location, OptionError, QanatError, QueryError
from qanat.model.pipeline import Drift
from qanat.model.query import SqlQuery
from qanat.model.schema import NO_COLUMNS
from qanat.model.stateful import Deduplication, Watermark
from qanat.model.work import FilesBatch, Output, StateWork, Work
from qanat.run.doctor import examine
from qanat.run.session import Session
from tests.streams.projects import (
    EPOCHS,
    HOURS,
    HOURS_NOW,
    READ,
    TOTALS,
    TOTALS_NOW,
    Streams,
)

SECOND = """
CREATE STREAMING TABLE hours;
CREATE FLOW first AS INSERT INTO hours BY NAME SELECT window.start AS start, k, sum(x) AS total
FROM {read} WATERMARK ts DELAY OF INTERVAL 10 MINUTES GROUP BY window(ts, '1 hour'), k;
CREATE FLOW second AS INSERT INTO hours BY NAME SELECT window.start AS start, k, count(*) AS total
FROM {read} WATERMARK ts DELAY OF INTERVAL 10 MINUTES GROUP BY window(ts, '1 hour'), k;
"""


def tables(project: Streams) -> set[str]:
    return {p.name for p in (project.root / "store/tables").iterdir() if p.is_dir()}


def test_each_flow_of_a_dataset_has_a_state_of_its_own(streams: Streams) -> None:
    streams.declare(SECOND)
    for rows in EPOCHS[:2]:
        streams.add(*rows)
        streams.run()
    assert {"hours__state__first", "hours__state__second"} <= tables(streams)
    shown = qanat.open(streams.root).state("hours").flows
    assert [flow.flow for flow in shown] == ["first", "second"]
    assert streams.rows("hours") == [("00:00", "a", 2), ("00:00", "a", 5), ("00:00", "b", 1),
                                     ("00:00", "b", 2)]  # fmt: skip
    streams.declare(SECOND.replace("FLOW second", "FLOW counting"))
    qanat.open(streams.root).rename("second", "counting")
    assert "hours__state__counting" in tables(streams)
    assert "hours__state__second" not in tables(streams)
    streams.add(*EPOCHS[3])
    assert streams.run().status == "succeeded"


def test_a_state_is_renamed_and_dropped_with_its_dataset(streams: Streams) -> None:
    streams.declare(HOURS)
    for rows in EPOCHS[:2]:
        streams.add(*rows)
        streams.run()
    streams.declare(HOURS.replace("TABLE hours", "TABLE slots"))
    qanat.open(streams.root).rename("hours", "slots")
    assert {"slots", "slots__state"} <= tables(streams)
    for rows in EPOCHS[2:]:
        streams.add(*rows)
        streams.run()
    assert streams.rows("slots") == HOURS_NOW
    streams.declare(TOTALS)
    qanat.open(streams.root).drop("slots")
    assert not {t for t in tables(streams) if t.startswith("slots")}


def test_a_state_that_was_lost_is_told(streams: Streams) -> None:
    streams.declare(TOTALS)
    streams.add(*EPOCHS[0])
    streams.run()
    state = streams.root / "store/tables/totals__state"
    state.rename(streams.root / "away")
    streams.add(*EPOCHS[1])
    error = streams.run()["totals"].error
    assert "the state of totals is older than its ledger" in str(error)
    assert "qanat run --full-refresh totals" in str(error.hint)
    with Session.open(streams.root) as session:
        found = [f.what for f in examine(session, streams.root) if f.level == "error"]
    assert found == ["table totals"]
    (streams.root / "away").rename(state)
    assert streams.run().status == "succeeded"


def test_an_epoch_whose_cache_cannot_be_written_reads_the_table(streams: Streams) -> None:
    streams.declare(TOTALS)
    with qanat.open(streams.root) as project:
        for number, rows in enumerate(EPOCHS):
            if number == 1:
                [scratch] = (streams.root / "store/_qanat/scratch").glob("*/engine")
                # Where a database should be written, there is a folder.
                for taken in range(len(EPOCHS)):
                    (scratch / f"__qanat_state_{taken}.db").mkdir()
            streams.add(*rows)
            assert project.run().status == "succeeded"
        assert not list(scratch.glob("*.db.wal"))
    assert streams.rows("totals") == TOTALS_NOW


@pytest.mark.parametrize("name", ["t__state", "t__STATE__x"])
def test_no_dataset_has_the_name_of_a_state(tmp_path: Path, name: str) -> None:
    project = Streams(tmp_path)
    project.declare(f"CREATE STREAMING TABLE {name} AS SELECT * FROM {READ.format(options='')};")
    with pytest.raises(OptionError, match="belongs to the state of a flow"):
        project.run()


def test_results_of_groups_are_not_replayed(streams: Streams) -> None:
    streams.declare(TOTALS)
    streams.add(*EPOCHS[0])
    streams.run()
    with pytest.raises(QanatError, match="results of groups"):
        qanat.open(streams.root).quarantine("totals").replay()


WATERMARKS = (Watermark("a", "", 10, "ts"), Watermark("b", "", 0, "ts"))


def at(marks: Marks, before: int | None, at_us: int, idle_us: int | None) -> Moment:
    stateful = Deduplication((), WATERMARKS)
    state = StateWork(stateful, Output(Path(), ""), at_us=at_us, idle_us=idle_us)
    known = {} if before is None else {WATERMARK: Mark(before, 0)}
    return moment(7, state, known, marks)


@pytest.mark.parametrize(
    ("marks", "before", "idle_us", "after"),
    [
        ({("a", ""): Mark(100, 50), ("b", ""): Mark(95, 50)}, None, None, 90),
        ({("a", ""): Mark(100, 50), ("b", ""): Mark(None, 50)}, None, None, None),
        # It does not go back.
        ({("a", ""): Mark(100, 50), ("b", ""): Mark(20, 50)}, 60, None, 60),
        # A stream, or a partition of it, that has been idle for too long does not count.
        ({("a", ""): Mark(100, 50), ("b", ""): Mark(20, 10)}, 15, 30, 90),
        ({("a", "0"): Mark(100, 50), ("a", "1"): Mark(3, 1), ("b", ""): Mark(99, 50)}, 0, 30, 90),
        ({("a", ""): Mark(100, 50), ("b", ""): Mark(None, 10)}, None, 30, 90),
        ({("a", ""): Mark(100, 10), ("b", ""): Mark(20, 10)}, 15, 30, 15),
    ],
)
def test_the_watermark_is_the_earliest_of_streams_that_are_not_idle(
    marks: Marks, before: int | None, idle_us: int | None, after: int | None
) -> None:
    assert at(marks, before, 50, idle_us) == Moment(7, before, after)


def test_each_partition_of_a_stream_has_come_as_far_as_its_own_rows(tmp_path: Path) -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE messages AS FROM (VALUES (5, 't/0'), (9, 't/0'), (3, 't/1')) AS m(us, "
        f"{FILE})"
    )
    watermark = Watermark("a", "SELECT max(us) FROM a", 0, "us")
    state = StateWork(Deduplication((), (watermark,)), Output(tmp_path, ""), at_us=70)
    batch = FilesBatch((), "payloads", (), NO_COLUMNS, NO_COLUMNS, Drift.EVOLVE, "t",
                       partitions=("t/0", "t/1", "t/2"))  # fmt: skip
    query = SqlQuery("", "", "duckdb", (), Location("all.sql"))
    out = Output(tmp_path, "")
    work = Work("f", 2, "u", "d", query, {"a": batch}, out, out, tmp_path, 0, state=state)
    bindings = Bindings(con, tmp_path)
    bindings.bound["a"] = Bound("SELECT us FROM messages", "SELECT * FROM messages", (FILE,))
    before = {("a", "t/0"): Mark(4, 1), ("a", "t/1"): Mark(8, 1)}
    assert moved(con, bindings, work, before) == {
        ("a", "t/0"): Mark(9, 70),
        # It has brought a row, and no newer one.
        ("a", "t/1"): Mark(8, 70),
        # It has never brought one: until it counts as idle, there is no watermark.
        ("a", "t/2"): Mark(None, 70),
    }


LISTED, OTHERS = "string_agg(k ORDER BY x) AS a", "string_agg(x::VARCHAR ORDER BY k) AS b"
ORDERED = "CREATE STREAMING TABLE t AS SELECT {columns} FROM {{read}} GROUP BY {keys};"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("k, min(x) AS a, max(x) AS b", "k"), ("k, max(x) AS b, min(x) AS a", "k")),
        (("k, ts, sum(x) AS s", "k, ts"), ("k, ts, sum(x) AS s", "ts, k")),
        ((f"1 AS o, {LISTED}, {OTHERS}", "1"), (f"1 AS o, {OTHERS}, {LISTED}", "1")),
    ],
    ids=["aggregates", "keys", "values"],
)  # fmt: skip
def test_the_order_in_which_a_query_names_things_does_not_matter(
    before: tuple[str, str], after: tuple[str, str], streams: Streams
) -> None:
    columns, keys = before
    streams.declare(ORDERED.format(columns=columns, keys=keys))
    streams.add(("a", 1, "00:10"), ("a", 5, "00:10"))
    streams.run()
    columns, keys = after
    streams.declare(ORDERED.format(columns=columns, keys=keys))
    streams.add(("a", 3, "00:10"))
    streams.run()
    found = streams.rows("t")
    streams.run(full_refresh=["t"])
    assert len(found) == 1
    # The table keeps the order of its columns until it is made anew.
    assert sorted(map(str, found[0])) == sorted(map(str, streams.rows("t")[0]))


PAIRS = """CREATE STREAMING TABLE {name} AS SELECT a.k, a.x, b.x AS y
FROM {{read}} WATERMARK ts DELAY OF INTERVAL 10 MINUTES AS a
JOIN {{read}} WATERMARK ts DELAY OF INTERVAL 10 MINUTES AS b
ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL 2 HOURS;"""
ONCE = "CREATE STREAMING TABLE {name} AS SELECT DISTINCT k FROM {{read}};"


@pytest.mark.parametrize("sql", [PAIRS, ONCE], ids=["join", "distinct"])
def test_a_renamed_table_goes_on_with_its_state(sql: str, streams: Streams) -> None:
    streams.declare(sql.format(name="before"))
    streams.add(("a", 1, "00:10"))
    streams.run()
    streams.declare(sql.format(name="after"))
    qanat.open(streams.root).rename("before", "after")
    streams.add(("a", 2, "00:20"), ("b", 3, "00:30"))
    assert streams.run().status == "succeeded"
    found = streams.rows("after")
    streams.run(full_refresh=["after"])
    assert found == streams.rows("after")


def test_rows_without_event_time_are_late_from_the_first_epoch_on(streams: Streams) -> None:
    streams.declare(HOURS, properties="'qanat.late_rows' = 'quarantine'")
    path = streams.root / "in/000.json"
    path.write_text('{"k": "a", "x": 1, "ts": null}\n', encoding="utf-8")
    counts = streams.run()["hours"].counts
    assert (counts.late, counts.quarantined, counts.balanced) == (1, 1, True)


def test_a_watermark_of_a_text_is_refused_by_the_name_of_its_column(streams: Streams) -> None:
    streams.declare(HOURS.replace("WATERMARK ts", "WATERMARK k").replace("(ts", "(k"))
    streams.add(("a", 1, "00:10"))
    error = streams.run()["hours"].error
    assert isinstance(error, QueryError)
    assert error.message == "the watermark is of k, which is a VARCHAR and no time"
    assert error.location is not None


WINDOWS = [
    "window.start AS s, window.end AS e, k, count(*) FROM {} GROUP BY window(ts, '1 hour'), k",
    "window.start AS s, sum(x) AS t FROM {} GROUP BY window(ts, '2 hours', '1 hour')",
    """session_window.start AS s, session_window.end AS e, k, max(x) AS m FROM {}
    GROUP BY session_window(ts, '40 minutes'), k HAVING count(*) > 0""",
    "w.start AS s, n FROM (SELECT window(ts, '1 day') AS w, count(*) AS n FROM {} GROUP BY ALL)",
    "window_time(window) AS s, count(*) FROM {} GROUP BY window(ts, '1 hour')",
]


@pytest.mark.parametrize("text", WINDOWS)
def test_windows_of_a_materialized_view_are_those_of_a_stream(text: str, streams: Streams) -> None:
    rows = "read_files('in/*.json', schema => 'k STRING, x BIGINT, ts TIMESTAMP')"
    streams.declare(
        f"CREATE STREAMING TABLE one AS SELECT {text.format('{read}')};"
        f"CREATE MATERIALIZED VIEW other AS SELECT {text.format(rows)};"
    )
    for each in EPOCHS:
        streams.add(*each)
        streams.run()
    assert streams.rows("other") == streams.rows("one")
    assert len(streams.rows("other")) > 1 or "1 day" in text
    project = qanat.open(streams.root)
    columns = [project.table(name).arrow().column_names for name in ("one", "other")]
    assert columns[0] == columns[1]


def test_an_aggregate_without_a_name_over_a_cte_of_its_own(streams: Streams) -> None:
    streams.declare(
        "CREATE STREAMING TABLE t AS WITH c AS (SELECT k, x FROM {read}) "
        "SELECT k, count(*) FROM c GROUP BY k;"
    )
    streams.add(("a", 1, "00:10"), ("a", 2, "00:20"))
    streams.run()
    assert streams.rows("t") == [("a", 2)]
