"""An opened project: what it declares, and the adapters that its settings name."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from qanat import declare
from qanat.errors import ProblemsError, QanatError
from qanat.ledgers import open_ledger
from qanat.model.pipeline import Pipeline
from qanat.model.project import Project
from qanat.planning.graph import Graph
from qanat.plugins import load
from qanat.ports.engine import Engine
from qanat.ports.ledger import Ledger
from qanat.ports.sink import Sink
from qanat.ports.source import Source
from qanat.ports.store import TableStore
from qanat.run import memo
from qanat.run.compiled import Analysis
from qanat.run.scratch import Scratch, make_folder

_SAFE = frozenset(" !#$&'()+,-.;=@[]^_`{}~")


class Workspace:
    """A project with one environment's settings. Use it as a context manager.

    Adapters are made when first asked for: an update that finds nothing to do never loads
    the engine.
    """

    def __init__(
        self, project: Project, analysis: Analysis, problems: tuple[QanatError, ...] = ()
    ) -> None:
        self.project = project
        self.analysis = analysis
        self.problems = problems
        """Everything that is wrong with the declarations, in the order of the files."""
        self._temporary: Path | None = None

    @classmethod
    def open(cls, start: Path, environment: str | None = None) -> Workspace:
        """Find the spec at or above `start` and load what it declares.

        Raises:
            SpecNotFoundError: there is none.
            SpecError, ProblemsError: it is wrong. What the transformation files have wrong
                is not raised here: `problems` has it.
        """
        project = memo.project(declare.find_spec(start), environment)
        analysis, problems = memo.analysis(project, dialect_of(project))
        return cls(project, analysis, problems)

    @property
    def pipeline(self) -> Pipeline:
        """What the project declares."""
        return self.analysis.pipeline

    @property
    def graph(self) -> Graph:
        """What reads what."""
        return self.analysis.graph

    def require(self) -> None:
        """Raise whatever is wrong with the declarations.

        Raises:
            QanatError: the one problem, or ProblemsError with all of them.
        """
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            raise ProblemsError(self.problems)

    # -- adapters --------------------------------------------------------------------------

    @property
    def dialect(self) -> str:
        """What the engine speaks; the engine is not made to know it."""
        return dialect_of(self.project)

    @cached_property
    def store(self) -> TableStore:
        """Where the tables live."""
        return cast("TableStore", load("storage", self.project.table_format)())

    @cached_property
    def engine(self) -> Engine:
        """What computes."""
        project = self.project
        made = load("engines", project.engine)(
            scratch=self.scratch / "engine",
            memory_limit=project.memory_limit,
            threads=self.threads,
        )
        return cast("Engine", made)

    @property
    def threads(self) -> int:
        """Cores to use: as the spec says, or all that this process may use."""
        # macOS does not tell which those are.
        allowed = getattr(os, "sched_getaffinity", None)
        cores = len(allowed(0)) if allowed else os.cpu_count() or 1
        return self.project.threads or cores

    @cached_property
    def files(self) -> Source:
        """What finds files."""
        return cast("Source", load("sources", "files")(self.project.root))

    @cached_property
    def sink(self) -> Sink:
        """What writes files outside the project's own tables."""
        return cast("Sink", load("sinks", "files")(self.project.root))

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, made if need be."""
        project = self.project
        if project.ledger is None:
            make_folder(project.private)
        return open_ledger(project.ledger, project.private, self.scope)

    @property
    def memory(self) -> Ledger:
        """The ledger to read from: an empty one aside if the project has never run."""
        # Asked each time: what was read aside before an update must not hide what it writes.
        return self.ledger if self.remembers else self._empty

    @property
    def remembers(self) -> bool:
        """Whether there is a ledger already."""
        project = self.project
        there = project.ledger is not None or (project.private / "ledger.db").exists()
        return there or "ledger" in vars(self)

    @cached_property
    def _empty(self) -> Ledger:
        self._temporary = Path(tempfile.mkdtemp(prefix="qanat-"))
        return open_ledger(None, self._temporary, self.scope)

    @property
    def scope(self) -> str:
        """Whose rows the ledger's are: several projects may share a database."""
        return f"{self.project.name}/{self.project.environment}"

    @property
    def scratch(self) -> Path:
        """A folder of this process's own, made when first asked for."""
        return self._scratch.folder

    @cached_property
    def _scratch(self) -> Scratch:
        return Scratch(self.scratches)

    @property
    def scratches(self) -> Path:
        """Where all processes have their scratch space."""
        return self.project.private / "scratch"

    @property
    def gates(self) -> Path:
        """Where updates write log entries before they are made visible."""
        return self.project.private / "commits"

    @property
    def replays(self) -> Path:
        """Where replays write down which rows they move."""
        return self.project.private / "replay"

    # -- places ----------------------------------------------------------------------------

    def folder(self, dataset: str) -> Path:
        """The folder of a dataset's table (or of `<dataset>__quarantine`)."""
        declared = self.pipeline.get(dataset)
        return self.project.tables / folder_name(declared.name if declared else dataset)

    def close(self) -> None:
        """Close what was opened."""
        made = vars(self)
        if "engine" in made:
            self.engine.close()
        if "_scratch" in made:
            self._scratch.close()
        if "ledger" in made:
            self.ledger.close()
        if "_empty" in made:
            self._empty.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def dialect_of(project: Project) -> str:
    """The SQL dialect of a project's engine, known without making one."""
    # DuckDB's package need not be imported to know what it speaks.
    known = {"duckdb": "duckdb"}
    found = known.get(project.engine)
    return found if found is not None else str(load("engines", project.engine).dialect)


def folder_name(dataset: str) -> str:
    """A dataset's name as the name of a folder: letters as they are, the rest escaped.

    >>> folder_name("sales/2024: größe")
    'sales%2F2024%3A größe'
    """
    escaped = "".join(c if c.isalnum() or c in _SAFE else f"%{ord(c):02X}" for c in dataset)
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped
