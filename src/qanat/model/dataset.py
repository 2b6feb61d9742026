"""Datasets: streaming tables, materialized views, temporary views and sinks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qanat.model.expectation import Expectation
from qanat.model.location import Location
from qanat.model.schema import NO_COLUMNS, Schema

QUARANTINE = "__quarantine"
"""How the names of quarantine tables end."""


class DatasetKind(StrEnum):
    """What a dataset is."""

    STREAMING_TABLE = "streaming table"
    MATERIALIZED_VIEW = "materialized view"
    TEMPORARY_VIEW = "temporary view"
    SINK = "sink"


class Drift(StrEnum):
    """What happens when a source's columns change (table property `qanat.schema_drift`)."""

    EVOLVE = "evolve"
    """New columns join the table; missing ones are NULL."""
    FREEZE = "freeze"
    """A new column fails the dataset."""
    RESCUE = "rescue"
    """Values of unexpected columns go to `_rescued_data` as JSON."""


@dataclass(frozen=True, slots=True)
class SinkTarget:
    """Where a sink writes.

    Args:
        format: `parquet`, `csv`, `json`, …
        options: by canonical name: `path`, …
        connector: whose format it is.
    """

    format: str
    options: tuple[tuple[str, Any], ...]
    connector: str = "files"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One declared dataset. Its queries are the flows that target it.

    Args:
        name: as declared, without the project's own catalog and schema in front.
        schema: declared columns (empty: take them from the query).
        properties: TBLPROPERTIES, in order.
    """

    name: str
    kind: DatasetKind
    location: Location
    schema: Schema = NO_COLUMNS
    expectations: tuple[Expectation, ...] = ()
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    comment: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    sink: SinkTarget | None = None

    @property
    def quarantine(self) -> str:
        """The name of the quarantine table."""
        return self.name + QUARANTINE

    @property
    def stored(self) -> bool:
        """Whether the dataset has a table of its own."""
        return self.kind in (DatasetKind.STREAMING_TABLE, DatasetKind.MATERIALIZED_VIEW)

    def property(self, name: str) -> str | None:
        """The value of a table property, or None."""
        return next((v for k, v in self.properties if k == name), None)
