"""A whole crash test: prepare the scenarios, draw the cases, try them, report."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from qanat.crash import cases
from qanat.crash.case import Case, Scenario, Verdict
from qanat.crash.crew import Crew
from qanat.crash.injector import Fault
from qanat.crash.journal import Journal
from qanat.crash.page import Subject, page
from qanat.crash.reference import Reference
from qanat.crash.replica import Replica
from qanat.crash.report import Report, report
from qanat.crash.trace import Call
from qanat.errors import CommandLineError, UpdateRunningError, nearest
from qanat.frozen import Frozen
from qanat.run.session import Session

KINDS = ("kill", "torn", "eio", "enospc", "full", "stop", "cut", "rival", "recovery", "power")
"""All kinds of cases; see `Case.kind`."""


class Extent(Frozen):
    """How much a crash test tries.

    Args:
        seed: the seed of what is drawn: chains of kills, what a power loss takes, the order.
        kinds: the kinds of cases to try.
        chains: the number of chains of kills, for each scenario.
        revivals: the number of recoveries that lose power, for each scenario.
        most: try at most so many cases; None for all.
        seconds: start no case after so many seconds; None for no limit.
        only: if not empty, try exactly these cases.
    """

    seed: int
    kinds: Sequence[str] = KINDS
    chains: int = 250
    revivals: int = 100
    most: int | None = None
    seconds: float | None = None
    only: Sequence[Case] = ()


class Outcome(Frozen):
    """The result of a crash test.

    Args:
        report: the verdicts, added up.
        calls: by scenario, its calls without a fault.
        verdicts: the verdict of every case.
    """

    report: Report
    calls: Mapping[str, Sequence[Call]]
    verdicts: Sequence[Verdict]

    def page(self, subject: Subject) -> str:
        """The result as one self-contained HTML page about `subject`."""
        return page(self.report, self.calls, self.verdicts, subject)


class Prepared(Frozen):
    """What is to be tried: scenarios and their references by name, and the cases in order."""

    scenarios: Mapping[str, Scenario]
    references: Mapping[str, Reference]
    cases: Sequence[Case]


def crash_test(
    session: Session,
    folder: Path,
    extent: Extent,
    jobs: int,
    begin: Callable[[int], None],
    tell: Callable[[Verdict], None],
) -> Outcome:
    """Crash-test copies of a user's project.

    Args:
        session: the project; it is only read.
        folder: the folder for the copies, as an absolute path; best in memory.
        extent: how much to try.
        jobs: the number of worker processes.
        begin: called once with the number of cases.
        tell: called with each verdict as it comes.

    Raises:
        UpdateRunningError: an update is running, so a copy would have only a part of its work.
        UnsupportedError: the project writes to a place that cannot be copied; this is no Linux.
        MissingExtraError: there is no C compiler.
        AdapterError: the project fails without a fault.
        CommandLineError: a case names a scenario or a call that does not exist.
    """
    session.require()
    for lease in session.recorded.held():
        raise UpdateRunningError(
            f"an update of {session.scope} is running",
            got=f"update {lease.holder} on {lease.host}, process {lease.pid}",
            hint="wait for it: what it is writing would be half in the copy",
        )
    with Crew(folder, jobs) as crew:
        scenarios = Replica(session, folder / "images").scenarios()
        prepared = prepare(crew, scenarios, extent)
        begin(len(prepared.cases))
        return carry_out(crew, prepared, extent, Journal(None, ""), tell)


def prepare(crew: Crew, scenarios: Sequence[Scenario], extent: Extent) -> Prepared:
    """Run every scenario without a fault, and draw the cases.

    Raises:
        AdapterError: a scenario fails without a fault.
        CommandLineError: a case names a scenario or a call that does not exist.
    """
    names = {c.scenario for c in extent.only}
    known = [s.name for s in scenarios]
    if missing := names - set(known):
        near = nearest(min(missing), known)
        wanted = None if near else ", ".join(known)
        raise CommandLineError(f"no scenario {min(missing)!r}", wanted=wanted, nearest=near)
    scenarios = [s for s in scenarios if not names or s.name in names]
    references = {s.name: crew.prepare(s) for s in scenarios}
    for case in extent.only:
        calls = len(references[case.scenario].calls)
        # Only the first fault is checked: later ones hit calls of a recovery, whose number is
        # not known.
        first = [s.call for s in case.shots[:1]] or [call for call, _ in case.powers]
        if max(first) > calls:
            raise CommandLineError(f"{case.scenario} has {calls} calls", got=str(case))
    if extent.only:
        return Prepared({s.name: s for s in scenarios}, references, extent.only)
    found = [c for s in scenarios for c in all_cases(s.name, references[s.name], extent)]
    ordered = interleaved(found, extent.seed)[: extent.most]
    return Prepared({s.name: s for s in scenarios}, references, ordered)


def all_cases(scenario: str, reference: Reference, extent: Extent) -> Iterator[Case]:
    """All cases of a scenario that `extent` asks for."""
    calls, seed = reference.calls, extent.seed
    faults = [f for f in Fault if f.name.lower() in extent.kinds]
    yield from cases.at_every_site(scenario, calls, faults)
    if "rival" in extent.kinds:
        yield from cases.rivals(scenario, calls)
    if "recovery" in extent.kinds:
        yield from cases.chains(scenario, calls, extent.chains, seed)
    if "power" in extent.kinds:
        yield from cases.powers(scenario, calls, seed)
        yield from cases.powers_after_deaths(scenario, calls, extent.revivals, seed)


def interleaved(found: Sequence[Case], seed: int) -> list[Case]:
    """The cases, ordered so that the first n of them cover every scenario and kind, for any n."""
    groups: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in found:
        groups[case.scenario, case.kind].append(case)
    draw = Random(seed)  # noqa: S311 - not for secrets
    placed = []
    for _, group in sorted(groups.items()):
        draw.shuffle(group)
        # Spread each group evenly over the whole order.
        placed += [((n + draw.random()) / len(group), str(c), c) for n, c in enumerate(group)]
    return [case for _, _, case in sorted(placed, key=lambda p: p[:2])]


def carry_out(
    crew: Crew,
    prepared: Prepared,
    extent: Extent,
    journal: Journal,
    tell: Callable[[Verdict], None],
) -> Outcome:
    """Try the cases that are not in the journal yet; the outcome includes those that are.

    Args:
        crew: the workers.
        prepared: the scenarios and cases.
        extent: its limit of seconds.
        journal: gains each verdict.
        tell: called with each verdict as it comes.

    Raises:
        AdapterError: a worker ended.
    """
    end = None if extent.seconds is None else time.monotonic() + extent.seconds

    def waiting() -> Iterator[tuple[Scenario, Case]]:
        for case in prepared.cases:
            if end is not None and time.monotonic() > end:
                return
            if str(case) not in journal.verdicts:
                yield prepared.scenarios[case.scenario], case

    def done(verdict: Verdict) -> None:
        journal.add(verdict)
        tell(verdict)

    crew.attempt(waiting(), done)
    wanted = {str(c) for c in prepared.cases}
    verdicts = [v for v in journal.verdicts.values() if v.case in wanted]
    calls = {name: reference.calls for name, reference in prepared.references.items()}
    return Outcome(report(extent.seed, verdicts, KINDS), calls, verdicts)
