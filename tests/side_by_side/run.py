"""`make side-by-side`: eight processes over forty datasets, with kills and sleeps, many rounds.

python -m tests.side_by_side.run                       200 rounds with each ledger
python -m tests.side_by_side.run --rounds 5 --seed 7   fewer, and the same ones again
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from qanat.testing.postgresql import postgresql
from tests.side_by_side.rounds import compare, lay_out, play, settle


def main() -> int:
    """Play the rounds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--ledger", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as folder:
        if options.ledger != "postgresql":
            _all(Path(folder), "sqlite", None, options.rounds, options.seed)
        if options.ledger != "sqlite":
            with postgresql() as url:
                _all(Path(folder), "postgresql", url, options.rounds, options.seed)
    return 0


def _all(folder: Path, name: str, ledger: str | None, rounds: int, seed: int) -> None:
    root, undisturbed = folder / name, folder / f"{name}-undisturbed"
    lay_out(root, ledger)
    began, met = time.monotonic(), Counter[str]()
    for number in range(0, rounds, 10):
        met += play(root, min(10, rounds - number), seed + number, number)
        print(f"{name}: {min(number + 10, rounds)} of {rounds} rounds", flush=True)
    settle(root)
    lay_out(undisturbed, ledger)
    shutil.copytree(root / "in", undisturbed / "in", dirs_exist_ok=True)
    settle(undisturbed)
    compare(root, undisturbed)
    seconds = time.monotonic() - began
    print(
        f"{name}: 0 lost, 0 doubled in {seconds:.0f} s; of the processes {met['killed']} were"
        f" killed and {met['asleep']} slept for longer than their lease",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
