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
    folder = tmp_path_factory.mktemp("shop")
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
        doctest_namespace["project"] = request.getfixturevalue("shop")
