"""What an update tells, and what a project declares, as documents of OpenLineage.

An update is a run of the job PROJECT/ENVIRONMENT, and each of its datasets a run of a job of its
own, whose parent that is. What its expectations found is told by a third one, which reads the
dataset: OpenLineage has results of checks for inputs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from qanat.model.event import (
    DatasetEnded,
    DatasetStarted,
    EpochCommitted,
    Failure,
    UpdateEnded,
    UpdateStarted,
)
from qanat.model.observer import Told
from qanat.model.portrait import Portrait
from qanat.model.record import CONTINUOUS, UpdateRecord
from qanat.observe.openlineage import facets
from qanat.observe.openlineage.datasets import (
    described,
    input_of,
    known,
    named,
    output_of,
    quarantine_of,
)
from qanat.observe.openlineage.facets import Facet
from qanat.observe.openlineage.names import NAMESPACE, job_name, run_id
from qanat.ports.observer import Observed

Document: TypeAlias = dict[str, Any]

_CHECKS = "checks"
"""How the names of the jobs end that tell what expectations found."""
_ENDS = {"updated": "COMPLETE", "unchanged": "COMPLETE", "failed": "FAIL", "skipped": "ABORT"}
"""The type of the last event of a dataset's run, by how it ended."""


class Documents:
    """Makes documents of a project.

    Args:
        namespace: of its jobs.
    """

    def __init__(self, observed: Observed, namespace: str = NAMESPACE) -> None:
        self._observed = observed
        self._namespace = namespace

    # -- of updates ----------------------------------------------------------------------------

    def of(self, told: Told) -> Iterator[Document]:
        """The documents that tell an event; none for those of which OpenLineage knows nothing."""
        event = told.record.event
        match event:
            case UpdateStarted():
                yield self._run(told, "START")
            case DatasetStarted():
                yield self._run(told, "START", event.dataset, self._light(event.dataset))
            case EpochCommitted():
                yield self._epoch(told, event)
            case DatasetEnded():
                continuous = told.update.command == CONTINUOUS
                # A continuous update tries again what has failed: its runs end with it.
                kind = "OTHER" if continuous else _ENDS.get(event.status, "OTHER")
                yield from self._ended(told, event, kind)
            case UpdateEnded():
                yield from self._rest(told)
                kind = "COMPLETE" if event.status == "succeeded" else "FAIL"
                yield self._run(told, kind, failure=event.failure)
            case _:
                pass

    def _light(self, dataset: str) -> Portrait | None:
        return self._observed.portrait(dataset, lineage=False)

    def _epoch(self, told: Told, event: EpochCommitted) -> Document:
        portrait = self._light(event.dataset)
        document = self._run(told, "RUNNING", event.dataset, portrait)
        for output in document["outputs"]:
            statistics = facets.output_statistics(event.counts.written)
            output["outputFacets"] = {"outputStatistics": statistics}
        return document

    def _ended(self, told: Told, event: DatasetEnded, kind: str) -> Iterator[Document]:
        name, changed = event.dataset, event.status in ("updated", "failed")
        portrait = self._observed.portrait(name, told.update.id if changed else None, changed)
        yield self._run(told, kind, name, portrait, event.failure)
        made = None if portrait is None else portrait.made
        if portrait is not None and made is not None and made.rules and portrait.place:
            checked = named(portrait.place, {})
            found = facets.assertions(made.rules, portrait)
            checked["inputFacets"] = {"dataQualityAssertions": found}
            job = self._job(name, known(jobType=facets.job_type("test", False)), _CHECKS)
            run = self._facets(told.update, (self._name(), self._name(name)))
            for state in ("START", "COMPLETE"):
                yield self._event(told, state, job, run, [checked], [])

    def _rest(self, told: Told) -> Iterator[Document]:
        """The ends of runs that have not ended, as far as anybody was told."""
        last: dict[str, DatasetEnded | None] = {}
        for record in self._observed.events(told.update.id):
            match record.event:
                case DatasetStarted(dataset):
                    last.setdefault(dataset, None)
                case DatasetEnded(dataset) as ended:
                    last[dataset] = ended
        for dataset, end in last.items():
            if end is None:
                yield self._run(told, "ABORT", dataset, self._light(dataset))
            elif told.update.command == CONTINUOUS:
                kind = _ENDS.get(end.status, "ABORT")
                yield self._run(told, kind, dataset, self._light(dataset), end.failure)

    # -- of declarations -----------------------------------------------------------------------

    def declared(self, datasets: Iterable[str], at: float) -> Iterator[Document]:
        """The datasets of a project and the jobs that make them, whether they ever ran or not.

        Args:
            at: when that was found, seconds since 1970 (UTC).
        """
        for name in datasets:
            portrait = self._observed.portrait(name)
            if portrait is None:
                continue
            head = {"eventTime": _moment(at), "producer": facets.PRODUCER}
            if portrait.place is not None:
                schema = {"schemaURL": f"{facets.SPEC}#/$defs/DatasetEvent"}
                yield {**head, **schema, "dataset": described(portrait, portrait.place)}
            yield {
                **head,
                "schemaURL": f"{facets.SPEC}#/$defs/JobEvent",
                "job": self._job(name, _of_job(portrait, False)),
                **_data(portrait),
            }

    # -- parts ---------------------------------------------------------------------------------

    def _run(
        self,
        told: Told,
        kind: str,
        dataset: str | None = None,
        portrait: Portrait | None = None,
        failure: Failure | None = None,
    ) -> Document:
        """An event of the run of an update, or of one of its datasets."""
        update, continuous = told.update, told.update.command == CONTINUOUS
        run = self._facets(update, () if dataset is None else (self._name(),), failure)
        if portrait is None:
            job = self._job(dataset, known(jobType=facets.job_type("update", continuous)))
            return self._event(told, kind, job, run, [], [])
        data = _data(portrait)
        job = self._job(dataset, _of_job(portrait, continuous))
        return self._event(told, kind, job, run, data["inputs"], data["outputs"])

    def _event(
        self,
        told: Told,
        kind: str,
        job: Mapping[str, Any],
        run: Mapping[str, Facet],
        inputs: list[Any],
        outputs: list[Any],
    ) -> Document:
        return {
            "eventType": kind,
            "eventTime": _moment(told.record.at),
            "run": {"runId": run_id(job["name"], told.update), "facets": run},
            "job": job,
            "inputs": inputs,
            "outputs": outputs,
            "producer": facets.PRODUCER,
            "schemaURL": f"{facets.SPEC}#/$defs/RunEvent",
        }

    def _name(self, dataset: str | None = None) -> str:
        return job_name(self._observed.project, self._observed.environment, dataset)

    def _job(
        self, dataset: str | None, described: Mapping[str, Facet], part: str = ""
    ) -> dict[str, Any]:
        name = "/".join(filter(None, (self._name(dataset), part)))
        return {"namespace": self._namespace, "name": name, "facets": described}

    def _facets(
        self,
        update: UpdateRecord,
        above: Sequence[str],
        failure: Failure | None = None,
    ) -> dict[str, Facet]:
        """The facets of a run, which is part of those of the jobs `above`."""
        runs = [(job, run_id(job, update)) for job in above]
        return known(
            processing_engine=facets.engine(),
            qanat_update=facets.update(update),
            nominalTime=facets.due_time(update.origin),
            parent=facets.parent(self._namespace, runs) if runs else None,
            errorMessage=None if failure is None else facets.error(failure),
        )


def _of_job(portrait: Portrait, continuous: bool) -> dict[str, Facet]:
    return known(
        jobType=facets.job_type(portrait.kind, continuous),
        sql=facets.sql(portrait),
        documentation=facets.documentation("Job", portrait.comment),
        ownership=facets.ownership("Job", portrait.owners),
    )


def _data(portrait: Portrait) -> dict[str, list[Any]]:
    """What a job reads and writes."""
    inputs = [input_of(place, columns) for place, columns in portrait.inputs.items()]
    outputs = [] if portrait.place is None else [output_of(portrait, portrait.place)]
    aside = 0 if portrait.made is None else portrait.made.counts.set_aside
    if aside and portrait.quarantine is not None:
        outputs.append(quarantine_of(portrait.quarantine, aside))
    return {"inputs": inputs, "outputs": outputs}


def _moment(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
