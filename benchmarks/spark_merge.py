"""100,000 changes merged into 10 M keys in 200 files, against MERGE INTO of Spark and Delta Lake.

The tables and changes are those of `cdc_merge`, spread over all keys: once with a row for each
key (SCD type 1), once with one for each version (SCD type 2). Both sides get the same table, feed
readers of changes, and leave the same rows: that is checked. Qanat's figure is that of a whole
update in a fresh process; of Spark only the merge counts, in a session that is warm.
"""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path

from cdc_merge import SCD_2, merge, project
from figure import Against, Figure
from lineitem import WrongRowsError
from measure import BASELINES, Cost, baseline, medians, spend
from place import CORES, delta_spark, scratch

_ROWS = """
import sys, duckdb
from deltalake import DeltaTable
duckdb.execute("SET enable_progress_bar = false")
for folder in sys.argv[1:]:
    table = DeltaTable(folder)
    if any(b.num_rows for b in table.deletion_vectors()):
        raise SystemExit("rows are hidden by deletion vectors")
    names = ", ".join(f'"{f.name}"' for f in table.schema().fields)
    print(*duckdb.execute(
        f"SELECT count(*), sum(hash({names})::HUGEINT) FROM read_parquet(?)", [table.file_uris()]
    ).fetchone())
"""
Programs = tuple[Path, dict[str, str], list[Path]]


def peer(spark: Programs, scd: str, made: Path, folder: Path, _: int) -> Cost:
    """The cost of the merge by Spark, from a warm session on."""
    python, variables, jars = spark
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made / "storage" / "tables" / "t", folder)
    script = Path(__file__).with_name("spark_merge_peer.py")
    changes = made / "changes" / "spread.parquet"
    command: list[str | Path] = [python, script, scd, folder, changes, str(CORES), *jars]
    found = json.loads(spend(command, made, env=variables).output.splitlines()[-1])
    return Cost(found["wall"], found["cpu"], found["peak"])


def check(one: Path, other: Path) -> None:
    """Refuse to compare merges that leave other rows.

    Raises:
        WrongRowsError: they do.
    """
    mine, theirs = spend([sys.executable, "-c", _ROWS, one, other], one).output.splitlines()
    if mine != theirs:
        raise WrongRowsError(f"rows and their hash: {mine}, of Spark {theirs}")


def measure() -> list[Figure]:
    """CPU at most three tenths of Spark's; medians of 3."""
    spark: Programs = delta_spark() if BASELINES else (Path(), {}, [])
    figures = []
    tables = {"1": project(), "2": project("scd2_merge", SCD_2)}
    with scratch("spark_merge") as folder:
        for scd, made in tables.items():
            own, theirs = medians(
                3,
                partial(merge, made, folder / "qanat", "spread"),
                baseline(partial(peer, spark, scd, made, folder / "spark")),
                # Each of Spark's sessions warms up by itself.
                warm=False,
            )
            if BASELINES:
                check(folder / "qanat" / "storage" / "tables" / "t", folder / "spark")
            for side, cost in (("Qanat", own), ("Spark", theirs)):
                print(f"spark_merge: SCD {scd}, {side} {cost.document()}", file=sys.stderr)
            name = f"spark_merge: SCD {scd}, CPU"
            figures.append(Figure(name, own.cpu, "Spark", theirs.cpu, "s", Against.RATIO, 0.3))
    return figures
