"""Cases are tried again if another driver, Python or project is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.crash.campaign import Extent
from tests.crash import run


def test_another_driver_or_project_has_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "tests" / "acceptance" / "conftest.py"
    project.parent.mkdir(parents=True)
    project.write_text("")
    histories = tmp_path / "tests" / "changes" / "model.py"
    histories.parent.mkdir()
    histories.write_text("")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    keys = [run.key(Extent(1))]
    project.write_text("SPEC = ''")
    keys.append(run.key(Extent(1)))
    monkeypatch.setattr(run, "version", lambda name: f"{name} of the future")
    keys.append(run.key(Extent(1)))
    assert len(set(keys)) == 3
