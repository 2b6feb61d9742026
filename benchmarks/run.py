"""Measure the figures Qanat promises, each beside its baseline, in one run.

python benchmarks/run.py all of them (about fifteen minutes) python benchmarks/run.py startup
plan_1000

Prints a table, writes benchmarks/results/<name>.json, and exits with 1 when a figure misses its
target. Data and other people's tools are made once in $XDG_CACHE_HOME/qanat-bench (~/.cache/qanat-
bench): 6 GB for all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import import_module

from figure import Figure, keep, table
from measure import BASELINES, CommandError
from place import NotHereError

NAMES = (
    "startup",
    "cold_run",
    "unchanged_run",
    "plan_1000",
    "datasets_500",
    "two_halves",
    "flights_plain",
    "row_modules",
    "install_size",
    "small_files",
    "small_commits",
    "cdc_merge",
    "spark_merge",
    "lineitem_csv",
    "lineitem_plain",
    "lineitem_rules",
    "lineitem_keys",
    "checks",
    "checks_peers",
    "memory_bound",
    "diff",
    "lineitem_profile",
    "object_store",
    "postgres",
    "kafka_latency",
    "nexmark",
    "state_keys",
    "schedules",
    "orchestrators",
)


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark, also kept as JSON."""
    figures: list[Figure] = import_module(name).measure()
    if BASELINES:
        keep(name, [figure.document() for figure in figures])
    return figures


def main() -> int:
    """Run the named benchmarks, or all; 0 when every target is reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_intermixed_args()
    names = asked.names or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    found: list[Figure] = []
    broken = 0
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            found += measure(name)
        except NotHereError as error:
            print(f"{name} was left out: {error}", file=sys.stderr)
        except (CommandError, ValueError, OSError, subprocess.CalledProcessError) as error:
            broken += 1
            print(f"{name} could not be measured: {error}", file=sys.stderr)
    print(json.dumps([f.document() for f in found]) if asked.json else table(found))
    if asked.json:
        return 1 if broken else 0
    return 1 if broken or not all(figure.reached for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
