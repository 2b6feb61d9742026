"""`python -m tests.changes.run --most 10000 --seed 1`: random histories against the model.

With `--snapshots` it is snapshots that the tables take.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from qanat.engines.duckdb.engine import DuckDBEngine
from tests.changes.model import Case, draw, rows_after
from tests.changes.snapshots import SnapshotCase, draw_snapshots, snapshots_differ
from tests.changes.table import Table


def differs(case: Case, folder: Path, engine: DuckDBEngine) -> str | None:
    """How the table differs from the model after an epoch; None if it never does."""
    table = Table(folder, case, engine, partitioned=case.seed % 4 == 0)
    for number, epoch in enumerate(case.epochs, 1):
        staged = table.merge(epoch)
        wanted, found = rows_after(case, number), table.rows()
        if found != wanted:
            return f"epoch {number}: wanted {wanted}, got {found}"
        counts = staged.counts
        if not counts.balanced or counts.written != len(epoch):
            return f"epoch {number}: {counts}"
    return None


def main() -> int:
    """Try some, and tell what differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--snapshots", action="store_true")
    asked = parser.parse_args()
    wrong, began = 0, time.monotonic()
    home = Path(mkdtemp(prefix="qanat-changes-"))
    engine = DuckDBEngine(home / "scratch", threads=1)
    for seed in range(asked.seed, asked.seed + asked.most):
        folder = home / str(seed)
        case = draw_snapshots(seed) if asked.snapshots else draw(seed)
        try:
            found = (
                snapshots_differ(case, folder, engine)
                if isinstance(case, SnapshotCase)
                else differs(case, folder, engine)
            )
        except Exception as error:  # noqa: BLE001 - it is told, and the next one tried
            found = f"{type(error).__name__}: {error}"
        finally:
            rmtree(folder, ignore_errors=True)
        if found is not None:
            wrong += 1
            print(f"{case}: {found}")
            if wrong > 5:
                break
    engine.close()
    rmtree(home, ignore_errors=True)
    seconds = time.monotonic() - began
    print(f"{asked.most} histories from seed {asked.seed}: {wrong} differ, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
