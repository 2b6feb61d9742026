"""What an orchestrator needs to know of a project."""

from __future__ import annotations

from qanat.model.expectation import Expectation
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.manifest import Manifest, ManifestDataset

EXPECTATION = Shape(
    "ManifestExpectation",
    Expectation,
    (
        "name",
        Key("action", of=str, make=lambda e: str(e.action)),
        Key("text", of=str, make=lambda e: e.text),
        Key("severity", of=str, make=lambda e: str(e.severity)),
        "comment",
    ),
    "An expectation; `text` is what it checks, `action` what becomes of a violation.",
)
DATASET = Shape(
    "ManifestDataset",
    ManifestDataset,
    ("dataset", "kind", "group", "comment", "tags", "reads", "sources", "expectations"),
    "A table, materialized view or sink. `reads` are the datasets that must be up to date before\n"
    "it, `sources` what it reads outside the project. `group` is its property `qanat.group`, or\n"
    "the name of the file that declares it.",
)
MANIFEST = Shape(
    "ManifestDocument",
    Manifest,
    (VERSION_KEY, "project", "environment", "root", "libraries", "datasets"),
    "What an orchestrator needs to know of a project: its datasets, each after what it reads.\n"
    "`libraries` are the globs of the files that declare them, relative to the folder `root`.",
)
PARTS = (DATASET, EXPECTATION)
