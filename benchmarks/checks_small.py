"""Split a batch of 1,000 rows by 16 row rules, again and again: `checks_small.py LINEITEM`.

What a stream spends on checks in an epoch: the rows are in memory, and all that is measured is to
find, count and remember those that break a rule. Prints for each case milliseconds: the median of
CPU time and, as other work on a machine stretches it, the tenth percentile of wall time.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import duckdb
from checks import CONDITIONS
from place import CORES

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.split import Splitter
from qanat.errors import Location
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate

ROWS, REPEATS = 1000, 100
_HERE = Location("tables.sql")


def _rules(*, filtered: bool) -> tuple[Expectation, ...]:
    """The conditions, each with a filter of its own if they have some."""
    return tuple(
        Expectation(
            name,
            Predicate(sql, "duckdb"),
            Action.QUARANTINE,
            _HERE,
            Predicate(f"l_tax >= 0 AND l_orderkey > {number}", "duckdb") if filtered else None,
        )
        for number, (name, sql) in enumerate(CONDITIONS.items())
    )


def main() -> None:
    """Measure all cases."""
    con = duckdb.connect()
    con.execute(f"SET threads = {CORES}")
    con.execute(
        f"CREATE TABLE good AS SELECT *, row_number() OVER () AS {RID} FROM '{sys.argv[1]}'"
        f" LIMIT {ROWS}"
    )
    quantity = f"CASE WHEN {RID} % {ROWS // 2} = 400 THEN 99 ELSE l_quantity END AS l_quantity"
    con.execute(f"CREATE TABLE bad AS SELECT * REPLACE ({quantity}) FROM good")
    found = {}
    for table, broken in (("good", 0), ("bad", 2)):
        for filtered in (False, True):
            taken = []
            for _ in range(REPEATS):
                splitter = Splitter(
                    *(con, "small", "small", f"SELECT * FROM {table}", _rules(filtered=filtered)),
                    existing=None,
                    references={},
                    few=True,
                )
                cpu, wall = time.process_time(), time.perf_counter()
                split = splitter.split()
                taken.append((time.process_time() - cpu, time.perf_counter() - wall))
                if (split.total, split.quarantined) != (ROWS, broken):
                    raise ValueError(f"{split.quarantined} of {split.total} rows")
            name = f"{broken} bad rows{', filters' if filtered else ''}"
            cpu_times, walls = zip(*taken, strict=True)
            found[name] = [
                1000 * statistics.median(cpu_times),
                1000 * statistics.quantiles(walls, n=10)[0],
            ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
