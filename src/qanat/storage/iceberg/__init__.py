"""Apache Iceberg tables, in a catalog of the project's own or in any other.

Iceberg keeps a table's state in files that never change (metadata JSON, manifest lists,
manifests) and the name of the newest metadata file in a catalog. By default that catalog is a
SQLite file in the project's storage, with the tables of Iceberg's SQL catalogs, so that
pyiceberg and others can open it. pyiceberg reads and writes everything else; it is
imported only when files of a table must be read or written, never to ask for its version.

Read `store` (what the port asks for) and `refusals` (what it does not do), then `history`
(versions and transactions, from the snapshots' summaries), `catalog` and `foreign` (where the
newest metadata is found and exchanged), `commit` (what a commit changes) and `draft` (the files
and the metadata that it makes), `described`, `manifests` and `columns` (metadata, data files and
columns in Iceberg's form), `reading` (what an engine gets), `disk` (files that survive a power
loss), `leftovers` (what crashes leave), `names` (tables and applications by other names), `moving`
(a storage that was copied to another folder), `upkeep` (what is not maintained) and `witness`
(what a crash test asks instead).
"""

from __future__ import annotations

from qanat.model.adapter import Option, OptionTable
from qanat.model.kind import TableFormat

OPTIONS = OptionTable(
    "table_format: iceberg",
    (
        Option(
            "catalog", "name of a catalog that pyiceberg is configured for (~/.pyiceberg.yaml)"
        ),
        Option("type", "kind of catalog: `rest`, `sql`, `hive`, `glue`, `dynamodb`, `bigquery`"),
        Option("uri", "address of the catalog"),
        Option("warehouse", "warehouse of the catalog"),
        Option("credential", "credential for a REST catalog"),
        Option("token", "token for a REST catalog"),
        Option("namespace", "namespace of the tables; `default` if it is not given"),
        Option("properties", "more properties of the catalog: `name=value; name=value`"),
    ),
)
"""What `storage_options` may say: without any of them the catalog is a file of the project."""

ICEBERG = TableFormat(
    "iceberg",
    "qanat.storage.iceberg.store:IcebergStore",
    OPTIONS,
    witness="qanat.storage.iceberg.witness:IcebergWitness",
    journals=("/metadata/", "/iceberg.db"),
    extra="iceberg",
    packages=("pyiceberg", "pyarrow"),
)
"""Iceberg tables (extra `iceberg`)."""
