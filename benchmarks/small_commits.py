"""10,000 commits of 100 rows, maintained by the updates that make them, against one commit.

The project is kept between calls, so that it can be made in parts:

    python benchmarks/small_commits.py 2000 FOLDER    2,000 more commits in that folder
    python benchmarks/small_commits.py 0 FOLDER       only measure what is there
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import PYTHON, QANAT, scratch

COMMITS, ROWS, TOGETHER = 10_000, 100, 100
_SPEC = "name: events\nstorage: storage\n"
_SQL = (
    "CREATE OR REFRESH STREAMING TABLE events AS SELECT * FROM "
    "STREAM read_files('data/*.csv', format => 'csv', header => true{limit});\n"
    "CREATE OR REFRESH MATERIALIZED VIEW kinds AS "
    "SELECT kind, count(*) AS n, sum(amount) AS total FROM events GROUP BY kind;\n"
)
_QUERY = "SELECT kind, count(*) AS n, sum(amount) AS total FROM events GROUP BY kind ORDER BY kind"
_READ = """
import sys, time, qanat
with qanat.open(".") as project:
    found = []
    for _ in range(21):
        began = time.perf_counter()
        rows = project.query(sys.argv[1]).rows()
        found.append(time.perf_counter() - began)
print(sorted(found[1:])[10])
"""


def lay_out(folder: Path, limit: str) -> Path:
    """A project with a streaming table over the files of its data folder, and a view on it."""
    (folder / "transformations").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "transformations" / "events.sql").write_text(_SQL.format(limit=limit), "utf-8")
    (folder / "qanat.yml").write_text(_SPEC, encoding="utf-8")
    return folder


def text(number: int) -> str:
    """A CSV file of 100 rows."""
    first = number * ROWS
    lines = "".join(f"{i},{i % 7},{(i % 997) * 1.25}\n" for i in range(first, first + ROWS))
    return f"id,kind,amount\n{lines}"


def grow(project: Path, more: int) -> None:
    """Make so many commits, a hundred in each update."""
    done = len(list((project / "data").iterdir()))
    for first in range(done, done + more, TOGETHER):
        for number in range(first, min(first + TOGETHER, done + more)):
            path = project / "data" / f"{number:06}.csv"
            path.write_text(text(number), encoding="utf-8")
        began = time.monotonic()
        spend([*QANAT, "run", "--output", "json"], project)
        if first % 1000 == 0:
            took = time.monotonic() - began
            print(f"small_commits: from {first}: {took:.1f} s for {TOGETHER}", file=sys.stderr)


def one_commit(project: Path, many: Path) -> Path:
    """The same rows, of the same files, in a single commit."""
    shutil.rmtree(project, ignore_errors=True)
    lay_out(project, "")
    for path in (many / "data").iterdir():
        (project / "data" / path.name).hardlink_to(path)
    spend([*QANAT, "run", "--output", "json"], project)
    return project


def compare(many: Path, one: Path) -> list[Figure]:
    """Reading, and an update that finds nothing new: medians of 11."""

    def asked(project: Path) -> Cost:
        return spend([*QANAT, "query", _QUERY, "--output", "json"], project)

    def unchanged(project: Path) -> Cost:
        return spend([*QANAT, "run", "--output", "json"], project)

    if json.loads(asked(many).output)["rows"] != json.loads(asked(one).output)["rows"]:
        raise ValueError("the two tables have other rows")
    found = []
    for what, act, limit in (("reading", asked, 1.5), ("an unchanged run", unchanged, 1.2)):
        cost, plain = medians(11, partial(_again, act, many), baseline(partial(_again, act, one)))
        name = f"small_commits: {what}"
        found.append(Figure(name, cost.wall, "one commit", plain.wall, "s", Against.RATIO, limit))
    seconds = {p: [_seconds(p) for _ in range(3)] for p in (many, one)}
    inside = median(seconds[many]) / median(seconds[one])
    print(f"small_commits: in an open project {inside:.2f} times as long", file=sys.stderr)
    return found


def _again(act: Callable[[Path], Cost], project: Path, _: int) -> Cost:
    return act(project)


def _seconds(project: Path) -> float:
    return float(spend([PYTHON, "-c", _READ, _QUERY], project).output)


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 11."""
    with scratch("small-commits") as folder:
        many = lay_out(folder / "many", ", maxFilesPerTrigger => 1")
        grow(many, COMMITS)
        return compare(many, one_commit(folder / "one", many))


def main(commits: int, folder: Path) -> None:
    """Make some more commits in a folder, and measure what is there."""
    many = lay_out(folder / "many", ", maxFilesPerTrigger => 1")
    grow(many, commits)
    for figure in compare(many, one_commit(folder / "one", many)):
        print(figure)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
