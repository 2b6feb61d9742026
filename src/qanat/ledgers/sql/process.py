"""Which process holds a lease, and whether it is still alive, as far as this machine can tell."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from qanat.frozen import Frozen


class Process(Frozen):
    """One process of one machine.

    Args:
        host: the machine's host name, for messages.
        machine: host name, boot and container together: machines and containers may share host
            names and process ids.
        pid: the process id.
        started: the process's start in clock ticks since boot, because process ids are reused; 0
            if the system does not provide it.
    """

    host: str
    machine: str
    pid: int
    started: int

    @property
    def dead(self) -> bool:
        """True if the process is known to have ended; False if it runs, or cannot be seen here."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        if self.started == 0:
            return False
        state, started = _status(self.pid)
        # A zombie (Z) or dead (X) process has ended; its parent has not collected it yet.
        return state in ("Z", "X") or started not in (0, self.started)


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    _, started = _status(pid)
    return Process(socket.gethostname(), _machine(), pid, started)


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        pass  # not Linux: only the host name is known
    return " ".join(parts)


def _status(pid: int) -> tuple[str, int]:
    """A process's state as Linux's letter, and its start as in `Process.started`."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", 0
    # Fields 3 and 22. Split behind the last parenthesis: field 2, the program's name in
    # parentheses, may itself contain spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
