"""The README is true, `make demo` included."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("*.md", "docs/**/*.md", "examples/*/*.md", "benchmarks/*.md")


@pytest.fixture
def checkout(tmp_path: Path, environ: dict[str, str]) -> Path:
    """What a clone has, with its tools installed: tests must not wait for a network."""
    clone = tmp_path / "home" / "qanat"
    flights = clone / "examples" / "flights"
    skipped = shutil.ignore_patterns("data", "storage", "__pycache__")
    shutil.copytree(ROOT / "examples" / "flights", flights, ignore=skipped)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, clone / name)
    programs = clone / ".venv" / "bin"
    programs.parent.mkdir()
    shutil.copytree(tmp_path / "bin", programs)
    (programs / "activate").touch()
    for stamp in (".made", ".demo"):  # in the order in which make would make them
        (clone / ".venv" / stamp).touch()
    return clone


def test_readme(checkout: Path, tmp_path: Path, environ: dict[str, str], open_page: Any) -> None:
    page = open_page(ROOT / "README.md")
    page.run(checkout, tmp_path / "printed", environ)
    page.check()
    again = [c for c in page.commands if c.text == "make demo\n"][1]
    assert "Nothing new: read 0 rows, wrote 0 rows." in again.printed


def test_links_lead_somewhere() -> None:
    broken = []
    for page in (p for glob in PAGES for p in ROOT.glob(glob)):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
