"""1 M rows of 6 columns out of PostgreSQL and into it, against ADBC alone.

Out: from asking what is unread to the last row in memory. Into: from taking over as the attempt
that may commit to the commit, the rows in a Parquet file; ADBC alone has them in memory already.
"""

from __future__ import annotations

import sys
from pathlib import Path

from figure import Against, Figure
from measure import Cost, medians, spend
from place import PYTHON, scratch

from qanat.testing.postgresql import postgresql

ROWS = 1_000_000
LIMIT = 1.5


def measure() -> list[Figure]:
    """Wall time of moving alone, median of 5, in processes that have imported everything."""
    script = Path(__file__).with_name("postgres_move.py")
    with scratch("postgres") as folder, postgresql() as url:
        spend([PYTHON, script, "prepare", url, folder, str(ROWS)], folder)

        def case(name: str) -> Cost:
            found = spend([PYTHON, script, name, url, folder, str(ROWS)], folder)
            return Cost(float(found.output), found.cpu, found.peak)

        out, plain_out, into, plain_into = medians(
            5,
            lambda _: case("qanat-out"),
            lambda _: case("adbc-out"),
            lambda _: case("qanat-into"),
            lambda _: case("adbc-into"),
        )
    print(f"postgres: out {out.wall:.2f} s, ADBC alone {plain_out.wall:.2f} s", file=sys.stderr)
    print(f"postgres: into {into.wall:.2f} s, ADBC alone {plain_into.wall:.2f} s", file=sys.stderr)
    return [
        Figure(
            "postgres: 1 M rows out",
            out.wall,
            "ADBC alone",
            plain_out.wall,
            "s",
            Against.RATIO,
            LIMIT,
        ),
        Figure(
            "postgres: 1 M rows into",
            into.wall,
            "ADBC alone",
            plain_into.wall,
            "s",
            Against.RATIO,
            LIMIT,
        ),
    ]
