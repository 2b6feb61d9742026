"""Inputs and outputs of a job, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qanat.model.pipeline import DatasetKind
from qanat.model.portrait import Place, Portrait
from qanat.model.schema import Schema
from qanat.observe.openlineage import facets
from qanat.observe.openlineage.facets import Facet


def known(**each: Facet | None) -> dict[str, Facet]:
    """Facets by their keys, without those that have nothing to say."""
    return {key: facet for key, facet in each.items() if facet is not None}


def named(place: Place, described: Mapping[str, Facet]) -> dict[str, Any]:
    """A dataset by its name, with facets."""
    return {"namespace": place.namespace, "name": place.name, "facets": dict(described)}


def input_of(place: Place, columns: Schema) -> dict[str, Any]:
    """A dataset that a job reads."""
    return named(place, known(schema=facets.schema(columns), dataSource=facets.source(place)))


def described(portrait: Portrait, place: Place) -> dict[str, Any]:
    """A dataset as it is declared, and as an update has left it."""
    table = None if portrait.kind == DatasetKind.SINK else portrait.format
    made = portrait.made
    written = made is not None and made.version is not None
    facts = known(
        schema=facets.schema(portrait.schema),
        dataSource=facets.source(place),
        documentation=facets.documentation("Dataset", portrait.comment),
        ownership=facets.ownership("Dataset", portrait.owners),
        tags=facets.tags(portrait.tags),
        columnLineage=facets.column_lineage(portrait),
        storage=None if table is None else facets.storage(table),
        datasetType=None if table is None else facets.dataset_type(portrait.kind),
    )
    if made is not None:
        rows = made.counts.written
        facts |= known(
            dataQualityMetrics=facets.metrics(made.columns, rows, made.bytes),
            version=None if made.version is None else facets.version(made.version),
            lifecycleStateChange=facets.change(made.version, made.replaced) if written else None,
        )
    return named(place, facts)


def output_of(portrait: Portrait, place: Place) -> dict[str, Any]:
    """The dataset that a job writes."""
    found = described(portrait, place)
    if (made := portrait.made) is not None:
        statistics = facets.output_statistics(made.counts.written, made.bytes)
        found["outputFacets"] = {"outputStatistics": statistics}
    return found


def quarantine_of(place: Place, rows: int) -> dict[str, Any]:
    """The table that has the rows which a job has set aside."""
    found = named(place, known(dataSource=facets.source(place)))
    return {**found, "outputFacets": {"outputStatistics": facets.output_statistics(rows)}}
