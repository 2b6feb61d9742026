"""Which datasets an update takes."""

from __future__ import annotations

from dataclasses import dataclass

from qanat.model.dataset import DatasetKind
from qanat.planning.graph import select
from qanat.run.results import Selection
from qanat.run.session import Session


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selection, resolved.

    Args:
        datasets: stored datasets and sinks to update, in order.
        runnable: the same and the temporary views between them.
        refresh, full_refresh: those to recompute, and those to start over (as asked for, and
            because they used to be materialized views).
    """

    datasets: tuple[str, ...]
    runnable: tuple[str, ...]
    refresh: frozenset[str]
    full_refresh: frozenset[str]


def _former_views(session: Session) -> frozenset[str]:
    """Streaming tables whose stored table is still that of a materialized view.

    Its rows are none that a stream has brought, so that a stream cannot go on from there.
    """
    before = session.memory.definitions() if session.remembers else {}
    return frozenset(
        d.name
        for d in session.pipeline.datasets
        if d.kind is DatasetKind.STREAMING_TABLE
        and (old := before.get(d.name.casefold())) is not None
        and old.kind == str(DatasetKind.MATERIALIZED_VIEW)
    )


def choose_datasets(session: Session, selection: Selection) -> Chosen:
    """Resolve names and globs.

    As in Spark Declarative Pipelines, `--refresh` and `--full-refresh` with names restrict the
    update to those names. A sink starts over only when it is named itself: what it has sent
    before cannot be taken back, so that whoever reads it gets those rows again.

    Raises:
        SelectionError: a pattern matches nothing.
    """

    def found(patterns: tuple[str, ...]) -> frozenset[str]:
        return (
            frozenset(select(session.graph, session.pipeline, patterns))
            if patterns
            else frozenset()
        )

    refresh, full = found(selection.refresh), found(selection.full_refresh)
    literal = {pattern.casefold() for pattern in selection.full_refresh}
    full = frozenset(
        n
        for n in full
        if session.pipeline.dataset(n).kind is not DatasetKind.SINK or n.casefold() in literal
    )
    if selection.select:
        wanted = found(selection.select) | refresh | full
    elif (refresh or full) and not selection.full_refresh_all:
        wanted = refresh | full
    else:
        wanted = frozenset(session.graph.order)
    if selection.full_refresh_all:
        full |= {n for n in wanted if session.pipeline.dataset(n).kind is not DatasetKind.SINK}
    full |= wanted & _former_views(session)
    views = DatasetKind.TEMPORARY_VIEW
    between = {n for n in session.graph.order if session.pipeline.dataset(n).kind is views}
    return Chosen(
        datasets=tuple(n for n in session.graph.order if n in wanted and n not in between),
        runnable=tuple(n for n in session.graph.order if n in wanted or n in between),
        refresh=refresh,
        full_refresh=full,
    )
