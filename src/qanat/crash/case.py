"""What a crash test tries, and its result: scenario, case, verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from qanat.crash.disk_model import Loss
from qanat.crash.injector import Fault
from qanat.errors import CommandLineError, nearest
from qanat.frozen import Frozen

_NUMBER = re.compile(r"[0-9]{1,18}")
_SEED = re.compile(r"#-?[0-9]{1,4000}")


class Operation(StrEnum):
    """What is done to a project while a fault happens."""

    RUN = "run"
    REFRESH = "refresh"
    """An update with a full refresh of every table, or of those that the scenario names."""
    REPLAY = "replay"
    """A replay of all quarantined rows."""
    RENAME = "rename"
    """The scenario's first name becomes its second."""
    DROP = "drop"
    """The dataset of the scenario's name goes."""
    DISCARD = "discard"
    """The rows in quarantine of the dataset of the scenario's name are thrown away."""
    MAINTAIN = "maintain"
    """All tables are compacted, and what is old is deleted."""


class Scenario(Frozen):
    """An operation on a project in a certain state.

    Args:
        name: unique in a crash test.
        image: the folder with the project before the operation; never changed.
        operation: what is done while faults happen.
        storage: the project's storage, relative to the project's folder.
        environment: the project's environment.
        threads: the threads that the operation may use; with one, the calls come in the same
            order each time.
        sockets: True if what is sent to a database counts as a call, too.
        then: the operations of recovery, in order; empty for the same operation again.
        anew: what a full refresh names, and what has read that as a stream starts over with it;
            empty for every table and sink.
        names: what `RENAME`, `DROP` and `DISCARD` are about.
    """

    name: str
    image: Path
    operation: Operation
    storage: str = "storage"
    environment: str = "dev"
    threads: int = 1
    sockets: bool = False
    then: tuple[Operation, ...] = ()
    anew: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def recovery(self) -> tuple[Operation, ...]:
        """The operations after the fault; the first one recovers from it."""
        return self.then or (self.operation,)

    def to_json(self) -> dict[str, Any]:
        """The scenario as JSON, for a worker."""
        return {
            "name": self.name,
            "image": str(self.image),
            "operation": self.operation.value,
            "storage": self.storage,
            "environment": self.environment,
            "threads": self.threads,
            "sockets": self.sockets,
            "then": [o.value for o in self.then],
            "anew": list(self.anew),
            "names": list(self.names),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Scenario:
        """Read what `to_json` wrote."""
        return cls(
            found["name"],
            Path(found["image"]),
            Operation(found["operation"]),
            found["storage"],
            found["environment"],
            found["threads"],
            found["sockets"],
            tuple(Operation(o) for o in found["then"]),
            tuple(found["anew"]),
            tuple(found["names"]),
        )


FAULTS = tuple(f.name.lower() for f in Fault if f is not Fault.NONE)
LOSSES = tuple(loss.value for loss in Loss)


class Shot(Frozen):
    """A fault at one call; calls are numbered from 1."""

    fault: Fault
    call: int

    def __str__(self) -> str:
        return f"{self.fault.name.lower()}@{self.call}"

    @classmethod
    def parse(cls, text: str) -> Shot:
        """Read what `str` wrote.

        Raises:
            CommandLineError: the text is no fault at a call.

        >>> str(Shot.parse("kill@17"))
        'kill@17'
        """
        fault, _, call = text.partition("@")
        if fault not in FAULTS:
            raise _no_fault(fault)
        return cls(Fault[fault.upper()], _call(text, call))


class Case(Frozen):
    """The faults of one test of a scenario, before the operation is done without a fault.

    Args:
        scenario: the scenario's name.
        shots: the faults, each in an attempt of its own, one after the other.
        powers: power losses in the last attempt: after which call, and what is lost. Each makes a
            disk of its own, and is checked by itself. What earlier attempts left unsynced may be
            lost, too.
        rival: True if another update is started together with each attempt.
        seed: the seed of everything that is drawn.
    """

    scenario: str
    shots: tuple[Shot, ...] = ()
    powers: tuple[tuple[int, Loss], ...] = ()
    rival: bool = False
    seed: int = 0

    @property
    def kind(self) -> str:
        """The kind of the case: a fault's name, `rival`, `recovery` or `power`.

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
        """Read what `str` wrote.

        Raises:
            CommandLineError: the text is no case.

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
        what = (
            f"{number!r} in {text!r} is not a number" if number else f"{text!r} lacks the number"
        )
        raise CommandLineError(f"{what} of a call, from 1 on", wanted="as in kill@17")
    return int(number)


def _seed(text: str) -> int:
    if not _SEED.fullmatch(text):
        raise CommandLineError(f"{text!r} is not a seed", wanted="a number, as in #7")
    return int(text[1:])


class Verdict(Frozen):
    """The result of a case.

    Args:
        case: the case, as text.
        hits: how many of its faults or power losses happened; a fault does not happen if the
            attempt ends before its call.
        depth: how many attempts in a row were killed.
        sites: the calls at which faults happened, such as `link t/0.json`.
        errors: the codes of the errors that attempts ended with.
        lost: rows missing at the end, of all tables together.
        doubled: rows too many at the end.
        complaints: a sentence for everything that is wrong; empty if the case survived.
        seconds: the wall time of each recovery with its checks.
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
        """The verdict as JSON, for the journal."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Verdict:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in found.items()
        }
        return cls(**values)


@dataclass(slots=True)
class Findings:
    """The parts of a verdict, while the case is tried; the fields are those of `Verdict`."""

    hits: int = 0
    depth: int = 0
    sites: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    complaints: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def verdict(self, case: object) -> Verdict:
        """What was found of a case, which is known by its text."""
        return Verdict(
            str(case),
            self.hits,
            self.depth,
            tuple(self.sites),
            tuple(self.errors),
            self.lost,
            self.doubled,
            tuple(self.complaints),
            tuple(self.seconds),
        )
