"""The smallest project there is: two views, in the words that SDP and Qanat share."""

from __future__ import annotations

import shutil
from pathlib import Path

SQL = """\
CREATE MATERIALIZED VIEW numbers AS SELECT 1 AS id, 'one' AS name UNION ALL SELECT 2, 'two';
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS numbers FROM numbers;
"""


def lay_out(folder: Path) -> Path:
    """A plain SDP project, which `spark-pipelines` and `qanat` both run as it is."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    (folder / "transformations" / "views.sql").write_text(SQL, encoding="utf-8")
    (folder / "spark-pipeline.yml").write_text(
        f"name: trivial\nstorage: {(folder / 'storage').as_uri()}\n"
        "libraries:\n  - glob:\n      include: transformations/**\n",
        encoding="utf-8",
    )
    return folder
