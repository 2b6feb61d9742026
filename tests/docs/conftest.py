"""Pages that are true: every ```console block is typed, and must print what the page says.

A page is one session of bash in a folder of its own. Three kinds of fenced block count:

- `console`: `$ command` (continued by `> `), then what it prints. A line `…` stands for any
  lines. A command must succeed unless the page shows its error.
- any language with `title="path"`: a file that the reader writes.
- `<!-- start: examples/flights -->` copies a folder of the repository to begin with, and
  `<!-- needs: postgresql -->` (or `s3`, `kafka`, `compiler`) starts that service.

`pytest tests/docs --update-docs` writes what is printed into the pages, all blocks of a page as
soon as one is no longer right; read the difference.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
_NOTE = re.compile(r"<!-- (start|needs): (\S+) -->")

# What differs from run to run or from machine to machine.
_NORMAL = (
    (re.compile(r"\d+\.\d+( ?)s\b"), r"0.00\1s"),
    (re.compile(r"\b\d+(\.\d)? (B|kB|MB)\b"), "1 kB"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-01-01 00:00:00 UTC"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)"), "2026-01-01T00:00:00.000Z"),
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{6}\b"), "20260101T000000-000000"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "00:00:00.000"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "0" * 32),
    (re.compile(r'"seconds": [\d.]+'), '"seconds": 0'),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "0.0.0"),
    (re.compile(r"-{3,}"), "---"),
    (re.compile(r"[ \t]+"), " "),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-docs", action="store_true", help="write true output into pages")


@dataclass
class Command:
    """A command of a page.

    Args:
        shown: what the page says that it prints.
        span: where `shown` is in the page.
    """

    text: str
    shown: str
    span: tuple[int, int]
    printed: str = ""
    code: int = 0


@dataclass
class File:
    """A file that the reader is told to write."""

    path: str
    content: str


@dataclass
class Page:
    """A page of the documentation, and what happens when one does what it says."""

    path: Path
    update: bool = False
    text: str = field(init=False)
    steps: list[Command | File] = field(init=False)
    notes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.text = self.path.read_text(encoding="utf-8")
        self.notes = dict(_NOTE.findall(self.text))
        self.steps = list(self._parse())

    @property
    def commands(self) -> list[Command]:
        return [s for s in self.steps if isinstance(s, Command)]

    def _parse(self) -> Iterator[Command | File]:
        for fence in _FENCE.finditer(self.text):
            title = _TITLE.search(fence[2])
            if title:
                yield File(title[1], fence[3])
            elif fence[1] == "console":
                yield from _commands(fence[3], fence.start(3))

    def run(self, folder: Path, results: Path, environ: Mapping[str, str]) -> None:
        """Type everything, in one shell.

        Args:
            folder: where, at or below the person's home.
            results: a folder beside that home, for what is printed.
        """
        results.mkdir()
        script = [f"cd '{folder}'"]
        for number, step in enumerate(self.steps):
            if isinstance(step, File):
                script.append(f"mkdir -p \"$(dirname '{step.path}')\"")
                script.append(f"cat > '{step.path}' <<'END OF FILE'\n{step.content}END OF FILE")
            else:
                out = results / str(number)
                script.append(f"{{ {step.text}\n}} >'{out}.out' 2>'{out}.err' </dev/null")
                script.append(f"echo $? >'{out}.code'")
        subprocess.run(
            ["bash", "-c", "\n".join(script)],
            env=dict(environ),
            check=False,
            timeout=240,
            capture_output=True,
        )
        for number, step in enumerate(self.steps):
            if isinstance(step, Command):
                out = results / str(number)
                step.printed = _printed(out).replace(str(results.parent / "home"), "/home/ada")
                step.code = int(Path(f"{out}.code").read_text())
        if self.update:
            self.path.write_text(self._updated(), encoding="utf-8")

    def check(self) -> None:
        """Every command printed what the page shows, and succeeded unless an error is shown."""
        for command in self.commands:
            if not agree(command.shown, command.printed):
                assert _normal(command.printed) == _normal(command.shown), command.text
            assert command.code == 0 or "error[" in command.shown, command.text

    def _updated(self) -> str:
        """The page with what the commands really print, all of it by one run.

        A reader compares identifiers and times of one block with those of another. What is shown
        in part (`…`) stays as long as it is right.
        """
        text = self.text
        if all(agree(c.shown, c.printed) for c in self.commands):
            return text
        for command in reversed(self.commands):
            start, end = command.span
            in_part = re.search("^…$", command.shown, re.MULTILINE)
            if in_part and agree(command.shown, command.printed):
                continue
            text = text[:start] + command.printed + text[end:]
            command.shown = command.printed
        return text


def _commands(block: str, offset: int) -> Iterator[Command]:
    text, shown, start, end = "", "", 0, 0
    at = offset
    for line in block.splitlines(keepends=True):
        begin, at = at, at + len(line)
        if line.startswith("$ "):
            if text:
                yield Command(text, shown, (start, end))
            text, shown, start, end = line[2:], "", at, at
        elif line.startswith("> ") and not shown:
            text += line[2:]
            start, end = at, at
        else:
            assert text, f"output before a command: {line!r}"
            shown += line
            start, end = start or begin, at
    if text:
        yield Command(text, shown, (start, end))


def _printed(out: Path) -> str:
    """Standard output, and the errors: progress is for the eye and comes in any order."""
    errors = Path(f"{out}.err").read_text(encoding="utf-8")
    wrong = re.search(r"^(error|warning|note|bash:)", errors, re.MULTILINE)
    printed = Path(f"{out}.out").read_text(encoding="utf-8")
    return printed + (errors[wrong.start() :] if wrong else "")


def agree(shown: str, printed: str) -> bool:
    """True if a page shows what was printed, apart from times, identifiers and widths."""
    pattern = ""
    for line in _normal(shown).splitlines():
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line) + r"\n"
    return re.fullmatch(pattern, _normal(printed)) is not None


def _normal(text: str) -> str:
    for pattern, replacement in _NORMAL:
        text = pattern.sub(replacement, text)
    lines = [line.strip() for line in text.strip("\n").splitlines()]
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture
def environ(tmp_path: Path, qanat: list[str]) -> dict[str, str]:
    """A person's environment: the commands of this Python, and none of our variables."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    python = [sys.executable]
    for name, command in {
        "python": python,
        "qanat": qanat,
        "pytest": [*python, "-m", "pytest"],
    }.items():
        write_program(bin_ / name, f'exec {shlex.join(command)} "$@"')
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("QANAT", "PYTEST", "AWS"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        kept.pop(name, None)
    return kept | {
        "PATH": f"{bin_}{os.pathsep}{kept['PATH']}",
        "PYTHONUTF8": "1",
        "TERM": "dumb",
        "COLUMNS": "99",
        "QANAT__THREADS": "1",  # so that datasets end in one order
        "HOME": str(tmp_path),
    }


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


Opener = Callable[[Path], "Page"]


@pytest.fixture
def open_page(request: pytest.FixtureRequest) -> Opener:
    """Opens a page; with --update-docs, running it writes it anew."""
    return partial(Page, update=request.config.getoption("--update-docs", default=False))


@pytest.fixture
def typed(
    request: pytest.FixtureRequest, tmp_path: Path, environ: dict[str, str], open_page: Opener
) -> Page:
    """The page of the test's parameter, with everything typed."""
    page = open_page(ROOT / request.param)
    folder = tmp_path / "home"
    start = page.notes.get("start")
    if start:
        skipped = shutil.ignore_patterns("storage", "data" if "flights" in start else "", "__py*")
        shutil.copytree(ROOT / start, folder, ignore=skipped)
    else:
        folder.mkdir()
    needed = page.notes.get("needs")
    if needed:
        environ |= request.getfixturevalue(needed)
    page.run(folder, tmp_path / "printed", environ)
    return page


@pytest.fixture(scope="session")
def postgresql() -> Iterator[dict[str, str]]:
    """A PostgreSQL server, under the name that the pages use."""
    from qanat.testing.postgresql import postgresql as server

    with server() as url:
        yield {"LEDGER_URL": url}


@pytest.fixture(scope="session")
def kafka() -> Iterator[dict[str, str]]:
    """A broker with the topics of the pages, under the name that they use."""
    from confluent_kafka.admin import AdminClient, NewTopic

    from qanat.testing.kafka import kafka as server

    with server() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        for future in admin.create_topics([NewTopic("orders", 1), NewTopic("large", 1)]).values():
            future.result(20)
        yield {"BROKERS": broker.address}


@pytest.fixture(scope="session")
def compiler() -> dict[str, str]:
    """A C compiler, which the make target of these tests has seen to."""
    return {}


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server with the bucket that the pages use."""
    from qanat.testing.object_store import object_store

    with object_store() as server:
        server.create_bucket("company")
        for day in ("2026-01-01", "2026-01-02"):
            lines = f"order_id,amount\n{day[-1]},{day[-1]}.50\n"
            server.put("company", f"orders/{day}.csv", lines.encode())
        yield server.environment
