"""10,000 due times: `python -m tests.schedulers.run`, or `make scheduler-test`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from qanat.testing.postgresql import postgresql
from tests.schedulers.campaign import campaign


def main() -> int:
    """Run the campaign on SQLite and on PostgreSQL; tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=400.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"])
    asked, bad = parser.parse_args(), False
    for ledger in [asked.ledger] if asked.ledger else ["sqlite", "postgresql"]:
        server = postgresql() if ledger == "postgresql" else nullcontext(None)
        with server as url, tempfile.TemporaryDirectory(prefix="qanat-schedulers-") as folder:
            found = campaign(
                url,
                Path(folder),
                "campaign/dev",
                number=asked.schedules,
                seconds=asked.seconds,
                workers=asked.workers,
                seed=asked.seed,
            )
        print(
            f"{ledger}: {found.due:,} due times, {found.begins:,} begins, {found.kills} kills,"
            f" {found.sleeps} sleeps, {found.jumps} jumps of clocks, slowest start"
            f" {found.slowest:.1f} s: {len(found.faults)} faults"
        )
        for fault in found.faults[:20]:
            print(f"  {fault}")
        bad = bad or bool(found.faults)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
