"""A project in a folder of its own, run and read through the public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from qanat.errors import QanatError
from qanat.run.look import show
from qanat.run.results import DatasetResult, Selection, UpdateResult, Validation
from qanat.run.session import Session
from qanat.run.update import update
from qanat.run.validate import validate


class Shop:
    """A small project; its declarations and data are written with `file`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file("qanat.yml", "name: shop\nthreads: 1\n")

    def file(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def sql(self, text: str) -> None:
        self.file("transformations/all.sql", text)

    def python(self, text: str) -> None:
        self.file("transformations/all.py", f"from qanat import pipelines as dp\n{text}")

    def update(self, environment: str | None = None, **selection: Any) -> UpdateResult:
        """Run an update; the result has the datasets that failed."""
        with Session.open(self.folder, environment) as session:
            return update(session, Selection(**selection))

    def run(self, environment: str | None = None, **selection: Any) -> dict[str, DatasetResult]:
        """Run an update; the test fails if a dataset fails."""
        result = self.update(environment, **selection)
        assert not result.failed, [str(d.error) for d in result.failed]
        return {d.dataset: d for d in result.datasets}

    def failures(self, **selection: Any) -> dict[str, QanatError]:
        return {d.dataset: d.error for d in self.update(**selection).failed if d.error}

    def validation(self) -> Validation:
        with Session.open(self.folder) as session:
            return validate(session)

    def problems(self) -> list[str]:
        return [str(p) for p in self.validation().problems]

    def rows(self, dataset: str, environment: str | None = None) -> list[tuple[Any, ...]]:
        """All rows of a table, sorted by their text."""
        with Session.open(self.folder, environment) as session:
            return sorted(show(session, dataset, limit=1_000_000).rows, key=repr)

    def count(self, dataset: str) -> int:
        """The number of rows that a reader of Delta finds in a table."""
        return DeltaTable(self.table(dataset)).to_pyarrow_dataset().count_rows()

    def columns(self, dataset: str) -> list[str]:
        with Session.open(self.folder) as session:
            return [f"{f.name} {f.type}" for f in show(session, dataset).schema.fields]

    def quarantined(self, dataset: str) -> list[tuple[Any, list[str]]]:
        """The first column of each row in quarantine, and the names of the rules it broke."""
        with Session.open(self.folder) as session:
            view = show(session, f"{dataset}__quarantine", limit=1_000_000)
        rules = view.schema.names.index("_quarantine_rules")
        return sorted(((r[0], sorted(r[rules])) for r in view.rows), key=repr)

    def table(self, dataset: str) -> str:
        return str(self.folder / "storage/tables" / dataset)
