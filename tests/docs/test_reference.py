"""The reference says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "generate.py", tmp_path], check=True)
    assert texts(tmp_path) == texts(ROOT / "docs" / "reference"), "write it anew: make docs"


def texts(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its path."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in files}
