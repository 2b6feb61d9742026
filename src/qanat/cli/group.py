"""Groups of commands: loaded when called, and helpful about names that are nearly right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from qanat.errors import CommandLineError, QanatError, UnsupportedError, nearest

COMMON = {"-C", "--project", "-e", "--env", "--output", "--debug"}
"""Options that many commands have, and the program itself has not."""


class Group(click.Group):
    """A group that answers an unknown command with the nearest one."""

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
            raise CommandLineError(
                f"no command {name!r} in `{ctx.command_path}`",
                wanted=None if match else ", ".join(known),
                nearest=match,
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
        command: click.Command = import_module(f"{self.package}.{cmd_name}").command
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
        return CommandLineError(
            f"no option {error.option_name!r} in `{path}`",
            nearest=nearest(error.option_name, known),
            hint=hint,
        )
    message = error.format_message().rstrip(".")
    return CommandLineError(message[:1].lower() + message[1:], hint=f"see `{path} --help`")
