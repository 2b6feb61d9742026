"""`qanat help`: what a command does, for those who type it before the command's name."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import command_names
from qanat.errors import CommandLineError


@click.command("help", short_help="Show what a command does.")
@click.argument("names", nargs=-1, metavar="[COMMAND]...", shell_complete=command_names)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> int:
    """Show what a command does, and its options: the same as COMMAND --help."""
    found = context.find_root()
    for name in names:
        if not isinstance(found.command, click.Group):
            raise CommandLineError(
                f"`{found.command_path}` has no commands of its own",
                hint=f"{found.command_path} --help",
            )
        known, below, _ = found.command.resolve_command(found, [name])
        found = click.Context(below or found.command, info_name=known, parent=found)
    screen.write(found.get_help())
    return 0
