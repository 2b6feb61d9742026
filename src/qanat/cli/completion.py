"""Names that the shell completes; click writes the scripts that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from qanat.errors import QanatError
from qanat.model.pipeline import QUARANTINE
from qanat.project import Project, open_project
from qanat.project.upkeep import run_module

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


def rule_names(context: click.Context, parameter: Any, incomplete: str) -> list[str]:
    """The expectations of the dataset that a command line names; of all if it names none yet."""
    # click takes no arguments from a line that ends in an option without its value.
    wanted = context.params.get("dataset") or next(iter(context.args), None)
    with _project(context) as project:
        found = project.session.pipeline.datasets if project else ()
        rules = [e.name for d in found if wanted in (None, d.name) for e in d.expectations]
        return [name for name in dict.fromkeys(rules) if name.startswith(incomplete)]


def file_names(context: click.Context, parameter: Any, incomplete: str) -> list[str]:
    """The files that flows of the project have read."""
    with _project(context) as project:
        found = run_module("asked").read_files(project.session) if project else []
        return [name for name in found if name.startswith(incomplete)]


def environment_names(context: click.Context, parameter: Any, incomplete: str) -> list[str]:
    """The environments of the spec."""
    with _project(context, None) as project:
        names = project.session.project.environments if project else ()
        return [name for name in names if name.startswith(incomplete)]


def command_names(context: click.Context, parameter: Any, incomplete: str) -> list[str]:
    """The commands of the program, and behind a group's name those of the group."""
    found: click.Command | None = context.find_root().command
    for name in context.params.get("names") or ():
        found = found.get_command(context, name) if isinstance(found, click.Group) else None
    known = found.list_commands(context) if isinstance(found, click.Group) else []
    return [name for name in known if name.startswith(incomplete)]


def _names(context: click.Context) -> list[str]:
    with _project(context) as project:
        return [d.name for d in project.session.pipeline.datasets] if project else []


@contextmanager
def _project(context: click.Context, environment: str | None = "") -> Iterator[Project | None]:
    """The project that a command line is about; None where it cannot be read.

    Args:
        environment: whose settings count; default: the command line's.
    """
    start = context.params.get("start") or Path()
    chosen = context.params.get("environment") if environment == "" else environment
    try:
        opened = open_project(start, chosen)
    except QanatError:
        yield None
        return
    with opened:
        yield opened
