"""Measure the figures Qanat promises, each beside its baseline, in one run.

    python benchmarks/run.py                 all of them (about ten minutes)
    python benchmarks/run.py startup plan_1000

Prints a table, writes benchmarks/results/<name>.json, and exits with 1 when a figure misses its
target. Data and other people's tools are made once in $XDG_CACHE_HOME/qanat-bench
(~/.cache/qanat-bench): 5 GB for all.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from figure import Figure, table
from measure import CommandError
from place import CORES

NAMES = (
    "startup",
    "cold_run",
    "unchanged_run",
    "plan_1000",
    "small_files",
    "lineitem_plain",
    "lineitem_rules",
    "lineitem_keys",
    "memory_bound",
    "postgres",
)
RESULTS = Path(__file__).parent / "results"


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark, also kept as JSON."""
    figures: list[Figure] = import_module(name).measure()
    RESULTS.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": CORES,
        "figures": [figure.document() for figure in figures],
    }
    text = json.dumps(document, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    return figures


def main() -> int:
    """Run the named benchmarks, or all; 0 when every target is reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    names = parser.parse_args().names or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    found: list[Figure] = []
    broken = 0
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            found += measure(name)
        except (CommandError, ValueError) as error:
            broken += 1
            print(f"{name} could not be measured: {error}", file=sys.stderr)
    print(table(found))
    return 1 if broken or not all(figure.reached for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
