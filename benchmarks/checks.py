"""Twenty checks of a stored table of 6 M rows, against the same as hand-written, fused SQL.

Five columns that may not be NULL, four ranges, three sets, two patterns, a compound key, a
reference, two comparisons of dates, a number of rows and a mean. `qanat test` tells of each how
many rows violate it; the script has one scan for all conditions and aggregates, one statement for
the key and one for the reference, and tells the same numbers. Both read the same Parquet files, in
a fresh process with as many threads.

Then what a stream spends on 16 of the conditions in an epoch of 1,000 rows (`checks_small.py`).
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from figure import Against, Figure
from measure import Cost, baseline, medians, spend
from place import CORES, PYTHON, QANAT, scratch, tpch

CONDITIONS = {
    "has_order": "l_orderkey IS NOT NULL",
    "has_part": "l_partkey IS NOT NULL",
    "has_supplier": "l_suppkey IS NOT NULL",
    "has_price": "l_extendedprice IS NOT NULL",
    "has_date": "l_shipdate IS NOT NULL",
    "few": "l_quantity BETWEEN 1 AND 50",
    "discounted": "l_discount BETWEEN 0 AND 0.1",
    "taxed": "l_tax BETWEEN 0 AND 0.08",
    "line": "l_linenumber BETWEEN 1 AND 7",
    "flag": "l_returnflag IN ('A', 'N', 'R')",
    "status": "l_linestatus IN ('O', 'F')",
    "mode": "l_shipmode IN ('AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK')",
    "words": "regexp_matches(l_comment, '^[a-zA-Z]?')",
    "capitals": "regexp_matches(l_shipinstruct, '^[A-Z ]+$')",
    "received_later": "l_receiptdate > l_shipdate",
    "plausible_date": "l_commitdate > DATE '1990-01-01'",
}
COUNT, MEAN = "count(*) BETWEEN 1000 AND 10000000", "avg(l_quantity) BETWEEN 20 AND 30"
KEY = "l_orderkey, l_linenumber"
CHECKS = len(CONDITIONS) + 4


def lay_out(folder: Path, data: Path) -> Path:
    """A project with the table and its checks, which has run once."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    checks = [f"CONSTRAINT {name} EXPECT ({sql})" for name, sql in CONDITIONS.items()]
    checks += [
        f"CONSTRAINT rows EXPECT TABLE ({COUNT})",
        f"CONSTRAINT mean EXPECT TABLE ({MEAN})",
        f"CONSTRAINT once EXPECT UNIQUE ({KEY})",
        "CONSTRAINT ordered EXPECT (l_orderkey) REFERENCES orders (o_orderkey)",
    ]
    listed = ",\n  ".join(checks)
    (folder / "transformations" / "tables.sql").write_text(
        "CREATE OR REFRESH MATERIALIZED VIEW orders AS SELECT o_orderkey FROM"
        f" read_files('{data / 'orders.parquet'}');\n"
        f"CREATE OR REFRESH MATERIALIZED VIEW lineitem (\n  {listed}\n) AS SELECT * FROM"
        f" read_files('{data / 'lineitem.parquet'}');\n",
        encoding="utf-8",
    )
    (folder / "qanat.yml").write_text(f"name: checks\nthreads: {CORES}\n", encoding="utf-8")
    spend([*QANAT, "run"], folder)
    return folder


def ours(folder: Path) -> Cost:
    """The cost of `qanat test`.

    Raises:
        ValueError: it did not check what it should, or not with that result.
    """
    cost = spend([*QANAT, "test", "--output", "json"], folder)
    found = json.loads(cost.output)["checks"]
    if len(found) != CHECKS or any(check["violations"] for check in found):
        raise ValueError(f"{len(found)} checks: {[c for c in found if c['violations']]}")
    return cost


def fused(folder: Path) -> Cost:
    """The cost of the hand-written script.

    Raises:
        ValueError: it found a violation.
    """
    lineitem, orders = (folder / f"storage/tables/{t}/*.parquet" for t in ("lineitem", "orders"))
    counts = ", ".join(f"count(*) FILTER (({c}) IS NOT TRUE)" for c in CONDITIONS.values())
    statements = (
        f"SELECT {counts}, ({COUNT})::INT - 1, ({MEAN})::INT - 1 FROM '{lineitem}'",
        (
            f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {KEY} FROM '{lineitem}'))"
            f" FROM '{lineitem}'"
        ),
        (
            f"SELECT count(*) FROM '{lineitem}' AS l WHERE l_orderkey IS NOT NULL AND NOT EXISTS"
            f" (SELECT 1 FROM '{orders}' AS o WHERE o.o_orderkey = l.l_orderkey)"
        ),
    )
    calls = "\n".join(f'print(sum(map(abs, db.sql("{s}").fetchall()[0])))' for s in statements)
    script = folder / "fused.py"
    script.write_text(
        f"import duckdb\n\ndb = duckdb.connect()\ndb.execute('SET threads = {CORES}')\n{calls}\n",
        encoding="utf-8",
    )
    cost = spend([sys.executable, script], folder)
    if cost.output.split() != ["0", "0", "0"]:
        raise ValueError(f"violations: {cost.output}")
    return cost


def measure() -> list[Figure]:
    """CPU at most 1.15 times."""
    with scratch("checks") as folder:
        project = lay_out(folder / "qanat", tpch(1))
        cost, script = medians(5, lambda _: ours(project), baseline(lambda _: fused(project)))
    base = "fused SQL"
    return [
        Figure("checks: CPU", cost.cpu, base, script.cpu, "s", Against.RATIO, 1.15),
        Figure("checks: memory", cost.peak / 1e6, base, script.peak / 1e6, "MB", Against.RATIO, 2),
        *small(),
    ]


def small() -> list[Figure]:
    """16 row rules of 1,000 rows: CPU and wall at most 10 ms, beside where all hold."""
    script = Path(__file__).with_name("checks_small.py")
    cost = spend([PYTHON, script, tpch(1) / "lineitem.parquet"], script.parent)
    found: dict[str, tuple[float, float]] = json.loads(cost.output)
    held = found["0 bad rows"]
    return [
        Figure(f"checks: {name}, {what}", ms, "all hold", base, "ms", Against.VALUE, 10)
        for name, taken in found.items()
        for what, ms, base in zip(("CPU", "wall"), taken, held, strict=True)
    ]
