"""Reads files drawn at random in every way, and compares with other readers.

python -m tests.files.run --most 100000 --seed 7 --together 40 --alone 2
python -m tests.files.run --kind csv --again 7/42     one batch, as a failure names it
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import duckdb

from tests.files.campaign import BATCH, KINDS, Campaign

_SHOWN = 20
_EVERY = 30.0
"""Seconds between two lines of progress."""


def main() -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), help="all, in turns")
    parser.add_argument("--most", type=int, default=1000, help="so many files")
    parser.add_argument("--seed", type=int, help="of all that is drawn")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    parser.add_argument("--together", type=int, default=BATCH, help="files of a batch")
    parser.add_argument("--alone", type=int, default=BATCH, help="of these also read alone")
    parser.add_argument("--again", help="only the batch of this seed")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    seeds = [options.again] if options.again else [f"{seed}/{n}" for n in range(options.most)]
    print(f"seed {seed}", flush=True)
    kinds = [options.kind] if options.kind else list(KINDS)
    read: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    started = told = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET threads = 2")
        campaigns = {kind: Campaign(KINDS[kind], con, Path(folder)) for kind in kinds}
        for number, one in enumerate(seeds):
            kind = kinds[number % len(kinds)]
            differ = set()
            for failure in campaigns[kind].batch(one, options.together, options.alone):
                differ.add(failure.data)
                if bad.total() + len(differ) <= _SHOWN:
                    print(f"{kind}: {failure}", flush=True)
            read[kind] += options.together
            bad[kind] += len(differ)
            now = time.monotonic()
            if now - told > _EVERY:
                told = now
                print(_said(read, bad), f"{now - started:.0f} s", flush=True)
            if read.total() >= options.most or now - started > (options.seconds or now):
                break
    failed = bad.total()
    print(_said(read, bad), f"{time.process_time():.0f} s of CPU")
    return 1 if failed else 0


def _said(read: Counter[str], bad: Counter[str]) -> str:
    parts = (f"{kind} {count:,}" for kind, count in read.items())
    return f"{read.total():,} files ({', '.join(parts)}), {bad.total()} differ;"


if __name__ == "__main__":
    sys.exit(main())
