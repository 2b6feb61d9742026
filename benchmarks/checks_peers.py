"""Twenty checks of 6 M spoiled rows beside those who check tables: SQL by hand, and other tools.

The same checks as in `checks.py`, of rows of which one in a hundred breaks some. `qanat test` and
the hand-written, fused SQL read the files of a stored table; Great Expectations on pandas, Soda
Core and dbt on DuckDB, Pandera and dataframely on Polars read the same rows from one Parquet file,
each as its documentation has it, in an environment of its own. Then the same within an update:
what checks add to one that writes the table, and the same by a script that copies the rows and
runs the fused SQL over the copy. At last the first half of the rows as CSV: an update with checks
against twenty separate queries. All find the same numbers, which DuckDB has counted before.

    QANAT_BENCH_CHECKS_ROWS=300000 QANAT_BENCH_CHECKS_REPEATS=1 python benchmarks/run.py …
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from figure import Against, Figure
from flights import TOOLS
from measure import BASELINES, Cost, baseline, medians, spend
from place import CORES, QANAT, environment, scratch, tpch

ROWS = int(os.environ.get("QANAT_BENCH_CHECKS_ROWS", "6001215"))
REPEATS = int(os.environ.get("QANAT_BENCH_CHECKS_REPEATS", "3"))
_HERE = Path(__file__).parent
_PEERS = _HERE / "check_peers"
CONDITIONS = {
    "has_order": "l_orderkey IS NOT NULL",
    "has_part": "l_partkey IS NOT NULL",
    "has_price": "l_extendedprice IS NOT NULL",
    "has_status": "l_linestatus IS NOT NULL",
    "has_date": "l_commitdate IS NOT NULL",
    "few": "l_quantity BETWEEN 1 AND 50",
    "discounted": "l_discount BETWEEN 0 AND 0.1",
    "taxed": "l_tax BETWEEN 0 AND 0.08",
    "line": "l_linenumber BETWEEN 1 AND 7",
    "flag": "l_returnflag IN ('A', 'N', 'R')",
    "status": "l_linestatus IN ('O', 'F')",
    "mode": "l_shipmode IN ('AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK')",
    "words": "regexp_matches(l_comment, '^[a-z ,.;:!?-]+$')",
    "capitals": "regexp_matches(l_shipinstruct, '^[A-Z ]+$')",
    "received_later": "l_receiptdate > l_shipdate",
    "plausible_date": "l_shipdate >= DATE '1992-01-01'",
}
AGGREGATES = {
    "rows": "count(*) BETWEEN 1000 AND 10000000",
    "mean": "avg(l_quantity) BETWEEN 20 AND 30",
}
KEY = "l_orderkey, l_linenumber"
TYPES = (
    "l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INTEGER,"
    " l_returnflag VARCHAR, l_linestatus VARCHAR, l_quantity DECIMAL(15,2),"
    " l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), l_tax DECIMAL(15,2),"
    " l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR,"
    " l_shipmode VARCHAR, l_comment VARCHAR"
)
"""The columns of the CSV file, with the types of TPC-H."""


class WrongCountsError(ValueError):
    """Fast, but not what was asked for: other numbers of violations than there are."""


Counts = Mapping[str, int]


def agree(cost: Cost, found: Counts, wanted: Counts) -> Cost:
    """The cost, if what was found is what there is.

    Raises:
        WrongCountsError: it is not.
    """
    wrong = {n: (found.get(n), count) for n, count in wanted.items() if found.get(n) != count}
    if wrong or len(found) != len(wanted):
        raise WrongCountsError(f"(found, wanted): {wrong}")
    return cost


def rows(folder: Path) -> Mapping[str, Counts]:
    """Write the rows, and tell how many violate each check, of Parquet and of CSV."""
    folder.mkdir()
    dirty = tpch(1) / "dirty.parquet"
    # In a process of its own: see measure.py.
    spend([sys.executable, _HERE / "checks_data.py", dirty, folder, str(ROWS)], folder)
    counts: Mapping[str, Counts] = json.loads((folder / "counts.json").read_text("utf-8"))
    return counts


# -- Qanat -------------------------------------------------------------------------------------


def lay_out(folder: Path, source: str, *, checks: bool) -> Path:
    """A project that reads the rows from a file; its table of orders is there already."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "transformations").mkdir(parents=True)
    # A condition of a value that is not there holds for all tools but Qanat, unless it is told.
    listed = [f"{n} EXPECT ({sql}) NULLS PASS" for n, sql in CONDITIONS.items()]
    listed += [f"{n} EXPECT TABLE ({sql})" for n, sql in AGGREGATES.items()]
    listed += [
        f"once EXPECT UNIQUE ({KEY})",
        "ordered EXPECT (l_orderkey) REFERENCES orders (o_orderkey)",
    ]
    constraints = ",\n  ".join(f"CONSTRAINT {each}" for each in listed)
    (folder / "transformations" / "tables.sql").write_text(
        "CREATE OR REFRESH MATERIALIZED VIEW orders AS SELECT o_orderkey FROM"
        f" read_files('{tpch(1) / 'orders.parquet'}');\n"
        f"CREATE OR REFRESH STREAMING TABLE lineitem {f'({constraints})' if checks else ''}"
        f" AS SELECT * FROM STREAM {source};\n",
        encoding="utf-8",
    )
    (folder / "qanat.yml").write_text(f"name: checks\nthreads: {CORES}\n", encoding="utf-8")
    spend([*QANAT, "run", "--select", "orders"], folder)
    return folder


def update(folder: Path, source: str, wanted: Counts | None) -> Cost:
    """The cost of the update that writes the table, with checks if any are wanted."""
    project = lay_out(folder, source, checks=wanted is not None)
    cost = spend([*QANAT, "run", "--select", "lineitem", "--output", "json"], project)
    [dataset] = json.loads(cost.output)["datasets"]
    return agree(cost, {r["rule"]: r["violations"] for r in dataset["rules"]}, wanted or {})


def tested(project: Path, wanted: Counts) -> Cost:
    """The cost of `qanat test`."""
    cost = spend([*QANAT, "test", "--output", "json"], project)
    checks = json.loads(cost.output)["checks"]
    return agree(cost, {c["rule"]: c["violations"] for c in checks}, wanted)


# -- SQL by hand -------------------------------------------------------------------------------


def _script(folder: Path, wanted: Counts, *statements: str) -> Cost:
    """The cost of statements of DuckDB; those that begin with a name and a tab find counts."""
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(
        f"import duckdb, json\n\ndb = duckdb.connect()\ndb.execute('SET threads = {CORES}')\n"
        f"found = {{}}\nfor statement in {statements!r}:\n"
        "    rows = db.execute(statement)\n"
        "    if statement.startswith('SELECT'):\n"
        "        found |= dict(zip([c[0] for c in rows.description], rows.fetchall()[0]))\n"
        "print(json.dumps(found))\n",
        encoding="utf-8",
    )
    cost = spend([sys.executable, script], folder)
    return agree(cost, json.loads(cost.output), wanted)


def _pieces(source: str) -> tuple[list[str], tuple[str, str]]:
    """The counts of one scan, and the queries of the key and the reference."""
    one = [f"count(*) FILTER (NOT ({sql}))::INT AS {n}" for n, sql in CONDITIONS.items()]
    one += [f"1 - ({sql})::INT AS {n}" for n, sql in AGGREGATES.items()]
    key = (
        f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {KEY} FROM {source})) AS once"
        f" FROM {source}"
    )
    reference = (
        f"SELECT count(*) AS ordered FROM {source} AS l WHERE l_orderkey IS NOT NULL AND NOT"
        f" EXISTS (SELECT 1 FROM '{tpch(1) / 'orders.parquet'}' WHERE o_orderkey = l_orderkey)"
    )
    return one, (key, reference)


def fused(folder: Path, source: str, wanted: Counts, *before: str) -> Cost:
    """The cost of one scan for all conditions, a statement for the key, one for the reference."""
    one, others = _pieces(source)
    return _script(folder, wanted, *before, f"SELECT {', '.join(one)} FROM {source}", *others)


def separate(folder: Path, source: str, wanted: Counts) -> Cost:
    """The cost of a statement for each check."""
    one, others = _pieces(source)
    return _script(folder, wanted, *(f"SELECT {each} FROM {source}" for each in one), *others)


def copied(folder: Path, parquet: Path, wanted: Counts | None) -> Cost:
    """The cost of a copy of the rows, and of the fused SQL over it if counts are wanted."""
    copy = folder / "copy.parquet"
    statement = f"COPY (FROM '{parquet}') TO '{copy}' (FORMAT parquet)"
    if wanted is None:
        return _script(folder, {}, statement)
    return fused(folder, f"'{copy}'", wanted, statement)


# -- other tools -------------------------------------------------------------------------------


def by_script(name: str, *wanted: str) -> Callable[[Path, Path, Counts], Cost]:
    """What runs a peer's script in an environment of its own."""
    programs = environment(f"checks-{name}", *wanted)

    def run(folder: Path, data: Path, counts: Counts) -> Cost:
        script = _PEERS / f"{name}_checks.py"
        orders = tpch(1) / "orders.parquet"
        cost = spend([programs / "python", script, data, orders], data)
        return agree(cost, json.loads(cost.output.splitlines()[-1]), counts)

    return run


def by_dbt() -> Callable[[Path, Path, Counts], Cost]:
    """What runs `dbt test`, in the environment of the flights demo."""
    (tool,) = (each for each in TOOLS if each.name == "dbt")
    programs = tool.python().parent

    def run(folder: Path, data: Path, counts: Counts) -> Cost:
        project = folder / "dbt"
        if not project.exists():
            shutil.copytree(_PEERS / "dbt", project)
        orders, lineitem = tpch(1) / "orders.parquet", data / "lineitem.parquet"
        variables = {"ORDERS": str(orders), "LINEITEM": str(lineitem)}
        cost = spend([programs / "dbt", "test"], project, env=variables)
        results = json.loads((project / "target" / "run_results.json").read_text("utf-8"))
        found = {r["unique_id"].split(".")[2]: r["failures"] for r in results["results"]}
        return agree(cost, found, counts)

    return run


PEERS: Mapping[str, tuple[Callable[[], Callable[[Path, Path, Counts], Cost]], float, float]] = {
    "Great Expectations": (
        partial(by_script, "great_expectations", "great_expectations", "pandas", "pyarrow"),
        1 / 6,
        math.inf,
    ),
    "Soda Core": (partial(by_script, "soda", "soda-core-duckdb", "setuptools"), 1 / 1.8, math.inf),
    "dbt": (by_dbt, 1 / 1.8, math.inf),
    "Pandera": (partial(by_script, "pandera", "pandera[polars]"), 1, 0.25),
    "dataframely": (partial(by_script, "dataframely", "dataframely", "polars"), 1, 0.25),
}
"""By name: what makes it run, and how much of its CPU and memory Qanat takes at most."""


def measure() -> list[Figure]:
    """CPU of hand-written SQL at most 1.15 times; of others see `PEERS`."""
    with scratch("checks-peers") as folder:
        wanted = rows(folder / "data")
        return [*_stored(folder, wanted), *_updates(folder, wanted), *_csv(folder, wanted)]


def _figure(what: str, cost: Cost, against: str, other: Cost, limit: float) -> Figure:
    return Figure(f"checks_peers: {what}", cost.cpu, against, other.cpu, "s", Against.RATIO, limit)


def _stored(folder: Path, wanted: Mapping[str, Counts]) -> list[Figure]:
    """`qanat test` beside fused SQL and other tools."""
    data, counts = folder / "data", wanted["parquet"]
    source = f"read_files('{data / 'lineitem.parquet'}')"
    update(folder / "qanat", source, counts)
    stored = f"'{folder / 'qanat/storage/tables/lineitem/*.parquet'}'"
    chosen = PEERS if BASELINES else {}
    runs = [(name, make(), cpu, memory) for name, (make, cpu, memory) in chosen.items()]
    (folder / "peers").mkdir()
    cost, script, *others = medians(
        REPEATS,
        lambda _: tested(folder / "qanat", counts),
        baseline(lambda _: fused(folder / "fused", stored, counts)),
        *(partial(_peer, run, folder / "peers", data, counts) for _, run, _, _ in runs),
        warm=False,
    )
    figures = [_figure("qanat test, CPU", cost, "fused SQL", script, 1.15)]
    for (name, _, cpu, memory), other in zip(runs, others, strict=True):
        figures.append(_figure("qanat test, CPU", cost, name, other, cpu))
        mine, theirs = cost.peak / 1e6, other.peak / 1e6
        what = "checks_peers: qanat test, memory"
        figures.append(Figure(what, mine, name, theirs, "MB", Against.RATIO, memory))
    return figures


def _peer(
    run: Callable[[Path, Path, Counts], Cost], folder: Path, data: Path, counts: Counts, _: int
) -> Cost:
    return run(folder, data, counts)


def _updates(folder: Path, wanted: Mapping[str, Counts]) -> list[Figure]:
    """An update with checks beside one without, and beside a copy that is checked by hand."""
    parquet, counts = folder / "data" / "lineitem.parquet", wanted["parquet"]
    source = f"read_files('{parquet}')"
    checked, bare, script, copy = medians(
        REPEATS,
        lambda _: update(folder / "checked", source, counts),
        lambda _: update(folder / "bare", source, None),
        baseline(lambda _: copied(folder / "copied", parquet, counts)),
        baseline(lambda _: copied(folder / "copy", parquet, None)),
        warm=False,
    )
    added, by_hand = (
        Cost(one.wall - other.wall, one.cpu - other.cpu, one.peak - other.peak)
        for one, other in ((checked, bare), (script, copy))
    )
    by_script = "COPY, fused SQL"
    return [
        _figure("update, CPU", checked, by_script, script, 1.15),
        _figure("what checks add to an update, CPU", added, "to a COPY", by_hand, 1.15),
    ]


def _csv(folder: Path, wanted: Mapping[str, Counts]) -> list[Figure]:
    """An update from CSV beside separate queries."""
    file, counts = folder / "data" / "lineitem.csv", wanted["csv"]
    source = f"read_files('{file}', format => 'csv', header => true, schema => '{TYPES}')"
    types = ", ".join(f"'{c.split()[0]}': '{c.split()[1]}'" for c in TYPES.split(", "))
    rows = f"read_csv('{file}', header = true, columns = {{{types}}})"
    cost, script = medians(
        REPEATS,
        lambda _: update(folder / "csv", source, counts),
        baseline(lambda _: separate(folder / "separate", rows, counts)),
        warm=False,
    )
    return [_figure("update from CSV, CPU", cost, "20 queries", script, 1 / 4)]
