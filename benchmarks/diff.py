"""`qanat diff` of two tables, a thousandth of whose rows differ, beside a join and hashing.

The join is DuckDB's full outer join with counts of each column's changes, at its own defaults. The
hashing is that of data-diff: sums of MD5 digests over segments of the key, which are halved where
they differ. QANAT_BENCH_DIFF_ROWS says how many rows (5 million; the promise is of 50).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from figure import Against, Figure
from measure import BASELINES, Cost, baseline, medians, spend
from place import scratch

ROWS = int(os.environ.get("QANAT_BENCH_DIFF_ROWS", "5_000_000"))
MEMORY = 1000.0
COLUMNS = ("customer", "amount", "name", "day", "flag", "code", "token")

_MAKE = """
import duckdb
con = duckdb.connect()
con.execute(f'''COPY (SELECT i AS id, (i * 7919) % 100000 AS customer,
  round((hash(i) % 100000) / 100, 2) AS amount, 'name ' || (i % 10007) AS name,
  DATE '2020-01-01' + (i % 1000)::INT AS day, i % 2 = 0 AS flag, hash(i + 1) % 1000000 AS code,
  md5(i::VARCHAR) AS token FROM range({rows}) t (i)) TO 'a.parquet' ''')
con.execute('''COPY (SELECT * REPLACE (CASE WHEN hash(id) % 1000 = 0 THEN amount + 1
  ELSE amount END AS amount) FROM 'a.parquet') TO 'b.parquet' ''')
"""
_JOIN = """
import duckdb
con = duckdb.connect()
each = ', '.join(f'count(*) FILTER (l.id IS NOT NULL AND r.id IS NOT NULL AND l.{c} IS DISTINCT '
                 f'FROM r.{c})' for c in {columns!r})
print(con.execute(f"SELECT count(*) FILTER (r.id IS NULL), count(*) FILTER (l.id IS NULL), {each}"
                  " FROM 'a.parquet' l FULL JOIN 'b.parquet' r ON l.id = r.id").fetchone())
"""
_HASHING = """
import duckdb
con = duckdb.connect()
text = " || '|' || ".join(f"coalesce({c}::VARCHAR, '')" for c in ('id', *{columns!r}))
def sums(side, segments, width):
    where = ' OR '.join(f'id BETWEEN {{a}} AND {{b - 1}}' for a, b in segments)
    return dict((r[0], r[1:]) for r in con.execute(
        f"SELECT id // {{width}}, count(*), sum(('0x' || md5({text})[18:])::UBIGINT) "
        f"FROM '{{side}}.parquet' WHERE {{where}} GROUP BY 1").fetchall())
width = max({rows} // 32, 1)
segments = [(0, {rows})]
left, right = (sums(side, segments, width) for side in 'ab')
differ = [k for k in left.keys() | right.keys() if left.get(k) != right.get(k)]
found = 0
for k in differ:
    # With a thousandth spread over all segments, every one of them is fetched.
    a, b = (set(con.execute(f"SELECT id, {text} FROM '{{side}}.parquet' WHERE id BETWEEN "
            f"{{k * width}} AND {{(k + 1) * width - 1}}").fetchall()) for side in 'ab')
    found += len(a ^ b) // 2
print(found)
"""


def measure() -> list[Figure]:
    """CPU no more than that of the join, or of hashing; memory 1 GB at most. Medians of 3."""
    python = Path(sys.executable)
    with scratch("diff") as folder:
        (folder / "qanat.yml").write_text("name: diff\n")
        spend([python, "-c", _MAKE.replace("{rows}", str(ROWS))], folder)
        diff: list[str | Path] = [
            python,
            "-m",
            "qanat",
            "diff",
            "a.parquet",
            "b.parquet",
            "--key",
            "id",
        ]
        join = _JOIN.replace("{columns!r}", repr(COLUMNS))
        hashing = _HASHING.replace("{columns!r}", repr(COLUMNS)).replace("{rows}", str(ROWS))
        hashing = hashing.replace("{{", "{").replace("}}", "}")
        own, joined, hashed = medians(
            3,
            lambda _: spend(diff, folder),
            baseline(lambda _: spend([python, "-c", join], folder)),
            baseline(lambda _: spend([python, "-c", hashing], folder)),
        )
    peaks = own.peak / 1e6, joined.peak / 1e6
    figures = [
        Figure(
            "diff: peak memory", peaks[0], "full outer join", peaks[1], "MB", Against.VALUE, MEMORY
        )
    ]
    if BASELINES:
        for name, theirs in (("full outer join", joined), ("hashing", hashed)):
            show(name, theirs)
            figures.append(Figure("diff: CPU", own.cpu, name, theirs.cpu, "s", Against.RATIO, 1.0))
    show("Qanat", own)
    return figures


def show(name: str, cost: Cost) -> None:
    """Print what one of them took."""
    print(f"diff: {name} {cost.document()}", file=sys.stderr)
