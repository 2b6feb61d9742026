"""Files of orchestrators: the same for the same project, and formatted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qanat.orchestrate.manifest import DatasetEntry, Manifest
from qanat.orchestrate.written import FILES, Export, written


def entry(name: str, *reads: str, group: str = "all") -> DatasetEntry:
    return DatasetEntry(name, "materialized view", group, None, (), reads, (), ())


SHOP = Manifest(
    "shop",
    "dev",
    (
        entry("a"),
        entry("class"),
        entry("odd \"name'"),
        entry("b", "a", "class"),
        entry("c" * 70, "a", "b", "class", group="late"),
    ),
)
EXPORTS = {
    "plain": Export(SHOP, "/srv/shop"),
    "all": Export(
        SHOP,
        "/srv/it's",
        "prod",
        ("a+", "class"),
        "group",
        schedule="0 3 * * *",
        retries=0,
        qanat="/opt/q",
    ),
    "one": Export(SHOP, "/srv/shop", granularity="project"),
}


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("orchestrator", FILES)
def test_a_file_is_python_as_formatters_write_it(
    orchestrator: str, name: str, tmp_path: Path
) -> None:
    text = written(orchestrator, EXPORTS[name])
    assert text == written(orchestrator, EXPORTS[name])
    compile(text, name, "exec")
    file = tmp_path / "shop.py"
    file.write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    imports = "lint.isort.known-first-party=['qanat']"
    for arguments in (
        ["format", "--isolated", "--diff"],
        ["check", "--isolated", "--select", "E,F,I,W,UP", "--ignore", "E501", "--config", imports],
    ):
        done = subprocess.run([*ruff, *arguments, file], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_dag_has_the_tasks_and_what_they_wait_for() -> None:
    text = written("airflow", EXPORTS["plain"])
    assert "    class_ = QanatOperator(\n" in text
    assert "    [a, class_] >> b\n" in text
