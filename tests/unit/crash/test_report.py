"""The report counts only faults that happened."""

from __future__ import annotations

from qanat.crash.campaign import KINDS
from qanat.crash.case import Verdict
from qanat.crash.report import Line, report


def lines(*verdicts: Verdict) -> tuple[Line, ...]:
    return report(1, verdicts, KINDS).lines


def test_a_fault_that_did_not_happen_does_not_count() -> None:
    never = Verdict("run kill@900 #1", 0, seconds=())
    found = report(1, [never], KINDS)
    assert (found.tried, found.sites, found.lines) == (0, 0, ())


def test_a_recovery_counts_only_if_it_was_killed() -> None:
    """If only the first of several attempts was killed, no recovery was killed."""
    first_only = Verdict("run kill@3 kill@900 kill@4 #1", 1, 1, seconds=(0.1,))
    twice = Verdict("run kill@3 kill@5 kill@900 #1", 2, 2, seconds=(0.1,))
    found = report(1, [first_only, twice], KINDS)
    assert found.lines == (Line("recovery", 1, 1),)
    # Only the hits count: the later faults of the case did not happen.
    assert found.sites == 2


def test_each_disk_after_a_power_loss_counts() -> None:
    case = "run all@1 part@2 zeros@9 #0"
    assert lines(Verdict(case, 3, seconds=(0.1,) * 3)) == (Line("power", 3, 3),)
    assert lines(Verdict(case, 2, seconds=(0.1,) * 2)) == (Line("power", 2, 2),)
    wrong = Verdict(case, 3, complaints=("part@2: t is torn", "part@2: x"), seconds=(0.1,) * 3)
    assert lines(wrong) == (Line("power", 3, 2),)


def test_a_recovery_that_hangs_is_not_survived() -> None:
    assert lines(Verdict("run kill@1 #0", 1, 1, complaints=("run again: killed",))) == (
        Line("kill", 1, 0),
    )
    assert lines(Verdict("run kill@1 kill@9 #0", 1, 1, complaints=("exit code 3",))) == (
        Line("recovery", 1, 0),
    )
