"""Lists the cases of a scenario: every fault at every call, chains of kills, power losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from qanat.crash.case import Case, Shot
from qanat.crash.disk_model import Loss
from qanat.crash.injector import Fault
from qanat.crash.trace import Call

_AT_ONCE = 4
"""Power losses that share one record of calls: recording costs as much as trying two of them."""
_DEEPEST = 5
"""Kills in a row, at most."""


def applicable(fault: Fault, call: Call) -> bool:
    """True if a fault can happen at a call.

    Only a write of several bytes can be torn, only something sent can lose its answer, and a call
    that needs no space cannot run out of it.
    """
    match fault:
        case Fault.NONE:
            return False
        case Fault.TORN:
            return call.op == "w" and call.length > 1
        case Fault.CUT:
            return call.op == "n"
        case Fault.ENOSPC | Fault.FULL:
            return call.op not in "udn" and (call.op != "o" or "c" in call.detail)
    return True


def at_every_site(scenario: str, calls: Sequence[Call], faults: Sequence[Fault]) -> Iterator[Case]:
    """One case for each fault at each call at which it can happen."""
    for number, call in enumerate(calls, 1):
        for fault in faults:
            if applicable(fault, call):
                yield Case(scenario, (Shot(fault, number),))


def rivals(scenario: str, calls: Sequence[Call]) -> Iterator[Case]:
    """One case for each call: two updates run at once, and one is killed at the call."""
    for number in range(1, len(calls) + 1):
        yield Case(scenario, (Shot(Fault.KILL, number),), rival=True)


def chains(scenario: str, calls: Sequence[Call], count: int, seed: int) -> Iterator[Case]:
    """`count` chains of two to five kills, each in the recovery from the one before.

    The calls are drawn by the seed.
    """
    for number in range(count):
        draw = Random(f"{seed} chain {scenario} {number}")  # noqa: S311 - not for secrets
        deaths = draw.randint(2, _DEEPEST)
        shots = [Shot(Fault.KILL, draw.randint(1, len(calls))) for _ in range(deaths)]
        yield Case(scenario, tuple(shots), seed=seed)


def powers(scenario: str, calls: Sequence[Call], seed: int) -> Iterator[Case]:
    """Every kind of power loss after every call."""
    disks = [(n, loss) for n in range(1, len(calls) + 1) for loss in Loss]
    for at in range(0, len(disks), _AT_ONCE):
        yield Case(scenario, powers=tuple(disks[at : at + _AT_ONCE]), seed=seed)


def powers_after_deaths(
    scenario: str, calls: Sequence[Call], count: int, seed: int
) -> Iterator[Case]:
    """`count` power losses during or after the recovery from a kill.

    They find a recovery that relies on what the killed update had not synced.
    """
    for number in range(count):
        draw = Random(f"{seed} power {scenario} {number}")  # noqa: S311 - not for secrets
        death = Shot(Fault.KILL, draw.randint(1, len(calls)))
        points = [(draw.randint(1, len(calls)), draw.choice(list(Loss))) for _ in range(_AT_ONCE)]
        yield Case(scenario, (death,), tuple(points), seed=seed)
