"""The flights demo, and the same pipeline in the words of other tools (`peers/`).

Each tool has a project of its own and does the same three things: it reads eleven months from
nothing (`cold`), is started again with nothing new (`unchanged`), and is started when December
has arrived (`one more month`). After the first and the third its five gold tables must be equal,
by hash, to those of every other tool.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measure import Cost, spend
from place import PYTHON, QANAT, SOURCE, environment, no_cache

DEMO = SOURCE / "examples" / "flights"
PEERS = Path(__file__).parent / "peers"
DECEMBER = "flights_2013-12.csv"
PHASES = ("cold", "unchanged", "one more month")


class DifferentGoldError(ValueError):
    """Two tools that answer the same questions gave different answers."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, and how its users run the pipeline.

    Args:
        name: as people write it.
        package: whose version is shown.
        source: the folder of its project.
        files: which files of it are the pipeline: what its author writes.
        python: the Python of its environment; made when first asked for.
        commands: of each phase, run in the project.
        gold: what `peers/gold.py` is called with.
        variables: of its process.
    """

    name: str
    package: str
    source: Path
    files: tuple[str, ...]
    python: Callable[[], Path]
    commands: Callable[[Path], Sequence[Sequence[str | Path]]]
    gold: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    def lay_out(self, folder: Path, data: Path) -> None:
        """A fresh project with the data of eleven months."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(
            self.source,
            folder,
            ignore=shutil.ignore_patterns("data", "storage", "tests", "__pycache__"),
        )
        shutil.copytree(data / "data", folder / "data")

    def run(self, folder: Path, phase: str, data: Path) -> Cost:
        """What a phase costs, as its user would start it."""
        if phase == PHASES[0]:
            self.lay_out(folder, data)
        elif phase == PHASES[2]:
            shutil.copy(data / DECEMBER, folder / "data" / "flights")
        command = self.commands(self.python().parent)[PHASES.index(phase)]
        # A cache of its own: no run finds what an earlier one has left outside the project.
        env = {"NO_COLOR": "1", **no_cache(folder), **self.variables}
        return spend(command, folder, env=env)

    def answers(self, folder: Path) -> dict[str, object]:
        """The hashes of its gold tables, and how many rows those before have."""
        told = subprocess.run(
            [self.python(), PEERS / "gold.py", *self.gold],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        answers: dict[str, object] = json.loads(told.stdout)
        return answers

    def version(self) -> str:
        """The version that its environment has."""
        tell = f"from importlib.metadata import version; print(version('{self.package}'))"
        told = subprocess.run(
            [self.python(), "-c", tell], check=True, capture_output=True, text=True
        )
        return told.stdout.strip()

    def size(self) -> tuple[int, int]:
        """Lines that are neither blank nor comments, and files, of the pipeline."""
        files = [path for glob in self.files for path in sorted(self.source.glob(glob))]
        lines = [line.strip() for path in files for line in path.read_text("utf-8").splitlines()]
        return sum(bool(t) and not t.startswith(("--", "#", "{#")) for t in lines), len(files)


def _same(command: Sequence[str | Path]) -> Sequence[Sequence[str | Path]]:
    return (command, command, command)


def _sqlmesh(programs: Path) -> Sequence[Sequence[str | Path]]:
    program = programs / "sqlmesh"
    # The data are of 2013, and SQLMesh goes by the calendar: it is told what day it is.
    plan = (program, "plan", "--auto-apply", "--no-prompts", "--execution-time", "2013-12-01")
    return (plan, (program, "run", "-e", "2013-11-30"), (program, "run", "-e", "2013-12-31"))


def _peer(folder: str, without: Sequence[str] = ()) -> Callable[[], Path]:
    wanted = (PEERS / folder / "requirements.txt").read_text(encoding="utf-8").split()
    name = folder.partition("_")[0]
    return lambda: environment(name, *wanted, without=without) / "python"


OURS = Tool(
    name="Qanat",
    package="qanat",
    source=DEMO,
    files=("qanat.yml", "transformations/*"),
    python=lambda: Path(PYTHON),
    commands=lambda _: _same((*QANAT, "run")),
    gold=("delta", "storage/tables"),
)
PLAIN = Tool(
    name="plain DuckDB script",
    package="duckdb",
    source=PEERS / "plain",
    files=("*.py",),
    python=_peer("plain"),
    commands=lambda programs: _same((programs / "python", "flights_script.py")),
    gold=("parquet", "warehouse"),
)
DBT = Tool(
    name="dbt",
    package="dbt-core",
    source=PEERS / "dbt",
    files=("*.yml", "macros/*", "models/**/*.*", "tests/*"),
    # The parser of dbt v2 is used with `--use-v2-parser` only; its package on PyPI has no content
    # but fetches it from GitHub.
    python=_peer("dbt", without=("dbt-core-experimental-parser==2.0.0",)),
    commands=lambda programs: _same((programs / "dbt", "build")),
    gold=("duckdb", "warehouse.duckdb", "main"),
    variables={"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
)
SQLMESH = Tool(
    name="SQLMesh",
    package="sqlmesh",
    source=PEERS / "sqlmesh",
    files=("*.yaml", "audits/*", "models/*"),
    python=_peer("sqlmesh"),
    commands=_sqlmesh,
    gold=("duckdb", "warehouse.duckdb", "flights"),
)
DLT = Tool(
    name="dlt + SQL",
    package="dlt",
    source=PEERS / "dlt_sql",
    files=("*.py", "*.sql", ".dlt/config.toml"),
    python=_peer("dlt_sql"),
    commands=lambda programs: _same((programs / "python", "flights_pipeline.py")),
    gold=("duckdb", "warehouse.duckdb", "flights"),
)
TOOLS = (OURS, DBT, SQLMESH, DLT, PLAIN)


def prepare(folder: Path) -> Path:
    """Lay out the data: eleven months in `data`, and December beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEMO / "prepare.py", folder)
    subprocess.run(
        [sys.executable, folder / "prepare.py", "--month", "12"], check=True, capture_output=True
    )
    (folder / "data" / "flights" / DECEMBER).rename(folder / DECEMBER)
    return folder


def compare(phase: str, found: Mapping[str, dict[str, object]]) -> None:
    """Make sure that all tools found the same.

    Raises:
        DifferentGoldError: they did not; tells which tables of which tools.
    """
    (first, wanted), *others = found.items()
    for name, answers in others:
        wrong = [table for table in wanted if answers[table] != wanted[table]]
        if wrong:
            told = ", ".join(f"{t}: {wanted[t]} and {answers[t]}" for t in wrong)
            raise DifferentGoldError(f"{phase}: {first} and {name} differ in {told}")
