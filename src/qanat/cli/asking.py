"""What commands ask before they take something away."""

from __future__ import annotations

import sys

import click

from qanat.errors import CommandLineError


def confirmed(text: str, json: bool) -> bool:
    """Ask the user whether to go on.

    Raises:
        CommandLineError: there is no terminal to ask on, or JSON was asked for.
    """
    if json or not sys.stdin.isatty():
        raise CommandLineError(text, hint="there is no terminal to ask on: to go on, add --yes")
    return click.confirm(f"{text[:1].upper()}{text[1:]}. Go on?", err=True)
