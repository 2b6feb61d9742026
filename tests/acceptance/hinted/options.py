"""Hints about options, commands and clauses that other systems have."""

from __future__ import annotations

from tests.acceptance.hinted.case import IMPORT, ORDERS, PYTHON, SQL, Case, mended, stream


def option(hint: str, wrong: str, right: str, columns: str = "*") -> Case:
    """An option of `read_files` that another system has, and what to write instead."""
    read = "read_files('data/*.csv'{})"
    wrong = stream(f"SELECT * FROM STREAM {read.format(f', {wrong}')}")
    right = stream(f"SELECT {columns} FROM STREAM {read.format(f', {right}' if right else '')}")
    return mended(hint, wrong, right)


def property_(hint: str, wrong: str, value: str) -> Case:
    """An option that is a table property here."""
    read = "SELECT * FROM STREAM read_files('data/*.csv'{})"
    more = f" TBLPROPERTIES ('qanat.schema_drift' = '{value}')"
    return mended(hint, stream(read.format(f", {wrong}")), stream(read.format(""), more=more))


QUARANTINED = "malformed rows always go to quarantine, with file and line"

LEAVING = (
    IMPORT + "dp.create_sink('out', 'csv', {{'path': '{}'}})\n\n\n"
    "@dp.append_flow(target='out')\ndef leave():\n    return 'SELECT * FROM STREAM orders'\n"
)

CASES = {
    "a sink into its source": Case(
        "qanat plan",
        "send to another place",
        before=({PYTHON: LEAVING.format("data")},),
        follow={PYTHON: LEAVING.format("out")},
        again="qanat run",
    ),
    "a quote in a value": Case(
        "qanat validate",
        "write '' for it in the configuration",
        "CREATE MATERIALIZED VIEW gold AS SELECT '${name}' AS name;\n",
        before=({"qanat.yml": 'name: shop\nconfiguration: {name: "it\'s"}\n'},),
        follow={"qanat.yml": "name: shop\nconfiguration: {name: \"it''s\"}\n"},
    ),
    **{
        f"option {name}": option(QUARANTINED, f"{name} => {value}", "")
        for name, value in {
            "ignore_errors": "true",
            "store_rejects": "true",
            "mode": "'PERMISSIVE'",
            "badRecordsPath": "'bad'",
        }.items()
    },
    "option filename": option(
        "select _metadata.file_path", "filename => true", "", "*, _metadata.file_path AS f"
    ),
    "option union_by_name": option(
        "leave it out: columns of different files are always matched by name",
        "union_by_name => true",
        "",
    ),
    "option schemaHints": option(
        "name all columns: schema => '…', or cast in the query",
        "schemaHints => 'id BIGINT'",
        "schema => 'id BIGINT, amount BIGINT'",
    ),
    "option partitionColumns": option(
        "hive_partitioning => true takes all of them",
        "partitionColumns => 'm'",
        "hive_partitioning => true",
    ),
    "option includeExistingFiles": option(
        "files that are already there are always read", "includeExistingFiles => true", ""
    ),
    "option schemaEvolutionMode": property_(
        "set the table property 'qanat.schema_drift'", "schemaEvolutionMode => 'x'", "evolve"
    ),
    "option rescuedDataColumn": property_(
        "set the table property 'qanat.schema_drift' = 'rescue'",
        "rescuedDataColumn => '_rescued'",
        "rescue",
    ),
    "backfill": Case(
        "qanat backfill",
        "run a selection again with `qanat run --full-refresh TABLE`",
        before=("qanat run",),
        follow="qanat run --full-refresh orders",
        again="qanat run",
    ),
    "select without a view": mended(
        "put it behind CREATE MATERIALIZED VIEW name AS",
        "SELECT id FROM orders;\n",
        "CREATE MATERIALIZED VIEW name AS SELECT id FROM orders;\n",
    ),
    "insert": mended(
        "write CREATE FLOW name AS INSERT INTO table BY NAME SELECT …",
        "CREATE STREAMING TABLE silver;\nINSERT INTO silver SELECT id FROM orders;\n",
        "CREATE STREAMING TABLE silver;\nCREATE FLOW name AS INSERT INTO silver BY NAME SELECT id"
        " FROM STREAM orders;\n",
    ),
    "drop a table": Case(
        "qanat validate",
        "remove its declaration instead",
        "DROP TABLE orders;\n",
        follow={SQL: stream("SELECT 1 AS id FROM STREAM read_files('data/*.csv')")},
    ),
    "alter a table": mended(
        "change its declaration instead",
        "ALTER TABLE orders SET TBLPROPERTIES ('qanat.schema_drift' = 'freeze');\n",
        "",
    ),
    "delete rows": mended(
        "say in the query, or with an expectation, which rows to leave out",
        "DELETE FROM orders WHERE id = 1;\n",
        stream("SELECT * FROM STREAM orders WHERE id <> 1"),
    ),
    "update rows": mended(
        "say in the query what to compute",
        "UPDATE orders SET amount = 0;\n",
        stream("SELECT id, 0 AS amount FROM STREAM orders"),
    ),
    "use a schema": Case(
        "qanat validate",
        "name the catalog and schema in the spec",
        "USE sales;\n",
        follow={SQL: ORDERS, "qanat.yml": "name: shop\ncatalog: c\nschema: sales\n"},
    ),
}
