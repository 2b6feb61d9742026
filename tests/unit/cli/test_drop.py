"""`qanat drop` asks first."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

import qanat
from qanat.cli.program import program


class Terminal(StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_nothing_goes_before_it_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "qanat.yml").write_text("name: p\n")
    declared = tmp_path / "transformations/t.sql"
    declared.parent.mkdir()
    declared.write_text("CREATE MATERIALIZED VIEW v AS SELECT 1 AS n;")
    with qanat.open(tmp_path) as project:
        project.run()
    declared.write_text("")
    for typed, code, left in (("\n", 1, ["v"]), ("n\n", 1, ["v"]), ("y\n", 0, [])):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        command = ["drop", "V", "-C", str(tmp_path)]
        assert program.main(command, standalone_mode=False) == code
        asked = capsys.readouterr().err
        assert asked.startswith("This removes v with 1 row, for good. Go on? [y/N]: ")
        assert ("Nothing is dropped." in asked) == bool(left)
        assert [p.name for p in (tmp_path / "storage/tables").iterdir()] == left
