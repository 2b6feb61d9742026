"""Streams of what changes, and streams that pass over what rewrites rows, whatever happens."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from qanat.errors import NotAppendOnlyError
from qanat.run.plan import plan
from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from tests.acceptance.crashing import copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop
from tests.acceptance.test_change_feed import events, fed, keeping, seen

SEED = int(os.environ.get("QANAT_CRASH_SEED", random.SystemRandom().randrange(10**6)))
STEPS = os.environ.get("QANAT_CRASH_STEPS", "2")


def test_each_change_comes_once_whatever_crashes(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "before")
    shop.sql(
        keeping(1) + "CREATE STREAMING TABLE added AS SELECT id FROM STREAM t"
        " WITH (skip_change_commits);"
    )
    events(shop, 1, "1,ada,i,1", "2,bob,i,1")
    shop.run()
    events(shop, 2, "1,Ada,u,2", "2,,d,2", "3,cy,i,2")
    steps = count_steps(copy(shop.folder, tmp_path / "counted"), "run")
    drawn = range(1, steps + 1)
    if STEPS != "all":
        drawn = random.Random(SEED).sample(drawn, int(STEPS))  # noqa: S311
    for step in sorted(drawn):
        crashed = Shop(copy(shop.folder, tmp_path / f"died-{step}"))
        die_at(crashed.folder, "run", step)
        operate(crashed.folder, "run")
        told = fed(crashed.table("t"))
        assert len(told) == 6, f"step {step}, seed {SEED}"
        assert seen(crashed, "each") == seen(crashed, "every") == told, f"step {step}, seed {SEED}"
        events(crashed, 3, "4,di,i,3")
        crashed.run()
        assert seen(crashed, "each") == fed(crashed.table("t")), f"step {step}, seed {SEED}"
        assert crashed.rows("added") == [(1,), (2,), (4,)], f"step {step}, seed {SEED}"


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_stream_of_a_quarantine_goes_on_after_a_replay(
    tmp_path: Path, table_format: str
) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", f"name: shop\ntable_format: {table_format}\n")

    def declare(least: int, more: str) -> None:
        shop.sql(
            f"CREATE STREAMING TABLE t (CONSTRAINT least EXPECT (id > {least}) ON VIOLATION"
            " QUARANTINE ROW) AS SELECT * FROM STREAM read_files('data/*.csv');"
            f"CREATE STREAMING TABLE bad AS SELECT id FROM STREAM t__quarantine{more};"
        )

    declare(5, "")
    shop.file("data/1.csv", "id\n1\n4\n9\n")
    shop.run()
    declare(3, "")
    with Session.open(shop.folder) as session:
        assert [r.replayed for r in replay(session)] == [1]
    shop.file("data/2.csv", "id\n2\n")
    error = shop.failures()["bad"]
    assert isinstance(error, NotAppendOnlyError)
    assert "WITH (skip_change_commits)" in str(error.hint)
    declare(3, " WITH ('skipChangeCommits' = 'true')")
    shop.run()
    assert shop.rows("bad") == [(1,), (2,), (4,)]
    assert shop.rows("t") == [(4,), (9,)]


def test_a_quarantine_tells_what_a_replay_took_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    text = (
        "CREATE STREAMING TABLE t (CONSTRAINT least EXPECT (id > {}) ON VIOLATION QUARANTINE ROW)"
        " AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE STREAMING TABLE bad AS SELECT id, _change_type FROM"
        " STREAM table_changes('t__quarantine');"
    )
    shop.sql(text.format(5))
    shop.file("data/1.csv", "id\n1\n4\n9\n")
    shop.run()
    shop.sql(text.format(3))
    with Session.open(shop.folder) as session:
        replay(session)
    shop.run()
    # The replay wrote the row that stayed again.
    assert shop.rows("bad") == [
        (1, "delete"),
        (1, "insert"),
        (1, "insert"),
        (4, "delete"),
        (4, "insert"),
    ]


def test_a_renamed_table_goes_on_telling_its_changes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    events(shop, 1, "1,ada,i,1")
    shop.run()
    shop.sql(
        keeping(1)
        .replace("TABLE t ", "TABLE people ")
        .replace("INTO t", "INTO people")
        .replace("('t')", "('people')")
    )
    with Session.open(shop.folder) as session:
        rename(session, "t", "people")
    events(shop, 2, "1,Ada,u,2")
    shop.run()
    assert seen(shop, "each") == seen(shop, "every") == fed(shop.table("people"))


def test_a_full_refresh_takes_no_stream_of_changes_along(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        keeping(1) + "CREATE STREAMING TABLE added AS SELECT id FROM STREAM raw;"
        "CREATE STREAMING TABLE skipping AS SELECT id FROM STREAM raw WITH (skip_change_commits);"
    )
    events(shop, 1, "1,ada,i,1")
    shop.run()
    with Session.open(shop.folder) as session:
        decided = plan(session, Selection(full_refresh=("raw", "t")))
    steps = {d.dataset: str(d.step) for d in decided.datasets}
    assert steps["added"] == "full refresh"
    assert "each" not in steps
    assert "skipping" not in steps
    shop.run(full_refresh=("raw", "t"))
    shop.run()
    assert seen(shop, "each") == fed(shop.table("t"))
    assert shop.rows("skipping") == shop.rows("added") == [(1,)]


def test_changes_and_streams_that_skip_in_python(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    shop.python(
        "import pyarrow as pa\n"
        "@dp.table(stream={'t': {'readChangeFeed': 'true', 'startingVersion': 1}})\n"
        "def told(t: pa.Table) -> pa.Table:\n"
        "    return t.select(['id', '_change_type'])\n"
        "@dp.table(stream={'t': {'skip_change_commits': True}})\n"
        "def added(t: pa.Table) -> pa.Table:\n"
        "    return t.select(['id'])\n"
    )
    events(shop, 1, "1,ada,i,1")
    shop.run()
    events(shop, 2, "1,Ada,u,2")
    shop.run()
    events(shop, 3, "2,bob,i,2")
    shop.run()
    assert shop.rows("told") == [(1, "update_postimage"), (1, "update_preimage"), (2, "insert")]
    assert shop.rows("added") == [(1,), (2,)]


def test_a_copy_is_kept_by_the_changes_of_a_table(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        keeping(1) + "CREATE TEMPORARY VIEW moved AS SELECT * FROM STREAM table_changes('t')"
        " WHERE _change_type <> 'update_preimage';"
        "CREATE STREAMING TABLE copy;"
        "CREATE FLOW copied AS AUTO CDC INTO copy FROM STREAM moved KEYS (id)"
        " APPLY AS DELETE WHEN _change_type = 'delete'"
        " SEQUENCE BY (_commit_version, _change_type)"
        " COLUMNS * EXCEPT (_change_type, _commit_version, _commit_timestamp);"
        "CREATE STREAMING TABLE newest;"
        "CREATE FLOW latest AS AUTO CDC INTO newest FROM STREAM raw WITH (skip_change_commits)"
        " KEYS (id) SEQUENCE BY seq;"
    )
    events(shop, 1, "1,ada,i,1", "2,bob,i,1", "3,cy,i,1")
    shop.run()
    events(shop, 2, "1,Ada,u,2", "2,,d,2", "4,di,i,2")
    shop.run()
    assert shop.rows("copy") == shop.rows("t") == [(1, "Ada", 2), (3, "cy", 1), (4, "di", 2)]
    # One version deletes all rows and inserts them again.
    shop.run(full_refresh=("t",), only=True)
    shop.run()
    assert shop.rows("copy") == shop.rows("t") == [(1, "Ada", 2), (3, "cy", 1), (4, "di", 2)]
    assert len(shop.rows("newest")) == 4


def test_files_take_the_changes_as_they_are(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'})\n"
        "@dp.append_flow(target='out')\n"
        "def sent():\n"
        "    return \"SELECT id, name, _change_type FROM STREAM table_changes('t')\"\n"
    )
    events(shop, 1, "1,ada,i,1")
    shop.run()
    events(shop, 2, "1,Ada,u,2")
    shop.run()
    texts = [p.read_text() for p in sorted((shop.folder / "out").rglob("*.csv"))]
    lines: list[Any] = sorted(line for text in texts for line in text.splitlines()[1:])
    assert lines == ["1,Ada,update_postimage", "1,ada,insert", "1,ada,update_preimage"]


def test_lineage_and_promises_of_a_read_of_changes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    events(shop, 1, "1,ada,i,1")
    shop.sql(keeping(1) + "CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM table_changes('t');")
    assert shop.problems() == []
    shop.sql(
        keeping(1) + "CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM table_changes('t', -1);"
        "CREATE STREAMING TABLE a AS SELECT * FROM STREAM table_changes('T', 0, 1, 2);"
        "CREATE STREAMING TABLE b AS SELECT * FROM STREAM table_changes('u');"
        "CREATE STREAMING TABLE c AS SELECT * FROM STREAM t WITH (skip_changes);"
        "CREATE STREAMING TABLE d AS SELECT * FROM STREAM t WITH ();"
        "CREATE STREAMING TABLE e AS SELECT * FROM STREAM table_changes();"
        "CREATE STREAMING TABLE f AS SELECT _changed FROM STREAM table_changes('t');"
    )
    said = "\n".join(shop.problems())
    for part in (
        "'starting_version' of a table does not fit",
        "table_changes takes one name",
        "no dataset 'u'",
        "a table has no option 'skip_changes'",
        "not an option of a stream",
        "table_changes needs a name",
        "_changed",
    ):
        assert part in said, part
