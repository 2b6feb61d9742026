"""Pipelines from the SQL that an author would write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.library import load_pipeline
from qanat.declare.spec import load_project
from qanat.model.pipeline import Pipeline

Declare = Callable[..., Pipeline]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    def declared(sql: str, dialect: str = "duckdb") -> Pipeline:
        spec = tmp_path / "qanat.yml"
        spec.write_text(
            f"name: shop\ndialect: {dialect}\nstorage: .storage\n"
            "libraries:\n  - glob: {include: '*.sql'}\n"
        )
        (tmp_path / "all.sql").write_text(sql, encoding="utf-8")
        project = load_project(spec, plugins.engine, plugins.table_format, plugins.observer_kind)
        found = load_pipeline(project, plugins.connectors(), plugins.formats())
        assert not found.problems, found.problems
        return found.pipeline

    return declared
