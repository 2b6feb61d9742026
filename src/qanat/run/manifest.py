"""What an orchestrator needs to know of a project: datasets, what they read, and their rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from qanat.frozen import Frozen
from qanat.model.expectation import Expectation
from qanat.model.pipeline import GROUP, Dataset, DatasetKind
from qanat.planning.graph import resolve, select
from qanat.run.session import Session


class ManifestDataset(Frozen):
    """A table, materialized view or sink.

    Args:
        group: the value of its property `qanat.group`; without one, the name of the file that
            declares it, without suffix.
        reads: the datasets that have to be up to date before it, temporary views left out.
        sources: what it reads outside the project.
        expectations: in the order of their declaration.
    """

    dataset: str
    kind: str
    group: str
    comment: str | None
    tags: tuple[str, ...]
    reads: tuple[str, ...]
    sources: tuple[str, ...]
    expectations: tuple[Expectation, ...]


class Manifest(Frozen):
    """A project as an orchestrator sees it.

    Args:
        root: the folder of the spec.
        libraries: globs of the files that declare datasets, relative to `root`.
        datasets: each after what it reads.
    """

    project: str
    environment: str
    root: str
    libraries: tuple[str, ...]
    datasets: tuple[ManifestDataset, ...]


def manifest(session: Session, selected: Sequence[str] = ()) -> Manifest:
    """The manifest of a project as it is declared; nothing is run.

    Args:
        selected: names or globs of the datasets that are wanted; none: all.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: a name matches nothing.
    """
    session.require()
    order = session.graph.order
    names = select(session.graph, session.pipeline, selected) if selected else order
    project, pipeline = session.project, session.pipeline
    found = (pipeline.dataset(name) for name in names)
    return Manifest(
        project=project.name,
        environment=project.environment,
        root=str(project.root),
        libraries=project.libraries,
        datasets=tuple(
            _described(session, d) for d in found if d.kind is not DatasetKind.TEMPORARY_VIEW
        ),
    )


def _described(session: Session, dataset: Dataset) -> ManifestDataset:
    return ManifestDataset(
        dataset=dataset.name,
        kind=str(dataset.kind),
        group=dataset.table_property(GROUP) or PurePath(dataset.location.file).stem,
        comment=dataset.comment,
        tags=tuple(dataset.tags),
        reads=tuple(dict.fromkeys(_reads(session, dataset.name))),
        sources=tuple(dict.fromkeys(_sources(session, dataset.name))),
        expectations=dataset.expectations,
    )


def _through_views(session: Session, name: str) -> Iterator[str]:
    """A dataset and the temporary views that it reads, also through one another."""
    yield name
    for other in session.graph.reads.get(name, ()):
        if session.pipeline.dataset(other).kind is DatasetKind.TEMPORARY_VIEW:
            yield from _through_views(session, other)


def _reads(session: Session, name: str) -> Iterator[str]:
    graph, pipeline = session.graph, session.pipeline
    # Fillers may read what they fill; only those that the order puts before it are waited for.
    before = frozenset(graph.order[: graph.order.index(name)])
    for each in _through_views(session, name):
        for other in (*graph.reads.get(each, ()), *graph.fillers.get(each, ())):
            if other in before and pipeline.dataset(other).kind is not DatasetKind.TEMPORARY_VIEW:
                yield other


def _sources(session: Session, name: str) -> Iterator[str]:
    for each in _through_views(session, name):
        for flow in session.pipeline.flows_into(each):
            for read in flow.query.reads:
                if resolve(session.pipeline, read.source.dataset or "") is None:
                    yield read.source.label
