"""Examples in docstrings of `qanat.project` run in a small project that is up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.cli.template import contents


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[qanat.Project]:
    """The project of `qanat init`."""
    yield from _up_to_date(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[qanat.Project]:
    """Another one, for examples that take something away."""
    yield from _up_to_date(tmp_path)


def _up_to_date(folder: Path) -> Iterator[qanat.Project]:
    for path, text in contents("shop").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with qanat.open(folder) as project:
        project.run()
        yield project


@pytest.fixture(autouse=True)
def _project(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give the name `project` to the examples that need it, and to no other."""
    if Path(request.node.path).parent.name == "project":
        changes = request.node.name.endswith((".rename", ".drop"))
        project = request.getfixturevalue("spare" if changes else "shop")
        doctest_namespace["project"] = project
