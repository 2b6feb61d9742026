"""No process of a crash test outlives it, and no signal leaves anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STOPPED = """\
import os, signal, sys
from qanat.crash.ending import die_with
parent = os.getpid()
if child := os.fork():
    print(child, flush=True)
    signal.pause()
die_with(parent)
os.kill(os.getpid(), signal.SIGSTOP)
"""
WAITING = """\
import signal, sys
from qanat.crash.ending import ends_cleanly
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
with ends_cleanly():
    try:
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        # A second signal is ignored.
        signal.raise_signal(signal.SIGTERM)
        print("cleaned up")
"""


def start(text: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell without job control starts background processes with these signals ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def gone(process: int) -> bool:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    # A dead process stays a zombie until its new parent has collected it.
    return text.rpartition(")")[2].split()[0] == "Z"


def test_a_stopped_process_dies_with_the_one_that_started_it() -> None:
    with start(STOPPED) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        for _ in range(500):
            if gone(child):
                return
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        pytest.fail("it is still there")


def test_a_process_dies_whose_parent_has_already_died() -> None:
    text = "from qanat.crash.ending import die_with; die_with(1 << 22); print('alive')"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_after_cleaning_up(number: signal.Signals) -> None:
    with start(WAITING, "SIG_DFL") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.stdout.read() == "cleaned up\n"
    assert process.returncode == 128 + number


def test_under_nohup_the_process_goes_on() -> None:
    with start(WAITING, "SIG_IGN") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "cleaned up\n"
    assert process.returncode == 128 + signal.SIGINT
