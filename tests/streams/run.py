"""`python -m tests.streams.run --most 10000 --seed 1`: random queries over streams."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

import duckdb

from tests.streams.cases import differs, draw


def main() -> int:
    """Try some, and tell what differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wrong, began = 0, time.monotonic()
    kinds: dict[str, int] = {}
    con = duckdb.connect()
    for done, seed in enumerate(range(asked.seed, asked.seed + asked.most)):
        if done and done % 500 == 0:
            print(f"{done} cases, {wrong} differ", flush=True)
        case = draw(seed)
        kinds[case.kind] = kinds.get(case.kind, 0) + 1
        try:
            found = differs(case, con)
        except Exception:  # noqa: BLE001 - what goes wrong is told with its seed
            found = traceback.format_exc(limit=-2)
        if found is not None:
            wrong += 1
            print(f"{case}\n  {found}\n", flush=True)
    took = time.monotonic() - began
    print(f"{asked.most} cases ({kinds}), {wrong} differ; {took:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
