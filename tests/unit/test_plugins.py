"""Adapters of other packages are found however those are installed."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat import plugins

MODULE = """\
from qanat.model.kind import EngineKind
TINY = EngineKind("tiny", "mysql", "tiny:Engine")
"""
POINTS = "[qanat.engines]\ntiny = tiny_engine:TINY\n"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    def forget() -> None:
        for asked in (plugins._installed, plugins._entry_points):
            asked.cache_clear()

    forget()
    yield
    sys.modules.pop("tiny_engine", None)
    forget()


def test_a_package_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "tiny-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Name: tiny\nVersion: 1.0\n", encoding="utf-8")
    (known / "entry_points.txt").write_text(POINTS, encoding="utf-8")
    (tmp_path / "tiny_engine.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.engine("tiny").dialect == "mysql"


def test_a_package_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("tiny-1.0.dist-info/METADATA", "Name: tiny\nVersion: 1.0\n")
        packed.writestr("tiny-1.0.dist-info/entry_points.txt", POINTS)
        packed.writestr("tiny_engine.py", MODULE)
    monkeypatch.syspath_prepend(str(archive))
    assert plugins.engine("tiny").dialect == "mysql"
