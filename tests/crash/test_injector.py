"""The injector causes the fault it is armed with, at the right call, in any thread."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qanat.crash.injector import Fault, Injector, build
from qanat.crash.trace import Call, read_trace, sites
from qanat.errors import AdapterError

pytestmark = pytest.mark.crash

ALL_CALLS = """\
import os
os.mkdir("d")
handle = os.open("d/a", os.O_WRONLY | os.O_CREAT)
os.write(handle, b"0123456789")
os.pwrite(handle, b"xy", 3)
os.writev(handle, [b"ab", b"cd"])
os.ftruncate(handle, 5)
os.posix_fallocate(handle, 0, 9)
os.fsync(handle)
os.fdatasync(handle)
os.close(handle)
os.truncate("d/a", 4)
os.link("d/a", "d/b")
os.rename("d/b", "d/c")
os.symlink("c", "d/l")
os.unlink("d/l")
folder = os.open("d", os.O_RDONLY)
os.unlink("c", dir_fd=folder)
os.mkdir("e", dir_fd=folder)
os.fsync(folder)
os.rmdir("d/e")
"""
OPS = "mowwwtasstlryuumsd"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("injector"))


class Program:
    """A Python program that runs with the injector, in a folder that is watched."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.trace = folder / "trace"
        self._library = library

    def run(self, text: str, fault: Fault = Fault.NONE, at: int = 0) -> int:
        arm = (
            "from pathlib import Path\n"
            "from qanat.crash.injector import Fault, Injector\n"
            "injector = Injector()\n"
            f"injector.arm(Path({str(self.root)!r}), Fault({int(fault)}), {at},"
            f" Path({str(self.trace)!r}), content=True)\n"
        )
        environment = os.environ | {"LD_PRELOAD": str(self._library)}
        done = subprocess.run(
            [sys.executable, "-c", arm + text], cwd=self.root, env=environment, check=False
        )
        return done.returncode

    @property
    def calls(self) -> list[Call]:
        return sites(read_trace(self.trace))


@pytest.fixture
def program(tmp_path: Path, library: Path) -> Program:
    return Program(tmp_path, library)


def test_every_kind_of_call_is_counted_and_recorded(program: Program) -> None:
    assert program.run(ALL_CALLS + "assert injector.calls() == 18, injector.calls()\n") == 0
    assert "".join(c.op for c in program.calls) == OPS
    assert all(c.result >= 0 for c in program.calls)
    writes = [(c.offset, c.data) for c in program.calls if c.op == "w"]
    assert writes == [(0, b"0123456789"), (3, b"xy"), (10, b"abcd")]
    created, renamed = program.calls[1], program.calls[11]
    assert (created.path, created.detail) == ("d/a", "c-")
    assert (renamed.path, renamed.other) == ("d/b", "d/c")


def test_reads_and_calls_elsewhere_are_not_counted(program: Program, tmp_path: Path) -> None:
    (program.root / "a").write_text("a")
    text = (
        f"Path('a').read_text(); Path('a').stat(); Path({str(tmp_path / 'x')!r}).write_text('x')\n"
        "assert injector.calls() == 0\n"
    )
    assert program.run(text) == 0
    assert program.calls == []


def test_all_threads_share_one_counter(program: Program) -> None:
    text = """
from concurrent.futures import ThreadPoolExecutor
def work(n):
    for i in range(50):
        with open(f"{n}-{i}", "wb", buffering=0) as file:
            file.write(b"x")
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
assert injector.calls() == 800, injector.calls()
"""
    assert program.run(text) == 0
    assert len(program.calls) == 800
    assert program.run(text, Fault.KILL, 555) == -signal.SIGKILL


@pytest.mark.parametrize("at", range(1, len(OPS) + 1))
def test_a_kill_comes_before_its_call(program: Program, at: int) -> None:
    assert program.run(ALL_CALLS, Fault.KILL, at) == -signal.SIGKILL
    assert len(program.calls) == at - 1


def test_a_torn_write_writes_half_and_kills(program: Program) -> None:
    assert program.run(ALL_CALLS, Fault.TORN, 3) == -signal.SIGKILL
    assert (program.root / "d/a").read_bytes() == b"01234"
    torn = program.calls[-1]
    assert (torn.detail, torn.data) == ("torn", b"01234")


@pytest.mark.parametrize("at", range(1, len(OPS) + 1))
def test_one_call_fails_and_the_next_succeeds(program: Program, at: int) -> None:
    text = ALL_CALLS.replace("\n", "\n    ").rstrip()
    text = f"try:\n    {text}\nexcept OSError as error:\n    assert error.errno == {errno.EIO}\n"
    text += "else:\n    raise SystemExit(3)\nPath('after').write_text('x')\n"
    assert program.run(text, Fault.EIO, at) == 0
    assert program.calls[at - 1].result == -errno.EIO
    assert (program.root / "after").read_text() == "x"


def test_a_full_disk_stays_full_but_allows_removals(program: Program) -> None:
    (program.root / "old").touch()
    text = """
for name in ("a", "b"):
    try:
        Path(name).write_text("x")
    except OSError as error:
        assert error.errno == 28, error
    else:
        raise SystemExit(3)
Path("old").unlink()
"""
    assert program.run(text, Fault.FULL, 1) == 0
    assert not (program.root / "old").exists()


def test_a_full_disk_is_recorded_at_the_first_call_that_needs_space(program: Program) -> None:
    """A removal needs no space, so the fault happens at the next call that needs some."""
    (program.root / "old").touch()
    text = """
Path("old").unlink()
for name in ("a", "b"):
    try:
        Path(name).write_text("x")
    except OSError as error:
        assert error.errno == 28, error
"""
    assert program.run(text, Fault.FULL, 1) == 0
    notes = [(c.detail, c.path) for c in read_trace(program.trace) if c.is_note]
    assert notes == [("ENOSPC", "a")]


def test_copies_inside_the_kernel_are_seen(program: Program) -> None:
    (program.root / "a").write_bytes(b"x" * 5000)
    assert program.run("import shutil; shutil.copyfile('a', 'b')") == 0
    written = b"".join(c.data or b"" for c in program.calls if c.path == "b")
    assert written == b"x" * 5000 == (program.root / "b").read_bytes()


def test_names_of_any_kind(program: Program) -> None:
    assert program.run("Path('%é\\t\\n').write_text('x')") == 0
    assert {c.path for c in program.calls} == {"%é\t\n"}


def test_a_stopped_process_goes_on(program: Program) -> None:
    text = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", '''
import os, signal, time
for _ in range(3000):
    state = open("/proc/%d/stat").read().rpartition(")")[2].split()[0]
    if state == "T":
        open({str(program.root.parent / "seen")!r}, "w").close()
        os.kill(%d, signal.SIGCONT)
        break
    time.sleep(0.01)
''' % (os.getpid(), os.getpid())], env={{}})
Path("a").write_text("x")
"""
    assert program.run("import os\n" + text, Fault.STOP, 1) == 0
    assert (program.root.parent / "seen").exists()
    assert (program.root / "a").read_text() == "x"


def test_a_process_without_the_injector_says_so() -> None:
    with pytest.raises(AdapterError, match="not preloaded"):
        Injector()
