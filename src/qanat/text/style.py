"""How a text looks, without saying where it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Paint = Callable[[str, str], str]
"""Gives a text a style: words such as `bold`, `dim`, `red` or `bold red`."""


def plain(text: str, style: str) -> str:
    """No style at all: for files, logs, and terminals whose user asked for no colours.

    >>> plain("silver", "bold red")
    'silver'
    """
    del style
    return text


@dataclass(frozen=True, slots=True)
class Layout:
    """What a text may use of the place where it is shown.

    Args:
        paint: gives colours and weights; default: none.
        width: columns to fit into; None for no limit.
    """

    paint: Paint = plain
    width: int | None = None

    def narrower(self, columns: int) -> Layout:
        """The same with some columns less, for text that is indented."""
        return Layout(self.paint, None if self.width is None else self.width - columns)


PLAIN = Layout()
"""No colours, no limit."""
