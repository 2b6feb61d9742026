"""The program `qanat`: groups of commands, loaded when called, and how each call ends.

Exit codes: 0 fine, 1 data or run failed, 2 the author must change a file or the command line, 130
interrupted.
"""

from __future__ import annotations

import gc
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from qanat import __version__
from qanat.cli.failure import json_wanted, options_of, report, report_defect
from qanat.cli.interrupt import listen
from qanat.cli.screen import finish, leave, note, only_results, prepare
from qanat.errors import CommandLineError, QanatError, UnsupportedError, nearest
from qanat.report.aim import aimed

COMMON = {"-C", "--project", "-e", "--env", "--output", "--debug"}
"""Options that many commands have, and the program itself has not."""


class Group(click.Group):
    """A group that shows its help if no command is given, and names the nearest to a wrong one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line; an empty one asks for help (click 8.1 and 8.5 differ in that)."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name.

        Raises:
            CommandLineError: there is none; names the nearest.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            match = nearest(name, known)
            hint = None
            if match is None and ctx.parent is not None and "show" in known:
                hint = f"{ctx.command_path} show {shlex.quote(name)}"
            elif ctx.parent is None and name in ELSEWHERE:
                match, hint = None, ELSEWHERE[name]
            raise CommandLineError(
                f"no command {name!r} in `{ctx.command_path}`",
                wanted=None if match or hint in ELSEWHERE.values() else ", ".join(known),
                nearest=match,
                hint=hint,
            )
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group whose commands are modules that are imported when the command runs.

    Args:
        package: where the modules are; each has its `click.Command` as `command`.
        lazy: name → one line for `--help`, in the order to list them.
        later: name → what to do until that command comes in a later release.
    """

    def __init__(
        self,
        *args: Any,
        package: str,
        lazy: Mapping[str, str],
        later: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.lazy = lazy
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order to list them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now.

        Raises:
            UnsupportedError: it comes in a later release.
        """
        if cmd_name in self.later:
            raise UnsupportedError(
                f"`qanat {cmd_name}` comes in a later release", hint=self.later[cmd_name]
            )
        if cmd_name not in self.lazy:
            return None
        # A module cannot be called as a word of the language.
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"{self.package}.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any: `--help` must not cost what they cost."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lazy.items()))


def usage_error(error: click.UsageError, arguments: Sequence[str]) -> QanatError:
    """A wrong command line, in our words.

    Args:
        error: as the parser reports it.
        arguments: the whole command line, to see where an option stood.
    """
    context = error.ctx
    path = context.command_path if context else "qanat"
    if isinstance(error, click.NoSuchOption):
        hint = f"see `{path} --help`"
        given = {argument.partition("=")[0] for argument in arguments}
        if path == "qanat" and error.option_name in COMMON & given:
            hint = f"options of a command come after it: {path} COMMAND {error.option_name} …"
        known = [o for p in context.command.get_params(context) for o in p.opts] if context else []
        meant = ELSEWHERE.get(f"{path} {error.option_name}".removeprefix("qanat "))
        if error.option_name == "--select" and {"dataset", "datasets"} & set(known):
            meant = f"{path} NAME"
        return CommandLineError(
            f"no option {error.option_name!r} in `{path}`",
            nearest=None if meant else nearest(error.option_name, known),
            hint=meant or hint,
        )
    # click lists the values that a missing argument may have on lines of their own.
    message, _, values = error.format_message().rstrip(".").partition(". Choose from:")
    wanted = " or ".join(value.strip() for value in values.split(",")) or None
    hint = f"see `{path} --help`"
    options = {o for p in context.command.params for o in p.opts} if context else set[str]()
    if isinstance(error, click.BadParameter) and error.param and error.param.name == "wait":
        message = message.replace("is not a valid float range", "is no number of seconds")
        hint = f"{path} --wait 300, or as long as it takes: {path} --wait"
    elif "--select" in options and (names := _names(error, arguments)):
        hint = f"{path} --select " + " --select ".join(map(shlex.quote, names))
        if any(a in ("--full-refresh", "--only", "--accept-loss") for a in arguments):
            hint = f"{path} --full-refresh {shlex.join(names)}"
            hint += "".join(f" {a}" for a in arguments if a in ("--only", "--accept-loss"))
    return CommandLineError(message[:1].lower() + message[1:], wanted=wanted, hint=hint)


def _names(error: click.UsageError, arguments: Sequence[str]) -> list[str]:
    """What was given beside the options of a command that takes no names by themselves."""
    extra = re.search(r"unexpected extra arguments? \((.*)\)$", error.format_message().rstrip("."))
    given = extra[1].split(" ") if extra else []
    return given if all(name in arguments for name in given) else []


COMMANDS = {
    "init": "Write a small project that runs at once.",
    "validate": "Check the whole project without running it.",
    "plan": "Show what an update would do, and why.",
    "run": "Bring the datasets up to date.",
    "serve": "Update datasets when their schedules are due.",
    "schedules": "See when datasets are updated; pause and resume schedules.",
    "test": "Check expectations on the stored tables; run unit tests.",
    "backtest": "Try checks on the rows of past updates.",
    "suggest": "Suggest checks that the rows of tables keep.",
    "query": "Ask the project's tables by SQL.",
    "show": "Look at all tables, or at the rows and columns of one.",
    "diff": "Compare two tables, versions, environments or files by keys.",
    "lineage": "Show what a table or column is made from.",
    "history": "List past updates and their epochs.",
    "report": "Write an update as an HTML page.",
    "quarantine": "Look at rows in quarantine, replay or discard them.",
    "anomalies": "See what was out of the ordinary, and say whether it was expected.",
    "contract": "Compare two versions of a data contract.",
    "export": "Write what is declared in the form of other tools.",
    "import": "Take over checks of dbt, Great Expectations, Soda or Pandera.",
    "promote": "Take over tables that another environment has computed.",
    "maintain": "Compact tables, and delete old files and log entries.",
    "pause": "Let no update work on a dataset for now.",
    "resume": "Let updates work on a paused dataset again.",
    "rename": "Give a dataset, flow or source another name.",
    "drop": "Remove a dataset that is no longer declared.",
    "profile": "Describe the columns of a table, of files or of a query.",
    "doctor": "Check the installation and the project's storage.",
    "help": "Show what a command does.",
}
"""The commands in the order of a project's life; each lives in `qanat.cli.<name>`."""

LATER = {
    "backfill": "run a selection again with `qanat run --full-refresh TABLE`",
}
"""Commands of a later release, with what to do until then."""

ELSEWHERE = {
    "build": "qanat run",
    "apply": "qanat run",
    "materialize": "qanat run",
    "ls": "qanat show",
    "list": "qanat show",
    "status": "qanat show",
    "compile": "qanat validate",
    "check": "qanat validate",
    "watch": "qanat run --continuous",
    "run --watch": "qanat run --continuous",
    "run --profile": "qanat run --env NAME",
    "run --target": "qanat run --env NAME",
}
"""Commands and options of other tools, with what does the same here."""

_OBJECTS = 500_000
"""New objects before garbage is looked for; Python's own 700 suits programs that live long."""


@click.group(
    "qanat",
    cls=LazyGroup,
    package="qanat.cli",
    lazy=COMMANDS,
    later=LATER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    epilog="Every command takes --help; those that tell something, --output json for scripts.",
)
@click.version_option(__version__, message="qanat %(version)s")
def program() -> None:
    """Declarative data pipelines with quality in the write path."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code.

    Args:
        arguments: without the program's name; default: those of the process, which then ends
            here.

    Raises:
        SystemExit: with arguments of the caller's.
    """
    # Importing makes hundreds of thousands of objects that all stay: looking through them again
    # and again for garbage is a twentieth of a short run.
    gc.set_threshold(_OBJECTS, 20, 20)
    given = list(sys.argv[1:] if arguments is None else arguments)
    prepare()
    if "--debug" not in given:
        sys.excepthook = report_defect
    if arguments is None:
        listen()
    try:
        with only_results() if json_wanted(given) else nullcontext():
            code = program.main(given, prog_name="qanat", standalone_mode=False)
    except click.UsageError as error:
        code = report(usage_error(error, given), given)
    except QanatError as error:
        code = report(error, given)
    except (click.Abort, KeyboardInterrupt):
        text = "Interrupted. Nothing is half-written; `qanat run` continues where this stopped."
        note("\n" + aimed(text, options_of(given)))
        code = 130
    finish()
    code = code if isinstance(code, int) else 0
    if arguments is None:
        leave(code)
    sys.exit(code)
