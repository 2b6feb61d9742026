"""A slot: the folder in which a worker tries cases, one after the other."""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from qanat.crash.case import Case, Findings, Operation, Scenario, Shot, Verdict
from qanat.crash.disk_model import Disk
from qanat.crash.ending import die_with
from qanat.crash.excuse import NONE, OTHER, Excuses, excuses, explained
from qanat.crash.injector import Fault
from qanat.crash.picture import EARLIER, differences
from qanat.crash.reference import Reference
from qanat.crash.trace import notes, read_trace, sites
from qanat.crash.trial import Arming, Trial
from qanat.errors import AdapterError

_FORK = multiprocessing.get_context("fork")
_PATIENCE = 60.0
"""Seconds after which a process counts as hanging, at least."""
_SLOWER = 10.0
"""A process may take so many times as long as without a fault: the workers share the machine."""
_UNDISTURBED = 600.0
"""The same without a fault: how long that takes is not known before."""
_ENDING = 10.0
"""Seconds within which a process that hangs says where, and ends."""
_OUTPUT_KEPT = 2000
"""Characters of a process's output that are kept: where it hung, it ends with what it did."""
_ASLEEP = 0.3
"""Seconds that a stopped process sleeps; longer than its lease, so that a rival takes over."""


class Slot:
    """A folder with a copy of a project, which is restored for every case.

    Args:
        folder: an absolute path; the slot's processes write nowhere else.
    """

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self._trace = folder / "trace"
        self._report = folder / "report.json"
        self._output = folder / "output.txt"
        self._patience = _UNDISTURBED
        self.modules: set[str] = set()
        """What attempts have imported so far, of what may be imported before the next one."""
        # No `parents=True`: if the folder above is gone, the crash test has ended.
        folder.mkdir(exist_ok=True)

    # -- without a fault ---------------------------------------------------------------------

    def prepare(self, scenario: Scenario) -> Reference:
        """Run a scenario twice without a fault; what differs between the two is unstable.

        Raises:
            AdapterError: the scenario fails without a fault.
        """
        self._patience = _UNDISTURBED
        first, second = (self._without_fault(scenario) for _ in range(2))
        return second.without(first)

    def _without_fault(self, scenario: Scenario) -> Reference:
        self.restore(scenario)
        attempt = self._attempt(scenario)
        started = time.monotonic()
        outcome = self._outcome(attempt.carry_out, Arming(trace=self._trace), False)
        calls = read_trace(self._trace)
        after = self._outcome(attempt.recover)
        seconds = time.monotonic() - started
        wrong = [e["message"] for e in (outcome or {"errors": ()})["errors"]]
        if outcome is None or after is None:
            wrong.append(self._last_output())
        elif after["complaints"]:
            wrong += after["complaints"]
        if outcome is None or after is None or wrong:
            raise AdapterError(
                f"{scenario.name} fails without any fault",
                got="; ".join(wrong),
                hint="mend this first: qanat run, qanat doctor",
            )
        picture = {k: tuple(v) for k, v in after["picture"].items()}
        # The operation and its check import different modules.
        modules = {*outcome["modules"], *after["modules"]}
        return Reference(
            sites(calls),
            picture,
            frozenset(),
            seconds,
            tuple(sorted(modules)),
            after["books"],
        )

    # -- with faults -------------------------------------------------------------------------

    def attempt(self, scenario: Scenario, case: Case, reference: Reference) -> Verdict:
        """Try a case: do each attempt with its fault, then recover and compare.

        Args:
            scenario: the case's scenario.
            case: the faults.
            reference: the scenario without a fault.
        """
        found = Findings()
        self._patience = max(_PATIENCE, _SLOWER * reference.seconds)
        self.restore(scenario)
        for number, shot in enumerate(case.shots):
            if not self._attempt_with_fault(scenario, case, shot, found, again=number > 0):
                break
        if case.powers:
            self._powers(scenario, case, reference, found)
        elif found.hits and not found.complaints:
            self._recover(scenario, reference, found)
        return found.verdict(case)

    def _attempt_with_fault(
        self, scenario: Scenario, case: Case, shot: Shot, found: Findings, again: bool
    ) -> bool:
        """Do one attempt with a fault; returns False if it ended before the fault's call."""
        attempt = self._attempt(scenario, again)
        recorded = bool(case.powers)
        if not recorded:
            self._trace.unlink(missing_ok=True)
        arming = Arming(shot.fault, shot.call, self._trace, recorded)
        stops = shot.fault is Fault.STOP
        self._report.unlink(missing_ok=True)
        child = self._start(attempt.carry_out, arming, stops or case.rival)
        before = found.hits
        if stops and self._stopped(child):
            found.hits += 1
            time.sleep(_ASLEEP)
            self._rival(scenario, found, again)
            os.kill(child.pid, signal.SIGCONT)
        elif case.rival:
            self._rival(scenario, found, again)
        outcome = self._join(child)
        if not stops:
            hit = [c for c in read_trace(self._trace) if c.is_note and c.detail != "said"]
            found.sites += (replace(c, op=chr(c.result)).site for c in hit[-1:])
            found.hits += bool(hit) if not recorded else child.exitcode == -signal.SIGKILL
        found.depth += child.exitcode == -signal.SIGKILL
        if child.exitcode not in (0, -signal.SIGKILL):
            found.complaints.append(f"exit code {child.exitcode}: {self._last_output()}")
        happened = found.hits > before
        allowed = excuses(shot.fault if happened else Fault.NONE, stops or case.rival)
        self._note_errors(outcome, found, allowed)
        return happened or stops

    def _rival(self, scenario: Scenario, found: Findings, again: bool) -> None:
        """Run another update of the same project while the first one is running or stopped."""
        aside = self._report.with_name("rival.json")
        attempt = Trial(self.project, scenario, aside, again)
        aside.unlink(missing_ok=True)
        child = self._start(attempt.carry_out, Arming(), True)
        self._wait(child)
        if child.exitcode:
            found.complaints.append(f"rival: exit code {child.exitcode}: {self._last_output()}")
        self._note_errors(_read(aside), found, OTHER)

    def _note_errors(
        self, outcome: dict[str, Any] | None, found: Findings, allowed: Excuses
    ) -> None:
        for error in (outcome or {"errors": ()})["errors"]:
            code, message = error["code"], error["message"]
            found.errors.append(code)
            if not explained(code, message, allowed):
                found.complaints.append(f"unexplained: {code} {message}")

    def _recover(
        self,
        scenario: Scenario,
        reference: Reference,
        found: Findings,
        disk: Disk | None = None,
        acknowledged: Sequence[str] = (),
    ) -> None:
        attempt = self._attempt(scenario)
        outcome = self._outcome(attempt.recover, disk, acknowledged)
        if outcome is None:
            found.complaints.append(f"run again: {self._last_output()}")
            return
        found.seconds.append(outcome["seconds"])
        wrong, lost, doubled = differences(
            _comparable(scenario, reference.picture),
            _comparable(scenario, outcome["picture"]),
            reference.unstable,
        )
        found.complaints += [*outcome["complaints"], *wrong]
        found.complaints += reference.miscounted(outcome["books"])
        found.lost += lost
        found.doubled += doubled

    # -- power loss --------------------------------------------------------------------------

    def _powers(
        self, scenario: Scenario, case: Case, reference: Reference, found: Findings
    ) -> None:
        """Record the last attempt, then check each disk that a power loss may leave."""
        before = len(sites(read_trace(self._trace))) if case.shots else 0
        outcome = self._outcome(
            self._attempt(scenario, again=bool(case.shots)).carry_out,
            Arming(trace=self._trace, content=True),
            False,
        )
        if outcome is None:
            found.complaints.append(f"before the power went: {self._last_output()}")
        # The recorded attempt has no fault, and the power loss comes later: no error is excused.
        self._note_errors(outcome, found, NONE)
        calls = read_trace(self._trace)
        acknowledged = list(notes(calls))
        done = sites(calls)
        for point, loss in case.powers:
            # A recovery makes fewer calls than the update from which the point was drawn: then
            # the power goes when it is done.
            at = min(before + point, len(done))
            disk = Disk(scenario.image)
            for call in done[:at]:
                disk.apply(call)
            self.restore(scenario, keep_trace=True)
            disk.materialize(self.project, loss, Random(f"{case.seed} {loss}@{point}"))  # noqa: S311
            found.hits += 1
            label = f"{loss}@{point}: "
            first = len(found.complaints)
            known = [text for when, text in acknowledged if when <= at]
            self._recover(scenario, reference, found, disk, known)
            found.complaints[first:] = [label + c for c in found.complaints[first:]]

    def _last_output(self) -> str:
        """The end of the last process's output."""
        return self._output.read_text(encoding="utf-8", errors="replace")[-_OUTPUT_KEPT:]

    # -- processes ---------------------------------------------------------------------------

    def restore(self, scenario: Scenario, keep_trace: bool = False) -> None:
        """Restore the project from a scenario's image."""
        if self.project.exists():
            shutil.rmtree(self.project)
        copy_project(scenario.image, self.project)
        if not keep_trace:
            self._trace.unlink(missing_ok=True)

    def _attempt(self, scenario: Scenario, again: bool = False) -> Trial:
        return Trial(self.project, scenario, self._report, again)

    def _outcome(self, act: Callable[..., None], *args: Any) -> dict[str, Any] | None:
        """Run a function in a process of its own; returns its report, or None if it wrote none."""
        self._report.unlink(missing_ok=True)
        return self._join(self._start(act, *args))

    def _start(self, act: Callable[..., None], *args: Any) -> Any:
        child = _FORK.Process(target=_child_main, args=(act, args, self._output, os.getpid()))
        child.start()
        return child

    def _join(self, child: Any) -> dict[str, Any] | None:
        self._wait(child)
        outcome = _read(self._report)
        # Other acts than attempts report what they like.
        self.modules.update((outcome or {}).get("modules", ()))
        return outcome

    def _wait(self, child: Any) -> None:
        child.join(self._patience)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGABRT)
            # A stopped process handles SIGABRT only once it is continued.
            os.kill(child.pid, signal.SIGCONT)
            child.join(_ENDING)
            child.kill()
            child.join()
            with self._output.open("a", encoding="utf-8") as output:
                output.write(f"took longer than {self._patience:.0f} s")

    def _stopped(self, child: Any) -> bool:
        """Wait until a process is stopped; returns False if it ends first."""
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            state = os.waitid(
                os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
            )
            if state is not None:
                return state.si_code == os.CLD_STOPPED
            time.sleep(0.002)
        return False


def copy_project(source: Path, target: Path) -> Path:
    """Copy a project, with its symbolic links as links; returns the copy's folder.

    Data files of tables are hard-linked: they are never written to again.
    """
    shutil.copytree(source, target, symlinks=True, copy_function=_copy)
    return target


def _copy(source: str, target: str) -> str:
    if source.endswith(".parquet") and "/tables/" in source:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
        return target
    return shutil.copy2(source, target)


def _child_main(
    act: Callable[..., None], args: tuple[Any, ...], output: Path, parent: int
) -> None:
    """The start of a child process: send its output to a file, and die with the parent."""
    die_with(parent)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    # If it hangs, it is aborted, and says where it was.
    faulthandler.enable(handle)
    act(*args)


def _comparable(scenario: Scenario, picture: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    # Each full refresh sends a sink's rows again. How many happened depends on the case, so only
    # the deliveries of the last one are compared.
    sent_again = Operation.REFRESH in (scenario.operation, *scenario.then)
    kept = (k for k in picture if not (sent_again and k.endswith(EARLIER)))
    return {k: tuple(picture[k]) for k in kept}


def _read(report: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
