"""Each example with a broker prints what its README says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/run.py"))


@pytest.mark.services
@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_readme_says(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    skipped = shutil.ignore_patterns("storage", "in", "archive", "__pycache__")
    shutil.copytree(EXAMPLES / name, folder, ignore=skipped)
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    told = re.search(r"^```text\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert _lines(done.stdout) == _lines(told[1])


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
