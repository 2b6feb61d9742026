"""Where text goes: colours only where they are wanted, and a closed pipe is no error."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from qanat.disk import disk_error
from qanat.text import Layout


def prepare() -> None:
    """Make both streams write any text, whatever the encoding of the terminal is.

    Also where they are closed (`qanat run >&-`).
    """
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


_results: list[TextIO] = []
"""Where results go, if standard output is kept for them."""


@contextmanager
def only_results() -> Iterator[None]:
    """Keep standard output for what `write` writes; all else that goes there goes to the error's.

    Functions of the project print, and so do processes that they start.
    """
    sys.stdout.flush()
    with os.fdopen(
        os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="backslashreplace"
    ) as results:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _results.append(results)
        try:
            yield
        finally:
            _results.pop()
            sys.stdout.flush()
            os.dup2(results.fileno(), sys.stdout.fileno())


def write(text: str) -> bool:
    """Print a result to standard output, with a newline; False if its reader has left.

    Raises:
        StorageFullError, AdapterError: what it goes to does not take it.
    """
    stream = _results[-1] if _results else sys.stdout
    try:
        return _put(stream, text)
    except OSError as error:
        _forget(stream)
        raise disk_error(error, "write to", "standard output") from error


def note(text: str) -> None:
    """Print something about the result (an error, a remark) to standard error."""
    try:
        _put(sys.stderr, text)
    except OSError:
        _forget(sys.stderr)  # there is nowhere left to say so


def _put(stream: TextIO, text: str) -> bool:
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        _forget(stream)
        return False
    return True


def _forget(stream: TextIO) -> None:
    # `qanat show big | head`: the reader has what it wanted. The exit code must still tell
    # how the command went, so nothing may be raised now or when the interpreter flushes.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def finish() -> None:
    """Flush what is left; call last."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _forget(stream)


def leave(code: int) -> None:
    """End the process once everything is written and closed.

    Python would take every object apart first, which costs a small run 65 ms of 490. It still
    does while another thread works, as after Ctrl-C.
    """
    main = threading.main_thread()
    if any(t is not main and not t.daemon for t in threading.enumerate()):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - what others want done; there is no public way
    finish()
    os._exit(code)


def interactive(stream: TextIO) -> bool:
    """True if a person watches a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def coloured(stream: TextIO) -> bool:
    """True if to colour what goes to a stream; honours `NO_COLOR` (https://no-color.org)."""
    return interactive(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Text in a style where the stream (standard output) shows colours.

    Args:
        style: names of a colour, `bold` and `dim`, in any order; others are ignored.
    """
    if not coloured(stream or sys.stdout):
        return text
    words = set(style.split())
    weights: dict[str, Any] = {word: True for word in ("bold", "dim") if word in words}
    colour = next(iter(words - weights.keys()), None)
    return click.style(text, fg=colour, **weights)


def layout() -> Layout:
    """What text on standard output may use: colours, and the columns of a terminal."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return Layout(paint, columns)
