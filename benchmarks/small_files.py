"""Ten new files behind 10,000 old ones, against a fresh project that reads ten files only."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import QANAT, scratch

ROWS = 20


def add_files(project: Path, first: int, count: int) -> None:
    """CSV files of 20 rows each, numbered from `first`."""
    folder = project / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        rows = "".join(f"{number * ROWS + i},{i % 7},{i * 1.25}\n" for i in range(ROWS))
        (folder / f"{number:06}.csv").write_text(f"id,kind,amount\n{rows}", encoding="utf-8")


def lay_out(folder: Path) -> Path:
    """A project with one streaming table over the files of its data folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    (folder / "transformations" / "events.sql").write_text(
        "CREATE OR REFRESH STREAMING TABLE events AS SELECT * FROM "
        "STREAM read_files('data/*.csv', format => 'csv', header => true);\n",
        encoding="utf-8",
    )
    (folder / "qanat.yml").write_text("name: events\nstorage: storage\n", encoding="utf-8")
    return folder


def _run(project: Path, files: int) -> Cost:
    cost = spend([*QANAT, "run", "--output", "json"], project)
    (events,) = json.loads(cost.output)["datasets"]
    if (events["files"], events["written"]) != (files, files * ROWS):
        raise ValueError(f"not {files} files: {events}")
    return cost


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 5; the 10,000 are read before the clock."""
    with scratch("small-files") as folder:
        full = lay_out(folder / "full")
        add_files(full, 0, 10_000)
        first = _run(full, 10_000)
        took = f"{first.wall:.2f} s, {first.cpu:.2f} s CPU"
        print(f"small_files: the first 10,000 took {took}", file=sys.stderr)

        def ten_more(repeat: int) -> Cost:
            add_files(full, 20_000 + 10 * repeat, 10)
            return _run(full, 10)

        def ten_alone(_: int) -> Cost:
            project = lay_out(folder / "fresh")
            add_files(project, 0, 10)
            return _run(project, 10)

        more, alone = medians(5, ten_more, baseline(ten_alone))
    return [
        Figure(
            "small_files: 10 after 10,000",
            more.wall,
            "the 10 alone",
            alone.wall,
            "s",
            Against.RATIO,
            2.0,
        )
    ]
