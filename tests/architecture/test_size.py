"""No file of the code is too long to be read at one go; ruff limits the branches of a function."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 400
"""The most lines of a file; a longer one has two subjects and becomes two files."""
BRANCHES = 10
"""The most branches of a function; more tell several steps, which become functions."""


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def too_long(folder: Path) -> dict[str, int]:
    """The files below a folder with too many lines, with their number of lines."""
    lengths = {str(p.relative_to(folder)): lines(p) for p in sorted(folder.rglob("*.py"))}
    return {path: length for path, length in lengths.items() if length > LONGEST}


def test_no_file_is_too_long() -> None:
    assert too_long(ROOT / "src") == {}


def test_ruff_limits_the_branches_of_a_function() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        lint = tomllib.load(file)["tool"]["ruff"]["lint"]
    assert {"C901", "PLR0912"} <= set(lint["select"])
    assert lint["mccabe"]["max-complexity"] == BRANCHES
    assert lint["pylint"]["max-branches"] == BRANCHES


def test_the_test_can_fail(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text("x = 1\n" * LONGEST, encoding="utf-8")
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST + 1), encoding="utf-8")
    assert too_long(tmp_path) == {"long.py": LONGEST + 1}
