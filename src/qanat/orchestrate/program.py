"""The program `qanat`, as an orchestrator calls it: in a process of its own.

An orchestrator and Qanat may so live in different environments, whose packages need not fit
together. This package imports nothing but the standard library and Qanat's own light modules: it
works where Qanat is installed without what it depends on (`pip install --no-deps qanat`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from importlib.util import find_spec
from threading import Thread
from typing import IO, Any, cast

from qanat.frozen import Frozen
from qanat.orchestrate.events import Log, tell
from qanat.orchestrate.outcome import Outcome, outcome_of

GRACE = 30.0
"""Seconds that a stopped update has to end by itself before it is killed."""


class Qanat(Frozen):
    """How a project's updates are started.

    Args:
        project: the project's folder, or one below it.
        environment: of the spec; None: its default.
        command: the program and its first arguments. Empty: this interpreter's Qanat if it can
            run updates, else the `qanat` of the PATH.
        variables: environment variables for it, besides those of this process: parameters that
            the spec or a query reads as `${NAME}`.
        wait: seconds to wait for other updates of the same datasets; None: as long as it takes.

    >>> Qanat("/srv/shop", "prod", ("/opt/qanat/bin/qanat",)).arguments("run", "--wait")
    ['/opt/qanat/bin/qanat', 'run', '-C', '/srv/shop', '-e', 'prod', '--wait']
    """

    project: str
    environment: str | None = None
    command: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    wait: float | None = None

    def arguments(self, verb: str, *options: str) -> list[str]:
        """The command line of a command on this project."""
        where = ["-C", self.project, *(["-e", self.environment] if self.environment else [])]
        return [*(self.command or _command()), *verb.split(), *where, *options]

    def ask(self, verb: str, *options: str) -> dict[str, Any]:
        """The JSON document that a short command prints.

        Raises:
            QanatError: the command failed; says why.
        """
        done = subprocess.run(  # noqa: S603 - the command line is the author's
            self.arguments(verb, *options),
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        outcome = outcome_of(done.returncode, done.stdout, done.stderr)
        if outcome.error is not None:
            raise outcome.error
        return dict(outcome.document)

    def run(
        self,
        select: Sequence[str],
        log: Log,
        *,
        origin: str,
        refresh: bool = False,
        full_refresh: bool = False,
        started: Callable[[subprocess.Popen[str]], None] = lambda _: None,
    ) -> Outcome:
        """Bring datasets up to date, and wait until that is done.

        What the update tells goes to `log` line by line, with the level of `logging`. If this is
        interrupted by whatever error, the update is stopped: nothing is half-written then.

        Args:
            select: names or globs; none: all datasets.
            origin: the task that asks for it, by which the history names it.
            refresh: even if nothing has changed.
            full_refresh: from the start.
            started: gets the process, to stop it from elsewhere.
        """
        options = [part for name in select for part in ("--select", name)]
        if refresh or full_refresh:
            names = list(select) or ["*"]
            verb = "--full-refresh" if full_refresh else "--refresh"
            options = [part for name in names for part in (verb, name)]
        wait = "--wait" if self.wait is None else f"--wait={self.wait:g}"
        logs = ("--log-format", "json", "--output", "json")
        arguments = self.arguments("run", *options, wait, f"--origin={origin}", *logs)
        log(_INFO, shlex.join(arguments))
        with (
            subprocess.Popen(  # noqa: S603 - the command line is the author's
                arguments,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as process,
            _stopped_if_interrupted(process),
        ):
            started(process)
            printed, rest = _follow(process, log)
        return outcome_of(process.returncode, printed, rest)

    def _environ(self) -> dict[str, str]:
        # A task's log is no terminal, whatever the orchestrator's own output is.
        return {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1", **self.variables}


_INFO = 20


def called(command: str | Sequence[str] | None) -> tuple[str, ...]:
    """How the program is called, from what a user says.

    >>> called("/opt/qanat/bin/qanat"), called("uvx qanat"), called(None)
    (('/opt/qanat/bin/qanat',), ('uvx', 'qanat'), ())
    """
    if command is None:
        return ()
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)


def _command() -> tuple[str, ...]:
    # Where Qanat was installed without its dependencies, it cannot run here.
    complete = all(find_spec(name) for name in ("deltalake", "sqlglot"))
    return (sys.executable, "-m", "qanat") if complete else ("qanat",)


@contextmanager
def _stopped_if_interrupted(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let the process end before an error leaves the block: timeouts and kills, too."""
    try:
        yield
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Ask an update to end, and kill it if it does not; nothing happens if it has ended."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _follow(process: subprocess.Popen[str], log: Log) -> tuple[str, str]:
    """What a process prints on standard output, and those lines of its log that are no events."""
    stdout, stderr = cast("IO[str]", process.stdout), cast("IO[str]", process.stderr)
    printed: list[str] = []
    # Two pipes are read at a time, or a full one would stop the process.
    reader = Thread(target=_drain, args=(stdout, printed), daemon=True)
    reader.start()
    rest = [line for line in stderr if not tell(line, log)]
    reader.join()
    process.wait()
    return "".join(printed), "".join(rest)


def _drain(stream: IO[str], into: list[str]) -> None:
    into.extend(stream)
