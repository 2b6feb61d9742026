"""Hints about keys, incremental strategies and MERGE INTO: what they say is written."""

from __future__ import annotations

from tests.acceptance.hinted.case import ORDERS, SILVER, SQL, Case, mended, stream, view

STRATEGY = "TBLPROPERTIES ('qanat.incremental_strategy' = '{}')"
KEPT = "CREATE STREAMING TABLE kept (id BIGINT, amount BIGINT);\n"
F = "CREATE FLOW f AS MERGE INTO kept AS t USING STREAM orders AS s ON t.id = s.id "
INSERTS = "WHEN NOT MATCHED THEN INSERT *"
READ = "SELECT * FROM STREAM orders"


def keyed(clauses: str) -> str:
    """A streaming table with some clauses."""
    return stream(READ, "kept", f" {clauses}")


def overwriting(clauses: str) -> str:
    return keyed(f"{clauses} {STRATEGY.format('insert_overwrite')}")


CASES = {
    "MERGE as a statement": mended(
        "write CREATE FLOW name AS MERGE INTO table USING STREAM source ON …",
        f"{KEPT}MERGE INTO kept AS t USING orders AS s ON t.id = s.id {INSERTS};\n",
        f"{KEPT}{F}{INSERTS};\n",
    ),
    "a table and a source of one name": mended(
        "give one of them an alias: MERGE INTO table AS t USING STREAM source AS s",
        KEPT + F.replace("AS s", "AS t").replace("s.id", "t.id") + INSERTS + ";\n",
        f"{KEPT}{F}{INSERTS};\n",
    ),
    "a join in parentheses": mended(
        "join the others to the stream: FROM STREAM … JOIN …",
        stream(
            "SELECT o.* FROM (STREAM orders AS o JOIN range(9) AS r(id) USING (id))",
            "kept",
            " KEYS (id)",
        ),
        stream(
            "SELECT o.* FROM STREAM orders AS o JOIN range(9) AS r(id) USING (id)",
            "kept",
            " KEYS (id)",
        ),
    ),
    "a clause that never counts": mended(
        " a condition (AND …), or put it last",
        f"{KEPT}{F}{INSERTS} WHEN NOT MATCHED AND s.id > 1 THEN DO NOTHING;\n",
        f"{KEPT}{F}WHEN NOT MATCHED AND s.id > 1 THEN DO NOTHING {INSERTS};\n",
    ),
    "nothing tells the columns": mended(
        "declare them: CREATE STREAMING TABLE kept (column TYPE, …)",
        f"CREATE STREAMING TABLE kept;\n{F}WHEN MATCHED THEN DELETE;\n",
        f"{KEPT}{F}WHEN MATCHED THEN DELETE;\n",
    ),
    "several rows for one": Case(
        "qanat run",
        "nothing was published; let one row of the source match (ON, or USING (SELECT … WHERE …));"
        " or, if they come from several files, take one at a time: read_files(…,"
        " maxFilesPerTrigger => 1); KEYS and AUTO CDC keep the last of several rows",
        f"{KEPT}{F}WHEN MATCHED THEN UPDATE SET * {INSERTS};\n",
        before=("qanat run", {"data/3.csv": "id,amount\n1,8\n1,9\n"}),
        follow={
            SQL: ORDERS
            + KEPT
            + F.replace("= s.id", "= s.id AND t.amount = s.amount")
            + f"WHEN MATCHED THEN UPDATE SET * {INSERTS};\n"
        },
    ),
    "a flow that inserts beside one that merges": mended(
        "let it merge, too: MERGE INTO kept USING … WHEN NOT MATCHED THEN INSERT *; or give it a"
        " table of its own",
        f"{KEPT}{F}{INSERTS};\nCREATE FLOW g AS INSERT INTO kept BY NAME {READ};\n",
        f"{KEPT}{F}{INSERTS};\n" + F.replace("FLOW f", "FLOW g") + INSERTS + ";\n",
    ),
    "a merge without a stream": mended(
        "put STREAM before the input that has the changes, or write MERGE INTO ONCE kept for a"
        " first load",
        KEPT + F.replace("STREAM orders", "orders") + INSERTS + ";\n",
        KEPT
        + F.replace("STREAM orders", "orders").replace("INTO kept", "INTO ONCE kept")
        + INSERTS
        + ";\n",
    ),
    "keys beside MERGE INTO": mended(
        "leave KEYS of the table out, which is for flows that insert; or write the flow as INSERT"
        " INTO kept BY NAME SELECT …",
        KEPT.replace(";", " KEYS (id);") + F + INSERTS + ";\n",
        KEPT.replace(";", " KEYS (id);") + f"CREATE FLOW f AS INSERT INTO kept BY NAME {READ};\n",
    ),
    "keys of a view": mended(
        "only a STREAMING TABLE takes rows epoch by epoch: leave it out",
        "CREATE MATERIALIZED VIEW gold KEYS (id) AS SELECT id FROM orders;\n",
        view("SELECT id FROM orders"),
    ),
    "a strategy without keys": mended(
        "say which columns identify a row: KEYS (column, …); or leave"
        " qanat.incremental_strategy out",
        keyed(STRATEGY.format("delete+insert")),
        keyed("KEYS (id) " + STRATEGY.format("delete+insert")),
    ),
    "keys that a strategy does not look at": mended(
        "leave out KEYS, or the strategy",
        overwriting("KEYS (id) PARTITIONED BY (amount)"),
        overwriting("PARTITIONED BY (amount)"),
    ),
    "no partitions to overwrite": mended(
        "add PARTITIONED BY (column, …); a table that is replaced as a whole is a"
        " MATERIALIZED VIEW",
        overwriting(""),
        overwriting("PARTITIONED BY (amount)"),
    ),
    "UNIQUE over a strategy": mended(
        "leave it out; or check it in a MATERIALIZED VIEW over kept",
        stream(
            READ,
            "kept",
            " (CONSTRAINT a EXPECT UNIQUE (id)) KEYS (id) " + STRATEGY.format("delete+insert"),
        ),
        keyed("KEYS (id) " + STRATEGY.format("delete+insert")),
    ),
    "INCREASING over a strategy": mended(
        "leave it out; or check the changes in a STREAMING TABLE that keeps them all",
        stream(
            READ,
            "kept",
            " (CONSTRAINT a EXPECT INCREASING (id)) KEYS (id) " + STRATEGY.format("delete+insert"),
        ),
        stream(READ, "changes", " (CONSTRAINT a EXPECT INCREASING (id))")
        + keyed("KEYS (id) " + STRATEGY.format("delete+insert")),
    ),
    "a stream of a table with keys": mended(
        "or only rows that are new: STREAM kept WITH (skip_change_commits)",
        keyed("KEYS (id)") + SILVER.replace("orders", "kept"),
        keyed("KEYS (id)") + SILVER.replace("orders", "kept WITH (skip_change_commits)"),
    ),
    "other keys": Case(
        "qanat run",
        "start over: qanat run --full-refresh kept",
        keyed("KEYS (id)"),
        before=("qanat run", {SQL: ORDERS + keyed("KEYS (amount)")}),
        again="qanat run",
    ),
}
