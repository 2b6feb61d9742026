"""Transcripts: what a person types and sees, compared with the files in `golden/`.

A test types commands into a project of its own; when it ends, everything that was typed and
printed is compared with `golden/<test>.txt`. `pytest tests/cli --update-golden` writes the files
anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"

# What differs from run to run, or with the version of an engine, and is of no interest here.
NORMAL = (
    (re.compile(r"\b\d+\.\d\d s\b"), "0.00 s"),
    (re.compile(r"\b\d+(\.\d)? (B|kB|MB)\b"), "1.0 kB"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-01-01 00:00:00 UTC"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "2026-01-01T00:00:00.000Z"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"), "2026-01-01T00:00:00+00:00"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "00:00:00.000"),
    (re.compile(r'"(seconds|bytes|bytes_written)": \d+(\.\d+)?'), r'"\1": 0'),
    (re.compile(r"\b\S+, process \d+"), "this machine, process 1"),
    (re.compile(r"\bepoch-(\d+)-(?:[0-9a-f]{8}-)?[0-9a-f]{32}-"), r"epoch-\1-0-"),
    (re.compile(r"\bscratch/\S+/"), "scratch/"),
    (re.compile(r"range \[offset=\d+, size=\d+\]"), "range [offset=0, size=0]"),
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{6}\b"), "20260101T000000-000000"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


class Transcript:
    """A terminal in a folder of its own.

    Args:
        qanat: a command line that does what `python -m qanat` does.
    """

    def __init__(self, folder: Path, cache: Path, qanat: list[str]) -> None:
        self.folder = folder
        self.cache = cache
        self.qanat = qanat
        self.text = ""

    def file(self, path: str, content: str, *, shown: bool = True) -> None:
        """Write a file of the project; it is part of the transcript if `shown`."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        if shown:
            self.text += f"$ cat {path}\n{content}\n"

    def type(
        self, line: str, environ: Mapping[str, str] | None = None, *, fresh: bool = False
    ) -> int:
        """Run a command line of `qanat` in the folder; returns its exit code."""
        done = self.start(line, environ, fresh=fresh)
        output, _ = done.communicate(timeout=120)
        return self.put(line, output, done.returncode)

    def start(
        self, line: str, environ: Mapping[str, str] | None = None, *, fresh: bool = False
    ) -> subprocess.Popen[str]:
        """Start a command line and do not wait for it.

        Args:
            fresh: in an interpreter of its own, whose start is part of the test; it also takes
                signals and limits.
        """
        program, *arguments = shlex.split(line)
        assert program == "qanat"
        qanat = [sys.executable, "-m", "qanat"] if fresh else self.qanat
        return subprocess.Popen(
            [*qanat, *arguments],
            cwd=self.folder,
            env=environment() | {"XDG_CACHE_HOME": str(self.cache)} | dict(environ or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            # As in a terminal: what a shell runs in the background ignores Ctrl-C.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def put(self, line: str, output: str, code: int) -> int:
        """Note what a command printed."""
        ending = f"[exit code {code}]\n" if code else ""
        self.text += f"$ {line}\n{output}{ending}\n"
        return code

    def normal(self) -> str:
        text = self.text.replace(str(self.folder), "/project")
        for pattern, replacement in NORMAL:
            text = pattern.sub(replacement, text)
        return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def environment() -> dict[str, str]:
    """The environment variables of a person who has set none of ours."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("QANAT", "PYTEST")) and k not in ("NO_COLOR", "FORCE_COLOR")
    }
    # One thread: datasets end in one order.
    return kept | {"PYTHONUTF8": "1", "TERM": "dumb", "COLUMNS": "99", "QANAT__THREADS": "1"}


@pytest.fixture
def terminal(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, qanat: list[str]
) -> Transcript:
    """A terminal whose transcript is compared with nothing."""
    return Transcript(tmp_path, tmp_path_factory.mktemp("cache"), qanat)


@pytest.fixture
def transcript(terminal: Transcript, request: pytest.FixtureRequest) -> Iterator[Transcript]:
    """A terminal whose transcript must be as in `golden/<test>.txt` when the test ends."""
    yield terminal
    golden = GOLDEN / f"{request.node.name.removeprefix('test_')}.txt"
    text = terminal.normal()
    if request.config.getoption("--update-golden", default=False):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert golden.is_file(), f"no {golden.name}; make it with --update-golden"
    assert text == golden.read_text(encoding="utf-8")
