"""Reads files drawn at random in every way, and compares with other readers.

python -m tests.files.run --most 100000 --seed 7
python -m tests.files.run --kind csv --again 7/42     one batch, as a failure names it
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from tests.files.campaign import BATCH, KINDS, Campaign

_SHOWN = 20
_EVERY = 30.0
"""Seconds between two lines of progress."""


def main() -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="csv")
    parser.add_argument("--most", type=int, default=1000, help="so many files")
    parser.add_argument("--seed", type=int, help="of all that is drawn")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    parser.add_argument("--again", help="only the batch of this seed")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    seeds = [options.again] if options.again else [f"{seed}/{n}" for n in range(options.most)]
    print(f"seed {seed}", flush=True)
    files = failed = 0
    started = told = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET threads = 2")
        campaign = Campaign(KINDS[options.kind], con, Path(folder))
        for one in seeds:
            for failure in campaign.batch(one):
                failed += 1
                if failed <= _SHOWN:
                    print(failure, flush=True)
            files += BATCH
            now = time.monotonic()
            if now - told > _EVERY:
                told = now
                print(f"{files:,} files, {failed} differ, {now - started:.0f} s", flush=True)
            if files >= options.most or now - started > (options.seconds or now):
                break
    print(f"{files:,} files, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
