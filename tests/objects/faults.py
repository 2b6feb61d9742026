"""What can go wrong with a request, and which errors that explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Protocol

from qanat.errors import CommandLineError
from qanat.frozen import Frozen
from tests.objects.proxy import Exchange, Request

_ALWAYS = 10**9
GIVES_UP = 8
"""How many tries of one request fail of a fault that makes the client give up."""
MOMENTS = ("meanwhile", "ended", "recovering", "recovered")
"""When a late request arrives: while the client goes on, after its end, during the recovery (each
before a request that is drawn), or when everything is done."""


class Stage(Protocol):
    """What a fault can do beside answering the request that it meets."""

    draw: Random

    def kill(self) -> None:
        """Kill the client."""

    def sleep(self) -> None:
        """Stop the client; returns when another update has run to its end."""

    def later(self, exchange: Exchange) -> None:
        """Carry out a request at a moment that is drawn."""

    def commit_elsewhere(self, request: Request) -> None:
        """Let another tool make the commit that a request is about to make."""


Happen = Callable[[Exchange, Stage], None]


def same_request(first: Request, later: Request) -> bool:
    """True of a request that is sent again."""
    return (first.method, first.target) == (later.method, later.target)


def any_request(first: Request, later: Request) -> bool:
    """True of all that follow."""
    return True


class Fault(Frozen):
    """A way for a request to go wrong.

    Args:
        name: as it is typed.
        happen: what happens to the request.
        applies: the requests that it can happen to.
        tries: so many requests meet it, the first included.
        same: which others meet it, given the first one.
        again: what happens to the others; None: the same.
        sleeps: True if another update takes over from the client.
        deadly: True if the client is killed.
        fails: True if the client may give up because of it.
    """

    name: str
    happen: Happen
    applies: Callable[[Request], bool] = lambda request: True
    tries: int = 1
    same: Callable[[Request, Request], bool] = same_request
    again: Happen | None = None
    sleeps: bool = False
    deadly: bool = False
    fails: bool = False


def _changes(request: Request) -> bool:
    """True of what changes the store: only then does it matter whether it was carried out."""
    return request.method != "GET" and request.method != "HEAD"


def _kill_before(exchange: Exchange, stage: Stage) -> None:
    stage.kill()
    exchange.cut()


def _kill_after(exchange: Exchange, stage: Stage) -> None:
    exchange.forward()
    stage.kill()
    exchange.cut()


def _kill_and_late(exchange: Exchange, stage: Stage) -> None:
    stage.kill()
    stage.later(exchange)
    exchange.cut()


def _lost(exchange: Exchange, stage: Stage) -> None:
    exchange.forward()
    exchange.cut()


def _torn(exchange: Exchange, stage: Stage) -> None:
    exchange.answer_half(exchange.forward())


def _late(exchange: Exchange, stage: Stage) -> None:
    stage.later(exchange)
    exchange.cut()


def _cut(exchange: Exchange, stage: Stage) -> None:
    exchange.cut()


def _reset(exchange: Exchange, stage: Stage) -> None:
    exchange.reset()


def _throttle(exchange: Exchange, stage: Stage) -> None:
    exchange.refuse(503, "SlowDown")


def _error(exchange: Exchange, stage: Stage) -> None:
    exchange.refuse(500, "InternalError")


def _error_after(exchange: Exchange, stage: Stage) -> None:
    exchange.forward()
    exchange.refuse(500, "InternalError")


def _conflict(exchange: Exchange, stage: Stage) -> None:
    stage.commit_elsewhere(exchange.request)
    exchange.answer(exchange.forward())


def _sleep_before(exchange: Exchange, stage: Stage) -> None:
    stage.sleep()
    exchange.answer(exchange.forward())


def _sleep_after(exchange: Exchange, stage: Stage) -> None:
    response = exchange.forward()
    stage.sleep()
    exchange.answer(response)


def _follows_a_commit(request: Request) -> bool:
    # What makes version 0 makes the table: another tool's would be another table.
    return request.commits and not request.key.endswith("/" + "0" * 20 + ".json")


_ALL = (
    Fault("kill-before", _kill_before, deadly=True),
    Fault("kill-after", _kill_after, _changes, deadly=True),
    Fault("kill-late", _kill_and_late, _changes, deadly=True),
    Fault("lost", _lost, _changes, fails=True),
    Fault("lost-all", _lost, _changes, GIVES_UP, fails=True),
    Fault("lost-outage", _lost, _changes, _ALWAYS, any_request, _reset, fails=True),
    Fault("torn", _torn, fails=True),
    Fault("late", _late, _changes, fails=True),
    Fault("late-all", _late, _changes, GIVES_UP, again=_cut, fails=True),
    Fault("late-outage", _late, _changes, _ALWAYS, any_request, _reset, fails=True),
    Fault("reset", _reset, fails=True),
    Fault("outage", _reset, tries=_ALWAYS, same=any_request, fails=True),
    Fault("throttle", _throttle, tries=2, fails=True),
    Fault("throttle-all", _throttle, tries=GIVES_UP, fails=True),
    Fault("error500", _error, fails=True),
    Fault("error500-after", _error_after, _changes, fails=True),
    Fault("conflict", _conflict, _follows_a_commit),
    Fault("sleep-before", _sleep_before, sleeps=True),
    Fault("sleep-after", _sleep_after, _changes, sleeps=True),
)
FAULTS: Mapping[str, Fault] = {f.name: f for f in _ALL}
TWICE = "recovery"
"""The kind of a case in which what recovers from a death is killed, too."""
KINDS = (*FAULTS, TWICE)


class Shot(Frozen):
    """A fault at one request of an attempt."""

    fault: str
    request: int

    def __str__(self) -> str:
        return f"{self.fault}@{self.request}"


class Case(Frozen):
    """The faults of one test of a scenario, each in an attempt of its own.

    >>> str(Case.parse("append kill-before@17 kill-after@3 #5"))
    'append kill-before@17 kill-after@3 #5'
    """

    scenario: str
    shots: tuple[Shot, ...]
    seed: int = 0

    @property
    def kind(self) -> str:
        """A fault's name, or `recovery`."""
        return TWICE if len(self.shots) > 1 else self.shots[0].fault

    def __str__(self) -> str:
        return " ".join([self.scenario, *map(str, self.shots), f"#{self.seed}"])

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read what `str` wrote.

        Raises:
            CommandLineError: it is none.
        """
        scenario, *parts = text.split() or [""]
        shots, seed = [], 0
        for part in parts:
            fault, _, number = part.partition("@")
            if part.startswith("#"):
                seed = int(part[1:])
            elif fault in FAULTS and number.isdigit():
                shots.append(Shot(fault, int(number)))
            else:
                raise CommandLineError(f"no fault {part!r}", wanted="as in 'append lost@7 #1'")
        if not shots:
            raise CommandLineError(f"no fault in {text!r}", wanted="as in 'append lost@7 #1'")
        return cls(scenario, tuple(shots), seed)


def cases(scenario: str, requests: list[Request], kinds: list[str], seed: int) -> Iterator[Case]:
    """Every fault at every request that it can happen to, and some deaths in a row."""
    for fault in (f for name, f in FAULTS.items() if name in kinds):
        for request in requests:
            if fault.applies(request):
                yield Case(scenario, (Shot(fault.name, request.number),), seed)
    if TWICE in kinds:
        for number in range(len(requests)):
            draw = Random(f"{seed} {scenario} {number}")
            deaths = [
                draw.choice(("kill-before", "kill-after")) for _ in range(draw.randint(2, 4))
            ]
            shots = [Shot(d, draw.randint(1, len(requests))) for d in deaths]
            yield Case(scenario, tuple(shots), seed)
