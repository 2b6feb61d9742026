"""Files of orchestrators: the same for the same project, and formatted."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
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
ODD = Manifest(
    'my "shop""" \\ \n end"',
    "dev",
    (
        entry("DAG"),
        entry("DAG_", "DAG"),
        entry("class", "DAG_"),
        entry("class_", "class"),
        entry("__debug__", "class_"),
        entry("日本", "__debug__"),
        entry("中国", "日本"),
    ),
)
EXPORTS = {
    "odd": Export(ODD, "/srv/o'\"dd"),
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


def test_each_task_of_airflow_has_a_variable_of_its_own() -> None:
    lines = written("airflow", Export(ODD, "/srv")).splitlines()
    made = [line.split()[0] for line in lines if line.endswith("= QanatOperator(")]
    assert len(set(made)) == len(ODD.datasets)
    waits = [line.strip() for line in lines if ">>" in line]
    assert waits == [f"{one} >> {two}" for one, two in pairwise(made)]
