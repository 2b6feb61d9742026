"""The fault injector, a C library: builds it from source, preloads and arms it."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from enum import IntEnum
from functools import cached_property
from hashlib import blake2b
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from qanat.errors import AdapterError, MissingExtraError, UnsupportedError

SOURCE = "fault.c"
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O2", "-shared", "-fPIC", "-pthread")
_SPLIT = re.compile(r"[\s:$]")
"""Characters at which the loader splits `LD_PRELOAD`, or that it expands."""


class Fault(IntEnum):
    """The faults that the injector can cause; the numbers are those in `fault.c`."""

    NONE = 0
    KILL = 1
    """The process is killed before the call."""
    TORN = 2
    """Half of the bytes are written; then the process is killed."""
    EIO = 3
    """The call fails with a disk error; later calls succeed."""
    ENOSPC = 4
    """The call fails because the disk is full; later calls succeed."""
    FULL = 5
    """The disk is full from this call until the process ends."""
    STOP = 6
    """The process is stopped before the call, until the parent process continues it."""
    CUT = 7
    """What is sent over a socket arrives; the connection is cut before the answer."""


def build(folder: Path) -> Path:
    """Compile the injector into a folder, unless it is already there.

    Returns:
        The path of the library.

    Raises:
        UnsupportedError: this is no Linux.
        MissingExtraError: there is no C compiler.
        AdapterError: the compiler fails.
    """
    if not sys.platform.startswith("linux"):
        raise UnsupportedError(
            "faults can be injected on Linux only",
            hint="run the crash test in a container or on a Linux machine",
        )
    source = files("qanat.crash").joinpath(SOURCE).read_bytes()
    digest = blake2b(source, digest_size=8).hexdigest()
    library = folder / f"qanat-fault-{digest}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    # Build under a name of this process, then rename: another process may build it, too.
    unfinished = folder / f"{library.name}.{os.getpid()}"
    text = folder / f"qanat-fault-{digest}-{os.getpid()}.c"
    text.write_bytes(source)
    try:
        compiler = _compiler()
        done = subprocess.run(  # noqa: S603 - a compiler, found by us, on our own source
            [*compiler, *_FLAGS, "-o", str(unfinished), str(text)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        text.unlink()
    if done.returncode:
        raise AdapterError(
            f"{' '.join(compiler)} cannot compile the fault injector",
            got=(done.stderr or done.stdout).strip() or f"exit code {done.returncode}",
            hint="the variable CC says which compiler to take",
        )
    unfinished.rename(library)
    return library


def preloaded(library: Path, environment: Mapping[str, str]) -> str:
    """The value of `LD_PRELOAD`: the library, then what the user already preloads.

    Raises:
        UnsupportedError: the loader would split or expand the library's path.

    >>> preloaded(Path("/dev/shm/f.so"), {"LD_PRELOAD": "libjemalloc.so"})
    '/dev/shm/f.so:libjemalloc.so'
    """
    if _SPLIT.search(str(library)):
        raise UnsupportedError(
            f"the fault injector cannot be loaded from {library.parent}",
            wanted="a path without spaces, colons and dollar signs",
            hint="set TMPDIR to a folder that has such a path",
        )
    others = environment.get("LD_PRELOAD", "")
    return f"{library}:{others}" if others else str(library)


def _compiler() -> tuple[str, ...]:
    for name in (os.environ.get("CC", ""), *_COMPILERS):
        if name and (found := shutil.which(name)):
            return (found,)
    if find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise MissingExtraError(
        "the crash test needs a C compiler",
        wanted=" or ".join(_COMPILERS),
        hint="install one (Debian: apt-get install gcc), or pip install ziglang",
    )


class Injector:
    """The injector that is preloaded into this process.

    Raises:
        AdapterError: none is preloaded.
    """

    def __init__(self) -> None:
        self._here = ctypes.CDLL(None)
        if not hasattr(self._here, "qanat_fault_arm"):
            raise AdapterError("the fault injector is not preloaded into this process")

    @cached_property
    def _count(self) -> ctypes._NamedFuncPointer:
        found = self._here.qanat_fault_count
        found.restype = ctypes.c_long
        return found

    def arm(
        self,
        folder: Path,
        fault: Fault = Fault.NONE,
        at: int = 0,
        trace: Path | None = None,
        content: bool = False,
        sockets: bool = False,
    ) -> None:
        """Start counting the calls that change something below a folder.

        Args:
            folder: the folder, as an absolute path.
            fault: what happens at the call number `at`.
            at: the number of that call, from 1.
            trace: the file that the record of calls is appended to; None for no record.
            content: True to record the bytes that are written, too.
            sockets: True to count what is sent over sockets, too.
        """
        self._here.qanat_fault_arm(
            os.fsencode(folder),
            int(fault),
            ctypes.c_long(at),
            None if trace is None else os.fsencode(trace),
            int(content),
            int(sockets),
        )

    def calls(self) -> int:
        """The number of calls so far."""
        return int(self._count())

    def note(self, text: str) -> None:
        """Add a note to the record of calls."""
        self._here.qanat_fault_note(text.encode())
