"""Which table a read gets its rows from, where an environment reads from another (`from: prod`).

A dataset that an environment has run, or is about to run, is its own from then on, with its
quarantine. All others are read where they are: in the table of the first environment on the way
`from` … `from` that has one. Only `Session.table` is ever written to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

from qanat.errors import TableNotFoundError
from qanat.frozen import Frozen
from qanat.model.name import Name, Names, fold
from qanat.model.pipeline import Pipeline, ProjectSpec
from qanat.model.table import TableRef
from qanat.planning.graph import writers
from qanat.ports.ledger import Ledger
from qanat.ports.source import Readable
from qanat.ports.store import TableStore
from qanat.run.settling import carried_beside

_SAFE = frozenset(" !#$&'()+,-.;=@[]^_`{}~")


def folder_name(dataset: str) -> str:
    """A dataset's name as the name of a folder: letters as they are, the rest escaped.

    >>> folder_name("sales/2024: größe")
    'sales%2F2024%3A größe'
    >>> folder_name("2020–2024")
    '2020%E2%80%932024'
    """
    if dataset.replace("_", "").isalnum():
        return dataset  # most names need no escape
    escaped = "".join(c if c.isalnum() or c in _SAFE else quote(c, safe="") for c in dataset)
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


class Opened(Protocol):
    """What has to be known of an opened project: `Session` has it."""

    project: ProjectSpec

    @property
    def pipeline(self) -> Pipeline:
        """What it declares."""
        ...

    @property
    def store(self) -> TableStore:
        """Where its own tables live."""
        ...

    @property
    def has_ledger(self) -> bool:
        """True if it has ever run."""
        ...

    @property
    def recorded(self) -> Ledger:
        """The ledger to read from."""
        ...

    def table(self, dataset: str) -> TableRef:
        """The table that it writes to."""
        ...

    def store_at(self, project: ProjectSpec) -> TableStore:
        """Where the tables of another project live."""
        ...


class _Block(Frozen):
    """Which datasets are the environment's own for a while, and what was chosen by that."""

    own: Names
    found: dict[Name, Readable]


class Readables:
    """The tables that the reads of a session get their rows from."""

    def __init__(self, session: Opened) -> None:
        self._session = session
        self._block: _Block | None = None
        self._lent: tuple[ProjectSpec, ...] = ()

    @contextmanager
    def lent(self, project: ProjectSpec) -> Iterator[None]:
        """For as long as the block lasts, tables of an environment can be read by its name."""
        self._lent = (project,)
        try:
            yield
        finally:
            self._lent = ()

    @contextmanager
    def running(self, datasets: Collection[str] = ()) -> Iterator[None]:
        """For as long as the block lasts, datasets are the environment's own.

        An update makes or has made their tables by the time that they are read; and what it reads
        is chosen once, whatever other updates do meanwhile.
        """
        self._block = _Block(Names((*self._ran(), *datasets)), {})
        try:
            yield
        finally:
            self._block = None

    def find(self, dataset: str, environment: str | None = None) -> Readable:
        """See `qanat.ports.source.Surroundings.readable`."""
        session, table = self._session, self._session.table(dataset)
        if environment:
            return self._in(environment, table)
        if environment is not None or session.project.reads_from is None:
            return self._of_own(table)
        block = self._block
        if block is None:
            return self._chosen(table, self._ran())
        known = block.found.get(fold(dataset))
        if known is None:
            known = block.found[fold(dataset)] = self._chosen(table, block.own)
        return known

    def behind(self, dataset: str) -> Readable | None:
        """The table that is read where this environment has none of its own; None if none is."""
        found = self._elsewhere(self._session.table(dataset))
        return None if found.looked else found

    def _in(self, environment: str, table: TableRef) -> Readable:
        for project in (*self._lent, *self._origins()):
            if project.environment == environment:
                return self._of(project, table)
        raise TableNotFoundError(
            f"{table.name} was read from {environment}, and environment"
            f" {self._session.project.environment} does not read from there any more",
            hint=f"put `from: {environment}` back into the spec",
        )

    def _chosen(self, table: TableRef, ran: Names) -> Readable:
        session = self._session
        if any(
            n in ran or session.store.version(session.table(n)) is not None
            for n in self._together(table)
        ):
            return self._of_own(table)
        return self._elsewhere(table)

    def _together(self, table: TableRef) -> set[str]:
        """A table, and the datasets that fill it: they are all of one environment."""
        return {*writers(self._session.pipeline, table.name), table.name}

    def _elsewhere(self, table: TableRef) -> Readable:
        session = self._session
        looked = [session.project.environment]
        for project in self._origins():
            tables = {n: self._of(project, session.table(n)) for n in self._together(table)}
            # A table without a quarantine has none: that of yet another environment is not its.
            if any(t.version is not None for t in tables.values()):
                return tables[table.name]
            looked.append(project.environment)
        return Readable(session.store, table, looked=tuple(looked))

    def _ran(self) -> Names:
        """The datasets that the environment has run, as its ledger knows."""
        session = self._session
        if session.project.reads_from is None or not session.has_ledger:
            return Names()
        return Names(d.dataset for d in session.recorded.definitions().values())

    def _origins(self) -> Iterator[ProjectSpec]:
        project = self._session.project.reads_from
        while project is not None:
            yield project
            project = project.reads_from

    def _of_own(self, table: TableRef) -> Readable:
        session = self._session
        carried = carried_beside(session, session.store, table, session.table, own=True)
        return Readable(session.store, table, carried=carried)

    def _of(self, project: ProjectSpec, table: TableRef) -> Readable:
        def there(name: str) -> TableRef:
            named = self._session.table(name).name
            return TableRef(f"{project.tables}/{folder_name(named)}", named)

        store = self._session.store_at(project)
        carried = carried_beside(self._session, store, table, there, own=False)
        return Readable(store, there(table.name), project.environment, carried=carried)
