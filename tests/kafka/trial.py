"""One case: an update meets a fault, the next ones recover, and every message is counted."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from qanat.crash.case import Verdict
from qanat.testing.kafka import Broker
from tests.acceptance.crashing import DIED, count_steps, take_steps
from tests.conformance.kafka_topics import Topics
from tests.forked import FORKED
from tests.kafka.faults import FAULTS, Case, die, stand_still
from tests.kafka.project import Found, Project, kafka_steps, message

_TRIES = 3
"""Updates after the fault, until one succeeds: the broker may need a moment."""
_LIMIT = 120.0


class Trial:
    """Tries cases, one after the other, on one project: each sends messages of its own.

    Args:
        folder: for projects; one that something has gone wrong in is left, and another begun.
    """

    def __init__(self, folder: Path, broker: Broker) -> None:
        self._folder, self._broker = folder, broker
        self._topics = Topics(broker)
        self._numbers, self._projects = count(), count()
        self._begin()

    def _begin(self) -> None:
        folder = self._folder / f"project-{next(self._projects)}"
        self._project = Project(folder, self._topics, self._broker.relayed_address)
        self._good, self._bad = Counter[int](), Counter[int]()
        self._send()
        _run(folder)

    def steps(self) -> int:
        """How many steps an update has that finds messages."""
        self._send()
        return count_steps(self._project.folder, "run", kafka_steps)

    def attempt(self, case: Case) -> Verdict:
        """Try a case."""
        open_ = next(self._numbers)
        with self._topics.transaction(self._project.topic, message(open_, 1)):
            # Its messages come after those of a transaction that is open, and are read only then.
            self._send(aborted=True)
            self._good[open_] += 1
        self._send(aborted=True)
        hit = self._meet(case)
        self._send()
        began = time.monotonic()
        complaints = list(self._recover())
        seconds = time.monotonic() - began
        lost = doubled = 0
        if not complaints:
            lost, doubled, complaints = self._judged(self._project.found())
        if complaints:
            self._begin()
        return Verdict(
            str(case), int(hit), 1, (), (), lost, doubled, tuple(complaints), (seconds,)
        )

    def _send(self, aborted: bool = False) -> None:
        good, bad = [next(self._numbers), next(self._numbers)], [next(self._numbers)]
        if aborted:
            gone = message(next(self._numbers), 1)
            with self._topics.transaction(self._project.topic, gone, commit=False):
                pass
        self._project.send(good, bad)
        self._good.update(good)
        self._bad.update(bad)

    def _meet(self, case: Case) -> bool:
        """Run an update that meets the fault; False if it ended before the step."""
        folder, fault = self._project.folder, FAULTS[case.kind]
        network = self._broker.network
        assert network is not None
        act = die if fault is None else partial(stand_still, folder)
        child = FORKED.Process(target=_silent, args=(folder, case.step, act))
        child.start()
        met, hit, end = folder / "met", False, time.monotonic() + _LIMIT
        try:
            while child.is_alive() and time.monotonic() < end:
                if fault is not None and not hit and met.exists():
                    hit = True
                    fault(self._broker, network)
                    met.unlink()
                child.join(0.01)
            assert not child.is_alive(), f"an update hangs after {case}"
        finally:
            child.kill()
            child.join()
            network.mend()
            network.delay = 0.0
            met.unlink(missing_ok=True)
        return hit or child.exitcode in (-signal.SIGKILL, DIED)

    def _recover(self) -> Iterator[str]:
        """Update until it works; what stands in the way if it never does."""
        for left in reversed(range(_TRIES)):
            ended = _run(self._project.folder)
            if ended == 0:
                return
            if not left:
                yield f"the update after it ends with {ended}: {_said(self._project.folder)}"

    def _judged(self, found: Found) -> tuple[int, int, list[str]]:
        lost = doubled = 0
        complaints = []
        for what, expected, there in (
            ("the table", self._good, found.table),
            ("quarantine", self._bad, found.quarantine),
            ("the topic", self._good, found.topic),
        ):
            missing, more = expected - there, there - expected
            lost, doubled = lost + missing.total(), doubled + more.total()
            if missing or more:
                complaints.append(
                    f"{what}: lacks {sorted(missing)}, has too often {sorted(more.elements())}"
                )
        return lost, doubled, complaints


def _run(folder: Path) -> int | None:
    child = FORKED.Process(target=_silent, args=(folder, 0, die))
    child.start()
    child.join(_LIMIT)
    with suppress(ValueError):
        child.kill()
    child.join()
    return child.exitcode


def _silent(folder: Path, step: int, act: object) -> None:
    """Run the project; what it says goes into a file beside it."""
    said = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 2)
    os.dup2(said, 1)
    assert callable(act)
    take_steps(folder, step, kafka_steps, act)


def _said(folder: Path) -> str:
    return folder.with_suffix(".log").read_text(encoding="utf-8").strip()[-1500:]
