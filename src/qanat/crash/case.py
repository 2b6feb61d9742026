"""What is tried, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from qanat.crash.disk_model import Loss
from qanat.crash.injector import Fault
from qanat.errors import CommandLineError, nearest

_NUMBER = re.compile(r"[0-9]{1,18}")
_SEED = re.compile(r"#-?[0-9]{1,4000}")


class Operation(StrEnum):
    """What is done to a project while faults happen."""

    RUN = "run"
    REFRESH = "refresh"
    """An update that computes every table anew."""
    REPLAY = "replay"
    """Quarantined rows are checked again."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """An operation on a project in a certain state.

    Args:
        image: folder of the project as it is before; never changed.
        storage: folder of the project's storage, relative to the project's own.
        environment: of the project.
        threads: cores that the operation may use; with one, calls come in the same order.
        sockets: what is sent to a database is a call, too.
        then: what is done afterwards, one after the other, whatever became of the operation.
            Default: the same again.
    """

    name: str
    image: Path
    operation: Operation
    storage: str = "storage"
    environment: str = "dev"
    threads: int = 1
    sockets: bool = False
    then: tuple[Operation, ...] = ()

    @property
    def recovery(self) -> tuple[Operation, ...]:
        """What is done afterwards; the first of it is what recovers."""
        return self.then or (self.operation,)

    def to_json(self) -> dict[str, Any]:
        """For a worker."""
        return {
            "name": self.name,
            "image": str(self.image),
            "operation": self.operation.value,
            "storage": self.storage,
            "environment": self.environment,
            "threads": self.threads,
            "sockets": self.sockets,
            "then": [o.value for o in self.then],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Scenario:
        """What `to_json` gave."""
        return cls(
            found["name"],
            Path(found["image"]),
            Operation(found["operation"]),
            found["storage"],
            found["environment"],
            found["threads"],
            found["sockets"],
            tuple(Operation(o) for o in found["then"]),
        )


FAULTS = tuple(f.name.lower() for f in Fault if f is not Fault.NONE)
LOSSES = tuple(loss.value for loss in Loss)


@dataclass(frozen=True, slots=True)
class Shot:
    """A fault at a call, by its number from 1 on."""

    fault: Fault
    call: int

    def __str__(self) -> str:
        return f"{self.fault.name.lower()}@{self.call}"

    @classmethod
    def parse(cls, text: str) -> Shot:
        """What `str` gave.

        Raises:
            CommandLineError: it is none.

        >>> str(Shot.parse("kill@17"))
        'kill@17'
        """
        fault, _, call = text.partition("@")
        if fault not in FAULTS:
            raise _no_fault(fault)
        return cls(Fault[fault.upper()], _call(text, call))


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt on a scenario: what goes wrong, one after the other, before it goes well.

    Args:
        scenario: its name.
        shots: each in an attempt of its own.
        powers: calls of the last attempt after which the power goes, and what is lost then. Each
            is a disk of its own; the attempts before leave what they have not synced.
        rival: another update is started at the same moment as each attempt.
        seed: of everything that is drawn.
    """

    scenario: str
    shots: tuple[Shot, ...] = ()
    powers: tuple[tuple[int, Loss], ...] = ()
    rival: bool = False
    seed: int = 0

    @property
    def kind(self) -> str:
        """What it is about: a fault by name, `rival`, `recovery` or `power`.

        >>> Case.parse("append kill@17 kill@3 #5").kind
        'recovery'
        """
        if self.powers:
            return "power"
        if self.rival:
            return "rival"
        return "recovery" if len(self.shots) > 1 else self.shots[0].fault.name.lower()

    def __str__(self) -> str:
        parts = [self.scenario, *map(str, self.shots)]
        parts += (f"{loss}@{call}" for call, loss in self.powers)
        return " ".join([*parts, *(["rival"] if self.rival else []), f"#{self.seed}"])

    @classmethod
    def parse(cls, text: str) -> Case:
        """What `str` gave.

        Raises:
            CommandLineError: it is none.

        >>> str(Case.parse("append kill@17 all@3 part@4 rival #5"))
        'append kill@17 all@3 part@4 rival #5'
        """
        scenario, *parts = text.split() or [""]
        shots, powers, rival, seed = [], [], False, 0
        for part in parts:
            kind, _, call = part.partition("@")
            if part.startswith("#"):
                seed = _seed(part)
            elif part == "rival":
                rival = True
            elif kind in LOSSES:
                powers.append((_call(part, call), Loss(kind)))
            else:
                shots.append(Shot.parse(part))
        if not shots and not powers:
            raise CommandLineError(f"the case {text!r} has no fault", wanted="as in 'run kill@17'")
        return cls(scenario, tuple(shots), tuple(powers), rival, seed)


def _no_fault(name: str) -> CommandLineError:
    near = nearest(name, (*FAULTS, *LOSSES))
    wanted = None if near else f"{', '.join(FAULTS)}; when the power goes: {', '.join(LOSSES)}"
    return CommandLineError(f"no fault {name!r}", wanted=wanted, nearest=near)


def _call(text: str, number: str) -> int:
    if not _NUMBER.fullmatch(number) or not int(number):
        what = f"{number!r} in {text!r} is no number" if number else f"{text!r} lacks the number"
        raise CommandLineError(f"{what} of a call, from 1 on", wanted="as in kill@17")
    return int(number)


def _seed(text: str) -> int:
    if not _SEED.fullmatch(text):
        raise CommandLineError(f"{text!r} is no seed", wanted="a number, as in #7")
    return int(text[1:])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case.

    Args:
        hits: how many of its faults, or power losses, happened. A run that ends before a call is
            reached has no fault.
        depth: how many attempts in a row died.
        sites: what the calls were at which faults happened.
        errors: codes of the errors with which attempts ended because of them.
        lost: rows that were not there at the end, all tables together.
        doubled: rows that were there too often.
        complaints: everything that is not as it must be; empty when all is well.
        seconds: wall time of each recovery with its verification.
    """

    case: str
    hits: int
    depth: int = 0
    sites: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    lost: int = 0
    doubled: int = 0
    complaints: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Verdict:
        """What `to_json` gave."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in found.items()
        }
        return cls(**values)
