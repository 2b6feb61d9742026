"""The same tables, ledger and statuses under Luigi's central scheduler as by `qanat run`."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from tests.orchestrate.luigi import LuigiRuns, luigi
from tests.orchestrate.project import Parity, PlainRuns, origins_of, play, state_of

pytestmark = pytest.mark.orchestrators


def test_parity(tmp_path: Path) -> None:
    plain, ours = Parity(tmp_path / "plain"), Parity(tmp_path / "luigi")
    expected = play(plain, PlainRuns())
    with luigi(tmp_path / "site") as site:
        assert play(ours, LuigiRuns(site)) == expected
    assert state_of(ours.folder) == state_of(plain.folder)
    pattern = r"luigi UpdateTask_\w+"
    assert [o for o in origins_of(ours.folder) if not re.fullmatch(pattern, o)] == []


def test_a_refresh_that_finds_nothing_new(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "1.csv").write_text("n\n1\n", encoding="utf-8")
    (folder / "qanat.yml").write_text("name: again\nlibraries: ['*.sql']\n", encoding="utf-8")
    table = "CREATE STREAMING TABLE taken AS SELECT * FROM STREAM read_files('in/*.csv');"
    view = "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM taken;"
    (folder / "tables.sql").write_text(table + view, encoding="utf-8")
    with luigi(tmp_path / "site") as site:
        for _ in range(2):
            time.sleep(1.1)  # Two runs within a second would have the same tasks.
            given = {"path": str(folder), "qanat": [sys.executable, "-m", "qanat"]}
            site.build(workers=2, seconds=120, refresh=True, **given)
        assert {task["status"] for task in site.tasks().values()} == {"DONE"}
