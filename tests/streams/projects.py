"""A project whose streams are files, with a running aggregate and windows."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import qanat

READ = "STREAM read_files('in/*.json', schema => 'k STRING, x BIGINT, ts TIMESTAMP'{options})"
TOTALS = """
CREATE STREAMING TABLE totals {properties} AS
SELECT k, sum(x) AS total, count(*) AS n, max(ts) AS newest FROM {read} GROUP BY k;
"""
HOURS = """
CREATE STREAMING TABLE hours {properties} AS
SELECT window.start AS start, k, sum(x) AS total FROM {read}
WATERMARK ts DELAY OF INTERVAL 10 MINUTES GROUP BY window(ts, '1 hour'), k;
"""


class Streams:
    """A project with some streams."""

    def __init__(self, root: Path) -> None:
        self.root, self.files = root, 0
        (root / "transformations").mkdir(parents=True)
        (root / "in").mkdir()
        (root / "qanat.yml").write_text(
            "name: streams\nstorage: store\nthreads: 1\nlibraries: ['transformations/**']\n",
            encoding="utf-8",
        )

    def declare(self, sql: str, options: str = "", properties: str = "") -> None:
        read = READ.format(options=options)
        text = sql.format(read=read, properties=f"TBLPROPERTIES ({properties})" * bool(properties))
        (self.root / "transformations/all.sql").write_text(text, encoding="utf-8")

    def add(self, *rows: tuple[str, int, str]) -> None:
        self.files += 1
        lines = (
            json.dumps({"k": k, "x": x, "ts": f"2026-01-01 {at}:00"}) + "\n" for k, x, at in rows
        )
        path = self.root / f"in/{self.files:03}.json"
        path.write_text("".join(lines), encoding="utf-8")

    def run(self, **asked: Any) -> Any:
        return qanat.open(self.root).run(**asked)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        found = qanat.open(self.root).query(f"SELECT * FROM {table}").rows()
        return sorted((tuple(map(_plain, row)) for row in found), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%H:%M}"
    return value if value is None or isinstance(value, str) else int(value)


EPOCHS: tuple[tuple[tuple[str, int, str], ...], ...] = (
    (("a", 1, "00:10"), ("b", 2, "00:20")),
    (("a", 4, "00:55"), ("b", 5, "01:15")),
    (("c", 7, "00:30"), ("b", 8, "02:20")),
    (("a", 9, "02:40"), ("c", 1, "03:20")),
)
TOTALS_NOW = [("a", 14, 3, "02:40"), ("b", 15, 3, "02:20"), ("c", 8, 2, "03:20")]
HOURS_NOW = [("00:00", "a", 5), ("00:00", "b", 2), ("01:00", "b", 5), ("02:00", "a", 9),
             ("02:00", "b", 8)]  # fmt: skip
