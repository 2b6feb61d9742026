"""A file that `qanat export` has written loads in the orchestrator's own environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.orchestrate.environments import PACKAGES, programs, variables
from tests.orchestrate.project import QANAT, Parity

pytestmark = pytest.mark.orchestrators
PROGRAM = "import runpy, sys; print(sorted(runpy.run_path(sys.argv[1])))"
DEFINED = {"airflow": "silver", "dagster": "defs", "luigi": "parity", "prefect": "parity"}


@pytest.mark.parametrize("orchestrator", PACKAGES)
def test_it_loads(orchestrator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "Oslo")
    project = Parity(tmp_path / "parity")
    file = tmp_path / "exported.py"
    program = shutil.which("qanat", path=str(Path(sys.executable).parent))
    assert program is not None
    options = ["--qanat", program, "--to", str(file), "--schedule", "0 3 * * *"]
    export = [*QANAT, "export", orchestrator, "-C", str(project.folder), *options]
    subprocess.run(export, check=True)
    done = subprocess.run(
        [programs(orchestrator) / "python", "-c", PROGRAM, file],
        env=variables(orchestrator, AIRFLOW_HOME=str(tmp_path), PREFECT_HOME=str(tmp_path)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert repr(DEFINED[orchestrator]) in done.stdout
