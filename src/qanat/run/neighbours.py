"""Other projects whose tables are read: found by their folders, never written to."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from qanat.declare.files import find_spec
from qanat.errors import (
    ProblemsError,
    QanatError,
    SpecError,
    SpecNotFoundError,
    TableNotFoundError,
    nearest,
)
from qanat.model.name import same
from qanat.model.pipeline import ProjectSpec
from qanat.model.side import dataset_of, is_side
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


def find_table(
    session: Reading,
    neighbour: Neighbour,
    written: Callable[[str], str] = "environment => '{}'".format,
) -> Readable:
    """The table of a dataset of another project, as a query there would read it.

    Args:
        written: how another environment would be named where this one was, for a hint.

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
            return _readable(store, at, table)
        for each in store.tables(at.tables):
            if store.version(each) is None:
                continue
            if same(each.name, neighbour.dataset):
                return _readable(store, at, each)
            known[each.name] = None
        at = at.reads_from
    names = [n for n in known if not is_side(n)]
    holder = next(_holders(session, folder, other, neighbour.dataset), None)
    there = _typed(folder, neighbour.environment)
    if holder is not None:
        hint = f"environment {holder} there has it: {written(holder)}"
    elif known:
        hint = (
            f"if it was renamed there, change the name here, and then `qanat plan` says how the"
            f" position follows; if it has not run there yet: qanat run{there}"
        )
    else:
        hint = f"run it there first: qanat run{there}"
    place = "" if neighbour.project == "." else f" of the project in {neighbour.project}"
    raise TableNotFoundError(
        f"environment {other.environment}{place} has no table {neighbour.dataset}",
        wanted=listed(names) if 0 < len(names) <= _FEW else None,
        nearest=nearest(neighbour.dataset, list(known)),
        hint=hint,
    )


def _typed(folder: Path, environment: str | None) -> str:
    """The options that name a project and environment, for a command to type from here."""
    where = shlex.join(("-C", os.path.relpath(folder)))
    return f" {where}" + (f" -e {shlex.quote(environment)}" if environment else "")


def _holders(session: Reading, folder: Path, project: ProjectSpec, dataset: str) -> Iterator[str]:
    """The other environments of a project that have a table themselves."""
    for name in project.environments:
        if name == project.environment:
            continue
        with suppress(QanatError):  # what is wrong with others is no matter here
            at = memo.project(find_spec(folder), name)
            store = session.store_at(at)
            named = (t for t in store.tables(at.tables) if same(t.name, dataset))
            if any(store.version(t) is not None for t in named):
                yield name


def _readable(store: TableStore, project: ProjectSpec, table: TableRef) -> Readable:
    dataset = _named(project, dataset_of(table.name))
    if dataset.name == table.name or store.version(dataset) is None:
        # A quarantine without a table beside it is a view's or a sink's, most likely. Which tables
        # the rows of its flows go to, only their project knows.
        return Readable(store, table, foreign=True)
    return Readable(store, table, foreign=True, carried=partial(store.transaction, dataset))


def _named(project: ProjectSpec, name: str) -> TableRef:
    return TableRef(f"{project.tables}/{folder_name(name)}", name)
