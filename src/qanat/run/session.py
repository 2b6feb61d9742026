"""An opened project: what it declares, and the adapters that its settings name."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from qanat import plugins
from qanat.declare.files import find_spec
from qanat.errors import Problems, QanatError
from qanat.model.location import is_url
from qanat.model.name import Named, same
from qanat.model.owner import tag
from qanat.model.pipeline import Pipeline, ProjectSpec, SinkTarget
from qanat.model.query import SourceRef
from qanat.model.record import Pause
from qanat.model.side import state_name
from qanat.model.snapshots import Version
from qanat.model.table import TableRef
from qanat.planning.graph import Graph, resolve
from qanat.ports.engine import Engine
from qanat.ports.ledger import Ledger
from qanat.ports.sink import Sink
from qanat.ports.source import Neighbour, Readable, Source
from qanat.ports.store import LocalFolders, TableStore
from qanat.run import memo
from qanat.run.memo import Analysis
from qanat.run.neighbours import find_table
from qanat.run.readable import Readables, folder_name
from qanat.run.scratch import Scratch, make_folder, may_write

_TICK = 0.05  # seconds between two looks whether an update has ended


class Session:
    """A project with one environment's settings. Use it as a context manager.

    A session outlives updates: adapters are made when first asked for, and used by every update
    and every question after that. An update that finds nothing to do never loads the engine.
    """

    def __init__(
        self, project: ProjectSpec, analysis: Analysis, problems: tuple[QanatError, ...] = ()
    ) -> None:
        self.project = project
        self.analysis = analysis
        self.problems = problems
        """Everything that is wrong with the declarations, in the order of the files."""
        self.at_work = threading.RLock()
        """Held by an update: what it uses is closed only once it has ended."""
        self.readables = Readables(self)
        self._tables: dict[str, TableRef] = {}
        self._stores: dict[tuple[Path, str], TableStore] = {}
        self._sources: dict[str, Source] = {}
        self._sinks: dict[str, Sink] = {}
        self._paused: Named[Pause] | None = None
        self.recent: dict[str, Any] = {}
        """By dataset, its rows of the last minutes (`qanat.run.pausing.Recent`)."""
        self.windows: dict[str, Any] = {}
        """By dataset and flow, its checks over the last minutes (`qanat.run.windows`)."""
        self.clocks: dict[str, Any] = {}
        """By dataset, how its rules that depend on the clock stand (`qanat.run.clocked`)."""
        self.snapshots: dict[str, tuple[Any, Version] | None] = {}
        """By flow, what the function that gives its snapshots has just given."""

    @classmethod
    def open(cls, start: Path, environment: str | None = None) -> Session:
        """Find the spec at or above `start` and load what it declares.

        Raises:
            SpecNotFoundError: there is none.
            SpecError, ProblemsError: it is wrong. What the transformation files have wrong
                is not raised here: `problems` has it.
        """
        project = memo.project(find_spec(start), environment)
        analysis, problems = memo.analysis(project, dialect_of(project))
        return cls(project, analysis, problems)

    def declare(self, analysis: Analysis, problems: tuple[QanatError, ...]) -> None:
        """Go on with what the project's files declare now; connections and caches stay open."""
        self.analysis, self.problems = analysis, problems
        self._tables.clear()
        if "engine" in vars(self):
            self.engine.define(self.pipeline.functions)

    @property
    def pipeline(self) -> Pipeline:
        """What the project declares."""
        return self.analysis.pipeline

    @property
    def graph(self) -> Graph:
        """Which dataset reads which."""
        return self.analysis.graph

    def require(self) -> None:
        """Raise whatever is wrong with the declarations.

        Raises:
            QanatError: the one problem, or ProblemsError with all of them.
        """
        problems = Problems(self.problems)
        with problems.collecting():
            self.check_store()
        problems.require()

    def check_store(self) -> None:
        """Raise if the tables cannot be stored at all.

        Raises:
            MissingExtraError: a package for their format or their place is not installed.
        """
        plugins.table_format(self.project.table_format).check(self.project.storage)

    # -- adapters --------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The project's folder, which relative paths start from."""
        return self.project.root

    @property
    def dialect(self) -> str:
        """What the engine speaks; the engine is not made to know it."""
        return dialect_of(self.project)

    @cached_property
    def store(self) -> TableStore:
        """Where the tables live."""
        return self._store(self.project, self.project.table_format)

    def store_of(self, table_format: str | None) -> TableStore:
        """The store of a table format; None for the project's own."""
        return self._store(self.project, table_format) if table_format else self.store

    def _store(self, project: ProjectSpec, table_format: str) -> TableStore:
        place = project.private, table_format
        store = self._stores.get(place)
        if store is None:
            kind = plugins.table_format(table_format)
            kind.check(project.storage)
            own = project.table_format
            options = project.storage_options if table_format == own else {}
            checked = kind.options.check_all(options.items())
            folders = LocalFolders(lambda: self.scratch, self.project.private / "cache")
            store = plugins.imported(kind.store)(project.private, checked, self.scope, folders)
            self._stores[place] = store
        return store

    @property
    def paused(self) -> Named[Pause]:
        """The datasets that no update is to work on, as of the last look."""
        if self._paused is None:
            known = self.recorded.pauses().items()
            self._paused = Named((name, pause) for name, pause in known if pause.resumed is None)
        return self._paused

    def look_at_pauses(self) -> None:
        """Let no later answer about pauses be older than now."""
        self._paused = None

    def look_again(self, datasets: Iterable[str] = ()) -> Self:
        """Let no later answer of a store be older than now.

        Args:
            datasets: those that will be worked on next.
        """
        self.look_at_pauses()
        for store in self._stores.values():
            store.look_again()
        if names := list(datasets):
            known = [self.pipeline.dataset(n) for n in names]
            own = [d.name for d in known if d.stored] + [d.quarantine for d in known]
            flows = (f for d in known for f in self.analysis.flows_into(d.name))
            states = [state_name(f.dataset.name, f.flow.name) for f in flows if f.stateful]
            self.store.look_again([self.table(n) for n in (*own, *states)])
        return self

    @cached_property
    def engine(self) -> Engine:
        """The engine, made when it is first used."""
        project = self.project
        made = plugins.imported(plugins.engine(project.engine).engine)(
            scratch=self.scratch / "engine",
            memory_limit=project.memory_limit,
            threads=self.threads,
            notes=self._notes,
            folders=self.folders,
        )
        engine = cast("Engine", made)
        engine.define(self.pipeline.functions)
        return engine

    @property
    def folders(self) -> tuple[str, ...] | None:
        """The only folders whose files queries may read or write; None: any."""
        project: ProjectSpec | None = self.project
        if project is None or project.allowed_folders is None:
            return None
        found = [*project.allowed_folders, str(self.scratches), str(self.scratch)]
        while project is not None:
            found += [] if is_url(project.storage) else [project.storage]
            project = project.reads_from
        return tuple(found)

    @cached_property
    def _notes(self) -> memo.Notes:
        return memo.Notes(self.project)

    def interrupt(self) -> None:
        """Stop what the engine computes; the next question gets a new one."""
        # Two threads may ask for it at once.
        if (engine := vars(self).pop("engine", None)) is not None:
            engine.close()

    @property
    def threads(self) -> int:
        """Cores to use: as the spec says, or all that this process may use."""
        # macOS does not tell which those are.
        allowed = getattr(os, "sched_getaffinity", None)
        cores = len(allowed(0)) if allowed else os.cpu_count() or 1
        return self.project.threads or cores

    def source(self, ref: SourceRef) -> Source:
        """The adapter that reads a source."""
        source = self._sources.get(ref.connector)
        if source is None:
            target = plugins.connector(ref.connector).source
            source = plugins.imported(str(target))(self)
            self._sources[ref.connector] = source
        return source

    def sink(self, target: SinkTarget) -> Sink:
        """The adapter that writes to a sink."""
        sink = self._sinks.get(target.connector)
        if sink is None:
            kind = plugins.connector(target.connector).sink
            sink = plugins.imported(str(kind))(self)
            self._sinks[target.connector] = sink
        return sink

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, made if need be."""
        project = self.project
        if project.ledger is None:
            make_folder(project.private)
        return plugins.open_ledger(project.ledger, project.private, self.scope)

    @property
    def recorded(self) -> Ledger:
        """The ledger to read from: an empty one aside if the project has never run."""
        # Ask each time: an update may have made the ledger since.
        return self.ledger if self.has_ledger else self._empty

    @property
    def has_ledger(self) -> bool:
        """True if there is a ledger already."""
        if "ledger" in vars(self):
            return True
        project = self.project
        return project.ledger is not None or (project.private / "ledger.db").exists()

    @cached_property
    def _empty(self) -> Ledger:
        return plugins.open_ledger(None, self._aside, self.scope)

    @cached_property
    def _aside(self) -> Path:
        """A folder outside the project, whose storage this user may only be able to read."""
        return Path(tempfile.mkdtemp(prefix="qanat-"))

    @property
    def scope(self) -> str:
        """Which rows of the ledger are ours, and which tables: several projects may share both."""
        return f"{self.project.name}/{self.project.environment}"

    @property
    def scratch(self) -> Path:
        """A folder of this process's own, made when first asked for."""
        return self._scratch.folder

    @cached_property
    def _scratch(self) -> Scratch:
        return Scratch(self.scratches if may_write(self.scratches) else self._aside / "scratch")

    def begin_writing(self) -> None:
        """Work below the project's storage from now on, and make the folder for that.

        Raises:
            StorageFullError, AdapterError: it cannot be made.
        """
        make_folder(self.scratches)
        if "_scratch" in vars(self) and self.scratch.parent != self.scratches:
            self.interrupt()
            self._scratch.close()
            del self._scratch

    @property
    def scratches(self) -> Path:
        """Where all processes have their scratch space."""
        return self.project.private / "scratch"

    @property
    def gates(self) -> Path:
        """Where updates write log entries before they are made visible."""
        # Each closes all others that it finds here.
        return self.project.private / "commits" / tag(self.scope)

    def table(self, dataset: str) -> TableRef:
        """A dataset's table, or that of `<dataset>__quarantine`: of this environment, to write."""
        found = self._tables.get(dataset)
        if found is None:
            name, known = dataset, resolve(self.pipeline, dataset)
            if known is not None:
                name = known.name if same(known.name, dataset) else known.quarantine
            found = self._tables[dataset] = self.table_named(name)
        return found

    def table_named(self, name: str) -> TableRef:
        """The table of a dataset that is spelled exactly so, declared or not."""
        return TableRef(f"{self.project.tables}/{folder_name(name)}", name)

    def readable(self, dataset: str, environment: str | None = None) -> Readable:
        """The table that a read of a dataset gets its rows from: it may be another environment's.

        Raises:
            TableNotFoundError: this one does not read from that environment any more.
        """
        return self.readables.find(dataset, environment)

    def store_at(self, project: ProjectSpec) -> TableStore:
        """The store of another project, or of this one in another environment, to read from."""
        return self._store(project, project.table_format)

    def elsewhere(self, neighbour: Neighbour) -> Readable:
        """The table of a dataset of another project.

        Raises:
            TableNotFoundError: there is no project in that folder, or no such table.
        """
        return find_table(self, neighbour)

    def close(self) -> None:
        """Close what was opened; an update that another thread runs is stopped first."""
        made = vars(self)
        ended = False
        while not ended:
            # Again and again: the update may not have asked for its engine yet.
            if "engine" in made:
                self.engine.close()
            ended = self.at_work.acquire(timeout=_TICK)
        try:
            if "_notes" in made:
                self._notes.keep()
            if "_scratch" in made:
                self._scratch.close()
            if "ledger" in made:
                self.ledger.close()
            if "_empty" in made:
                self._empty.close()
            if "_aside" in made:
                shutil.rmtree(self._aside, ignore_errors=True)
        finally:
            self.at_work.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def dialect_of(project: ProjectSpec) -> str:
    """The SQL dialect of a project's engine, known without making one."""
    return plugins.engine(project.engine).dialect
