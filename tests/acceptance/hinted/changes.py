"""Hints about AUTO CDC: what they say is written, and the project is valid."""

from __future__ import annotations

from tests.acceptance.hinted.case import (
    ORDERS,
    SILVER,
    SQL,
    Case,
    mended,
    view,
)

KEPT = "CREATE STREAMING TABLE kept;\n"
F = "CREATE FLOW f AS AUTO CDC INTO kept FROM STREAM orders KEYS (id) SEQUENCE BY amount"
CHANGES = f"{KEPT}{F};\n"
VERSIONED = (
    F.replace("STREAM orders", "(SELECT *, 1 AS __START_AT FROM STREAM orders)")
    + " STORED AS SCD TYPE 2"
)
OPENED = (
    "CREATE FLOW f AS AUTO CDC INTO kept FROM (SELECT {columns} FROM STREAM"
    " read_files('cdc/*.json', envelope => 'debezium')) KEYS (id) SEQUENCE BY 1;\n"
)


def clause(hint: str, wrong: str, right: str = "") -> Case:
    """A clause of AUTO CDC."""
    return mended(hint, f"{KEPT}{F}{wrong};\n", f"{KEPT}{F}{right};\n")


CASES = {
    "CDC as a statement": mended(
        "write CREATE FLOW name AS AUTO CDC INTO table FROM STREAM changes …",
        KEPT + "AUTO CDC INTO kept FROM STREAM orders KEYS (id) SEQUENCE BY amount;\n",
        CHANGES,
    ),
    "OPTIMIZE": mended(
        "leave it out: updates look after files, and qanat maintain does it now",
        CHANGES + "OPTIMIZE kept;\n",
        CHANGES,
    ),
    "a key within a struct": mended(
        "only columns can be named; make it one before: FROM (SELECT after.id AS id, …"
        " FROM STREAM source)",
        KEPT + F.replace("(id)", "(after.id)") + ";\n",
        KEPT + F.replace("STREAM orders", "(SELECT id AS id, amount FROM STREAM orders)") + ";\n",
    ),
    "two legacy flows into one table": mended(
        "write this one as CREATE FLOW name AS …",
        KEPT + 2 * "APPLY CHANGES INTO kept FROM STREAM orders KEYS (id) SEQUENCE BY amount;\n",
        KEPT
        + "APPLY CHANGES INTO kept FROM STREAM orders KEYS (id) SEQUENCE BY amount;\n"
        + F
        + ";\n",
    ),
    "two changes at once": Case(
        "qanat run",
        "nothing was published; leave one of them out: FROM (SELECT … WHERE …); or let SEQUENCE BY"
        " have another value that tells which comes first, such as SEQUENCE BY (updated_at,"
        " version)",
        KEPT
        + F.replace(
            "STREAM orders", "(SELECT 1 AS id, amount, 1 AS n FROM STREAM orders)"
        ).replace("BY amount", "BY n")
        + ";\n",
        follow={
            SQL: ORDERS
            + KEPT
            + F.replace(
                "STREAM orders", "(SELECT 1 AS id, amount, 1 AS n FROM STREAM orders)"
            ).replace("BY amount", "BY (n, amount)")
            + ";\n",
        },
    ),
    "a column that type 2 makes": mended(
        "COLUMNS * EXCEPT (__START_AT)",
        KEPT + VERSIONED + ";\n",
        KEPT + VERSIONED + " COLUMNS * EXCEPT (__START_AT);\n",
    ),
    "two orders of changes": clause(
        "SEQUENCE BY alone says in which order changes happened", " SYSTEM SEQUENCE BY id"
    ),
    "columns that a change has": clause(
        "IGNORE NULL UPDATES leaves columns as they were where a change has NULL",
        " COLUMNS TO UPDATE amount",
        " IGNORE NULL UPDATES",
    ),
    "messages that delete": Case(
        "qanat validate",
        "keep their columns: FROM (SELECT * FROM STREAM …), or say it: APPLY AS DELETE WHEN"
        " __op = 'd', with __op in the SELECT",
        KEPT + OPENED.format(columns="id"),
        before=({"cdc/1.json": '{"op": "c", "after": {"id": 1}, "source": {"lsn": 1}}\n'},),
        follow={SQL: ORDERS + KEPT + OPENED.format(columns="*")},
    ),
    "two times": clause(
        "SCD TYPE 2 keeps versions by one time, that of SEQUENCE BY",
        " STORED AS BITEMPORAL",
        " STORED AS SCD TYPE 2",
    ),
    "WHERE in CDC": mended(
        "filter before: FROM (SELECT … FROM STREAM source WHERE …)",
        f"{KEPT}{F} WHERE amount > 1;\n",
        KEPT + "CREATE FLOW f AS AUTO CDC INTO kept FROM"
        " (SELECT * FROM STREAM orders WHERE amount > 1) KEYS (id) SEQUENCE BY amount;\n",
    ),
    "a history is not emptied": clause(
        "leave it out, or write STORED AS SCD TYPE 1",
        " STORED AS SCD TYPE 2 APPLY AS TRUNCATE WHEN amount < 0",
        " STORED AS SCD TYPE 1 APPLY AS TRUNCATE WHEN amount < 0",
    ),
    "no history": clause(
        "leave it out, or write STORED AS SCD TYPE 2",
        " TRACK HISTORY ON (amount)",
        " TRACK HISTORY ON (amount) STORED AS SCD TYPE 2",
    ),
    "changes from what is no stream": mended(
        "put STREAM before the input that has the changes",
        KEPT + F.replace("STREAM orders", "orders") + ";\n",
        CHANGES,
    ),
    "changes and rows": mended(
        "make its rows changes, too: a first load is AUTO CDC ONCE INTO kept; or give it a"
        " table of its own",
        CHANGES + "CREATE FLOW g AS INSERT INTO ONCE kept BY NAME SELECT * FROM orders;\n",
        CHANGES + "CREATE FLOW g AS AUTO CDC ONCE INTO kept FROM orders KEYS (id)"
        " SEQUENCE BY amount;\n",
    ),
    "changes of a view": mended(
        "AUTO CDC keeps a streaming table: CREATE STREAMING TABLE kept;",
        view("SELECT id FROM orders").replace("gold", "kept") + F + ";\n",
        CHANGES,
    ),
    "a stream of what is changed": mended(
        "read it without STREAM in a MATERIALIZED VIEW, or its changes: STREAM table_changes(",
        CHANGES + SILVER.replace("orders", "kept"),
        CHANGES + view("SELECT id FROM kept"),
    ),
    "UNIQUE over changes": mended(
        "leave it out: KEYS keeps one row for each key; or check it in a MATERIALIZED VIEW over"
        " kept",
        "CREATE STREAMING TABLE kept (CONSTRAINT a EXPECT UNIQUE (id));\n" + F + ";\n",
        CHANGES,
    ),
    "a history without its columns": mended(
        "declare it with the type of SEQUENCE BY, or declare no columns",
        f"CREATE STREAMING TABLE kept (id BIGINT, amount BIGINT);\n{F} STORED AS SCD TYPE 2;\n",
        f"{CHANGES.removesuffix(';' + chr(10))} STORED AS SCD TYPE 2;\n",
    ),
}
