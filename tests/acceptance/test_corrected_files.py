"""Files that come back with new content: their rows go, and the new ones come, everywhere."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from qanat.cli.completion import file_names
from qanat.errors import (
    FileChangedError,
    FlowError,
    NotAppendOnlyError,
    OptionError,
    SelectionError,
    TableNotFoundError,
    UnsupportedError,
)
from qanat.run.look import show
from qanat.run.plan import plan
from qanat.run.promote import Promotion, promote
from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.upkeep import maintain
from tests.acceptance.crashing import copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop

SEED = int(os.environ.get("QANAT_CRASH_SEED", random.SystemRandom().randrange(10**6)))
STEPS = os.environ.get("QANAT_CRASH_STEPS", "3")
HISTORIES = int(os.environ.get("QANAT_HISTORIES", "2"))

READ = "STREAM read_files('in/*.csv', schema => 'id BIGINT, v BIGINT'{options})"
LEVELS = """
CREATE TEMPORARY VIEW positive (
  CONSTRAINT is_positive EXPECT (v >= 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, v FROM {read};
CREATE STREAMING TABLE bronze (
  CONSTRAINT has_id EXPECT (id IS NOT NULL) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM positive;
CREATE STREAMING TABLE silver (
  CONSTRAINT small EXPECT (v < 50) ON VIOLATION QUARANTINE ROW
) AS
  SELECT id, v, CAST(CASE WHEN v = 0 THEN 'none' ELSE '1' END AS INT) AS one FROM STREAM bronze;
CREATE STREAMING TABLE gold AS
  SELECT s.id, s.v, n.name FROM STREAM silver AS s LEFT JOIN names AS n ON s.id % 2 = n.odd;
CREATE MATERIALIZED VIEW names AS
  SELECT * FROM (VALUES (0, 'even'), (1, 'odd')) AS t (odd, name);
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(v) AS v FROM gold;
"""
TABLES = ("bronze", "silver", "gold", "total")
QUARANTINES = ("positive", "bronze", "silver")


def levels(shop: Shop, policy: str = "replace") -> None:
    options = f", on_overwrite => '{policy}'" if policy else ""
    shop.sql(LEVELS.format(read=READ.format(options=options)))


def put(shop: Shop, name: str, *rows: str) -> None:
    """Write a file under another name first, so that no update meets half of it."""
    new = shop.file(f"in/.{name}", "id,v\n" + "".join(f"{r}\n" for r in rows))
    before = shop.folder / "in" / f"{name}.csv"
    # Another time of change, however fast the test is.
    moment = before.stat().st_mtime_ns + 10**9 if before.exists() else None
    if moment:
        os.utime(new, ns=(moment, moment))
    new.rename(before)


def waiting(shop: Shop, dataset: str) -> list[tuple[Any, ...]]:
    """The rows in a quarantine: their values, their text and the rules that they broke."""
    with Session.open(shop.folder) as session:
        if session.store.version(session.table(f"{dataset}__quarantine")) is None:
            return []
        view = show(session, f"{dataset}__quarantine", limit=10_000)
    names = view.schema.names
    rows = [dict(zip(names, row, strict=True)) for row in view.rows]
    own = [n for n in names if not n.startswith("_quarantine_")] + ["_quarantine_raw"]
    return sorted(
        ((*(r[n] for n in own), *sorted(r["_quarantine_rules"])) for r in rows), key=repr
    )


def everything(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = {name: shop.rows(name) for name in TABLES}
    return found | {f"{q} waits": waiting(shop, q) for q in QUARANTINES}


def fresh(folder: Path, files: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    shop = Shop(folder)
    levels(shop)
    for name, rows in files.items():
        put(shop, name, *rows)
    shop.run()
    return everything(shop)


def changes(shop: Shop, dataset: str, version: int) -> list[tuple[Any, ...]]:
    table = DeltaTable(shop.table(dataset))
    read = pa.table(table.load_cdf(starting_version=version)).to_pylist()
    return sorted((r["_change_type"], r["id"], r["v"]) for r in read)


def test_rows_of_a_file_go_and_the_new_ones_come_at_every_level(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    levels(shop)
    put(shop, "1", "1,1", "2,2", ",3", "4,-4", "x,5", "6,60", "7,0")
    put(shop, "2", "11,1", ",12", "13,99", "14,-1", "y,0")
    shop.run()
    versions = {t: DeltaTable(shop.table(t)).version() for t in TABLES}
    put(shop, "1", "1,1", "2,20", "8,8", ",9")
    ran = shop.run()
    assert ran["bronze"].counts.effects == {"inserted": 3, "deleted": 4}
    assert ran["silver"].counts.effects == {"inserted": 3, "deleted": 2}
    assert ran["gold"].counts.effects == {"inserted": 3, "deleted": 2}
    assert everything(shop) == fresh(
        tmp_path / "fresh",
        {"1": ("1,1", "2,20", "8,8", ",9"), "2": ("11,1", ",12", "13,99", "14,-1", "y,0")},
    )
    # One commit each, and a row that is the same before and after is no change.
    for name in ("bronze", "silver", "gold"):
        assert DeltaTable(shop.table(name)).version() == versions[name] + 1
    assert changes(shop, "gold", versions["gold"] + 1) == [
        ("delete", 2, 2),
        ("insert", 2, 20),
        ("insert", 8, 8),
    ]
    assert all(d.status == "unchanged" for d in shop.run().values())


def test_what_was_not_read_downstream_is_read_as_it_is_now(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        f"CREATE STREAMING TABLE bronze AS SELECT * FROM {READ.format(options='')};"
        "CREATE STREAMING TABLE silver (CONSTRAINT good EXPECT (v < 10) ON VIOLATION FAIL UPDATE)"
        " AS SELECT * FROM STREAM bronze;"
    )
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "2", "2,2", "3,300")
    assert set(shop.failures()) == {"silver"}
    put(shop, "2", "2,2", "3,3")
    assert isinstance(shop.failures()["bronze"], FileChangedError)
    ran = shop.run(replace=("in/2.csv",))
    assert ran["bronze"].counts.effects == {"inserted": 2, "deleted": 2}
    assert not ran["silver"].counts.effects  # nothing of it was read
    assert shop.rows("silver") == [(1, 1), (2, 2), (3, 3)]


def test_a_crash_at_any_step_leaves_old_or_new(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "before")
    levels(shop)
    put(shop, "1", "1,1", ",3", "4,-4", "x,5", "6,60", "7,0")
    put(shop, "2", "11,1", ",12")
    shop.run()
    old = everything(shop)
    files = {"1": ("1,1", "2,20", ",9", "3,-1"), "2": ("11,1", ",12")}
    put(shop, "1", *files["1"])
    new = fresh(tmp_path / "fresh", files)
    steps = count_steps(copy(shop.folder, tmp_path / "counted"), "run")
    drawn = range(1, steps + 1)
    if STEPS != "all":
        drawn = random.Random(SEED).sample(drawn, int(STEPS))  # noqa: S311
    for step in sorted(drawn):
        crashed = Shop(copy(shop.folder, tmp_path / f"died-{step}"))
        die_at(crashed.folder, "run", step)
        there = everything(crashed)
        for table in TABLES:
            assert there[table] in (old[table], new[table]), f"{table}, step {step}, seed {SEED}"
        operate(crashed.folder, "run")
        assert everything(crashed) == new, f"step {step}, seed {SEED}"


def drawn_row(chance: random.Random) -> str:
    """A line of a file: most are good, others break a rule, or cannot be parsed or computed."""
    id = chance.randrange(1, 40)
    bad = (f",{id}", f"{id},-{id}", f"x{id},1", f"{id},0", f"{id},60")
    return chance.choice(bad) if chance.random() < 0.4 else f"{id},{chance.randrange(1, 5)}"


def edit(shop: Shop, chance: random.Random, written: dict[str, list[tuple[str, ...]]]) -> None:
    """Write some files, correct them, perhaps back to what they were, or delete them."""
    for name in chance.sample("abcd", chance.randrange(1, 4)):
        act, known = chance.random(), written.setdefault(name, [])
        file = shop.folder / "in" / f"{name}.csv"
        if act < 0.15 and file.exists():
            file.unlink()
            continue
        rows = tuple(drawn_row(chance) for _ in range(chance.randrange(0, 6)))
        if act < 0.35 and known:
            rows = chance.choice(known)
        known.append(rows)
        put(shop, name, *rows)


def proceed(shop: Shop, chance: random.Random) -> None:
    """Update everything or a part, with or without a crash, or replay."""
    act = chance.random()
    if act < 0.4:
        die_at(shop.folder, "run", chance.randrange(1, 150))
    elif act < 0.6:
        shop.run(select=("bronze",))
    elif act < 0.7:
        with Session.open(shop.folder) as session:
            replay(session)
    else:
        shop.run()


@pytest.mark.parametrize("number", range(HISTORIES))
def test_random_histories_end_as_a_fresh_project(tmp_path: Path, number: int) -> None:
    chance = random.Random(SEED + number)  # noqa: S311
    shop = Shop(tmp_path / "shop")
    levels(shop)
    written: dict[str, list[tuple[str, ...]]] = {}
    for _ in range(chance.randrange(4, 8)):
        edit(shop, chance, written)
        proceed(shop, chance)
        # Rows of a file that is deleted stay; one that no update has met comes back for it.
        for name, known in written.items():
            if known and not (shop.folder / "in" / f"{name}.csv").exists():
                put(shop, name, *known[-1])
    operate(shop.folder, "run")
    final = {name: known[-1] for name, known in written.items() if known}
    assert everything(shop) == fresh(tmp_path / "fresh", final), f"seed {SEED + number}"


# -- what the author says -------------------------------------------------------------------------


def test_the_default_is_an_error_that_names_both_ways(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop, "")
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "1", "1,2")
    error = shop.failures()["bronze"]
    assert isinstance(error, FileChangedError)
    assert "qanat run --replace in/1.csv" in str(error.hint)
    assert "on_overwrite => 'replace'" in str(error.hint)
    shop.run(replace=(str(shop.folder / "in" / "1.csv"),))
    assert shop.rows("gold") == [(1, 2, "odd")]
    # Once: the next time it is an error again.
    put(shop, "1", "1,3")
    assert isinstance(shop.failures()["bronze"], FileChangedError)


def test_a_file_that_no_flow_has_read_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop, "")
    put(shop, "1", "1,1")
    shop.run()
    with pytest.raises(SelectionError) as caught:
        shop.update(replace=("in/l.csv",))
    assert caught.value.nearest == "in/1.csv"
    context = click.Context(click.Command("run"))
    context.params["start"] = shop.folder
    assert file_names(context, None, "in") == ["in/1.csv"]
    assert file_names(context, None, "out") == []


def test_a_file_that_is_gone_replaces_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop, "")
    put(shop, "1", "1,1")
    shop.run()
    (tmp_path / "in/1.csv").unlink()
    with pytest.raises(SelectionError, match=r"the file 'in/1\.csv' is not there"):
        shop.update(replace=("in/1.csv",))


def test_append_is_what_allow_overwrites_was(tmp_path: Path) -> None:
    for spelling in ("on_overwrite => 'append'", "allowOverwrites => true"):
        shop = Shop(tmp_path / spelling.split()[0])
        shop.sql(
            f"CREATE STREAMING TABLE t AS SELECT * FROM {READ.format(options=', ' + spelling)};"
        )
        put(shop, "1", "1,1")
        shop.run()
        put(shop, "1", "1,2")
        shop.run()
        assert shop.rows("t") == [(1, 1), (1, 2)]
        # Both versions came from the file: both go.
        put(shop, "1", "1,3")
        shop.run(replace=("in/1.csv",))
        assert shop.rows("t") == [(1, 3)]


def test_contradicting_options_are_an_error(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    options = ", on_overwrite => 'replace', allow_overwrites => true"
    shop.sql(f"CREATE STREAMING TABLE t AS SELECT * FROM {READ.format(options=options)};")
    put(shop, "1", "1,1")
    error = shop.failures()["t"]
    assert isinstance(error, OptionError)
    assert "contradict" in error.message


REPLACING = READ.format(options=", on_overwrite => 'replace'")
JOINED = """
CREATE MATERIALIZED VIEW d AS SELECT 1 AS id;
CREATE STREAMING TABLE t AS SELECT d.id, s.v FROM (d JOIN {read} AS s ON d.id = s.id);
"""
KEPT = """
CREATE STREAMING TABLE t;
CREATE FLOW f AS AUTO CDC INTO t FROM {read} KEYS (id) SEQUENCE BY v;
"""


@pytest.mark.parametrize(
    ("declared", "why"), [(JOINED, "one row of what it reads"), (KEPT, "AUTO CDC")]
)
def test_validate_tells_where_rows_do_not_tell_their_file(
    tmp_path: Path, declared: str, why: str
) -> None:
    shop = Shop(tmp_path)
    shop.sql(declared.format(read=REPLACING))
    put(shop, "1", "1,1")
    (problem,) = shop.validation().problems
    assert isinstance(problem, FlowError)
    assert why in problem.message


# -- what reads it ------------------------------------------------------------------------------


READER = """
CREATE STREAMING TABLE bronze AS SELECT * FROM {read};
CREATE MATERIALIZED VIEW dim AS SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS t (key, name);
CREATE STREAMING TABLE by_dim AS
  SELECT dim.name, s.v FROM (dim JOIN STREAM bronze AS s ON dim.key = s.id);
"""


def test_a_reader_that_cannot_tell_is_refused_by_plan_and_run(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(READER.format(read=READ.format(options="")))
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "1", "1,2")
    with Session.open(shop.folder) as session:
        planned = plan(session, Selection(replace=("in/1.csv",)))
    told = {d.dataset: d.error for d in planned.datasets}
    failed = shop.failures(replace=("in/1.csv",))
    assert set(failed) == {"by_dim"} == {n for n, e in told.items() if e}
    for error in (failed["by_dim"], told["by_dim"]):
        assert isinstance(error, NotAppendOnlyError)
        assert "qanat run --full-refresh by_dim" in str(error.hint)
    assert str(failed["by_dim"]) == str(told["by_dim"])
    assert shop.rows("bronze") == [(1, 2)]
    shop.run(full_refresh=("by_dim",))
    assert shop.rows("by_dim") == [("one", 2)]


def test_rows_of_a_stream_that_is_joined_to_a_table_tell_their_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    reader = READER.replace("(dim JOIN", "dim JOIN").replace("s.id)", "s.id")
    shop.sql(reader.format(read=READ.format(options="")))
    put(shop, "1", "1,1", "2,5")
    shop.run()
    put(shop, "1", "1,2")
    shop.run(replace=("in/1.csv",))
    assert shop.rows("by_dim") == [("one", 2)]


def test_a_reader_that_cannot_tell_goes_on_if_it_has_read_nothing_of_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(READER.format(read=READ.format(options="")))
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "2", "2,2")
    shop.run(select=("bronze",))
    put(shop, "2", "2,3")
    with Session.open(shop.folder) as session:
        planned = plan(session, Selection(replace=("in/2.csv",)))
    assert not planned.errors
    shop.run(replace=("in/2.csv",))
    assert shop.rows("by_dim") == [("one", 1), ("two", 3)]


def test_rows_that_came_in_two_ways_are_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    read = READ.format(options="")
    shop.sql(
        f"CREATE STREAMING TABLE t; CREATE FLOW a AS INSERT INTO t BY NAME SELECT * FROM {read};"
        f"CREATE FLOW b AS INSERT INTO t BY NAME SELECT * FROM {read} WHERE v > 1;"
    )
    put(shop, "1", "1,1", "2,2")
    shop.run()
    put(shop, "1", "1,1", "2,3")
    error = shop.failures(replace=("in/1.csv",))["t"]
    assert isinstance(error, UnsupportedError)
    assert "several ways" in error.message
    assert shop.rows("t") == [(1, 1), (2, 2), (2, 2)]


def test_streams_of_several_files_and_tables_meet_in_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE a AS SELECT * FROM STREAM read_files('in/a*.csv');"
        "CREATE STREAMING TABLE b AS SELECT * FROM STREAM read_files('in/b*.csv');"
        "CREATE STREAMING TABLE both AS SELECT *, 'a' AS of FROM STREAM a"
        " UNION ALL SELECT *, 'b' AS of FROM STREAM b;"
    )
    for name in ("a1", "a2", "b1", "b2"):
        put(shop, name, f"{name[1]},1")
    shop.run()
    put(shop, "a1", "1,7", "3,7")
    put(shop, "b2", "2,8")
    shop.run(replace=("in/a1.csv", "in/b2.csv"))
    assert shop.rows("both") == [
        (1, 1, "b"),
        (1, 7, "a"),
        (2, 1, "a"),
        (2, 8, "b"),
        (3, 7, "a"),
    ]


# -- what has happened to the rows ----------------------------------------------------------------


def test_rows_tell_their_file_whatever_was_written_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    def declare(name: str) -> None:
        shop.sql(
            f"CREATE STREAMING TABLE {name} CLUSTER BY (id) AS SELECT *"
            " FROM STREAM read_files('in/*.csv');"
            f"CREATE STREAMING TABLE parts PARTITIONED BY (odd) AS SELECT *, id % 2 AS odd"
            f" FROM STREAM {name};"
        )

    declare("bronze")
    for number in range(1, 6):
        put(shop, str(number), *(f"{number * 10 + n},{n}" for n in range(4)))
        shop.run()
    with Session.open(shop.folder) as session:
        maintain(session)
    declare("copper")
    with Session.open(shop.folder) as session:
        rename(session, "bronze", "copper")
    shop.run()
    put(shop, "2", "1,1", "2,0.5")
    ran = shop.run(replace=("in/2.csv",))
    assert ran["copper"].counts.effects == {"inserted": 2, "deleted": 4}
    assert ran["parts"].counts.effects == {"inserted": 2, "deleted": 4}
    kept = [(number * 10 + n, n) for number in (1, 3, 4, 5) for n in range(4)]
    assert sorted(map(float, (r[1] for r in shop.rows("copper")))) == sorted(
        [1.0, 0.5, *(float(v) for _, v in kept)]
    )
    assert sorted(r[0] for r in shop.rows("parts")) == sorted([1, 2, *(id for id, _ in kept)])
    put(shop, "4", "3,3")
    shop.run(replace=("in/4.csv",))
    assert sorted(r[0] for r in shop.rows("parts")) == sorted(
        [1, 2, 3, *(number * 10 + n for number in (1, 3, 5) for n in range(4))]
    )


def test_rows_that_a_replay_has_moved_go_as_well(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop, "")
    put(shop, "1", "1,60", "2,2")
    put(shop, "2", "3,70")
    shop.run()
    text = (shop.folder / "transformations/all.sql").read_text()
    shop.sql(text.replace("v < 50", "v < 100"))
    with Session.open(shop.folder) as session:
        replay(session)
    shop.run()
    assert [r[0] for r in shop.rows("gold")] == [1, 2, 3]
    put(shop, "1", "4,4")
    shop.run(replace=("in/1.csv",))
    assert [r[0] for r in shop.rows("gold")] == [3, 4]


def test_the_same_rows_in_another_order_are_no_change(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop)
    put(shop, "1", "1,1", "2,2")
    put(shop, "2", "3,3")
    shop.run()
    version = DeltaTable(shop.table("gold")).version()
    put(shop, "1", "2,2", "1,1")
    ran = shop.run()
    assert not ran["bronze"].counts.effects
    assert DeltaTable(shop.table("gold")).version() == version


def test_rows_of_before_files_were_noted_are_known_by_their_epoch_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    levels(shop, "")
    shop.sql(
        f"CREATE STREAMING TABLE t (CONSTRAINT good EXPECT (v > 0) ON VIOLATION QUARANTINE ROW)"
        f" AS SELECT * FROM {READ.format(options='')};"
    )
    with monkeypatch.context() as earlier:
        earlier.setattr("qanat.run.attempt.sourced", lambda *_: frozenset())
        for name in "12":
            put(shop, name, f"{name},1", f"{name},-1")
            shop.run()
    put(shop, "1", "1,2", "1,-2")
    shop.run(replace=("in/1.csv",))
    assert shop.rows("t") == [(1, 2), (2, 1)]
    assert [w[:2] for w in waiting(shop, "t")] == [(1, -2), (2, -1)]
    with monkeypatch.context() as earlier:
        earlier.setattr("qanat.run.attempt.sourced", lambda *_: frozenset())
        put(shop, "3", "3,1")
        put(shop, "4", "4,1")
        shop.run()
    put(shop, "1", "1,3")
    error = shop.failures(replace=("in/1.csv",))["t"]
    assert isinstance(error, UnsupportedError)
    assert "do not tell which file" in error.message
    assert "qanat run --full-refresh t" in str(error.hint)
    assert shop.rows("t") == [(1, 2), (2, 1), (3, 1), (4, 1)]


def test_a_source_that_was_moved_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    declared = "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('{}/*.csv');"
    shop.sql(declared.format("in"))
    put(shop, "1", "1,1")
    put(shop, "2", "2,1")
    shop.run()
    (shop.folder / "in").rename(shop.folder / "there")
    shop.sql(declared.format("there"))
    with Session.open(shop.folder) as session:
        rename(session, "in/*.csv", "there/*.csv")
    assert shop.run()["t"].status == "unchanged"
    (shop.folder / "there").rename(shop.folder / "in")
    put(shop, "1", "1,2")
    (shop.folder / "in").rename(shop.folder / "there")
    error = shop.failures(replace=("there/1.csv",))["t"]
    assert isinstance(error, UnsupportedError)
    assert "by these names" in error.message
    assert shop.rows("t") == [(1, 1), (2, 1)]


def test_a_limit_of_files_holds_for_those_that_come_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    options = ", on_overwrite => 'replace', max_files_per_trigger => 1"
    shop.sql(f"CREATE STREAMING TABLE t AS SELECT * FROM {READ.format(options=options)};")
    for name in "123":
        put(shop, name, f"{name},1")
    shop.run()
    for name in "13":
        put(shop, name, f"{name},2")
    put(shop, "4", "4,1")
    shop.run()
    assert shop.rows("t") == [(1, 2), (2, 1), (3, 2), (4, 1)]


def test_a_stream_of_a_quarantine_sees_rows_go(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop)
    text = (shop.folder / "transformations/all.sql").read_text()
    shop.sql(text + "CREATE STREAMING TABLE bad AS SELECT id, v FROM STREAM bronze__quarantine;")
    put(shop, "1", ",1", ",2", "3,3")
    put(shop, "2", ",4")
    shop.run()
    put(shop, "1", ",5", "3,3")
    shop.run()
    assert shop.rows("bad") == [(None, 4), (None, 5)]


def test_a_stream_of_another_project_follows(tmp_path: Path) -> None:
    shop, other = Shop(tmp_path / "shop"), Shop(tmp_path / "other")
    levels(shop)
    read = "SELECT id, v FROM STREAM read_table('gold', project => '../shop')"
    other.sql(f"CREATE STREAMING TABLE copied AS {read};")
    put(shop, "1", "1,1", "2,2")
    put(shop, "2", "3,3")
    shop.run()
    other.run()
    put(shop, "1", "1,1", "4,4")
    shop.run()
    assert other.run()["copied"].counts.effects == {"inserted": 2, "deleted": 2}
    assert other.rows("copied") == [(1, 1), (3, 3), (4, 4)]
    # Which rows of a file came by which of two ways, nobody can tell.
    other.sql(
        f"CREATE STREAMING TABLE copied AS {read};"
        f"CREATE STREAMING TABLE twice AS {read} UNION ALL"
        f" {read.replace('gold', 'silver')};"
    )
    other.run()
    put(shop, "1", "5,5")
    shop.run()
    failed = other.failures()
    assert set(failed) == {"twice"}
    assert "several ways" in failed["twice"].message


def test_a_widened_table_loses_rows_of_a_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE bronze (CONSTRAINT a EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
        " AS SELECT * FROM STREAM read_files('in/*.csv', on_overwrite => 'replace');"
        "CREATE STREAMING TABLE silver AS SELECT * FROM STREAM bronze;"
    )
    put(shop, "1", "1,1", "-1,1")
    put(shop, "2", "2,2", "-2,2")
    shop.run()
    put(shop, "1", "3,0.5", "-3,0.5", "4,99999999999")
    shop.run()
    for table in ("bronze", "silver"):
        rows = [(r[0], float(r[1])) for r in shop.rows(table)]
        assert rows == [(2, 2.0), (3, 0.5), (4, 99999999999.0)]
        assert shop.count(table) == 3
    assert [w[0] for w in waiting(shop, "bronze")] == [-2, -3]
    deleted = [c for c in changes(shop, "silver", 1) if c[0] == "delete"]
    assert [c[:2] for c in deleted] == [("delete", 1)]


def test_rows_that_were_promoted_go_as_well(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.file(
        "qanat.yml",
        "name: shop\nenvironments:\n  dev: {storage: dev}\n  prod: {storage: prod}\n",
    )
    levels(shop, "")
    put(shop, "1", "1,1", ",2", "3,60")
    put(shop, "2", "4,4", ",5", "6,70")
    shop.run("dev")
    with Session.open(shop.folder, "prod") as session:
        promote(session, Promotion(("names", "bronze", "silver", "gold"), "dev"))
    put(shop, "1", "7,7", ",8")
    ran = shop.run("prod", replace=("in/1.csv",))
    assert ran["gold"].counts.effects == {"inserted": 1, "deleted": 1}
    assert shop.rows("gold", "prod") == [(4, 4, "even"), (7, 7, "odd")]
    with Session.open(shop.folder, "prod") as session:
        waits = {q: show(session, f"{q}__quarantine").rows for q in ("bronze", "silver")}
    assert sorted(row[1] for row in waits["bronze"]) == [5, 8]
    assert [row[0] for row in waits["silver"]] == [6]


@pytest.mark.parametrize("dropped", [True, False])
def test_readers_of_changes_see_none_where_only_types_change(
    tmp_path: Path, dropped: bool
) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE bronze (CONSTRAINT a EXPECT (id > 0) ON VIOLATION DROP ROW)"
        " AS SELECT * FROM STREAM read_files('in/*.csv', on_overwrite => 'replace');"
        "CREATE STREAMING TABLE log AS SELECT id, _change_type AS what"
        " FROM STREAM table_changes('bronze');"
    )
    put(shop, "1", *(["1,1"] if dropped else ["-1,1"]))
    put(shop, "2", "2,2")
    shop.run()
    told = shop.rows("log")
    # A row that a rule drops needs a wider type; or nothing of the file was there before.
    put(shop, "1", *(["1,1", "-1,0.5"] if dropped else ["3,0.5"]))
    shop.run()
    shop.run()
    new = [] if dropped else [(3, "insert")]
    assert shop.rows("log") == sorted([*told, *new], key=repr)
    assert [r[0] for r in shop.rows("bronze")] == ([1, 2] if dropped else [2, 3])


def test_a_quarantine_that_several_flows_fill_does_not_tell_whose_rows_go(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE TEMPORARY VIEW seen (CONSTRAINT p EXPECT (v > 0) ON VIOLATION QUARANTINE ROW)"
        f" AS SELECT id, v FROM {REPLACING};"
        "CREATE STREAMING TABLE a AS SELECT * FROM STREAM seen;"
        "CREATE STREAMING TABLE b AS SELECT * FROM STREAM seen WHERE id < 9;"
        "CREATE STREAMING TABLE bad AS SELECT id, v FROM STREAM seen__quarantine;"
    )
    put(shop, "1", "1,-1")
    shop.run(select=("a", "bad"))
    put(shop, "1", "1,-2")
    shop.run(select=("a", "bad"))
    assert shop.rows("bad") == [(1, -2)]
    shop.run()
    assert shop.rows("bad") == [(1, -2), (1, -2)]
    put(shop, "1", "1,-3")
    error = shop.failures()["bad"]
    assert isinstance(error, UnsupportedError)
    assert "several ways" in error.message
    shop.run(full_refresh=("bad",))
    assert shop.rows("bad") == [(1, -3), (1, -3)]


def test_the_quarantine_of_a_view_that_nothing_was_put_into(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    levels(shop)
    put(shop, "1", "1,1")
    for _ in range(2):
        with pytest.raises(TableNotFoundError, match="positive has no quarantine: no row was"):
            shop.rows("positive__quarantine")
        shop.run()


def test_a_file_that_only_snapshots_have_read_need_not_be_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(f"CREATE MATERIALIZED VIEW m AS SELECT * FROM {REPLACING.removeprefix('STREAM ')};")
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "1", "1,2")
    with pytest.raises(SelectionError) as caught:
        shop.run(replace=("in/1.csv",))
    assert "no stream has read the file 'in/1.csv'" in str(caught.value)
    assert caught.value.nearest is None
    shop.run()
    assert shop.rows("m") == [(1, 2)]


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (KEPT.format(read=READ.format(options="")), "AUTO CDC"),
        (
            f"CREATE STREAMING TABLE t KEYS (id) AS SELECT * FROM {READ.format(options='')};",
            "KEYS",
        ),
    ],
)
def test_the_way_on_is_none_that_changes_refuse(tmp_path: Path, kept: str, why: str) -> None:
    shop = Shop(tmp_path)
    shop.sql(kept)
    put(shop, "1", "1,1")
    shop.run()
    put(shop, "1", "1,2")
    hint = str(shop.failures()["t"].hint)
    assert "'append'" in hint
    assert "--full-refresh t" in hint
    assert "replace" not in hint
    assert why in shop.failures(replace=("in/1.csv",))["t"].message
    shop.sql(kept.replace("v BIGINT'", "v BIGINT', on_overwrite => 'append'"))
    shop.run()
    assert shop.rows("t") == [(1, 2)]
