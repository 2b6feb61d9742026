"""`qanat diff` of two tables of which a thousandth differs, beside a full outer join and hashing.

Two cases: values of one column changed; and values of three columns changed, with rows that only
one side has. The join is DuckDB's, with counts of each column's changes, at its own defaults. The
hashing is that of data-diff: MD5 checksums of segments of the key, each split into 32 where they
differ, and the rows of small ones compared in Python. QANAT_BENCH_DIFF_ROWS says how many rows
(5 million; the promise is of 50, which takes 9 GB on disk and a quarter of an hour).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from figure import Against, Figure
from measure import BASELINES, Cost, baseline, medians, spend
from place import PYTHON, QANAT, scratch

ROWS = int(os.environ.get("QANAT_BENCH_DIFF_ROWS", "5_000_000"))
MEMORY = 1000.0
COLUMNS = ("customer", "amount", "name", "day", "flag", "code", "token")

_MAKE = """
import sys, duckdb
con = duckdb.connect()
con.execute(f'''COPY (SELECT i AS id, (i * 7919) % 100000 AS customer,
  round((hash(i) % 100000) / 100, 2) AS amount, 'name ' || (i % 10007) AS name,
  DATE '2020-01-01' + (i % 1000)::INT AS day, i % 2 = 0 AS flag, hash(i + 1) % 1000000 AS code,
  md5(i::VARCHAR) AS token FROM range({sys.argv[1]}) t (i)) TO 'a.parquet' ''')
con.execute('''COPY (SELECT * REPLACE (CASE WHEN hash(id) % 1000 = 0 THEN amount + 1
  ELSE amount END AS amount) FROM 'a.parquet') TO 'changed.parquet' ''')
con.execute('''COPY (SELECT * REPLACE (
  CASE WHEN hash(id) % 5000 = 0 THEN id + 1000000000 ELSE id END AS id,
  CASE WHEN hash(id) % 5000 = 1 THEN name || '!' ELSE name END AS name,
  CASE WHEN hash(id) % 5000 = 2 THEN upper(token) ELSE token END AS token,
  CASE WHEN hash(id) % 5000 = 3 THEN NULL ELSE amount END AS amount)
  FROM 'a.parquet' WHERE hash(id) % 5000 <> 4) TO 'mixed.parquet' ''')
"""
_JOIN = """
import sys, duckdb
con = duckdb.connect()
other, *columns = sys.argv[1:]
each = ', '.join(f'count(*) FILTER (l.id IS NOT NULL AND r.id IS NOT NULL AND l.{c} IS DISTINCT '
                 f'FROM r.{c})' for c in columns)
print(con.execute(f"SELECT count(*) FILTER (r.id IS NULL), count(*) FILTER (l.id IS NULL), {each}"
                  f" FROM 'a.parquet' l FULL JOIN '{other}' r ON l.id = r.id").fetchone())
"""
_HASHING = """
import sys, duckdb
con = duckdb.connect()
rows, other, *columns = sys.argv[1:]
sides, split, small = ('a.parquet', other), 32, 16384
text = " || '|' || ".join(f"coalesce({c}::VARCHAR, '')" for c in ('id', *columns))
differ, width = [0], int(rows)
while differ and width > small:
    parent, width = width, -(-width // split)
    left, right = (dict((r[0], r[1:]) for r in con.execute(
        f"SELECT id // {width}, count(*), sum(('0x' || md5({text})[18:])::UBIGINT) FROM '{side}' "
        f"WHERE id // {parent} IN (SELECT unnest(?)) GROUP BY 1", [differ]).fetchall())
        for side in sides)
    differ = sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))
found = 0
for at in range(0, len(differ), 64):
    some = differ[at:at + 64]
    a, b = (set(con.execute(f"SELECT id, {text} FROM '{side}' WHERE id BETWEEN ? AND ? "
            f"AND id // {width} IN (SELECT unnest(?))",
            [some[0] * width, (some[-1] + 1) * width - 1, some]).fetchall()) for side in sides)
    found += len(a ^ b)
print(found)
"""


def measure() -> list[Figure]:
    """CPU no more than that of the join, or of hashing; memory 1 GB at most. Medians of 3."""
    figures: list[Figure] = []
    with scratch("diff") as folder:
        (folder / "qanat.yml").write_text("name: diff\n")
        spend([PYTHON, "-c", _MAKE, str(ROWS)], folder)
        for case in ("changed", "mixed"):
            other = f"{case}.parquet"
            diff = [*QANAT, "diff", "a.parquet", other, "--key", "id"]
            join = [PYTHON, "-c", _JOIN, other, *COLUMNS]
            hashing = [PYTHON, "-c", _HASHING, str(ROWS), other, *COLUMNS]
            own, joined, hashed = medians(
                3,
                partial(_spend, diff, folder),
                baseline(partial(_spend, join, folder)),
                baseline(partial(_spend, hashing, folder)),
                warm=False,
            )
            figures += compared(f"diff ({case})", own, joined, hashed)
    return figures


def _spend(command: Sequence[str | Path], folder: Path, _: int) -> Cost:
    return spend(command, folder)


def compared(name: str, own: Cost, joined: Cost, hashed: Cost) -> list[Figure]:
    """The figures of one case."""
    peaks = own.peak / 1e6, joined.peak / 1e6
    memory = Figure(
        f"{name}: peak memory", peaks[0], "full outer join", peaks[1], "MB", Against.VALUE, MEMORY
    )
    if not BASELINES:
        return [memory]
    for whose, cost in (("Qanat", own), ("full outer join", joined), ("hashing", hashed)):
        print(f"{name}: {whose} {cost.document()}", file=sys.stderr)
    return [
        memory,
        *(
            Figure(f"{name}: CPU", own.cpu, whose, theirs.cpu, "s", Against.RATIO, 1.0)
            for whose, theirs in (("full outer join", joined), ("hashing", hashed))
        ),
    ]
