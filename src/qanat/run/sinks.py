"""Where the sinks of an environment send, and that no other environment sends there too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from qanat import plugins
from qanat.errors import OptionError, QanatError, located
from qanat.model.pipeline import Dataset, SinkTarget
from qanat.model.query import Read
from qanat.run.session import Session
from qanat.text import filled


def check_apart(session: Session, dataset: Dataset) -> None:
    """Refuse to send where another environment of the spec sends, or where the rows come from.

    Nobody could tell the environments' rows apart there, and what is only tried out would be among
    them. Rows that come back are sent again by the next update, and so on without end.

    Raises:
        OptionError: another environment has the same target, or what is sent is read again.
    """
    here, target = session.project.environment, dataset.sink
    if target is None or not session.project.sinks:
        return
    sink = session.sink(target)
    for read in _reads_above(session, dataset):
        with located(dataset.location):
            again = sink.feeds(target, read.source)
        if again:
            raise OptionError(
                f"{dataset.name} would send its rows to where they come from: {read.source.label}",
                location=dataset.location,
                hint="send to another place; what has been sent would be read and sent again by"
                " the next update",
            )
    for other, configuration in session.project.senders.items():
        theirs = _elsewhere(target, configuration)
        with located(dataset.location):
            same = theirs is not None and sink.place(theirs) == sink.place(target)
        if same:
            raise OptionError(
                f"environments {here} and {other} would send {dataset.name} to the same place",
                location=dataset.location,
                hint="let an option of the sink differ, by a `${key}` of the configuration; or let"
                f" one of the two send nothing: environments: {{{here}: {{sinks: off}}}} or"
                f" {{{other}: {{sinks: off}}}}",
            )


def _reads_above(session: Session, dataset: Dataset) -> Iterator[Read]:
    """What the rows of a sink come from, also through others."""
    for name in (dataset.name, *session.graph.upstream(dataset.name)):
        for flow in session.pipeline.flows_into(name):
            compiled = session.analysis.flows.get(flow.name)
            yield from compiled.reads if compiled else ()


def _elsewhere(target: SinkTarget, configuration: Mapping[str, str]) -> SinkTarget | None:
    """A sink's target in an environment with a configuration; None if it cannot be one there."""
    options = dict(target.options)
    table = plugins.connector(target.connector).sinks[target.format]
    given = {**options, **{name: filled(text, configuration) for name, text in target.written}}
    try:
        return replace(target, options=tuple(table.check_all(given.items()).items()))
    except QanatError:
        return None  # it is told if that environment runs
