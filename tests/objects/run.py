"""`make object-crash-test`: every fault at every request to an object store.

python -m tests.objects.run               everything; goes on where it was interrupted
python -m tests.objects.run --seconds 60  what a minute suffices for, drawn by a printed seed
python -m tests.objects.run --case "append lost@17 #1"   one case, as a failure names it
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from qanat.crash.campaign import interleaved
from qanat.crash.case import Verdict
from qanat.crash.ending import ends_cleanly
from qanat.crash.journal import Journal
from qanat.testing.object_store import ObjectStore, object_store
from qanat.testing.seaweedfs import seaweedfs
from tests.objects.faults import KINDS, Case, cases
from tests.objects.projects import Maker, Scenario
from tests.objects.site import Site
from tests.objects.trial import Reference, Trial

ROOT = Path(__file__).parents[2]
AGAIN = "python -m tests.objects.run"
Serve = Callable[[], AbstractContextManager[ObjectStore]]
SERVERS: Mapping[str, Serve] = {"moto": object_store, "seaweedfs": seaweedfs}


def main() -> int:
    """Run the crash test; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="of all that is drawn")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of " + ", ".join(KINDS))
    parser.add_argument("--scenarios", default="", help="some of the scenarios")
    parser.add_argument("--most", type=int, help="so many cases at most")
    parser.add_argument("--seconds", type=float, help="start no case after so many seconds")
    parser.add_argument("--case", action="append", default=[], help="only this case")
    parser.add_argument("--server", choices=SERVERS, default="moto", help="the S3 server")
    parser.add_argument("--list", action="store_true", help="only print the requests")
    options = parser.parse_args()
    drawn = options.most is not None or options.seconds is not None
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6) if drawn else 1
    print(f"seed {seed}, {options.jobs} at a time", flush=True)
    only = [Case.parse(c) for c in options.case]
    wanted = {c.scenario for c in only} or {s for s in options.scenarios.split(",") if s}
    journal = Journal(None if only or options.seconds else cache(), key(seed, options.server))
    with ends_cleanly(), ExitStack() as ends:
        folder = Path(
            ends.enter_context(tempfile.TemporaryDirectory(prefix="objects-", dir=memory()))
        )
        server = SERVERS[options.server]
        sites = [started(folder / f"site-{n}", server, ends) for n in range(options.jobs)]
        known = prepared(sites[0], folder, wanted)
        if options.list:
            listed(known)
            return 0
        chosen = only or interleaved(
            [
                c
                for s, r in known.values()
                for c in cases(s.name, r.requests, options.kinds.split(","), seed)
            ],
            seed,
        )
        verdicts = carry_out(sites, known, chosen[: options.most], journal, options.seconds)
    for verdict in verdicts if only else ():
        print(f"{verdict.case}: at {', '.join(verdict.sites)}; {', '.join(verdict.errors)}")
    return said(verdicts)


def memory() -> str | None:
    """A folder in memory, if there is one: every case writes a project and syncs it."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def started(folder: Path, serve: Serve, ends: ExitStack) -> Site:
    """A site with a server of its own."""
    server = ends.enter_context(serve())
    return ends.enter_context(Site(folder, server.environment))


Known = Mapping[str, tuple[Scenario, Reference]]


def prepared(site: Site, folder: Path, wanted: set[str]) -> Known:
    """Make the scenarios, and do each without a fault.

    Args:
        wanted: names of scenarios; none means all.
    """
    found = {}
    images = folder / "images"
    images.mkdir()
    for scenario in Maker(site, images).all(wanted):
        found[scenario.name] = scenario, Trial(site).refer(scenario)
    if missing := wanted - found.keys():
        raise SystemExit(f"no scenario {', '.join(sorted(missing))}")
    return found


def carry_out(
    sites: Sequence[Site],
    known: Known,
    chosen: Sequence[Case],
    journal: Journal,
    seconds: float | None,
) -> list[Verdict]:
    """Try the cases that are not in the journal yet; returns all verdicts on the chosen ones."""
    left = [c for c in chosen if str(c) not in journal.verdicts]
    print(f"{len(chosen):,} cases in {len(known)} scenarios, {len(left):,} to try", flush=True)
    end = None if seconds is None else time.monotonic() + seconds
    waiting, lock = iter(left), threading.Lock()
    errors: list[BaseException] = []
    tried = 0

    def serve(site: Site) -> None:
        nonlocal tried
        while not errors and (end is None or time.monotonic() < end):
            with lock:
                case = next(waiting, None)
            if case is None:
                return
            try:
                verdict = Trial(site).attempt(
                    known[case.scenario][0], case, known[case.scenario][1]
                )
            except BaseException as error:
                errors.append(error)
                raise
            with lock:
                tried += 1
                journal.add(verdict)
                if verdict.complaints:
                    complain(verdict)
                if tried % 25 == 0:
                    print(f"{tried:,} of {len(left):,} tried", flush=True)

    threads = [threading.Thread(target=serve, args=(s,), daemon=True) for s in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    names = {str(c) for c in chosen}
    return [v for v in journal.verdicts.values() if v.case in names]


def complain(verdict: Verdict) -> None:
    """Print what went wrong in a case, and the command that repeats it."""
    print(f"FAILED {verdict.case}")
    for line in [*(f"at {s}" for s in verdict.sites), *verdict.complaints]:
        print("    " + line.replace("\n", "\n    ")[:2000])
    print(f'    again: {AGAIN} --case "{verdict.case}"', flush=True)


def said(verdicts: Sequence[Verdict]) -> int:
    """Print the figures; returns the exit code."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        found = kinds[Case.parse(verdict.case).kind]
        found["tried"] += 1
        found["hit"] += bool(verdict.hits)
        found["survived"] += not verdict.complaints
    for kind, found in ((k, kinds[k]) for k in KINDS if k in kinds):
        print(
            f"{kind:<15} {found['tried']:>6,} tried {found['hit']:>6,} took effect"
            f" {found['survived']:>6,} survived"
        )
    seconds = sorted(s for v in verdicts for s in v.seconds)
    if seconds:
        middle, slowest = seconds[len(seconds) // 2], seconds[-1]
        print(f"recovery: median {middle:.1f} s, slowest {slowest:.1f} s")
    hits = sum(v.hits for v in verdicts)
    places = len({s for v in verdicts for s in v.sites})
    lost, doubled = sum(v.lost for v in verdicts), sum(v.doubled for v in verdicts)
    unexplained = sum(bool(v.complaints) for v in verdicts)
    left = Counter(e for v in verdicts for e in v.errors if "left" in e)
    for what, count in sorted(left.items()):
        print(f"{what}: {count:,}")
    print(
        f"{hits:,} faults took effect at {places:,} kinds of requests: {lost:,} rows lost,"
        f" {doubled:,} doubled, {unexplained:,} unexplained"
    )
    return 1 if unexplained or not hits else 0


def listed(known: Known) -> None:
    """Print the requests of every scenario."""
    for name, (_, reference) in known.items():
        for request in reference.requests:
            print(f"{name} {request.number:>4} {request.site}")


def cache() -> Path:
    """The file of the journal."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "qanat-crash" / "objects.jsonl"


def key(seed: int, server: str) -> str:
    """The key of the journal: a digest of everything that the verdicts depend on."""
    drivers = [f"{name} {version(name)}" for name in ("duckdb", "deltalake", "obstore")]
    digest = blake2b(f"{seed} {server} {sys.version} {drivers}".encode(), digest_size=16)
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests/objects").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
