"""The author's line that an error is about, with a caret below the place."""

from __future__ import annotations

import re
import sys
from itertools import chain
from pathlib import Path

from qanat.cli.screen import paint
from qanat.declare.files import QANAT_SPECS, SDP_SPECS
from qanat.errors import Location
from qanat.text import cells, printable

LONGEST = 120
"""Characters of a source line that are shown; generated files may have lines of megabytes."""


_SPECS = (".yml", ".yaml")
_SECRET = re.compile(
    r"(\b[\w.-]*(?:pass|pwd|secret|token|key|credential|auth)[\w.-]*\s*:)\s*[^,}\s][^,}]*",
    re.IGNORECASE,
)
"""A key that is called like a secret, with its value."""

_typed: dict[str, str] = {}


def remember(name: str, text: str) -> None:
    """Show lines of a text that was typed, and is in no file, where an error is about it.

    Args:
        name: what locations have in the place of its file.
    """
    _typed[name] = text


def excerpt(location: Location, start: Path) -> list[str]:
    """The lines to show below an error; none when the place or the file is not known.

    Args:
        location: its file is relative to the project's root, or absolute.
        start: the root, or a folder below it.
    """
    if location.line is None:
        return []
    text = _line(location.file, location.line, start)
    if text is None:
        return []
    column = location.column or 0
    if location.file.endswith(_SPECS):
        text = _without_values(text, column)
    skipped = max(0, column - LONGEST // 2) if len(text) > LONGEST else 0
    shown = printable(text[skipped : skipped + LONGEST].expandtabs(1))
    number = str(location.line)
    gutter = _blue(" " * len(number) + " |")
    lines = [gutter, _blue(f"{number} |") + f" {shown}".rstrip()]
    if 0 < column <= len(text) + 1:
        before = printable(text[skipped : column - 1].expandtabs(1))
        word = re.match(r"\w+|'[^']*'|\"[^\"]*\"|`[^`]*`", text[column - 1 : skipped + LONGEST])
        marks = "^" * (cells(word.group()) if word else 1)
        caret = paint(marks, "bold red", sys.stderr)
        lines.append(f"{gutter} {' ' * cells(before)}{caret}")
    return lines


def _without_values(text: str, column: int) -> str:
    """A line of a spec as it may be shown: passwords stand there, under whatever key.

    An error about a key needs no value, and one about a value says itself what it found.
    """
    key = re.compile(r"[\w.-]+\s*:").match(text, max(0, column - 1))
    if key is not None:
        return text[: key.end()] + (" …" if text[key.end() :].strip() else "")
    shown = re.sub(r"(://[^:/@\s]*:)[^@\s]+@", r"\1…@", text)
    return _SECRET.sub(r"\1 …", shown)


def _blue(text: str) -> str:
    return paint(text, "blue", sys.stderr)


def _line(file: str, number: int, start: Path) -> str | None:
    if file in _typed:
        lines = _typed[file].split("\n")
        return lines[number - 1] if number <= len(lines) else None
    path = _find(Path(file), start)
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8", errors="replace") as content:
            for at, line in enumerate(content, 1):
                if at == number:
                    return line.rstrip("\r\n")
    except OSError:
        return None
    return None


def _find(file: Path, start: Path) -> Path | None:
    if file.is_absolute():
        return file if file.is_file() else None
    here = start.absolute()
    folders = (here, *here.parents)
    roots = [
        f for f in folders if any((f / spec).is_file() for spec in (*QANAT_SPECS, *SDP_SPECS))
    ][:1]
    for folder in chain(roots, [here]):
        if (folder / file).is_file():
            return folder / file
    return None
