"""Flows ready to run, and what the files of a project meant the last time.

Parsing SQL is what a run without news spends most of its time on, its libraries' imports
included. An analysis depends on nothing but the files, the settings and this program, so it is
kept (in the user's cache folder) under a fingerprint of all of these; any change, and it is made
anew. What a Python file does may depend on anything, so it is run each time, and what it declares
is part of the fingerprint. Functions that take or return data frames are not kept.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import UserDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field, fields, is_dataclass
from datetime import date, time
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from pickle import Pickler, Unpickler, UnpicklingError
from tempfile import NamedTemporaryFile
from typing import Any

from qanat import plugins
from qanat.declare.files import project_files
from qanat.digest import digest
from qanat.errors import QanatError
from qanat.frozen import Frozen
from qanat.model.changes import Changes
from qanat.model.expectation import Expectation
from qanat.model.pipeline import Dataset, Flow, Pipeline, ProjectSpec
from qanat.model.query import Computation, Query, Read
from qanat.model.schema import Schema
from qanat.model.stateful import Stateful
from qanat.model.table import Snapshot
from qanat.model.upkeep import Layout
from qanat.planning.graph import Graph
from qanat.secret import remember


class CompiledView(Frozen):
    """A temporary view that a flow reads."""

    dataset: Dataset
    query: Query
    expectations: tuple[Expectation, ...]


class CompiledFlow(Frozen):
    """A flow ready to run.

    Args:
        views: the temporary views it reads, also through one another, in order.
        reads: what it reads outside itself: its own inputs and those of its views.
        view_reads: by `Read.name`, the temporary view it stands for.
        readmits: whether its rows come out of the target's quarantine, and leave it if they pass.
        again: flows into the same target; rows that they could not compute are computed again.
        quarantined: rows that go into the target's quarantine as they are.
        known: by key, the columns of sources that its epochs do not read themselves.
        changes: how its rows change the target, with expressions in the engine's dialect; None:
            they are added to it. Then `expectations` has the rules that every change must keep.
        adopts: the table of another environment, whose rows are taken over as changes have made
            them there.
        layouts: by table, the files that are written again; then it brings no rows.
        stateful: the operator of its query that keeps rows from epoch to epoch; None: each epoch
            is computed by itself.
    """

    flow: Flow
    dataset: Dataset
    query: Computation
    expectations: tuple[Expectation, ...]
    views: tuple[CompiledView, ...]
    reads: tuple[Read, ...]
    view_reads: tuple[tuple[str, str], ...]
    readmits: bool = False
    again: tuple[CompiledFlow, ...] = ()
    quarantined: Read | None = None
    known: Mapping[str, Schema] = field(default_factory=dict)
    changes: Changes | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    stateful: Stateful | None = None
    adopts: Snapshot | None = None

    @property
    def brings_rows(self) -> bool:
        """True unless its rows come from the target's quarantine, or only move to other files."""
        return not (self.readmits or self.layouts)

    @property
    def references(self) -> tuple[str, ...]:
        """The datasets that its rules refer to, and those of flows that compute again."""
        rules = [*self.expectations, *(e for v in self.views for e in v.expectations)]
        names = (name for e in rules for name in e.rule.datasets)
        others = (name for flow in self.again for name in flow.references)
        return tuple(dict.fromkeys((*names, *others)))


class Analysis(Frozen):
    """All that can be known of a project from its files alone.

    Args:
        flows: by flow name.
        rules: by dataset name, its expectations in the engine's dialect.
        definitions: by dataset name, its fingerprint and canonical text.
        volatile: names of flows whose queries (or whose views') depend on time or chance.
        clocked: by dataset name, those of its rules about the table that depend on the time.
    """

    pipeline: Pipeline
    graph: Graph
    flows: Mapping[str, CompiledFlow]
    rules: Mapping[str, tuple[Expectation, ...]]
    definitions: Mapping[str, tuple[str, str]]
    volatile: tuple[str, ...]
    clocked: Mapping[str, tuple[Expectation, ...]]

    def flows_into(self, dataset: str) -> list[CompiledFlow]:
        """The compiled flows that feed a dataset, as declared."""
        return [self.flows[f.name] for f in self.pipeline.flows_into(dataset)]


_FILES = ("frozen.py", "plugins.py", "text.py")
_ROOMS = (
    "connectors",
    "declare",
    "dialect",
    "engines",
    "errors",
    "model",
    "observe",
    "planning",
    "run",
    "storage",
)
_OURS = (
    "qanat.connectors.",
    "qanat.errors.root.",
    "qanat.model.",
    "qanat.planning.graph.",
    "qanat.run.memo.",
)
_DIGEST = 16
_NOTES = 10_000
"""How many of an engine's notes are kept, the newest ones."""
_VARIABLE = re.compile(r"\$\{(\w+)")


def project(spec: Path, environment: str | None) -> ProjectSpec:
    """The project of a spec, from what is kept or read anew.

    Raises:
        SpecError, ProblemsError: it is wrong.
    """
    text = spec.read_bytes()
    named = set(_VARIABLE.findall(text.decode(errors="replace")))
    for name in named & os.environ.keys():
        remember(name, os.environ[name])
    if b"~" in text:
        named.add("HOME")
    if b"\\" in text:
        named.update(os.environ)  # a `$` may be written as an escape
    used = {k: v for k, v in os.environ.items() if k in named or k.startswith("QANAT__")}
    key = digest(str(spec), text, environment or "", json.dumps(used, sort_keys=True), _program())
    remembered = _recall(key)
    if isinstance(remembered, ProjectSpec) and remembered.spec == spec:
        return remembered
    # Imported only here: with it comes the parser of YAML.
    load_project = import_module("qanat.declare.spec").load_project
    kinds = plugins.engine, plugins.table_format, plugins.observer_kind
    made: ProjectSpec = load_project(spec, *kinds, environment)
    # Keep it only if the file did not change while it was read.
    if spec.read_bytes() == text:
        _keep(key, made, f"{spec}|{environment or ''}|project")
    return made


def analysis(project: ProjectSpec, dialect: str) -> tuple[Analysis, tuple[QanatError, ...]]:
    """The analysis of a project, from what is kept or made anew, and all its problems."""
    contents = _contents(project)
    files = _fingerprint(project, dialect, contents)
    ran = _run_files(project, contents)
    facts = [captured.facts for captured in ran.values()]
    key = None if files is None or None in facts else digest(files, *map(str, facts))
    remembered = _recall(key) if key else None
    if isinstance(remembered, Analysis):
        return remembered, ()
    # Imported only here: with it come the parsers.
    made = import_module("qanat.run.analysis").analyse(project, dialect, ran)
    # Keep it only if no file changed while it was read.
    if key and not made.problems and _fingerprint(project, dialect, _contents(project)) == files:
        _keep(key, made.analysis, f"{project.spec}|{project.environment}|analysis")
    return made.analysis, made.problems


class Notes(UserDict[str, object]):
    """What a project's engine has noted, in this process and in earlier ones."""

    def __init__(self, project: ProjectSpec) -> None:
        self._owner = f"{project.spec}|{project.environment}|{project.engine}|notes"
        self._key = digest(self._owner, _program())
        known = _recall(self._key)
        super().__init__(known if isinstance(known, dict) else {})
        self._kept = len(self.data)

    def keep(self) -> None:
        """Keep them for later processes, if there are new ones."""
        if len(self.data) != self._kept:
            newest = dict(list(self.data.items())[-_NOTES:])
            _keep(self._key, newest, self._owner)
            self._kept = len(self.data)


def _contents(project: ProjectSpec) -> dict[Path, bytes | None]:
    """What the project's files contain, in their order; None for one that cannot be read."""
    contents: dict[Path, bytes | None] = {}
    for path in project_files(project):
        contents[path] = None
        with suppress(OSError):
            contents[path] = path.read_bytes()
    return contents


def _fingerprint(
    project: ProjectSpec, dialect: str, contents: Mapping[Path, bytes | None]
) -> str | None:
    """Names all files and settings that an analysis depends on; None if one cannot be read."""
    parts: list[str | bytes] = [dialect, _program(), repr(project)]
    for path, content in contents.items():
        if content is None:
            return None
        parts += [str(path), content]
    return digest(*parts)


def _run_files(project: ProjectSpec, contents: Mapping[Path, bytes | None]) -> dict[Path, Any]:
    """What the project's Python files declare, run now; those that cannot be read are left out."""
    ran = {}
    for path, content in contents.items():
        if path.suffix == ".py" and content is not None:
            with suppress(UnicodeDecodeError):
                text = content.decode("utf-8-sig")
                # Imported only here: most projects have SQL alone.
                run_python = import_module("qanat.declare.captured").run_python
                ran[path] = run_python(path, text, project.root)
    return ran


def _recall(key: str) -> object:
    try:
        with _file(key).open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None  # a file of another user could make this process run anything
            content = file.read()
        wanted, data = content[:_DIGEST], content[_DIGEST:]
        return decode(data) if wanted == _digest(data) else None
    except (
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        OSError,
        TypeError,
        UnpicklingError,
        ValueError,
    ):
        # An unreadable entry counts as a miss.
        return None


def _keep(key: str, value: object, owner: str) -> None:
    """Keep a value in place of the owner's last one: what has changed will not come back."""
    folder = _folder()
    pointer = folder / f"{digest(owner)}.last"
    with suppress(OSError, ValueError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = encode(value)
        with NamedTemporaryFile("wb", dir=folder, delete=False) as file:
            file.write(_digest(data) + data)
        Path(file.name).replace(_file(key))
        before = pointer.read_text(encoding="utf-8", errors="replace") if pointer.exists() else key
        if before != key and re.fullmatch(r"[0-9a-f]{32}", before):
            _file(before).unlink(missing_ok=True)
        pointer.write_text(key, encoding="utf-8")


def _file(key: str) -> Path:
    return _folder() / f"{key}.memo"


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST).digest()


def encode(value: object) -> bytes:
    """A model value as bytes: a pickle of nothing but calls of its classes."""
    file = BytesIO()
    _Encoder(file, protocol=5).dump(value)
    return file.getvalue()


def decode(data: bytes) -> object:
    """What `encode` was given.

    Raises:
        ValueError: it names a class that is none of a model's.
    """
    return _Decoder(BytesIO(data)).load()


_PLAIN: Mapping[tuple[str, str], type] = {
    ("pathlib", "Path"): Path,
    ("datetime", "date"): date,
    ("datetime", "time"): time,
}


class _Encoder(Pickler):
    def reducer_override(self, value: Any) -> Any:
        """How to make a value again: pickle's own way with dataclasses is three times slower."""
        kind: Any = type(value)
        if issubclass(kind, Path):
            return Path, (str(value),)
        names = _fields(kind)
        return NotImplemented if names is None else (kind, tuple(getattr(value, n) for n in names))


class _Decoder(Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A class of the model, of paths, or of moments."""
        if (known := _PLAIN.get((module, name))) is not None:
            return known
        # Only what this program itself writes: a file must not choose what is imported.
        named = getattr(import_module(module), name) if f"{module}.".startswith(_OURS) else None
        if not isinstance(named, type) or named.__module__ != module:
            raise ValueError(f"{module}.{name} has no place in a memo")
        return named


@cache
def _fields(kind: Any) -> tuple[str, ...] | None:
    return tuple(f.name for f in fields(kind) if f.init) if is_dataclass(kind) else None


@cache
def _program() -> str:
    """This program and its parser, as they were installed when the process asked first."""
    root = Path(__file__).parents[1]
    stamps = [
        f"{name}:{Path(folder, name).stat().st_mtime_ns}"
        for room in _ROOMS
        for folder, _, names in os.walk(root / room)
        for name in names
        if name.endswith(".py")
    ]
    stamps += [f"{name}:{(root / name).stat().st_mtime_ns}" for name in _FILES]
    parser = find_spec("sqlglot")
    origin = parser.origin if parser else None
    stamps.append(f"{origin}:{Path(origin).stat().st_mtime_ns}" if origin else "")
    return " ".join([sys.version, *sorted(stamps), *_installed()])


def _installed() -> list[str]:
    """All packages that are installed, each with its version.

    Any of them may have connectors, engines and table formats, on which an analysis depends.
    Which ones do would take longer to find out than the analysis: the names of the folders that
    installers make (`name-1.2.dist-info`) are enough.
    """
    installed = []
    for folder in sys.path:
        with suppress(OSError):
            names = (e.name for e in os.scandir(folder or "."))
            installed += [n for n in names if n.endswith((".dist-info", ".egg-info"))]
    return sorted(installed)


def _folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "qanat"
