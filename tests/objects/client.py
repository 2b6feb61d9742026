"""A command of Qanat in a process group of its own, which a fault can kill or put to sleep."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import qanat.cli
from qanat.crash.ending import die_with
from qanat.ports import ledger
from qanat.run import lease
from tests.forked import FORKED, POLLING

LEASE_SECONDS = 0.3
"""How long the lease of a process lasts that is put to sleep."""
PATIENCE = 180.0
"""Seconds after which a command counts as hanging."""
_LEDGER_SECONDS = 0.5
"""How long one waits for a ledger to which another may be about to write in its sleep."""


class Client:
    """A command that runs, from its construction on.

    Args:
        project: the folder to run it in.
        words: its arguments, without `qanat`.
        environment: variables to set.
        output: the file that gets what it prints.
        impatient: True where another update takes over from this one: its lease is short.
        patch: Python code to run first, which plants a defect.
    """

    def __init__(
        self,
        project: Path,
        words: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        impatient: bool = False,
        patch: str = "",
    ) -> None:
        self._output = output
        self.asleep = threading.Event()
        """Set when a fault has put it to sleep."""
        self.woken = threading.Event()
        """Set when it has been woken."""
        # Without effect where other tests have started the server: then each imports by itself.
        FORKED.set_forkserver_preload(["tests.objects.loaded"])
        self._process = FORKED.Process(
            target=_main,
            args=(str(project), tuple(words), dict(environment), str(output), impatient, patch),
            daemon=True,
        )
        with POLLING:
            self._process.start()

    def kill(self) -> None:
        """Kill it and all that it has started."""
        self._send(signal.SIGKILL)

    def sleep(self) -> None:
        """Stop it; whoever holds one of its requests waits until it is woken."""
        self._send(signal.SIGSTOP)
        self.asleep.set()
        self.woken.wait(2 * PATIENCE)

    def wake(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)
        self.woken.set()

    def runs(self) -> bool:
        """True until it ends."""
        with POLLING:
            return self._process.is_alive()

    def wait(self) -> int:
        """Wait for its end; returns the exit code, that of SIGABRT if it hangs."""
        sentinel = [self._process.sentinel]
        if not wait(sentinel, PATIENCE):
            self._send(signal.SIGABRT)
            wait(sentinel, 10)
            self.kill()
            wait(sentinel)
        with POLLING:
            code = self._process.exitcode
        assert code is not None
        return code

    def said(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(self._process.pid, number)


def _main(
    project: str,
    words: tuple[str, ...],
    environment: dict[str, str],
    output: str,
    impatient: bool,
    patch: str,
) -> None:
    die_with()
    os.setsid()
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    os.chdir(project)
    if impatient:
        lease.SECONDS = LEASE_SECONDS
        ledger.BUSY_SECONDS = _LEDGER_SECONDS
    if patch:
        exec(patch, {})  # noqa: S102 - a defect of our own
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until its end
    sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["qanat", *words]
    qanat.cli.main()
