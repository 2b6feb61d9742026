"""The program itself: help, version, wrong command lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from qanat.cli import program
from qanat.report.aim import aimed

COMMANDS = (
    "init",
    "validate",
    "plan",
    "run",
    "serve",
    "schedules",
    "test",
    "backtest",
    "suggest",
    "query",
    "show",
    "diff",
    "lineage",
    "history",
    "report",
    "quarantine",
    "anomalies",
    "contract",
    "export",
    "import",
    "promote",
    "maintain",
    "pause",
    "resume",
    "rename",
    "drop",
    "profile",
    "doctor",
    "help",
)


def test_help(transcript: Any) -> None:
    assert transcript.type("qanat --help") == 0
    assert transcript.type("qanat init --help") == 0


def test_an_interrupt_while_modules_are_loaded() -> None:
    """Ctrl-C in the first tenth of a second: there is nothing yet to tell more by."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from qanat.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted.\n")


def test_wrong_command_line(transcript: Any) -> None:
    for line in (
        "qanat rnu",
        "qanat frobnicate",
        "qanat build",
        "qanat run --watch",
        "qanat -C shop run",
        "qanat init --otput json",
        "qanat init --output yaml",
        "qanat init a b",
        "qanat init --output json --tmplate x",
        "qanat run orders",
        "qanat plan a b",
        "qanat run --full-refresh --only orders",
        "qanat run --wait orders",
        "qanat run --only",
        "qanat plan --accept-loss",
    ):
        assert transcript.type(line) == 2


def test_help_of_what_is_named(transcript: Any) -> None:
    assert transcript.type("qanat help rename") == 0
    assert transcript.type("qanat help quarantine show") == 0
    assert transcript.type("qanat help rnu") == 2
    assert transcript.type("qanat help rename x") == 2
    assert transcript.type("qanat quarantine orders") == 2


@pytest.mark.parametrize("line", ["qanat", "qanat quarantine"])
def test_a_command_line_of_nothing_asks_for_help(terminal: Any, line: str) -> None:
    assert terminal.type(line) == 0
    shown = terminal.text.partition("\n")[2]
    terminal.text = ""
    assert terminal.type(f"{line} --help") == 0
    assert terminal.text.partition("\n")[2] == shown
    assert shown.startswith(f"Usage: {line} [OPTIONS] COMMAND")


SHELLS = {
    "bash": lambda words, last: (words, str(len(words.split(" ")) - 1)),
    "zsh": lambda words, last: (words, str(len(words.split(" ")) - 1)),
    "fish": lambda words, last: (words, last),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_names_of_datasets(terminal: Any, shell: str) -> None:
    terminal.file("qanat.yml", "name: shop\nenvironments: {prod: {}, ocean: {}}\n")
    terminal.file(
        "transformations/all.sql",
        "CREATE MATERIALIZED VIEW orders AS SELECT 1 AS n;\n"
        "CREATE MATERIALIZED VIEW others (CONSTRAINT odd EXPECT (n > 0),"
        " CONSTRAINT oddly EXPECT (n < 9)) AS SELECT 1 AS n;\n",
    )

    def completed(line: str, folder: Path = terminal.folder, begin: str = "o") -> set[str]:
        words, last = SHELLS[shell](line, line.rpartition(" ")[2])
        done = subprocess.run(
            [sys.executable, "-m", "qanat"],
            cwd=folder,
            env={
                **os.environ,
                "_QANAT_COMPLETE": f"{shell}_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": last,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return {w for w in re.split(r"[\n,\t]", done.stdout) if w.strip("+").startswith(begin)}

    assert completed("qanat show or") == {"orders"}
    assert completed("qanat show orders__") == {"orders__quarantine"}
    assert completed("qanat run --select +o") == {"+orders", "+others"}
    assert completed("qanat run -e prod --full-refresh orders o") == {"orders", "others"}
    assert completed("qanat quarantine replay oth") == {"others"}
    assert completed("qanat quarantine show others --rule o") == {"odd", "oddly"}
    assert completed("qanat quarantine show orders --rule o") == set()
    assert completed("qanat run -e o") == {"ocean"}
    assert completed("qanat help ") == set()  # none begins with an o
    assert completed("qanat help pro", begin="pro") == {"promote", "profile"}
    assert completed("qanat help quarantine ex", begin="e") == {"export"}
    assert completed("qanat show or", Path(os.sep)) == set()
    terminal.file("transformations/more.py", "1 / 0")
    assert completed("qanat show or") == {"orders"}


def test_later_releases(transcript: Any) -> None:
    assert transcript.type("qanat backfill") == 2


def test_init(transcript: Any) -> None:
    assert transcript.type("qanat init 'my shop'") == 0
    transcript.file("my shop/README.md", "mine\n", shown=False)
    assert transcript.type("qanat init 'my shop'") == 2
    assert (transcript.folder / "my shop/README.md").read_text() == "mine\n"
    assert transcript.type("qanat init other --output json") == 0


def test_init_into_a_file(transcript: Any) -> None:
    transcript.file("shop", "a file\n")
    assert transcript.type("qanat init shop") == 2
    assert transcript.type("qanat init shop/below") == 2


def test_version(terminal: Any) -> None:
    assert terminal.type("qanat --version") == 0
    assert "qanat 0." in terminal.text


def test_no_encoding_breaks_the_output(terminal: Any) -> None:
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    assert terminal.type("qanat init 数据", ascii_only, fresh=True) == 0
    assert r"\u6570\u636e" in terminal.text


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        (">/dev/full", 1, "no space left to write to standard output"),
        (">/dev/full 2>/dev/full", 1, ""),
    ],
)
def test_output_that_cannot_be_written(
    tmp_path: Path, redirection: str, code: int, says: str
) -> None:
    assert subprocess.run([sys.executable, "-m", "qanat", "init", tmp_path / "p"]).returncode == 0
    command = f"exec '{sys.executable}' -m qanat lineage {redirection}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path / "p", capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "defect" not in done.stderr


def test_help_needs_no_command(terminal: Any) -> None:
    """`qanat --help` loads no command and nothing that only commands need."""
    script = (
        "import sys\n"
        "from qanat.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'duckdb', 'deltalake', 'pyarrow', 'pydantic', 'sqlglot', 'rich.console'}\n"
        "print(sorted(m for m in sys.modules if m in heavy or m.startswith('qanat.run')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_program_is_the_commands_own(name: str) -> None:
    command = import_module(
        f"qanat.cli.{name}_" if name == "import" else f"qanat.cli.{name}"
    ).command
    assert command.short_help == program.COMMANDS[name]
    assert tuple(program.COMMANDS) == COMMANDS


def test_a_defect_is_no_riddle(tmp_path: Path) -> None:
    """An unforeseen error: a short message, the traceback in a file, exit code 1."""
    script = (
        "import sys\n"
        "from qanat.cli import failure\n"
        "sys.excepthook = failure.report_defect\n"
        "raise ZeroDivisionError('odd \\x1b[2J')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert "defect of Qanat" in done.stderr
    (log,) = tmp_path.glob("qanat-*.log")
    assert str(log) in done.stderr
    assert "ZeroDivisionError" in log.read_text()


def _with_a_project(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    """Every command, with those of groups, that takes the project's folder."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _with_a_project(found, (*path, name))
    elif any("--project" in parameter.opts for parameter in command.params):
        yield " ".join(path)


def test_a_hint_with_any_command_is_aimed_at_the_project() -> None:
    found = list(_with_a_project(program.program, ("qanat",)))
    assert "qanat anomalies mark" in found
    assert [c for c in found if aimed(c, " -C shop") != f"{c} -C shop"] == []


def test_the_values_of_a_missing_argument_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["anomalies", "mark", "orders"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "missing argument '{expected|anomaly}'\n  = wanted: expected or anomaly\n" in told
