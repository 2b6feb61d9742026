"""The crash test itself: it finds defects that are planted, and nothing where there are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from qanat.crash.case import Verdict
from qanat.crash.crew import Crew
from qanat.crash.journal import Journal
from qanat.crash.sweep import Extent, carry_out, prepare
from tests.acceptance.conftest import Paths
from tests.crash.projects import scenarios

pytestmark = pytest.mark.crash

# Each a patch of the program, the kind of case that has to notice, and what it is to say.
PLANTED = {
    "no folder is ever synced": (
        (
            "import os\n"
            "real = os.fsync\n"
            "def fsync(handle):\n"
            "    if not os.path.isdir(f'/proc/self/fd/{handle}'):\n"
            "        real(handle)\n"
            "os.fsync = fsync\n"
        ),
        "power",
        "which was acknowledged",
    ),
    "the ledger hears of an epoch too late": (
        (
            "from qanat.ledgers.sql.ledger import SqlLedger\n"
            "def open_epochs(self):\n"
            "    return ()\n"
            "SqlLedger.open_epochs = open_epochs\n"
        ),
        "kill",
        "",
    ),
    "leftovers are left": (
        "from qanat.storage.delta import DeltaStore\nDeltaStore.sweep = lambda self, *rest: 0\n",
        "kill",
        "are in no version",
    ),
}


def sweep(folder: Path, kind: str, most: int) -> Sequence[Verdict]:
    images = folder / "images"
    images.mkdir()
    chosen = [s for s in scenarios(images) if s.name == "append"]
    extent = Extent(seed=5, kinds=(kind,), most=most)
    with Crew(folder, 1) as crew:
        prepared = prepare(crew, chosen, extent)
        return carry_out(crew, prepared, extent, Journal(None, ""), lambda v: None).verdicts


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    patch, kind, says = PLANTED[defect]
    # Python imports this module by itself when it starts: here, into the workers.
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(patch, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{planted}:{Path.cwd()}")
    verdicts = sweep(tmp_path, kind, 25)
    found = [c for v in verdicts for c in v.complaints]
    assert any(says in c for c in found), found


@pytest.mark.parametrize("kind", ["kill", "power"])
def test_and_nothing_where_nothing_is_wrong(tmp_path: Path, kind: str) -> None:
    verdicts = sweep(tmp_path, kind, 8)
    assert [v.complaints for v in verdicts] == [()] * 8
    assert all(v.hits and v.seconds for v in verdicts)


def doctor(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qanat", "doctor", "--crash-test", *options],
        cwd=project,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths.make(tmp_path / "project")
    made.first()
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_user_crashes_a_copy_of_a_project(paths: Paths) -> None:
    subprocess.run([sys.executable, "-m", "qanat", "run"], cwd=paths.root, check=True)
    before = files(paths.root)
    done = doctor(paths.root, "--cases", "12", "--seed", "2", "--output", "json")
    assert files(paths.root) == before
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["survived"] == document["tried"] >= 12
    assert document["rows_lost"] == document["rows_doubled"] == 0
    assert document["failures"] == []
    assert 0 < document["recovery_median_seconds"] <= document["recovery_slowest_seconds"]
    page = paths.root.parent / "ergebnis ä.html"
    again = doctor(paths.root, "--case", "run kill@5 #2", "--report", str(page))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 fault at 1 site, all survived" in again.stdout
    assert f"page: {page}" in again.stdout
    assert "1 fault, 1 survived; no row lost, none doubled" in page.read_text(encoding="utf-8")


def test_where_no_page_can_be_written_nothing_is_tried(paths: Paths) -> None:
    done = doctor(paths.root, "--report", str(paths.root / "nowhere" / "page.html"))
    assert done.returncode == 2
    assert f"there is no folder {paths.root / 'nowhere'}" in done.stderr


def test_data_elsewhere_is_read_where_it_is(paths: Paths) -> None:
    """A folder of files that is too large to copy, and a storage outside of the project."""
    elsewhere = paths.root.parent / "elsewhere"
    (paths.root / "in").rename(elsewhere)
    (paths.root / "in").symlink_to(elsewhere)
    spec = (paths.root / "qanat.yml").read_text(encoding="utf-8")
    outside = spec.replace("storage: storage", f"storage: {paths.root.parent / 'storage'}")
    paths.write("qanat.yml", outside)
    done = doctor(paths.root, "--cases", "3", "--seed", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (paths.root.parent / "storage").exists()


def test_a_sink_that_cannot_be_copied_is_refused(paths: Paths) -> None:
    text = (paths.root / "transformations/flows.py").read_text(encoding="utf-8")
    place = paths.root.parent / "export"
    paths.write("transformations/flows.py", text.replace('"out/export"', repr(str(place))))
    done = doctor(paths.root)
    assert done.returncode == 2
    assert f"the sink export writes to {place}" in done.stderr
    assert not place.exists()


def test_a_project_that_fails_by_itself(paths: Paths) -> None:
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    rule = "(amount > 0) ON VIOLATION DROP ROW"
    assert rule in sql
    failing = sql.replace(rule, "(amount > 5000) ON VIOLATION FAIL UPDATE")
    paths.write("transformations/tables.sql", failing)
    done = doctor(paths.root)
    assert done.returncode == 1
    assert "first-run fails without any fault" in done.stderr


def test_a_case_of_a_scenario_that_is_not_there(paths: Paths) -> None:
    done = doctor(paths.root, "--case", "fist-run kill@3")
    assert done.returncode == 2
    assert "fist-run" in done.stderr
    assert "first-run" in done.stderr
