"""PostgreSQL: tables and queries read by a cursor column, and tables that take each epoch once.

Here stands what an author may say. Read on in this order: `url` (what must not be seen),
`relation` (a table or a query), `drivers` and `server` (connections and what their errors mean);
for the source `inquiry` (what the server says of a relation), `types` and `arrow` (no value
changes), `drift` (columns that come and go), `position` (how far it has been read), `spool` (rows
on their way) and `source`; for the sink `target` (which column takes what), `bookkeeping` (which
epochs are there), `upsert` (rows that are changes) and `sink`. `places` names tables for catalogs.
"""

from __future__ import annotations

from qanat.connectors.postgres.url import UrlOptions
from qanat.model.adapter import Connector, Option, TableFunction, ValueType

_URL = Option(
    "url",
    "the database: `postgresql://user@host:port/database`; a password is better kept in"
    " `PGPASSWORD`, a `.pgpass` file or a `${key}` of the configuration",
    spellings=("connection",),
    required=True,
    # Host and database tell which rows are meant, whichever role logs in.
    identity=True,
)

READ = UrlOptions(
    "read_postgres",
    (
        _URL,
        Option(
            "cursor",
            "the column that grows with every new row; needed under STREAM",
            spellings=("cursor_column", "cursor_field", "replication_key", "incremental_column"),
            identity=True,
        ),
        Option(
            "cursor_mode",
            "`inclusive` (the default) also takes rows that come later with the greatest value"
            " so far; `exclusive` only takes rows with greater values",
            choices={n: n for n in ("inclusive", "exclusive")},
        ),
        Option(
            "key",
            "columns (separated by commas) that tell rows with one cursor value apart; by default"
            " the primary key, or else all columns",
            spellings=("primary_key",),
        ),
        Option(
            "lookback",
            "how far below the greatest value to look for rows that were committed late: a number,"
            " or a duration such as `15 minutes`",
            spellings=("lag", "lookback_window"),
        ),
        Option(
            "initial_cursor",
            "the cursor value to begin with (inclusive mode takes its rows too)",
            spellings=("initial_value", "start_date"),
        ),
        Option(
            "null_cursor",
            "what to do with rows whose cursor is NULL: `fail` (the default) or `skip`",
            spellings=("on_cursor_value_missing",),
            choices={n: n for n in ("fail", "skip")} | {"raise": "fail", "exclude": "skip"},
        ),
        Option(
            "max_rows_per_trigger",
            "about how many rows one epoch takes; rows with one cursor value stay together",
            type=ValueType.COUNT,
            limits=True,
        ),
        Option(
            "schema",
            "types for some columns, such as `amount DECIMAL(18,2), valid_to STRING`",
            spellings=("custom_schema",),
        ),
    ),
    refused={
        "dbtable": "the table is the first argument: read_postgres('orders', …)",
        "table": "the table is the first argument: read_postgres('orders', …)",
        "query": "the query is the first argument: read_postgres('SELECT …', …)",
        "password": "put it into PGPASSWORD, a .pgpass file or the url",
    },
)

WRITE = UrlOptions(
    "a sink of the format 'postgres'",
    (
        _URL,
        Option(
            "table",
            "the table that takes the rows; it is created if it does not exist",
            spellings=("dbtable",),
            required=True,
        ),
        Option(
            "mode",
            "`append` (the default): rows are added to those that are there",
            choices={"append": "append"},
        ),
        Option(
            "keys",
            "columns (separated by commas) that tell the table's rows apart. The rows of the flow"
            " are changes then (`STREAM table_changes('t')`): rows of the table are set and"
            " deleted by their keys",
            spellings=("key", "primary_key"),
        ),
        Option(
            "create",
            "whether to create the table if it does not exist (default: true)",
            spellings=("create_table",),
            type=ValueType.BOOLEAN,
        ),
    ),
)


POSTGRES = Connector(
    name="postgres",
    noun="PostgreSQL",
    options=READ,
    source="qanat.connectors.postgres.source:PostgresSource",
    sink="qanat.connectors.postgres.sink:PostgresSink",
    functions={
        "read_postgres": TableFunction(argument="table or query"),
        "read_postgresql": TableFunction(argument="table or query"),
    },
    sinks={"postgres": WRITE},
    replaces=("postgres_scan", "postgres_query"),
    locate="qanat.connectors.postgres.places:place",
)
"""What `qanat.plugins` finds.

>>> given = READ.check_all([("url", "postgresql://ada:secret@db/shop"), ("cursor", "id")])
>>> ref = POSTGRES.refer("orders", given)
>>> ref.key
'postgres:orders?cursor=id&url=postgresql://db/shop'
>>> "secret" in repr(ref)
False
"""
