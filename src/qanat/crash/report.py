"""The results of a crash test in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qanat.crash.case import Case, Verdict
from qanat.frozen import Frozen


class Line(Frozen):
    """The results of one kind of case.

    Args:
        kind: as in `Case.kind`.
        tried: the faults that happened; for `recovery` the kills during a recovery, for `power`
            the disks after a power loss.
        survived: how many of them left nothing wrong.
    """

    kind: str
    tried: int
    survived: int


class Report(Frozen):
    """The results of a crash test.

    Args:
        seed: the seed of everything that was drawn.
        lines: the results by kind of case.
        sites: the number of different calls at which a fault happened.
        lost: rows lost, of all cases.
        doubled: rows too many, of all cases.
        deepest: the most kills in a row.
        errors: by code, how many attempts ended with that error.
        median, p99, slowest: seconds of a recovery with its checks.
        failures: the verdicts with complaints.
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
        """The number of faults and power losses that happened."""
        return sum(line.tried for line in self.lines)

    @property
    def survived(self) -> int:
        """The number of faults and power losses that left nothing wrong."""
        return sum(line.survived for line in self.lines)


def report(seed: int, verdicts: Sequence[Verdict], kinds: Sequence[str]) -> Report:
    """Add up verdicts.

    Args:
        seed: the seed of everything that was drawn.
        verdicts: the verdicts.
        kinds: the kinds of cases, in the order in which they are shown.
    """
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
    """How many faults of a case happened: an attempt may end before the call of its fault."""
    if case.powers:
        return len(verdict.seconds)
    # The first kill of a chain hits no recovery, so a chain counts from the second on.
    wanted = 2 if case.kind == "recovery" else 1
    return int(verdict.hits >= wanted)


def _sites(case: Case, verdict: Verdict) -> Iterator[tuple[str, int]]:
    """The calls at which faults happened.

    If some power losses of a case were skipped, it is not known which, so none is counted.
    """
    if not case.powers:
        yield from ((case.scenario, s.call) for s in case.shots[: verdict.hits])
    elif len(verdict.seconds) == len(case.powers):
        yield from ((case.scenario, call) for call, _ in case.powers)


def _failures(verdict: Verdict, count: int) -> int:
    """How many of a case's disks were wrong: each complaint begins with the disk's label."""
    if not verdict.complaints:
        return 0
    return max(1, min(count, len({c.partition(":")[0] for c in verdict.complaints})))
