"""What an orchestrator learns of a project, and when it asks again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import qanat as library
from qanat.cli.template import contents
from qanat.errors import CycleError, DeclarationError, OptionError
from qanat.orchestrate.manifest import read_manifest
from qanat.orchestrate.program import Qanat
from qanat.orchestrate.tasks import tasks

QANAT = (sys.executable, "-m", "qanat")
SOURCE = Path(library.__file__).parents[1]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of `qanat init`, which nothing is kept of yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for path, text in contents("shop").items():
        file = tmp_path / "shop" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "shop"


def test_tasks_of_a_project(shop: Path) -> None:
    found = read_manifest(Qanat(str(shop), None, QANAT))
    assert [(task.identifier, task.after) for task in tasks(found)] == [
        ("bronze_orders", ()),
        ("customers", ()),
        ("silver_orders", ("bronze_orders", "customers")),
        ("revenue_by_city", ("silver_orders", "customers")),
        ("best_customers", ("silver_orders", "customers")),
        ("ranking", ("best_customers",)),
    ]
    assert [(task.identifier, task.after) for task in tasks(found, "group")] == [
        ("bronze", ()),
        ("silver", ("bronze",)),
        ("gold", ("silver", "bronze")),
        ("ranking", ("silver", "bronze")),
    ]
    (whole,) = tasks(found, "project")
    assert (whole.identifier, whole.after, len(whole.datasets)) == ("shop", (), 6)
    with pytest.raises(OptionError, match="no granularity 'datset'") as told:
        tasks(found, "datset")
    assert told.value.nearest == "dataset"


def test_a_selection(shop: Path) -> None:
    found = read_manifest(Qanat(str(shop), None, QANAT), ["+silver_orders"])
    assert [each.dataset for each in found.datasets] == [
        *("bronze_orders", "customers", "silver_orders")
    ]
    # What it reads is another task's only if that is selected, too.
    alone = read_manifest(Qanat(str(shop), None, QANAT), ["silver_orders"])
    assert [task.after for task in tasks(alone)] == [()]


def test_groups_that_wait_for_one_another(shop: Path) -> None:
    file = shop / "transformations" / "gold.sql"
    text = file.read_text(encoding="utf-8")
    again = "CREATE MATERIALIZED VIEW again TBLPROPERTIES ('qanat.group' = 'bronze')"
    file.write_text(f"{text}\n{again} AS SELECT * FROM silver_orders;\n", encoding="utf-8")
    found = read_manifest(Qanat(str(shop), None, QANAT))
    with pytest.raises(CycleError, match="bronze") as told:
        tasks(found, "group")
    assert told.value.hint is not None
    assert "TBLPROPERTIES ('qanat.group' = 'NAME')" in told.value.hint
    file.write_text(file.read_text(encoding="utf-8").replace("'bronze'", "'other'"))
    found = read_manifest(Qanat(str(shop), None, QANAT))
    assert "other" in [task.identifier for task in tasks(found, "group")]


def test_a_project_is_asked_again_when_a_file_has_changed(shop: Path) -> None:
    first = read_manifest(Qanat(str(shop), None, QANAT))
    spec, sql = shop / "qanat.yml", shop / "transformations" / "gold.sql"
    mark = shop / "asked"
    # This program notes that it was asked.
    program = shop / "program"
    program.write_text(f'#!/bin/sh\ntouch {mark}\nexec {sys.executable} -m qanat "$@"\n')
    program.chmod(0o755)
    qanat = Qanat(str(shop), None, (str(program),))

    def asked() -> bool:
        mark.unlink(missing_ok=True)
        read_manifest(qanat)
        return mark.exists()

    assert [asked(), asked()] == [True, False]
    for change in (
        lambda: os.utime(sql, (1, 1)),
        lambda: (sql.parent / "new.sql").write_text("CREATE TEMPORARY VIEW x AS SELECT 1;"),
        lambda: (sql.parent / "new.sql").unlink(),
        lambda: os.utime(spec, (1, 1)),
    ):
        change()
        assert [asked(), asked()] == [True, False]
    assert read_manifest(qanat) == first


def test_a_file_stands_for_the_project(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    written = subprocess.run(
        [*QANAT, "export", "manifest", "-C", shop], capture_output=True, text=True, check=True
    )
    file.write_text(written.stdout, encoding="utf-8")
    nowhere = Qanat("/nowhere", None, ("no-such-program",))
    assert read_manifest(nowhere, file=file) == read_manifest(Qanat(str(shop), None, QANAT))


def test_what_is_wrong_with_a_project(shop: Path) -> None:
    (shop / "transformations" / "gold.sql").write_text("CREATE TABEL x;", encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"gold\.sql:1"):
        read_manifest(Qanat(str(shop), None, QANAT))


def test_an_orchestrator_needs_no_package_that_qanat_depends_on() -> None:
    modules = ("manifest", "outcome", "program", "tasks", "written")
    program = ";".join(f"import qanat.orchestrate.{module}" for module in modules)
    # Without `site`, there are no packages but the standard library.
    subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        check=True,
    )
