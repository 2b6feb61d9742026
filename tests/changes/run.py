"""`python -m tests.changes.run --most 10000 --seed 1`: random histories against the model."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from tests.changes.model import Case, draw, rows_after
from tests.changes.table import Table


def differs(case: Case, folder: Path, partitioned: bool = False) -> str | None:
    """How the table differs from the model after an epoch; None if it never does."""
    table = Table(folder, case, partitioned)
    try:
        for number, epoch in enumerate(case.epochs, 1):
            staged = table.merge(epoch)
            wanted, found = rows_after(case, number), table.rows()
            if found != wanted:
                return f"epoch {number}: wanted {wanted}, got {found}"
            counts = staged.counts
            if not counts.balanced or counts.written != len(epoch):
                return f"epoch {number}: {counts}"
    finally:
        table.close()
    return None


def main() -> int:
    """Try some, and tell what differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wrong, began = 0, time.monotonic()
    for seed in range(asked.seed, asked.seed + asked.most):
        folder = Path(mkdtemp(prefix="qanat-changes-"))
        try:
            case = draw(seed)
            found = differs(case, folder, partitioned=seed % 4 == 0)
        except Exception as error:  # noqa: BLE001 - it is told, and the next one tried
            found = f"{type(error).__name__}: {error}"
        finally:
            rmtree(folder, ignore_errors=True)
        if found is not None:
            wrong += 1
            print(f"{case}: {found}")
            if wrong > 5:
                break
    print(
        f"{asked.most} histories from seed {asked.seed}: {wrong} differ, {time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
