"""Hints about AUTO CDC from snapshots: what they say is written, and it works."""

from __future__ import annotations

from tests.acceptance.hinted.case import IMPORT, ORDERS, PYTHON, SQL, Case, mended

FILES = "read_files('data/*.csv', schema => 'id BIGINT, amount BIGINT')"
KEPT = "CREATE STREAMING TABLE kept;\n"


def taking(source: str, keys: str = "id", name: str = "f", more: str = "") -> str:
    """A flow that takes snapshots."""
    return (
        f"CREATE FLOW {name} AS AUTO CDC INTO kept FROM SNAPSHOT {source} KEYS ({keys}){more};\n"
    )


def giving(body: str) -> dict[str, str]:
    """A function that gives snapshots."""
    call = 'dp.create_auto_cdc_from_snapshot_flow("kept", give, ["id"])\n'
    return {PYTHON: f"{IMPORT}def give(latest):\n    {body}\n{call}", SQL: ORDERS + KEPT}


CASES = {
    "several rows of one key": Case(
        "qanat run",
        "nothing was published; if each file is a snapshot of its own, let a function in Python"
        " give one after the other; else let KEYS name all columns that tell rows apart, or leave"
        " rows out before: FROM SNAPSHOT (SELECT DISTINCT …)",
        KEPT + taking(f"(SELECT 1 AS id, 2 AS amount FROM {FILES})"),
        follow={SQL: ORDERS + KEPT + taking(f"(SELECT DISTINCT 1 AS id FROM {FILES})")},
    ),
    "a snapshot of a stream": mended(
        "read it without STREAM, or take its rows as changes: AUTO CDC INTO kept FROM STREAM …",
        KEPT + taking("(SELECT * FROM STREAM orders)"),
        KEPT + taking("orders"),
    ),
    "two snapshots into one table": mended(
        "give each a table of its own; or take one snapshot of both: FROM SNAPSHOT (SELECT …"
        " UNION ALL SELECT …)",
        KEPT + taking("orders") + taking(FILES, name="g"),
        KEPT + taking(f"(SELECT * FROM orders UNION ALL SELECT * FROM {FILES})"),
    ),
    "a full refresh without a snapshot": Case(
        "qanat run --full-refresh kept",
        "take it out of --full-refresh, or run again once there is a snapshot",
        KEPT + taking(FILES.replace("data", "more")),
        before=(
            {"more/a.csv": "id,amount\n1,2\n"},
            "qanat run",
            {"more/a.csv": None, "more/a.txt": ""},
        ),
        follow="qanat run",
        again="qanat run",
    ),
    "a full refresh of a history": Case(
        "qanat run --full-refresh kept",
        "or accept the loss: --accept-loss",
        KEPT + taking(FILES, more=" STORED AS SCD TYPE 2"),
        before=("qanat run",),
        follow="qanat run --full-refresh kept --accept-loss",
        again="qanat run",
    ),
    "a replay of a snapshot": Case(
        "qanat quarantine replay kept",
        "mend the rows at their source, or the rule: the next run looks at all of them again",
        KEPT.replace(
            "kept", "kept (CONSTRAINT small EXPECT (amount < 15) ON VIOLATION QUARANTINE ROW)"
        )
        + taking(FILES),
        before=("qanat run",),
        follow={SQL: ORDERS + KEPT + taking(FILES)},
        again="qanat run",
    ),
    "a replay of a snapshot of a function": Case(
        "qanat quarantine replay kept",
        "mend the rows where the next snapshot comes from, or start over: qanat run --full-refresh"
        " kept",
        before=(giving("return ([{'id': None}], 1) if latest is None else None"), "qanat run"),
        follow="qanat run --full-refresh kept",
        again="qanat run",
    ),
    "versions that do not grow": Case(
        "qanat run",
        "return None if there is no later snapshot",
        before=(giving("return [{'id': 1}], 1"),),
        follow=giving("return ([{'id': 1}], 1) if latest is None else None"),
    ),
    "no plain function": Case(
        "qanat validate",
        "make it one: lambda latest: …",
        before=(
            giving("return None")
            | {
                PYTHON: IMPORT + "from functools import partial\n"
                'dp.create_auto_cdc_from_snapshot_flow("kept", partial(max, 1), ["id"])\n'
            },
        ),
        follow={
            PYTHON: IMPORT
            + 'dp.create_auto_cdc_from_snapshot_flow("kept", lambda latest: None, ["id"])\n'
        },
    ),
    "a version in SQL": mended(
        "snapshots with versions of their own come from a function in Python",
        KEPT + taking("orders", more=" ").replace(" KEYS", " WITH VERSION (SELECT 1) KEYS"),
        KEPT + taking("orders"),
    ),
    "a snapshot of some rows": mended(
        "filter before: FROM SNAPSHOT (SELECT … FROM source WHERE …)",
        KEPT + taking("orders", more=" WHERE amount > 1"),
        KEPT + taking("(SELECT * FROM orders WHERE amount > 1)"),
    ),
}
