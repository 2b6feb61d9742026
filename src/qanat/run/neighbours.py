"""Other projects whose tables are read: found by their folders, never written to."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Protocol

from qanat.declare.files import find_spec
from qanat.errors import (
    ProblemsError,
    SpecError,
    SpecNotFoundError,
    TableNotFoundError,
    nearest,
)
from qanat.model.name import same
from qanat.model.pipeline import QUARANTINE, ProjectSpec
from qanat.model.table import TableRef
from qanat.ports.source import Neighbour, Readable
from qanat.ports.store import TableStore
from qanat.run import memo
from qanat.run.readable import folder_name
from qanat.text import count, listed

_FEW = 10
"""A message lists the known tables up to this many."""


class Reading(Protocol):
    """What has to be known of the project that reads: `Session` has it."""

    project: ProjectSpec

    def store_at(self, project: ProjectSpec) -> TableStore:
        """Where the tables of another project live."""
        ...


def find_folder(root: Path, neighbour: Neighbour) -> Path:
    """The folder of another project.

    Raises:
        TableNotFoundError: there is none.
    """
    folder = (root / neighbour.project).resolve()
    try:
        spec = find_spec(folder)
    except SpecNotFoundError:
        spec = None
    # A spec further up is another project's, perhaps this one's own.
    if spec is None or spec.parent != folder:
        raise TableNotFoundError(
            f"there is no Qanat project in {folder}",
            wanted="the folder of a project, relative to this one's",
        )
    return folder


def _opened(folder: Path, neighbour: Neighbour) -> ProjectSpec:
    """What the other project's spec says.

    Raises:
        SpecError: it is wrong, or has no such environment.
    """
    try:
        return memo.project(find_spec(folder), neighbour.environment)
    except ProblemsError as error:
        first, *others = error.problems
        place = f"{first.location}: " if first.location else ""
        raise SpecError(
            f"the project in {neighbour.project} cannot be read: {place}{first.message}",
            wanted=first.wanted,
            got=first.got,
            nearest=first.nearest,
            hint=f"mend that project: it has {count(len(others), 'more problem')}"
            if others
            else first.hint,
        ) from error


def find_table(session: Reading, neighbour: Neighbour) -> Readable:
    """The table of a dataset of another project, as a query there would read it.

    Raises:
        TableNotFoundError: there is no project in that folder, or no such table.
    """
    folder = find_folder(session.project.root, neighbour)
    other = _opened(folder, neighbour)
    at: ProjectSpec | None = other
    known: dict[str, None] = {}
    while at is not None:
        store = session.store_at(at)
        # As it is spelled first: to look at all tables takes longer.
        table = _named(at, neighbour.dataset)
        if store.version(table) is not None:
            return Readable(store, table, foreign=True)
        for each in store.tables(at.tables):
            if store.version(each) is None:
                continue
            if same(each.name, neighbour.dataset):
                return Readable(store, each, foreign=True)
            known[each.name] = None
        at = at.reads_from
    names = [n for n in known if not n.endswith(QUARANTINE)]
    raise TableNotFoundError(
        f"environment {other.environment} of the project in {neighbour.project} has no table"
        f" {neighbour.dataset}",
        wanted=listed(names) if 0 < len(names) <= _FEW else None,
        nearest=nearest(neighbour.dataset, list(known)),
        hint="if it was renamed there, let the name here follow; `qanat plan` says how to go on"
        if known
        else f"run it there first: qanat run -C {shlex.quote(neighbour.project)}"
        + (f" -e {shlex.quote(neighbour.environment)}" if neighbour.environment else ""),
    )


def _named(project: ProjectSpec, name: str) -> TableRef:
    return TableRef(f"{project.tables}/{folder_name(name)}", name)
