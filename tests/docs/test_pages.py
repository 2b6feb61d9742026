"""Every page of the documentation does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "docs").rglob("*.md")
    if "```console" in path.read_text(encoding="utf-8")
)


def parameter(page: str) -> Any:
    """A page that needs a service runs with `make test-services`."""
    needs = "<!-- needs: " in (ROOT / page).read_text(encoding="utf-8")
    return pytest.param(page, marks=[pytest.mark.services] if needs else [], id=page)


@pytest.mark.parametrize("typed", [parameter(p) for p in PAGES], indirect=True)
def test_page(typed: Any) -> None:
    assert typed.commands, "the page has no command"
    typed.check()
