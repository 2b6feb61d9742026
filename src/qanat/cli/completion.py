"""Names that the shell completes; click writes the scripts that ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qanat.errors import QanatError
from qanat.model.pipeline import QUARANTINE
from qanat.project import open_project

_BEFORE = "+"
"""May stand before a name that is selected: with all upstream."""


def dataset_names(context: click.Context, parameter: Any, incomplete: str) -> list[str]:
    """The datasets of the project that a command line is about; none where it cannot be read.

    Quarantines are among them once so much is typed that nothing else is meant.
    """
    names = _names(context)
    before = _BEFORE if incomplete.startswith(_BEFORE) else ""
    typed = incomplete[len(before) :]
    if "__" in typed:
        names += [f"{name}{QUARANTINE}" for name in names]
    return [f"{before}{name}" for name in names if name.startswith(typed)]


def _names(context: click.Context) -> list[str]:
    start = context.params.get("start") or Path()
    try:
        with open_project(start, context.params.get("environment")) as project:
            return [dataset.name for dataset in project.session.pipeline.datasets]
    except QanatError:
        return []
