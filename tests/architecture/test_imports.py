"""What a command need not import, it does not import: start-up is most of a short run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parsed import nodes

ROOT = Path(__file__).parents[2] / "src" / "qanat"
HEAVY = frozenset(
    ("deltalake", "duckdb", "ibis", "numpy", "obstore", "pandas", "polars", "psycopg", "pyarrow")
)
OPTIONAL = {
    "adbc_driver_manager": frozenset({"connectors/postgres/drivers.py"}),
    "adbc_driver_postgresql": frozenset({"connectors/postgres/drivers.py"}),
    "airflow": frozenset({"orchestrate/airflow.py"}),
    "confluent_kafka": frozenset({"connectors/kafka/drivers.py", "testing/kafka.py"}),
    "dagster": frozenset({"orchestrate/dagster.py"}),
    "fastavro": frozenset({"connectors/kafka/avro.py", "engines/duckdb/files/avro.py"}),
    "google": frozenset({"descriptors.py", "engines/duckdb/files/protobuf.py"}),
    "grpc_tools": frozenset[str](),
    "ibis": frozenset[str](),
    "luigi": frozenset({"orchestrate/luigi.py"}),
    "lz4": frozenset[str](),
    "numpy": frozenset[str](),
    "obstore": frozenset(
        {
            "connectors/files/bucket.py",
            "objects.py",
            "storage/delta/remote.py",
            "storage/delta/remote_moves.py",
        }
    ),
    "pandas": frozenset({"project/relation.py"}),
    "polars": frozenset({"engines/duckdb/files/avro.py", "project/relation.py"}),
    "ptars": frozenset({"connectors/kafka/protobuf.py", "engines/duckdb/files/protobuf.py"}),
    "prefect": frozenset({"orchestrate/prefect.py"}),
    "psycopg": frozenset({"connectors/postgres/drivers.py", "ledgers/sql/postgresql.py"}),
    "pyarrow": frozenset(
        {
            "connectors/files/orc.py",
            "connectors/kafka/drivers.py",
            "connectors/postgres/drivers.py",
            "engines/duckdb/files/avro.py",
            "engines/duckdb/files/decoded.py",
            "engines/duckdb/files/maps.py",
            "engines/duckdb/files/protobuf.py",
            "engines/duckdb/files/shapes.py",
            "project/relation.py",
        }
    ),
    "pyiceberg": frozenset(
        f"storage/iceberg/{module}.py"
        for module in (
            "columns",
            "commit",
            "described",
            "disk",
            "draft",
            "foreign",
            "leftovers",
            "manifests",
            "moving",
            "reading",
            "witness",
        )
    ),
}
"""Packages of extras and orchestrators, and the modules that name them: those that are nothing
without them, and `project/relation.py`, which imports them for type checkers alone."""
PARSERS = frozenset(("pydantic", "rich", "sqlglot", "yaml"))

PROGRAM = """
import sys
from qanat.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print(*{name.partition(".")[0] for name in sys.modules}, sep=",")
"""
SPEC = """
name: quick
libraries: ['*.sql']
schedules:
  nightly: {cron: 0 1 * * *, between: 01:00-05:00, skip_dates: [2026-12-25], done_by: 06:00}
"""
SQL = """
CREATE STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, amount BIGINT');
CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM bronze;
"""


def importers(package: str) -> set[str]:
    """The modules that import a package when they are imported, or for type checkers."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in nodes(path):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if any(name.partition(".")[0] == package for name in names):
                found.add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("package", OPTIONAL)
def test_extras_are_imported_by_their_own_modules_alone(package: str) -> None:
    assert importers(package) == OPTIONAL[package]


class Program:
    """The program, run in processes of its own that tell what they have imported."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.environ = os.environ | {"XDG_CACHE_HOME": str(project / "cache")}

    def __call__(self, *arguments: str) -> tuple[str, frozenset[str]]:
        """What it prints, and the packages that it has imported."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=self.project,
            env=self.environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        printed, _, imported = done.stdout.strip().rpartition("\n")
        return printed, frozenset(imported.split(","))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """In a project that is up to date."""
    project = tmp_path_factory.mktemp("project")
    (project / "qanat.yml").write_text(SPEC)
    (project / "tables.sql").write_text(SQL)
    (project / "data").mkdir()
    (project / "data" / "1.csv").write_text("id,amount\n1,2\n2,-1\n")
    program = Program(project)
    _, imported = program("run")
    assert {"duckdb", "sqlglot"} <= imported, "the test sees what is imported"
    assert not imported & OPTIONAL.keys()
    return program


def test_a_run_without_news(program: Program) -> None:
    printed, imported = program("run")
    assert "Nothing new: read 0 rows, wrote 0 rows." in printed
    assert not imported & (HEAVY | PARSERS)
    # It comes with `importlib.metadata`: other packages need not be asked for adapters.
    assert "email" not in imported


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("--version",)])
def test_help(program: Program, arguments: tuple[str, ...]) -> None:
    assert not program(*arguments)[1] & (HEAVY | PARSERS)


@pytest.mark.parametrize("command", ["history", "plan"])
def test_commands_that_read_no_rows(program: Program, command: str) -> None:
    """Of tables they ask at most the log."""
    printed, imported = program(command)
    assert printed
    assert not imported & HEAVY
