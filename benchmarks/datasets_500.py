"""A project of 500 small datasets: its first run, and a run when nothing changed.

The datasets are those of `plan_1000.py`. The first run is held against a plain DuckDB script that
writes the same 500 tables as Parquet files, the unchanged run against the first.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import plan_1000
from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import QANAT, no_cache, scratch

DATASETS = 500


def script(folder: Path) -> Cost:
    """The cost of one COPY a table, each with a view so that the next ones can read it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lines = ["import duckdb", "con = duckdb.connect()"]
    for number, query in enumerate(plan_1000.queries(DATASETS)):
        file = f"d{number}.parquet"
        lines.append(f'con.execute("""COPY ({query}) TO \'{file}\' (FORMAT parquet)""")')
        lines.append(f"con.execute(\"CREATE VIEW d{number} AS FROM '{file}'\")")
    (folder / "script.py").write_text("\n".join(lines), encoding="utf-8")
    return spend([sys.executable, "script.py"], folder)


def measure() -> list[Figure]:
    """CPU a dataset of the first run, wall time of the unchanged one; medians of 5."""
    with scratch("datasets-500") as folder:
        project = folder / "project"

        def first_run(_: int) -> Cost:
            shutil.rmtree(project, ignore_errors=True)
            plan_1000.lay_out(project, DATASETS)
            return spend([*QANAT, "run"], project, env=no_cache(project))

        first, again, plain = medians(
            5,
            first_run,
            lambda _: spend([*QANAT, "run"], project, env=no_cache(project)),
            baseline(lambda _: script(folder / "script")),
        )
    each = 1000 / DATASETS
    return [
        Figure(
            "datasets_500: first run, CPU a dataset",
            first.cpu * each,
            "plain script",
            plain.cpu * each,
            "ms",
            Against.VALUE,
            8,
        ),
        Figure(
            "datasets_500: unchanged run",
            again.wall,
            "first run",
            first.wall,
            "s",
            Against.VALUE,
            0.8,
        ),
    ]
