"""Tables as sources: datasets of the project, of other projects, and Delta tables by path.

A dataset of another project is read by that project's table format, whatever this one's is. A
Delta table is found by its path alone, so `delta_scan` reads Delta in every project. An Iceberg
table is not: only its catalog knows which of its metadata is the newest. So there is no function
that takes its path; those of other projects are read by name.

Here stand the declarations, with the `options` that all have in common; `source` reads, and
`feed` knows which versions a stream of changes takes; `places` names them for catalogs.
"""

from __future__ import annotations

from qanat.connectors.tables.options import OPTIONS
from qanat.model.adapter import Connector, Option, OptionTable, TableFunction, ValueType
from qanat.model.query import DATASET

_SOURCE = "qanat.connectors.tables.source"

DATASETS = Connector(
    name=DATASET,
    noun=DATASET,
    options=OptionTable("a table", OPTIONS),
    source=f"{_SOURCE}:DatasetSource",
    functions={
        "read_table": TableFunction(argument="name"),
        "table_changes": TableFunction(
            {"read_change_feed": True}, "name", ("starting_version", "ending_version")
        ),
    },
    own=True,
)
"""The project's own datasets; queries read them by name, and `table_changes` their changes."""

PROJECTS = Connector(
    name="project",
    noun="table",
    options=OptionTable(
        "read_table",
        (
            Option(
                "project",
                "the folder of another project, relative to this one's",
                required=True,
                identity=True,
            ),
            Option(
                "environment",
                "whose table is read there; default: `dev`, or the one that it reads from",
                type=ValueType.NAME,
                identity=True,
            ),
            *OPTIONS,
        ),
    ),
    source=f"{_SOURCE}:ProjectSource",
    functions={"read_table": TableFunction(argument="name")},
    replaces=("iceberg_scan",),
    label="{project}:{place}",
    # Ledgers of earlier releases have this key, from when `project` was not a connector.
    key="delta:{project}#{place}",
    function="delta_scan",
)
"""Datasets of other projects."""

DELTA = Connector(
    name="delta",
    noun="delta table",
    options=OptionTable("delta_scan", OPTIONS),
    source=f"{_SOURCE}:DeltaSource",
    functions={"delta_scan": TableFunction()},
    formats={"delta": {}},
    locate="qanat.connectors.tables.places:place",
)
"""Delta tables that belong to no project, by path or URL."""
