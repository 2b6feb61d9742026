"""The facets of OpenLineage that Qanat has something to say in, each in its newest version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from qanat import __version__
from qanat.model.event import Failure
from qanat.model.metrics import Columns
from qanat.model.pipeline import DatasetKind
from qanat.model.portrait import Place, Portrait
from qanat.model.record import UpdateRecord
from qanat.model.schema import DataType, Field, Schema, Struct
from qanat.model.staged import ColumnMetrics, RuleCount
from qanat.secret import masked
from qanat.text import count

Facet: TypeAlias = dict[str, Any]

PRODUCER = f"https://pypi.org/project/qanat/{__version__}"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
_FACETS = "https://openlineage.io/spec/facets"
_DUE = re.compile(r"\bdue (\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))")


def facet(name: str, version: str, /, **facts: Any) -> Facet:
    """A facet by the name and version of its schema, without facts that are not known."""
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_FACETS}/{version}/{name}.json#/$defs/{name}",
        **{key: value for key, value in facts.items() if value is not None},
    }


# -- of runs ---------------------------------------------------------------------------------


def engine() -> Facet:
    """What computes."""
    return facet("ProcessingEngineRunFacet", "1-1-1", name="Qanat", version=__version__)


def parent(namespace: str, above: Sequence[tuple[str, str]]) -> Facet:
    """The run that a run is part of, and the outermost one.

    Args:
        above: job and run of each run around it, the outermost first.
    """
    runs = [
        {"run": {"runId": run}, "job": {"namespace": namespace, "name": j}} for j, run in above
    ]
    return facet("ParentRunFacet", "1-2-0", **runs[-1], root=runs[0])


def due_time(origin: str | None) -> Facet | None:
    """When an update was due, if what started it says so.

    >>> due_time("schedule nightly, due 2026-11-30T01:00:00Z")["nominalStartTime"]
    '2026-11-30T01:00:00Z'
    """
    found = _DUE.search(origin or "")
    return facet("NominalTimeRunFacet", "1-0-1", nominalStartTime=found[1]) if found else None


def error(failure: Failure) -> Facet:
    """Why a run failed."""
    told = [f"{failure.code}: {failure.message}"]
    told += [f"{n}: {v}" for n in ("wanted", "got", "hint") if (v := getattr(failure, n))]
    return facet(
        "ErrorMessageRunFacet", "1-0-1", message="\n".join(told), programmingLanguage="PYTHON"
    )


def update(record: UpdateRecord) -> Facet:
    """The update as Qanat's own history names it; a facet that OpenLineage does not have."""
    known = {"update": record.id, "environment": record.environment, "command": record.command}
    origin = {} if record.origin is None else {"origin": record.origin}
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}#/$defs/RunFacet", **known, **origin}


# -- of jobs ---------------------------------------------------------------------------------


def job_type(kind: str, continuous: bool) -> Facet:
    """What kind of job it is: `streaming table` and so on."""
    return facet(
        "JobTypeJobFacet",
        "2-0-4",
        processingType="STREAMING" if continuous else "BATCH",
        integration="QANAT",
        jobType=kind.upper().replace(" ", "_"),
    )


def sql(portrait: Portrait) -> Facet | None:
    """The queries of a dataset; None if they are Python."""
    if not portrait.query:
        return None
    return facet("SQLJobFacet", "1-1-0", query=masked(portrait.query), dialect=portrait.dialect)


def documentation(of: str, comment: str | None) -> Facet | None:
    """What the author says; `of` is `Job` or `Dataset`."""
    name = f"Documentation{of}Facet"
    return facet(name, "1-1-0", description=comment) if comment else None


def ownership(of: str, owners: Iterable[str]) -> Facet | None:
    """Whom to ask; `of` is `Job` or `Dataset`."""
    named = [{"name": owner} for owner in owners]
    return facet(f"Ownership{of}Facet", "1-0-1", owners=named) if named else None


# -- of datasets -----------------------------------------------------------------------------


def schema(columns: Schema) -> Facet | None:
    """Columns and types; None if they are not known."""
    fields = [_field(f, n) for n, f in enumerate(columns.fields, 1)]
    return facet("SchemaDatasetFacet", "1-2-0", fields=fields) if fields else None


def _field(column: Field, position: int) -> dict[str, Any]:
    known: dict[str, Any] = {"name": column.name, "type": str(column.type)}
    known |= {"ordinal_position": position}
    if column.comment:
        known["description"] = column.comment
    return known | _nested(column.type)


def _nested(type_: DataType) -> dict[str, Any]:
    if not isinstance(type_, Struct):
        return {}
    return {"fields": [_field(f, n) for n, f in enumerate(type_.fields, 1)]}


def source(place: Place) -> Facet:
    """The system that has the data."""
    uri = place.namespace if "://" in place.namespace else place.url
    return facet("DatasourceDatasetFacet", "1-0-1", name=place.namespace, uri=uri)


def storage(format: str) -> Facet:
    """The format of a table."""
    return facet("StorageDatasetFacet", "1-0-1", storageLayer=format, fileFormat="parquet")


def version(number: int) -> Facet:
    """The version of a table that was made."""
    return facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=str(number))


def dataset_type(kind: str) -> Facet:
    """What a table is."""
    materialized = kind == DatasetKind.MATERIALIZED_VIEW
    known, more = ("VIEW", "MATERIALIZED") if materialized else ("TABLE", None)
    return facet("DatasetTypeDatasetFacet", "1-0-1", datasetType=known, subType=more)


def tags(words: Iterable[str]) -> Facet | None:
    """The words by which a dataset is found."""
    known = [{"key": word, "value": "true", "source": "QANAT"} for word in words]
    return facet("TagsDatasetFacet", "1-0-0", tags=known) if known else None


def change(version: int | None, replaced: bool) -> Facet | None:
    """That a table was made, or all of its rows replaced."""
    state = "CREATE" if version == 0 else "OVERWRITE" if replaced else None
    name = "LifecycleStateChangeDatasetFacet"
    return facet(name, "1-0-1", lifecycleStateChange=state) if state else None


def column_lineage(portrait: Portrait) -> Facet | None:
    """Of which columns of its inputs each column is made."""
    fields = {
        column: {
            "inputFields": [
                {
                    "namespace": origin.place.namespace,
                    "name": origin.place.name,
                    "field": origin.column,
                    "transformations": [_transformation(origin.expression)],
                }
                for origin in origins
            ]
        }
        for column, origins in portrait.origins.items()
    }
    return facet("ColumnLineageDatasetFacet", "1-2-0", fields=fields) if fields else None


def _transformation(expression: str) -> dict[str, Any]:
    if not expression:
        return {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}
    return {
        "type": "DIRECT",
        "subtype": "TRANSFORMATION",
        "masking": False,
        "description": expression,
    }


def metrics(columns: Columns, rows: int, size: int) -> Facet | None:
    """What is known of the columns of the rows that were written."""
    known = {name: _metrics(each) for name, each in columns.items()}
    name = "DataQualityMetricsDatasetFacet"
    return facet(name, "1-0-1", rowCount=rows, bytes=size, columnMetrics=known) if known else None


def _metrics(column: ColumnMetrics) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if column.nulls is not None:
        known |= {"nullCount": column.nulls, "count": column.rows - column.nulls}
    bounds = {"min": column.low, "max": column.high}
    return known | {n: v for n, v in bounds.items() if isinstance(v, int | float)}


def output_statistics(rows: int, size: int | None = None) -> Facet:
    """How much was written."""
    return facet("OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=rows, size=size)


def assertions(rules: Iterable[RuleCount], portrait: Portrait) -> Facet:
    """What came of expectations."""
    declared = {e.name: e for e in portrait.expectations}
    found = []
    for rule in rules:
        expectation = declared.get(rule.rule) if rule.dataset == portrait.dataset else None
        columns: tuple[str, ...] = ()
        if expectation is not None:
            columns = getattr(expectation.rule, "columns", ())
        kind = type(expectation.rule).__name__ if expectation else "expectation"
        actual = rule.value or count(rule.violations, "violation")
        known: Mapping[str, Any] = {
            "assertion": re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower(),
            "success": not rule.broken,
            "name": rule.rule if expectation else f"{rule.dataset}.{rule.rule}",
            "severity": "error" if rule.action == "fail" else "warn",
            "column": columns[0] if len(columns) == 1 else None,
            "description": expectation.comment if expectation else None,
            "expected": rule.tolerance or "0 violations",
            "actual": actual,
            "content": masked(expectation.text) if expectation else None,
            "contentType": "sql" if expectation else None,
            "params": {"action": rule.action, "severity": rule.severity, "rows": rule.rows},
        }
        found.append({key: value for key, value in known.items() if value is not None})
    return facet("DataQualityAssertionsDatasetFacet", "1-1-0", assertions=found)
