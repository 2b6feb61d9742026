"""What a crash test has found, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qanat.crash.case import Case, Verdict


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one kind of cases.

    Args:
        tried: faults that happened, deaths of updates that recovered from one, or disks after a
            power loss.
        survived: those after which nothing was wrong.
    """

    kind: str
    tried: int
    survived: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a crash test has found.

    Args:
        sites: different places at which something went wrong on purpose.
        deepest: most deaths in a row.
        errors: how often an attempt ended with an error because of its fault, by code.
        median, p99, slowest: seconds that a recovery took with its verification.
    """

    seed: int
    lines: tuple[Line, ...]
    sites: int
    lost: int
    doubled: int
    deepest: int
    errors: dict[str, int]
    median: float
    p99: float
    slowest: float
    failures: tuple[Verdict, ...]

    @property
    def tried(self) -> int:
        """Faults and losses that happened."""
        return sum(line.tried for line in self.lines)

    @property
    def survived(self) -> int:
        """Those after which nothing was wrong."""
        return sum(line.survived for line in self.lines)


def report(seed: int, verdicts: Sequence[Verdict], kinds: Sequence[str]) -> Report:
    """Add up verdicts."""
    tried = dict.fromkeys(kinds, 0)
    failed = dict.fromkeys(kinds, 0)
    errors: dict[str, int] = {}
    sites = set()
    for verdict in verdicts:
        case = Case.parse(verdict.case)
        count = _tried(case, verdict)
        tried[case.kind] += max(count, bool(verdict.complaints))
        failed[case.kind] += _failures(verdict, count)
        sites |= set(_sites(case, verdict))
        for code in verdict.errors:
            errors[code] = errors.get(code, 0) + 1
    seconds = sorted(s for v in verdicts for s in v.seconds) or [0.0]
    return Report(
        seed=seed,
        lines=tuple(Line(k, n, n - failed[k]) for k, n in tried.items() if n),
        sites=len(sites),
        lost=sum(v.lost for v in verdicts),
        doubled=sum(v.doubled for v in verdicts),
        deepest=max((v.depth for v in verdicts), default=0),
        errors=dict(sorted(errors.items())),
        median=seconds[len(seconds) // 2],
        p99=seconds[int(len(seconds) * 0.99)],
        slowest=seconds[-1],
        failures=tuple(v for v in verdicts if v.complaints),
    )


def _tried(case: Case, verdict: Verdict) -> int:
    """How much of a case happened: an update may end before the call at which it is to fail."""
    if case.powers:
        return len(verdict.seconds)
    # In the first attempt of several nothing is recovered from yet.
    wanted = 2 if case.kind == "recovery" else 1
    return int(verdict.hits >= wanted)


def _sites(case: Case, verdict: Verdict) -> Iterator[tuple[str, int]]:
    """Where it happened, as far as it is known: which of several disks were skipped is not."""
    if not case.powers:
        yield from ((case.scenario, s.call) for s in case.shots[: verdict.hits])
    elif len(verdict.seconds) == len(case.powers):
        yield from ((case.scenario, call) for call, _ in case.powers)


def _failures(verdict: Verdict, count: int) -> int:
    """How many of the disks of a verdict were wrong: complaints say of which they are."""
    if not verdict.complaints:
        return 0
    return max(1, min(count, len({c.partition(":")[0] for c in verdict.complaints})))
