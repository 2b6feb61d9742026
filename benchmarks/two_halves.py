"""Two processes on disjoint halves of 100 datasets, against one process on all of them.

Each dataset is a streaming table with a rule, over a CSV file of its own of 1,000 rows. The two
processes start together and end with the later one. Once each process has one thread, the one
like the two: what a second process is worth. And once each may use all cores, as the one may,
which then has no core left to gain.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figure import Against, Figure
from measure import Cost, medians, spend
from place import QANAT, no_cache, scratch

HALVES = ("left", "right")
EACH = 50

SQL = """
CREATE STREAMING TABLE {name} (CONSTRAINT known EXPECT (id >= 0) ON VIOLATION DROP ROW)
AS SELECT id, amount, upper(label) AS label
FROM STREAM read_files('in/{name}/*.csv', format => 'csv', header => true);
"""


def lay_out(project: Path) -> None:
    """The project, as it is before its first run."""
    shutil.rmtree(project, ignore_errors=True)
    (project / "transformations").mkdir(parents=True)
    (project / "qanat.yml").write_text("name: halves\nstorage: storage\n", encoding="utf-8")
    rows = "id,amount,label\n" + "".join(f"{i},{i * 7 % 100},item {i}\n" for i in range(1000))
    for half in HALVES:
        names = [f"{half}_{i}" for i in range(EACH)]
        text = "".join(SQL.format(name=name) for name in names)
        (project / "transformations" / f"{half}.sql").write_text(text, encoding="utf-8")
        for name in names:
            (project / "in" / name).mkdir(parents=True)
            (project / "in" / name / "1.csv").write_text(rows, encoding="utf-8")


def measure() -> list[Figure]:
    """Wall time of the first run; medians of 5."""
    with scratch("two-halves") as folder:
        project = folder / "project"

        def run(threads: int | None, *arguments: str) -> Cost:
            limit = {} if threads is None else {"QANAT__THREADS": str(threads)}
            return spend([*QANAT, "run", *arguments], project, env=no_cache(folder) | limit)

        def whole(threads: int | None) -> Cost:
            lay_out(project)
            return run(threads)

        def halves(threads: int | None) -> Cost:
            lay_out(project)
            with ThreadPoolExecutor(len(HALVES)) as pool:
                costs = list(pool.map(lambda h: run(threads, "--select", f"{h}_*"), HALVES))
            return Cost(
                max(c.wall for c in costs), sum(c.cpu for c in costs), max(c.peak for c in costs)
            )

        cases = [(f, threads) for threads in (1, None) for f in (halves, whole)]
        costs = medians(5, *(lambda _, f=f, threads=threads: f(threads) for f, threads in cases))
    two_alone, one_alone, two, one = costs
    return [
        _figure("one thread each", two_alone, one_alone),
        _figure("all cores each", two, one),
    ]


def _figure(what: str, two: Cost, one: Cost) -> Figure:
    return Figure(
        f"two_halves: 2 processes, 50 datasets and {what}",
        two.wall,
        f"one process, 100 datasets, {what.removesuffix(' each')}",
        one.wall,
        "s",
        Against.RATIO,
        1 / 1.7,
    )
