"""Opens a project, or finds out what is wrong with one that cannot be opened."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from qanat.errors import QanatError
from qanat.project.opened import Project
from qanat.run.results import Finding


def open_project(path: str | Path = ".", environment: str | None = None) -> Project:
    """Open the project at a folder, or at the nearest one above it.

    Use it as a context manager, or call `close`. It may be used for many updates; files of the
    project that have changed meanwhile are read again.

    Args:
        environment: of the spec; default: `dev`, the base settings.

    Raises:
        SpecNotFoundError: there is no spec.
        SpecError: it is wrong.

    Example:

        import qanat

        with qanat.open("shop") as project:
            project.run()
            frame = project.table("revenue_by_city").polars()
    """
    return Project(Path(path), environment)


def doctor(path: str | Path = ".", environment: str | None = None) -> tuple[Finding, ...]:
    """What is here and what is wrong with it: installation, spec, storage, ledger, tables.

    A project that is not there, or cannot be opened, is a finding and no error.
    """
    examine, start = import_module("qanat.run.doctor").examine, Path(path)
    try:
        with open_project(start, environment) as project:
            return tuple(examine(project.session, start))
    except QanatError as error:
        return tuple(examine(None, start, error))
