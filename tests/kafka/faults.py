"""What can happen to an update at one of its steps, and the cases that are made of that."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from qanat.frozen import Frozen
from qanat.testing.kafka import Broker
from qanat.testing.relay import Relay

SCENARIO = "orders"
_WAIT = 120.0


def _restart(broker: Broker, network: Relay) -> None:
    broker.kill()
    broker.start()


def _cut(broker: Broker, network: Relay) -> None:
    network.cut()
    time.sleep(0.3)
    network.mend()


def _slow(broker: Broker, network: Relay) -> None:
    network.delay = 0.05


FAULTS: Mapping[str, Callable[[Broker, Relay], None] | None] = {
    "kill": None,
    "broker": _restart,
    "cut": _cut,
    "slow": _slow,
}
"""By name, what is done to the broker or the network while the update stands at the step.

None kills the update itself (SIGKILL).
"""


class Case(Frozen):
    """One fault at one step.

    >>> str(Case.parse("cut@17"))
    'cut@17'
    """

    kind: str
    step: int
    scenario: str = SCENARIO

    def __str__(self) -> str:
        return f"{self.kind}@{self.step}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read what `str` wrote.

        Raises:
            ValueError: it is none.
        """
        kind, _, step = text.partition("@")
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        return cls(kind, int(step))


def cases(steps: int, kinds: list[str]) -> Iterator[Case]:
    """Every fault at every step."""
    return (Case(kind, step) for kind in kinds for step in range(1, steps + 1))


def stand_still(folder: Path) -> None:
    """What the update does at the step: it waits until the file `met` is gone."""
    met = folder / "met"
    met.touch()
    end = time.monotonic() + _WAIT
    while met.exists() and time.monotonic() < end:
        time.sleep(0.01)


def die() -> None:
    """What it does to be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
