"""The reference says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "generate.py", tmp_path], check=True)
    generated = {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()}
    reference = ROOT / "docs" / "reference"
    committed = {p.name: p.read_text(encoding="utf-8") for p in reference.iterdir()}
    assert generated == committed, "write it anew: make docs"
