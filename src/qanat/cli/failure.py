"""Errors in words: on standard error for people, on standard output as JSON for scripts."""

from __future__ import annotations

import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from qanat.cli.excerpt import excerpt
from qanat.cli.screen import note, paint, write
from qanat.errors import QanatError
from qanat.report.aim import aimed
from qanat.report.failure import dumps, failure
from qanat.text import printable, printable_lines


def report(error: QanatError, arguments: Sequence[str]) -> int:
    """Show an error the way the command line asked for; returns the exit code.

    Args:
        arguments: the whole command line. It is searched rather than the parsed options, for
            the error may be that they do not parse.
    """
    if json_wanted(arguments):
        write(dumps(failure(error)))
    else:
        start = Path(_value(arguments, "-C", "--project") or ".")
        note(describe_all([error], start, options_of(arguments)))
    if "--debug" in arguments:
        note("".join(traceback.format_exception(error)).rstrip())
    return error.exit_code


def exit_code(errors: Iterable[QanatError | None]) -> int:
    """What a command that tells these errors ends with: the highest of theirs.

    Args:
        errors: None stands for one that has no class: something failed, and no more is known.
    """
    return max((1 if e is None else e.exit_code for e in errors), default=0)


def describe_all(errors: Sequence[QanatError], start: Path, options: str = "") -> str:
    """Several errors, with their number below when there is more than one."""
    problems = [p for e in errors for p in e.problems]
    text = "\n\n".join(describe(p, start, options) for p in problems)
    return f"{text}\n\nFound {len(problems)} problems." if len(problems) > 1 else text


def describe(error: QanatError, start: Path, options: str = "") -> str:
    """One error: what, where with the source line, wanted, got, nearest, hint.

    Args:
        start: folder of the project or below it, to find the file of the error's location.
        options: of the user's command, for those in the hint; as `aimed` takes them.
    """
    head = paint(f"error[{error.code}]", "bold red", sys.stderr)
    first, *rest = printable_lines(error.message)
    lines = [f"{head}: " + paint(first, "bold", sys.stderr)]
    lines += [f"  {line}" for line in rest]
    if error.location is not None:
        lines.append(paint(" --> ", "blue", sys.stderr) + str(error.location))
        lines += excerpt(error.location, start)
    if error.nearest is not None:
        lines.append(f"  = did you mean {printable(error.nearest)!r}?")
    hint = error.hint and aimed(error.hint, options)
    for label, value in (("wanted", error.wanted), ("got", error.got), ("hint", hint)):
        if value is not None:
            first, *rest = printable_lines(value)
            lines.append(f"  = {label}: {first}")
            lines += [f"    {' ' * len(label)}  {line}" for line in rest]
    return "\n".join(lines)


def report_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """The last resort (`sys.excepthook`): an error that Qanat did not foresee is its defect."""
    if issubclass(kind, KeyboardInterrupt):
        raise SystemExit(130)
    with tempfile.NamedTemporaryFile(
        "w", prefix="qanat-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"{shlex.join(['qanat', *sys.argv[1:]])}\n")
        log.writelines(traceback.format_exception(kind, error, trace))
    what = printable(f"{kind.__name__}: {error}")
    note(
        f"error: this is a defect of Qanat, not of your project: {what}\n"
        f"  = the traceback is in {log.name}\n"
        "  = hint: run again with --debug to see it here, and please report it"
    )


def json_wanted(arguments: Sequence[str]) -> bool:
    """True if a command line asks for one JSON document on standard output."""
    pairs = zip(arguments, [*arguments, ""][1:], strict=True)
    return any(p == ("--output", "json") or p[0] == "--output=json" for p in pairs)


def options_of(arguments: Sequence[str]) -> str:
    """The project and environment of a command line, as options of one to be typed next."""
    named = {"-C": ("-C", "--project"), "-e": ("-e", "--env")}
    given = {option: _value(arguments, *names) for option, names in named.items()}
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)


def _value(arguments: Sequence[str], short: str, long: str) -> str | None:
    """What a command line says for an option; None if it does not have it."""
    for here, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if here in (short, long):
            return following
        if here.startswith(f"{long}="):
            return here.partition("=")[2]
        if here.startswith(short):
            return here[2:]
    return None
