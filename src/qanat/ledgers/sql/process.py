"""Who holds a lease, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one machine.

    Args:
        host: name of the machine, for people.
        machine: what tells machines, boots and containers apart, since several may have one
            host name and the same process numbers.
        started: the process's start in clock ticks since boot, since numbers are reused; 0
            where the system does not tell.
    """

    host: str
    machine: str
    pid: int
    started: int

    @property
    def dead(self) -> bool:
        """Whether the process is known to have ended; False when it cannot be told from here."""
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
        # One that nobody has waited for has a number still, and nothing else.
        return state in ("Z", "X") or started not in (0, self.started)


def this_process() -> Process:
    """The process that calls."""
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
        pass  # no Linux: the host name must do
    return " ".join(parts)


def _status(pid: int) -> tuple[str, int]:
    """A process's state, as a letter, and when it started; as `Process.started`."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", 0
    # Fields 3 and 22; the second is the program's name in parentheses and may hold anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
