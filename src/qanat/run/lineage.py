"""What a table or a column is made from; nothing is written.

Where a project reads tables of another one that is at hand, its lineage goes on there. For that
the other project is opened, as by whoever works in it; what is wrong with it is told there, and
here only ends the lineage.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from qanat.errors import QanatError
from qanat.model.query import SourceRef
from qanat.model.schema import Schema
from qanat.planning.column_lineage import column_lineage, split_target
from qanat.planning.lineage import (
    Abroad,
    Lineage,
    LineageNode,
    dataset_of,
    source_node,
    table_lineage,
)
from qanat.ports.source import Neighbour
from qanat.run.neighbours import find_folder
from qanat.run.session import Session

_Place = tuple[Path, str | None, str]
"""A dataset of a project: its folder, environment and name."""


def lineage(session: Session, target: str | None = None) -> Lineage:
    """What `table` or `table.column` is made from; without a target: every table.

    Columns are those of the stored tables, else the declared ones, else what the queries tell.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        ColumnNotFoundError: it is known to have no such column.
    """
    with ExitStack() as opened:
        return _lineage(session, target, _Neighbourhood(session, opened))


def _lineage(session: Session, target: str | None, around: _Neighbourhood) -> Lineage:
    if target is None:
        return _tables(session, None, around)
    dataset, column = split_target(session.pipeline, target)
    if column is None:
        return _tables(session, target, around)
    return _columns(session, dataset.name, around, column)


def _tables(session: Session, target: str | None, around: _Neighbourhood) -> Lineage:
    def environment_of(name: str) -> str:
        return session.readable(name).environment

    with session.readables.running():
        return table_lineage(
            session.pipeline, session.graph, target, environment_of, around.abroad
        )


def _columns(session: Session, name: str, around: _Neighbourhood, column: str) -> Lineage:
    dataset = dataset_of(session.pipeline, name)
    with session.readables.running():
        schemas = _schemas(session, dataset.name)
        return column_lineage(
            session.pipeline, session.graph, schemas, dataset, column, around.abroad
        )


def _schemas(session: Session, name: str) -> dict[str, Schema]:
    schemas: dict[str, Schema] = {}
    for each in (name, *session.graph.upstream(name)):
        read = session.readable(each)
        if session.pipeline.dataset(each).stored and read.version is not None:
            schemas[each] = read.store.snapshot(read.table).schema
    return schemas


# -- other projects ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Neighbourhood:
    """The projects around one, opened when lineage comes to them.

    Args:
        opened: closes them.
        way: from where lineage has come: projects may read one another in a circle.
    """

    session: Session
    opened: ExitStack
    known: dict[tuple[Path, str | None], Session] = field(default_factory=dict)
    way: tuple[_Place, ...] = ()

    @property
    def abroad(self) -> Abroad:
        """How lineage goes on from here."""
        return Abroad(self._table, self._column, self._names)

    def _table(self, source: SourceRef) -> LineageNode | None:
        found = self._beyond(source, _tables)
        if found is not None or (other := self._other(source)) is None:
            return found
        return replace(source_node(source), project=other.project.name)

    def _column(self, source: SourceRef, column: str) -> LineageNode | None:
        return self._beyond(source, partial(_columns, column=column))

    def _names(self, source: SourceRef) -> tuple[str, ...] | None:
        there = self._neighbour(source)
        if there is None:
            return None
        try:
            read = self.session.elsewhere(there)
            return read.store.snapshot(read.table).schema.names
        except QanatError:
            return None

    def _neighbour(self, source: SourceRef) -> Neighbour | None:
        return self.session.source(source).neighbour(source)

    def _beyond(
        self, source: SourceRef, ask: Callable[[Session, str, _Neighbourhood], Lineage]
    ) -> LineageNode | None:
        there, other = self._neighbour(source), self._other(source)
        if there is None or other is None:
            return None
        place = (other.project.root, there.environment, there.dataset)
        if place in self.way:
            return None
        around = _Neighbourhood(other, self.opened, self.known, (*self.way, place))
        try:
            (root,) = ask(other, there.dataset, around).roots
        except QanatError:
            return None  # it is told to those who work there
        return _seen_from(root, there, other.project.name, self._version(there))

    def _other(self, source: SourceRef) -> Session | None:
        """The project that a source is of, opened; None if it is of none, or cannot be opened."""
        there = self._neighbour(source)
        if there is None:
            return None
        with suppress(QanatError):
            folder = find_folder(self.session.project.root, there)
            other = self.known.get((folder, there.environment))
            if other is None:
                other = self.opened.enter_context(Session.open(folder, there.environment))
                self.known[folder, there.environment] = other
            return other
        return None

    def _version(self, there: Neighbour) -> int | None:
        try:
            return self.session.elsewhere(there).version
        except QanatError:
            return None


def _seen_from(
    root: LineageNode, there: Neighbour, project: str, version: int | None
) -> LineageNode:
    """A tree of another project by the names that it has from here."""
    made: dict[int, LineageNode] = {}
    stack = [(root, False)]
    while stack:
        # Without recursion: chains may be long.
        node, done = stack.pop()
        if id(node) in made:
            continue
        if not done:
            stack.append((node, True))
            stack.extend((each, False) for each in node.upstream)
            continue
        made[id(node)] = replace(
            node,
            name=_name(node, there),
            upstream=tuple(made[id(each)] for each in node.upstream),
            project=node.project or project,
        )
    return replace(made[id(root)], version=version)


def _name(node: LineageNode, there: Neighbour) -> str:
    """A node's name from here: with the folder of its project, behind the column if it is one."""
    column, where, name = "", "", node.name
    if node.kind.endswith(" column"):
        column, where, name = node.name.partition(" in ")
    environment = f"?environment={there.environment}" if there.environment else ""
    return f"{column}{where}{there.project}:{name}{environment}"
