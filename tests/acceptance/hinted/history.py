"""Hints about what a project has done before: its ledger, tables, names and environments."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.hinted.case import (
    IMPORT,
    ORDERS,
    PYTHON,
    SILVER,
    SQL,
    TWICE,
    Case,
    Step,
    view,
)

_KEYED = ORDERS.replace(" AS ", " KEYS (id) AS ", 1)
MORE = {"data/b.csv": "id,amount\n7,8\n"}
PROD = {"qanat.yml": "name: shop\nenvironments: {prod: {}}\n"}
PROTOCOL = (
    '{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [],'
    ' "writerFeatures": ["rowTracking", "domainMetadata"]}}\n'
)
ICEBERG = {"qanat.yml": "name: shop\ntable_format: iceberg\n"}
LEDGER, TABLES = "storage/_qanat/ledger.db", "storage/tables"
CHECKPOINTED = ORDERS.replace(
    "orders AS", "orders TBLPROPERTIES ('delta.checkpointInterval' = '1') AS"
)
QUARANTINE = (
    "CREATE STREAMING TABLE silver (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT id FROM STREAM orders;\n"
)


def keep(*places: str) -> Callable[[Path], None]:
    """Make copies of files and folders, beside the project's files."""

    def copy(folder: Path) -> None:
        for place in places:
            to = folder / "kept" / place
            shutil.copytree(folder / place, to) if (folder / place).is_dir() else (
                to.parent.mkdir(parents=True, exist_ok=True),
                shutil.copy(folder / place, to),
            )

    return copy


def restore(*places: str) -> Callable[[Path], None]:
    """Bring copies back, whatever is there."""

    def copy(folder: Path) -> None:
        for place in places:
            kept = folder / "kept" / place
            if kept.is_dir():
                shutil.rmtree(folder / place, ignore_errors=True)
                shutil.copytree(kept, folder / place)
            else:
                shutil.copy(kept, folder / place)

    return copy


def ledger(statement: str) -> Callable[[Path], None]:
    def execute(folder: Path) -> None:
        with sqlite3.connect(folder / LEDGER) as con:
            con.execute(statement)
        con.close()

    return execute


def remove(pattern: str) -> Callable[[Path], None]:
    def unlink(folder: Path) -> None:
        for path in sorted(folder.glob(pattern)):
            path.unlink()

    return unlink


def vacuum(folder: Path) -> None:
    """Remove the file of the newest version of `orders`."""
    added = (folder / entry(1)).read_text().partition('"path":"')[2].partition('"')[0]
    (folder / TABLES / "orders" / added).unlink()


def garble(folder: Path) -> None:
    for path in (folder / TABLES / "orders/metadata").glob("*.metadata.json"):
        path.write_text("{")


def entry(version: int, table: str = "orders") -> str:
    return f"{TABLES}/{table}/_delta_log/{version:020}.json"


def renamed(text: str) -> dict[str, str | None]:
    return {SQL: text}


OUT = (
    "dp.create_sink('out', 'csv', {'path': 'out'})\n@dp.append_flow(target='out')\n"
    "def f(): return 'SELECT id FROM STREAM orders'\n"
)
BOTH: tuple[Step, ...] = (PROD, "qanat run", "qanat run -e prod")

JOINED = (
    "CREATE MATERIALIZED VIEW names AS SELECT 1 AS key;\n"
    "CREATE STREAMING TABLE joined AS SELECT n.key FROM (names AS n JOIN STREAM {} AS o"
    " ON o.id = n.key);\n"
)
SHORT_LIVED = ORDERS.replace(
    "orders AS", "orders TBLPROPERTIES ('delta.deletedFileRetentionDuration' = '0 days') AS"
)

WATCHED = ORDERS.replace("orders AS", "orders TBLPROPERTIES ('qanat.anomalies' = 'fail') AS")
DAYS: tuple[Step, ...] = tuple(
    step for day in range(13) for step in ({f"data/{day}.csv": "id,amount\n1,2\n"}, "qanat run")
)

CASES = {
    "metrics of no dataset": Case(
        "qanat history --metrics",
        "qanat show lists the datasets",
        follow="qanat show",
        again="qanat history orders --metrics",
    ),
    "an anomaly that is not there": Case(
        "qanat anomalies mark orders expected",
        "qanat anomalies list shows them",
        follow="qanat anomalies list",
        again="qanat anomalies list orders",
    ),
    "a profile that no update has kept": Case(
        "qanat profile orders --update last",
        "TBLPROPERTIES ('qanat.profile' = 'true') has each update keep one",
        before=("qanat run",),
        follow={
            SQL: ORDERS.replace("AS SELECT", "TBLPROPERTIES ('qanat.profile' = 'true') AS SELECT")
        },
        again="qanat run",
    ),
    "many more rows than ever": Case(
        "qanat run",
        "nothing was published; mend the source and run again, or if it is as it should be:"
        " qanat anomalies mark orders expected",
        orders=WATCHED,
        before=(*DAYS, {"data/many.csv": "id,amount\n" + "1,2\n" * 5000}),
    ),
    "a version that maintenance has removed": Case(
        "qanat show orders --version 0",
        "the newest is 2; delta.deletedFileRetentionDuration and delta.logRetentionDuration say"
        " for how long maintenance leaves older ones",
        before=({SQL: SHORT_LIVED}, "qanat run", MORE, "qanat run", "qanat maintain"),
        follow="qanat show orders --version 2",
        again="qanat show orders",
    ),
    # -- a ledger or a table that is older than the rest ----------------------------------------
    "an older ledger": Case(
        "qanat run",
        "restore the ledger of the same time as the table, or",
        before=("qanat run", keep("storage/_qanat"), MORE, "qanat run", restore("storage/_qanat")),
        follow="qanat run --full-refresh orders",
    ),
    "an older table": Case(
        "qanat run",
        "restore the table of the same time as the ledger, or start over: qanat run --full-refresh"
        " orders",
        before=("qanat run", keep(TABLES), MORE, "qanat run", restore(TABLES)),
        follow="qanat run --full-refresh orders",
    ),
    "an older table, and a copy of the right time": Case(
        "qanat run",
        "restore the table of the same time as the ledger",
        before=(
            *("qanat run", MORE, "qanat run"),
            keep(TABLES),
            remove(f"{TABLES}/orders/_delta_log/*1.json"),
        ),
        follow=restore(TABLES),
    ),
    "a lost quarantine": Case(
        "qanat run",
        "restore the quarantine of the same time as the ledger, or start over with table and"
        " quarantine: qanat run --full-refresh silver",
        QUARANTINE,
        before=("qanat run", lambda p: shutil.rmtree(p / f"{TABLES}/silver__quarantine")),
        follow="qanat run --full-refresh silver",
    ),
    "a table from before a replay": Case(
        "qanat run",
        "restore silver of the same time as the ledger, or start over with table and quarantine:"
        " qanat run --full-refresh silver",
        QUARANTINE,
        before=(
            "qanat run",
            keep(f"{TABLES}/silver"),
            {SQL: ORDERS + QUARANTINE.replace("id > 1", "id > 0")},
            "qanat quarantine replay silver",
            restore(f"{TABLES}/silver"),
        ),
        follow="qanat run --full-refresh silver",
    ),
    "a ledger that is older than a sink": Case(
        "qanat run",
        "restore the ledger of the same time, or send everything again: qanat run --full-refresh"
        " out",
        before=(
            {PYTHON: IMPORT + OUT},
            *("qanat run", keep("storage/_qanat", TABLES), MORE, "qanat run"),
            restore("storage/_qanat", TABLES),
        ),
        follow="qanat run --full-refresh out",
    ),
    "a ledger of a newer Qanat": Case(
        "qanat run",
        "upgrade Qanat here, or point this environment at a ledger of its own",
        before=("qanat run", ledger("INSERT INTO qanat_ledger (version) VALUES (99)")),
        follow={"qanat.yml": "name: shop\nstorage: other\n"},
    ),
    # -- damaged logs ----------------------------------------------------------------------------
    "a log that was cleaned before it was read": Case(
        "qanat run",
        "start over from what is there: qanat run --full-refresh silver",
        CHECKPOINTED + SILVER,
        before=(
            "qanat run",
            MORE,
            "qanat run --select orders",
            {"data/c.csv": "id,amount\n9,9\n"},
            "qanat run --select orders",
            {entry(1): None},
        ),
        follow="qanat run --full-refresh silver",
        orders="",
    ),
    "a log entry that is gone": Case(
        "qanat run --full-refresh orders",
        "; if other commands cannot read it either, move its folder away first",
        before=(
            *("qanat run", MORE, "qanat run"),
            {"data/c.csv": "id,amount\n9,9\n"},
            "qanat run",
            {entry(1): None},
        ),
        follow=lambda p: shutil.move(p / f"{TABLES}/orders", p / "away") and None,
    ),
    "rows that were vacuumed": Case(
        "qanat run",
        "start over from what is there: qanat run --full-refresh silver",
        SILVER,
        before=("qanat run", MORE, "qanat run --select orders", vacuum),
        follow="qanat run --full-refresh orders silver",
    ),
    "a damaged log entry": Case(
        "qanat show orders",
        "restore that file from a backup",
        before=("qanat run", keep(entry(0)), {entry(0): "{no json"}),
        follow=restore(entry(0)),
    ),
    "a table that may only grow": Case(
        "qanat run --full-refresh orders",
        "its table property delta.appendOnly is true; declare it false first",
        before=(
            {
                SQL: ORDERS.replace(
                    "orders AS", "orders TBLPROPERTIES ('delta.appendOnly' = 'true') AS"
                )
            },
            "qanat run",
        ),
        follow={
            SQL: ORDERS.replace(
                "orders AS", "orders TBLPROPERTIES ('delta.appendOnly' = 'false') AS"
            )
        },
    ),
    "a table that another tool has changed": Case(
        "qanat run",
        "another tool changed the table's protocol; to have one that Qanat can write, move its"
        " folder away and start over: qanat run --full-refresh orders",
        before=("qanat run", {entry(1): PROTOCOL, **MORE}),
        follow=lambda p: shutil.move(p / f"{TABLES}/orders", p / "away") and None,
        again="qanat run --full-refresh orders",
    ),
    # -- streams ---------------------------------------------------------------------------------
    "a stream whose table starts over alone": Case(
        "qanat run",
        "take only rows that are added: STREAM … WITH (skip_change_commits); or start over: qanat"
        " run --full-refresh silver",
        SILVER,
        before=("qanat run", "qanat run --full-refresh orders --only"),
        follow="qanat run --full-refresh silver",
    ),
    "a stream whose table starts over, and that goes on": Case(
        "qanat run",
        "take only rows that are added: STREAM … WITH (skip_change_commits)",
        SILVER,
        before=("qanat run", "qanat run --full-refresh orders --only"),
        follow={SQL: ORDERS + SILVER.replace("orders;", "orders WITH (skip_change_commits);")},
    ),
    "a protected reader": Case(
        "qanat run --full-refresh orders",
        "leave orders out, or take the property away from silver",
        SILVER.replace(
            "silver AS", "silver TBLPROPERTIES ('pipelines.reset.allowed' = 'false') AS"
        ),
        before=("qanat run",),
        follow={SQL: ORDERS + SILVER},
    ),
    "a file that comes back changed": Case(
        "qanat run",
        "`qanat run --replace data/a.csv` puts its rows in the place of those of before, once",
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow="qanat run --replace data/a.csv",
    ),
    "files that come back changed, always": Case(
        "qanat run",
        "`on_overwrite => 'replace'` in read_files does so always",
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow={SQL: ORDERS.replace("schema =>", "on_overwrite => 'replace', schema =>")},
    ),
    "a reader that cannot follow a file that is replaced": Case(
        "qanat run --replace data/a.csv",
        "start over: qanat run --full-refresh joined; or read what changes:"
        " STREAM table_changes('orders')",
        JOINED.format("orders"),
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow="qanat run --full-refresh joined",
        again="qanat run",
    ),
    "files that cannot be replaced in a table": Case(
        "qanat run --replace data/a.csv",
        "read everything again: qanat run --full-refresh joined",
        JOINED.format(ORDERS.partition("STREAM ")[2].rstrip(";\n")),
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow="qanat run --full-refresh",
        again="qanat run",
        orders="",
    ),
    "files that came into a table in two ways": Case(
        "qanat run --replace data/a.csv",
        "read everything again: qanat run --full-refresh orders",
        "CREATE FLOW again AS INSERT INTO orders BY NAME " + ORDERS.partition(" AS ")[2],
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow="qanat run --full-refresh orders",
        again="qanat run",
    ),
    "files whose new content is to be added": Case(
        "qanat run",
        "`on_overwrite => 'append'` adds them",
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow={SQL: ORDERS.replace("schema =>", "on_overwrite => 'append', schema =>")},
    ),
    "a file that comes back changed to a table with keys": Case(
        "qanat run",
        "`on_overwrite => 'append'` in read_files takes its rows beside those of before; `qanat"
        " run --full-refresh orders` reads all files again",
        before=("qanat run", {"data/a.csv": "id,amount\n1,77\n"}),
        follow={SQL: _KEYED.replace("schema =>", "on_overwrite => 'append', schema =>")},
        orders=_KEYED,
    ),
    "a changed source": Case(
        "qanat run",
        "if only a name has changed: qanat rename orders other, or take the old one, or start"
        " over: qanat run --full-refresh silver; if these are other rows: qanat run --read-again"
        " silver",
        ORDERS.replace(" orders ", " other ") + SILVER,
        before=(
            "qanat run",
            {
                SQL: ORDERS
                + ORDERS.replace(" orders ", " other ")
                + SILVER.replace("orders", "other")
            },
        ),
        follow="qanat run --full-refresh silver",
    ),
    "a table by the name of a dropped one": Case(
        "qanat run",
        "start over: qanat run --full-refresh silver; if these are other rows: qanat run"
        " --read-again silver",
        SILVER,
        before=(
            "qanat run",
            {SQL: "CREATE MATERIALIZED VIEW other AS SELECT 1 AS id;\n"},
            "qanat drop orders --yes",
            {SQL: ORDERS + SILVER},
        ),
        follow="qanat run --full-refresh silver",
    ),
    "a flow less": Case(
        "qanat run",
        "start over: qanat run --full-refresh silver; if these are other rows: qanat run"
        " --read-again silver",
        "CREATE STREAMING TABLE silver;\nCREATE STREAMING TABLE other;\n"
        "CREATE FLOW f AS INSERT INTO silver BY NAME SELECT id FROM STREAM orders;\n"
        "CREATE FLOW g AS INSERT INTO other BY NAME SELECT id FROM STREAM orders;\n",
        before=(
            "qanat run",
            {
                SQL: ORDERS + "CREATE STREAMING TABLE silver;\nCREATE STREAMING TABLE other;\n"
                "CREATE FLOW g AS INSERT INTO silver BY NAME SELECT id FROM STREAM orders;\n"
                "CREATE FLOW f AS INSERT INTO other BY NAME SELECT id FROM STREAM orders;\n"
            },
        ),
        follow="qanat run --full-refresh silver other",
    ),
    "a new name that would read again": Case(
        "qanat run",
        "if only the name has changed: qanat rename orders sales, or take the old one; if it is"
        " another streaming table: qanat run --read-again sales",
        before=("qanat run", {SQL: ORDERS.replace(" orders ", " sales ")}),
        follow="qanat rename orders sales",
    ),
    # -- names -----------------------------------------------------------------------------------
    "a new name that nothing has": Case(
        "qanat rename orders sales_of_all",
        "let the files say sales_of_all first",
        before=(
            "qanat run",
            {SQL: TWICE.replace("STREAM orders", "STREAM read_files('data/*.csv')")},
        ),
        follow={SQL: ORDERS.replace(" orders ", " sales_of_all ")},
    ),
    "a new name of another kind": Case(
        "qanat rename orders sales",
        "what it holds means something else then: drop the old one, and run the new one",
        before=(
            "qanat run",
            {SQL: "CREATE MATERIALIZED VIEW sales AS SELECT * FROM read_files('data/*.csv');\n"},
        ),
        follow="qanat drop orders --yes",
        again="qanat run",
    ),
    "a new name that has rows": Case(
        "qanat rename orders sales",
        "if sales is another dataset, choose a name that is free; if it was made since the name"
        " has changed: let the files say orders again, qanat drop"
        " sales, change the name once more, and before the next update: qanat rename orders sales",
        before=(
            "qanat run",
            {SQL: ORDERS.replace(" orders ", " sales ")},
            "qanat run --read-again sales",
        ),
        follow=lambda p: (p / SQL).write_text(ORDERS) and None,
        again="qanat drop sales --yes",
    ),
    "a path that nothing reads": Case(
        "qanat rename 'data/*.csv' 'new/*.csv'",
        "change the path in the files first",
        before=("qanat run", {SQL: ORDERS.replace("data/", "third/")}),
        follow={SQL: ORDERS.replace("data/", "new/"), "new/a.csv": "id,amount\n1,10\n2,20\n"},
    ),
    # -- environments ----------------------------------------------------------------------------
    "promote to itself": Case(
        "qanat promote orders -e prod --from prod",
        "-e names the environment to write to, --from the one to take from",
        before=BOTH,
        follow={},
        again="qanat promote orders -e prod --from dev",
    ),
    "promote what has never run": Case(
        "qanat promote orders -e prod --from dev",
        "compute there what is to be promoted: qanat run -e dev --select orders",
        before=(PROD,),
    ),
    "promote a table that is not there": Case(
        "qanat promote silver -e prod --from dev",
        "compute it there first: qanat run -e dev --select silver",
        SILVER,
        before=(PROD, "qanat run --select orders", "qanat run -e prod --select orders"),
        follow="qanat run -e dev --select silver",
        again="qanat promote orders silver -e prod --from dev",
    ),
    "promote a stream without its table": Case(
        "qanat promote silver -e prod --from dev",
        "promote both: qanat promote orders silver -e prod --from dev",
        SILVER,
        before=(PROD, "qanat run"),
        again="qanat run -e prod",
    ),
    "an environment that sends nothing": Case(
        "qanat run -e test --full-refresh out",
        "name an environment that sends (-e), or take `sinks: off` out of test in the spec",
        before=(
            {
                PYTHON: IMPORT + OUT,
                "qanat.yml": "name: shop\nenvironments: {test: {sinks: off}}\n",
            },
            "qanat run",
        ),
        follow="qanat run --full-refresh out",
        again="qanat run -e test",
    ),
    "a table of another environment": Case(
        "qanat run -e test",
        "give environment test a `storage` of its own, or the dataset another name",
        before=(
            "qanat run",
            {
                "qanat.yml": "name: shop\nstorage: moved\n"
                "environments: {test: {storage: storage}}\n"
            },
        ),
        follow={"qanat.yml": "name: shop\nenvironments: {test: {storage: other}}\n"},
    ),
    "show a sink": Case(
        "qanat show out",
        "its rows are in out",
        before=({PYTHON: IMPORT + OUT}, "qanat run"),
        follow=lambda p: next((p / "out").glob("*.csv")) and None,
        again="qanat run",
    ),
    "rows that wait in a view": Case(
        "qanat promote orders silver -e prod --from dev",
        "put the rule on silver instead of the view, or compute it here, with qanat run",
        "CREATE TEMPORARY VIEW v (CONSTRAINT a EXPECT (id > 1) ON VIOLATION QUARANTINE ROW) AS"
        " SELECT id FROM STREAM orders;\n" + SILVER.replace("orders", "v"),
        before=(PROD, "qanat run"),
        follow="qanat run -e prod",
        again="qanat run -e prod",
    ),
    "a storage that is a file": Case(
        "qanat doctor",
        "set `storage` in the spec to a folder",
        before=({"qanat.yml": "name: shop\nstorage: data/a.csv\n"},),
        follow={"qanat.yml": "name: shop\nstorage: data/tables\n"},
    ),
    # -- Iceberg ---------------------------------------------------------------------------------
    "a partition that Iceberg has not": Case(
        "qanat run",
        "partition by a text, a number or a date",
        "CREATE MATERIALIZED VIEW gold PARTITIONED BY (d) AS SELECT id, amount::DOUBLE AS d FROM"
        " orders;\n",
        before=(ICEBERG,),
        follow={
            SQL: ORDERS + "CREATE MATERIALIZED VIEW gold PARTITIONED BY (d) AS SELECT id,"
            " amount::TEXT AS d FROM orders;\n"
        },
    ),
    "damaged metadata": Case(
        "qanat show orders",
        "restore the file from a backup; or move the table's folder away and start over: qanat run"
        " --full-refresh orders",
        before=(ICEBERG, "qanat run", keep(TABLES), garble),
        follow=restore(TABLES),
    ),
    "damaged metadata, and no backup": Case(
        "qanat show orders",
        "move the table's folder away and start over: qanat run --full-refresh orders",
        before=(ICEBERG, "qanat run", garble, lambda p: (p / "kept").mkdir()),
        follow=lambda p: shutil.move(p / f"{TABLES}/orders", p / "kept") and None,
        again="qanat run --full-refresh orders",
    ),
    "ledger and catalog are gone": Case(
        "qanat run",
        "of the same time as the tables, or ",
        before=(ICEBERG, "qanat run", lambda p: shutil.rmtree(p / "storage/_qanat")),
        follow="qanat run --full-refresh orders",
    ),
    # -- other projects --------------------------------------------------------------------------
    "a table of another project's environment": Case(
        "qanat run",
        "environment prod there has it: environment => 'prod'",
        view("SELECT * FROM read_table('t', project => 'other')"),
        before=(
            {
                "other/qanat.yml": "name: other\nenvironments: {prod: {}}\n",
                "other/transformations/t.sql": "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id;\n"
                "CREATE MATERIALIZED VIEW u AS SELECT 1 AS id;\n",
            },
            "qanat run -C other -e prod",
            "qanat run -C other --select u",
        ),
        follow={
            SQL: ORDERS
            + view("SELECT * FROM read_table('t', project => 'other', environment => 'prod')")
        },
    ),
    "a table that another project has renamed": Case(
        "qanat run",
        "if it was renamed there, change the name here, and then `qanat plan` says how the"
        " position follows; if it has not run there yet: qanat run -C other",
        view("SELECT * FROM read_table('t', project => 'other')"),
        before=(
            {
                "other/qanat.yml": "name: other\n",
                "other/transformations/t.sql": "CREATE MATERIALIZED VIEW u AS SELECT 1 AS id;\n",
            },
            "qanat run -C other",
        ),
        follow={SQL: ORDERS + view("SELECT * FROM read_table('u', project => 'other')")},
    ),
    "a table of another project that has not run": Case(
        "qanat run",
        "run it there first: qanat run -C other",
        view("SELECT * FROM read_table('t', project => 'other')"),
        before=(
            {
                "other/qanat.yml": "name: other\n",
                "other/transformations/t.sql": "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id;\n",
            },
        ),
    ),
    "another project that is broken": Case(
        "qanat run",
        "mend that project: it has 1 more problem",
        view("SELECT * FROM read_table('t', project => 'other')"),
        before=(
            {
                "other/qanat.yml": "nme: other\nstorge: x\nname: other\n",
                "other/transformations/t.sql": "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id;\n",
            },
        ),
        follow=lambda p: (p / "other/qanat.yml").write_text("name: other\n") and None,
        again="qanat run -C other",
    ),
}
