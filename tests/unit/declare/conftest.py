"""A project in a temporary folder, written file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.library import Declared, load_pipeline
from qanat.declare.spec import load_project
from qanat.model.adapter import OptionTable
from qanat.model.kind import TableFormat

Load = Callable[..., Declared]


LANCE = TableFormat("lance", "lance:Store", OptionTable("table_format: lance", ()))
"""A format that only another package knows."""


def _format(name: str) -> TableFormat:
    return LANCE if name == LANCE.name else plugins.table_format(name)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write files below `transformations/` and load the project; keywords go into the spec."""

    def loaded(files: dict[str, str], spec: str = "", name: str = "qanat.yml") -> Declared:
        (tmp_path / name).write_text(f"name: test\n{spec}", encoding="utf-8")
        for path, text in files.items():
            file = tmp_path / "transformations" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        kinds = plugins.engine, _format, plugins.observer_kind
        project = load_project(tmp_path / name, *kinds, environ={})
        return load_pipeline(project, plugins.connectors(), plugins.formats())

    return loaded
