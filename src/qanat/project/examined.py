"""A look at an installation and a project, also where that cannot be opened."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from qanat.errors import QanatError, SpecNotFoundError
from qanat.project.opened import open_project
from qanat.run.results import Finding


def doctor(path: str | Path = ".", environment: str | None = None) -> tuple[Finding, ...]:
    """What is here and what is wrong with it: installation, spec, storage, ledger, tables.

    A project that is not there, or cannot be opened, is a finding and no error.
    """
    examine, start = import_module("qanat.run.doctor").examine, Path(path)
    try:
        with open_project(start, environment) as project:
            return tuple(examine(project.session, start))
    except SpecNotFoundError:
        return tuple(examine(None, start))
    except QanatError as error:
        broken = Finding("error", "project", str(error), error.hint or "")
        return (*examine(None, start), broken)
