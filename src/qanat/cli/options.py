"""The options that commands share, and what they become."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from qanat.cli.completion import dataset_names, environment_names, file_names
from qanat.errors import CommandLineError
from qanat.frozen import Frozen
from qanat.project import Project, open_project

EVERYTHING = "*"
"""What a bare `--full-refresh` means."""

Function = Callable[..., Any]

LEVELS = ("debug", "info", "warning", "error")


class ProjectRef(Frozen):
    """Which project and environment a command is about.

    Args:
        start: folder in which the search for the spec begins, upwards.
        environment: name of the environment, or None for the project's default.
    """

    start: Path
    environment: str | None

    def open(self) -> Project:
        """The project, to be used as a context manager."""
        return open_project(self.start, self.environment)

    @property
    def options(self) -> str:
        """The same as options of a command that is to be typed next."""
        where = "" if self.start == Path() else f" -C {shlex.quote(str(self.start))}"
        return where + (f" -e {shlex.quote(self.environment)}" if self.environment else "")


class Logs(Frozen):
    """Structured logs on standard error; none unless a format or level was asked for."""

    format: str | None
    level: str | None

    @property
    def wanted(self) -> bool:
        """True if the user asked for them."""
        return self.format is not None or self.level is not None


def project_ref(command: Function) -> Function:
    """Add `--project` and `--env`; the command gets `ref`, a `ProjectRef`."""

    @click.option(
        "-C",
        "--project",
        "start",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=".",
        metavar="DIR",
        help="Folder of the project, or one below it.  [default: here]",
    )
    @click.option(
        "-e",
        "--env",
        "environment",
        metavar="NAME",
        shell_complete=environment_names,
        help="Environment of the spec.",
    )
    @wraps(command)
    def with_place(*args: Any, start: Path, environment: str | None, **rest: Any) -> Any:
        return command(*args, ref=ProjectRef(start, environment), **rest)

    return with_place


def output(command: Function) -> Function:
    """Add `--output` and `--debug`; the command gets `json`, whether to print a document."""

    @click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Text for people or one JSON document for programs.  [default: text]",
    )
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @wraps(command)
    def with_output(*args: Any, output: str, debug: bool, **rest: Any) -> Any:
        return command(*args, json=output == "json", **rest)

    return with_output


def selection(command: Function) -> Function:
    """Add `--select`; the command gets `select`, a tuple of names or globs."""
    return click.option(
        "-s",
        "--select",
        multiple=True,
        metavar="NAME",
        shell_complete=dataset_names,
        help="Only this dataset or glob; +NAME with all upstream, NAME+ with all downstream."
        " Repeatable.",
    )(command)


class Refreshes(Frozen):
    """What is to be brought up to date although nothing is new; see `Project.run`."""

    refresh: tuple[str, ...]
    full_refresh: tuple[str, ...] | bool
    read_again: tuple[str, ...]
    only: bool
    accept_loss: bool
    replace: tuple[str, ...] = ()


def refresh_options(command: Function) -> Function:
    """Add `--refresh`, `--full-refresh` and what belongs to them, which become `refreshes`."""

    @click.option(
        "--refresh",
        multiple=True,
        metavar="TABLE",
        shell_complete=dataset_names,
        help="Bring this table up to date even if nothing changed. Repeatable.",
    )
    @click.option(
        "--full-refresh",
        is_flag=False,
        flag_value=EVERYTHING,
        multiple=True,
        metavar="[TABLE]",
        shell_complete=dataset_names,
        help="Empty this table and process everything again, and with it what has read it as a"
        " stream; without TABLE: all tables. Repeatable.",
    )
    @click.option(
        "--read-again",
        multiple=True,
        metavar="TABLE",
        shell_complete=dataset_names,
        help="Let this table read a source or flow of a new name from the start, beside what it"
        " has read of one that is gone. Repeatable.",
    )
    @click.option(
        "--only", is_flag=True, help="Leave out what has read the emptied tables as a stream."
    )
    @click.option(
        "--accept-loss",
        is_flag=True,
        help="Empty tables although files that their rows came from are gone.",
    )
    @click.option(
        "--replace",
        multiple=True,
        metavar="FILE",
        shell_complete=file_names,
        help="Put the rows of this file, which has come back with new content, in the place of"
        " those that were read of it. Repeatable.",
    )
    @wraps(command)
    def with_refreshes(
        *args: Any,
        refresh: tuple[str, ...],
        full_refresh: tuple[str, ...],
        read_again: tuple[str, ...],
        only: bool,
        accept_loss: bool,
        replace: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        flag = "--only" if only else "--accept-loss"
        if (only or accept_loss) and not full_refresh:
            path = click.get_current_context().command_path
            raise CommandLineError(
                f"{flag} says something about a full refresh, and none is asked for",
                hint=f"{path} --full-refresh TABLE {flag}",
            )
        full = True if EVERYTHING in full_refresh else full_refresh
        asked = Refreshes(refresh, full, read_again, only, accept_loss, replace)
        return command(*args, refreshes=asked, **rest)

    return with_refreshes


def waits(command: Function) -> Function:
    """Add `--wait`; the command gets `wait`, in seconds."""
    return click.option(
        "--wait",
        is_flag=False,
        flag_value=math.inf,
        default=0.0,
        show_default=False,
        type=click.FloatRange(min=0.0),
        metavar="[SECONDS]",
        help="Wait for other updates that work on the same datasets; without SECONDS: as long as"
        " it takes.",
    )(command)


class ListsCommand(click.Command):
    """A command without arguments: after an option that may be repeated, names may follow.

    `--full-refresh a b` means `--full-refresh a --full-refresh b`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line in which such options are repeated before each name."""
        repeatable = {
            name
            for option in self.params
            if isinstance(option, click.Option) and option.multiple
            for name in option.opts
        }
        spread: list[str] = []
        option, full = "", False
        for argument in args:
            if argument.startswith("-"):
                option, equals, _ = argument.partition("=")
                full = bool(equals)
            elif option in repeatable:
                spread += [option] if full else []
                full = True
            spread.append(argument)
        return super().parse_args(ctx, spread)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Options, and names after an option that may be repeated."""
        found = super().shell_complete(ctx, incomplete)
        lists = [p.name for p in self.params if isinstance(p, click.Option) and p.multiple]
        if any(ctx.params.get(name or "") for name in lists):
            found += map(CompletionItem, dataset_names(ctx, None, incomplete))
        if ctx.params.get("replace"):
            found += map(CompletionItem, file_names(ctx, None, incomplete))
        return found


def logs(command: Function) -> Function:
    """Add `--log-format` and `--log-level`; the command gets `logs`, a `Logs`."""

    @click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        help="Write structured logs to standard error instead of progress.",
    )
    @click.option("--log-level", type=click.Choice(LEVELS), help="  [default: info]")
    @wraps(command)
    def with_logs(*args: Any, log_format: str | None, log_level: str | None, **rest: Any) -> Any:
        return command(*args, logs=Logs(log_format, log_level), **rest)

    return with_logs


def positive(context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """A click callback: refuse numbers below 1; None is an option that was not given.

    Raises:
        CommandLineError: the number is below 1.
    """
    if value is not None and value < 1:
        raise CommandLineError(f"--{parameter.name} must be 1 or more", got=str(value))
    return value


limit = click.option(
    "-n",
    "--limit",
    type=int,
    default=20,
    callback=positive,
    metavar="N",
    help="How many to show.  [default: 20]",
)
