"""A small project whose updates take every path of the write path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from qanat.testing.object_store import ObjectStore, object_store

SPEC = """\
name: paths
storage: storage
threads: 1
libraries:
  - glob:
      include: transformations/**
"""

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze
AS SELECT id, kind, amount FROM STREAM read_files('in/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, kind STRING, amount BIGINT');

CREATE TEMPORARY VIEW sized (
  CONSTRAINT has_kind EXPECT (kind IS NOT NULL) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM bronze;

CREATE OR REFRESH STREAMING TABLE silver (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW,
  CONSTRAINT small EXPECT (amount < {limit}) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION QUARANTINE ROW
) PARTITIONED BY (kind) AS SELECT id, kind, amount FROM STREAM sized;

CREATE FLOW more AS INSERT INTO silver BY NAME
SELECT id, kind, amount FROM STREAM read_files('more/*.csv', format => 'csv', header => true,
  schema => 'id BIGINT, kind STRING, amount BIGINT');

CREATE OR REFRESH MATERIALIZED VIEW gold (
  CONSTRAINT several EXPECT (n > 1) ON VIOLATION QUARANTINE ROW
) AS SELECT kind, count(*) AS n, sum(amount) AS total FROM silver GROUP BY kind;
"""

PYTHON = """\
from qanat import pipelines as dp

dp.create_sink("export", "csv", {"path": "out/export"})


@dp.append_flow(target="export")
def exported():
    return "SELECT * FROM STREAM silver"
"""


class Paths:
    """The project on disk, and what its author does to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def make(cls, root: Path, limit: int = 100) -> Paths:
        for folder in ("in", "more", "transformations"):
            (root / folder).mkdir(parents=True)
        made = cls(root)
        made.write("qanat.yml", SPEC)
        made.write("transformations/flows.py", PYTHON)
        made.declare(limit)
        return made

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text, encoding="utf-8")

    def declare(self, limit: int) -> None:
        self.write("transformations/tables.sql", SQL.format(limit=limit))

    def first(self) -> None:
        """Write the first files, with rows of every kind."""
        self.write(
            "in/1.csv",
            "id,kind,amount\n1,a,10\n2,a,-1\n3,b,20\n3,b,21\n4,,5\n5,c,150\n6,c,30\n7,a,bad\n",
        )
        self.write("more/1.csv", "id,kind,amount\n1,a,11\n8,b,40\n9,b,170\n")

    def second(self) -> None:
        """Write more files, with rows that repeat earlier ones."""
        self.write("in/2.csv", "id,kind,amount\n10,a,1\n8,b,41\n11,,6\n12,d,180\n13,d,7\n")
        self.write("more/2.csv", "id,kind,amount\n14,a,15\n10,a,2\n15,b,-3\n")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The project with its first files, before its first run."""
    made = Paths.make(tmp_path / "project")
    made.first()
    return made


# -- tests that are marked `anywhere` run with tables in a folder, and once more with tables in S3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "anywhere" in marks and "on_disk" not in marks:
        s3 = pytest.param("s3", marks=pytest.mark.services)
        metafunc.parametrize("storage", ["folder", s3], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Iceberg tables are kept in folders only.
    items[:] = [i for i in items if not {"s3", "iceberg"} <= _given(i)]


def _given(item: pytest.Item) -> set[str]:
    call = getattr(item, "callspec", None)
    return set() if call is None else {v for v in call.params.values() if isinstance(v, str)}


@pytest.fixture(scope="session")
def server() -> Iterator[ObjectStore]:
    """An S3 server with the bucket `lake`."""
    with object_store() as found:
        found.create_bucket("lake")
        yield found


@pytest.fixture(autouse=True)
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where tables are: `folder` as the project says, or `s3`."""
    where: str = getattr(request, "param", "folder")
    if where == "s3":
        for name, value in request.getfixturevalue("server").environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("QANAT__STORAGE", f"s3://lake/{uuid4().hex}")
    return where
