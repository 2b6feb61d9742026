"""`make kafka-crash-test`: every fault at every step of an update that works with Kafka.

python -m tests.kafka.run               everything; goes on where it was interrupted
python -m tests.kafka.run --seconds 40  what that suffices for, drawn by a printed seed
python -m tests.kafka.run --case cut@17   one case, as a failure names it
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from qanat.crash.case import Verdict
from qanat.crash.ending import ends_cleanly
from qanat.crash.journal import Journal
from qanat.testing.kafka import kafka
from tests.kafka.faults import FAULTS, Case, cases
from tests.kafka.trial import Trial

ROOT = Path(__file__).parents[2]
AGAIN = "python -m tests.kafka.run"


def main() -> int:
    """Run the crash test; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="of the order in which cases are tried")
    parser.add_argument("--kinds", default=",".join(FAULTS), help="some of " + ", ".join(FAULTS))
    parser.add_argument("--seconds", type=float, help="start no case after so many seconds")
    parser.add_argument("--case", action="append", default=[], help="only this case")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6) if options.seconds else 1
    only = [Case.parse(c) for c in options.case]
    journal = Journal(None if only or options.seconds else _cache(), _key(seed))
    with (
        ends_cleanly(),
        tempfile.TemporaryDirectory(prefix="kafka-crash-", ignore_cleanup_errors=True) as folder,
        kafka(relayed=True) as broker,
    ):
        trial = Trial(Path(folder), broker)
        steps = trial.steps()
        chosen = only or list(cases(steps, options.kinds.split(",")))
        if not only:
            random.Random(seed).shuffle(chosen)  # noqa: S311
        left = [c for c in chosen if str(c) not in journal.verdicts]
        print(
            f"seed {seed}: {len(chosen):,} cases at {steps} steps, {len(left):,} to try",
            flush=True,
        )
        end = None if options.seconds is None else time.monotonic() + options.seconds
        for number, case in enumerate(left, 1):
            if end is not None and time.monotonic() > end:
                break
            verdict = trial.attempt(case)
            journal.add(verdict)
            if verdict.complaints:
                _complain(verdict)
            if number % 25 == 0:
                print(f"{number:,} of {len(left):,} tried", flush=True)
    names = {str(c) for c in chosen}
    return said([v for v in journal.verdicts.values() if v.case in names])


def said(verdicts: Sequence[Verdict]) -> int:
    """Print the figures; returns the exit code."""
    for kind in FAULTS:
        mine = [v for v in verdicts if Case.parse(v.case).kind == kind]
        found = Counter(
            hit=sum(bool(v.hits) for v in mine), bad=sum(bool(v.complaints) for v in mine)
        )
        if mine:
            print(
                f"{kind:<8} {len(mine):>5,} tried {found['hit']:>5,} met {found['bad']:>3,} wrong"
            )
    seconds = sorted(s for v in verdicts for s in v.seconds)
    if seconds:
        print(f"recovery: median {seconds[len(seconds) // 2]:.1f} s, slowest {seconds[-1]:.1f} s")
    hits, wrong = sum(v.hits for v in verdicts), sum(bool(v.complaints) for v in verdicts)
    lost, doubled = sum(v.lost for v in verdicts), sum(v.doubled for v in verdicts)
    print(
        f"{hits:,} faults: {lost:,} messages lost, {doubled:,} doubled, {wrong:,} cases went wrong"
    )
    return 1 if wrong or not hits else 0


def _complain(verdict: Verdict) -> None:
    print(f"FAILED {verdict.case}")
    for line in verdict.complaints:
        print("    " + line.replace("\n", "\n    ")[:3000])
    print(f"    again: {AGAIN} --case {verdict.case}", flush=True)


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "qanat-crash" / "kafka.jsonl"


def _key(seed: int) -> str:
    """The key of the journal: a digest of everything that the verdicts depend on."""
    drivers = [f"{name} {version(name)}" for name in ("duckdb", "deltalake", "confluent-kafka")]
    digest = blake2b(f"{seed} {sys.version} {drivers}".encode(), digest_size=16)
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests/kafka").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
