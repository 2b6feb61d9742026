"""The cases of a crash test, and the order in which they are tried."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from qanat.crash import cases
from qanat.crash.campaign import KINDS, Extent, all_cases, interleaved
from qanat.crash.case import Case, Operation, Scenario, Shot, Verdict
from qanat.crash.disk_model import Loss
from qanat.crash.injector import Fault
from qanat.crash.reference import Reference
from qanat.crash.trace import Call
from qanat.errors import CommandLineError

CALLS = [
    Call("o", 0, 0, 0, "c-", "t/a", ""),
    Call("w", 100, 0, 100, "-", "t/a", ""),
    Call("w", 1, 100, 1, "-", "t/a", ""),
    Call("s", 0, 0, 0, "-", "t/a", ""),
    Call("l", 0, 0, 0, "-", "t/a", "t/b"),
    Call("u", 0, 0, 0, "-", "t/a", ""),
    Call("o", 0, 0, 0, "--", "t/b", ""),
    Call("n", 9, 0, 0, "-", "socket", ""),
]


def test_every_fault_at_every_call_that_it_can_happen_at() -> None:
    found = [str(c) for c in cases.at_every_site("s", CALLS, list(Fault))]
    kills = [f"s kill@{n} #0" for n in range(1, 9)]
    assert [c for c in found if "kill" in c] == kills
    assert [c for c in found if "torn" in c] == ["s torn@2 #0"]
    # Removing a file, or opening an existing one, needs no space.
    assert [c for c in found if "enospc" in c] == [f"s enospc@{n} #0" for n in range(1, 6)]
    # Only a connection can be cut.
    assert [c for c in found if "cut" in c] == ["s cut@8 #0"]
    assert not [c for c in found if "none" in c]


def test_every_power_loss_is_tried_after_every_call() -> None:
    found = [power for case in cases.powers("s", CALLS, 1) for power in case.powers]
    assert len(found) == len(set(found)) == len(CALLS) * len(Loss)


def test_chains_have_two_to_five_kills_and_depend_on_the_seed_only() -> None:
    found = list(cases.chains("s", CALLS, 100, 7))
    assert found == list(cases.chains("s", CALLS, 100, 7))
    assert found != list(cases.chains("s", CALLS, 100, 8))
    assert Counter(len(c.shots) for c in found).keys() == {2, 3, 4, 5}
    assert {c.kind for c in found} == {"recovery"}


def test_the_first_cases_cover_every_scenario_and_kind() -> None:
    reference = Reference(CALLS * 20, {}, frozenset(), 0.1)
    extent = Extent(seed=3)
    found = [c for name in ("a", "b") for c in all_cases(name, reference, extent)]
    ordered = interleaved(found, 3)
    assert Counter(map(str, ordered)) == Counter(map(str, found))
    assert interleaved(found, 3) == ordered != interleaved(found, 4)
    beginning = {(c.scenario, c.kind) for c in ordered[: len(found) // 10]}
    assert beginning == {(name, kind) for name in ("a", "b") for kind in KINDS}


def test_a_case_is_parsed_from_its_own_text() -> None:
    for case in all_cases("s", Reference(CALLS, {}, frozenset(), 0.1), Extent(seed=3)):
        assert Case.parse(str(case)) == case


@pytest.mark.parametrize("text", ["", "append", "append kil@3", "append kill", "append all"])
def test_wrong_texts_are_no_case(text: str) -> None:
    with pytest.raises(CommandLineError):
        Case.parse(text)


def test_the_nearest_fault_is_named() -> None:
    with pytest.raises(CommandLineError) as caught:
        Shot.parse("kil@3")
    assert caught.value.nearest == "kill"


@pytest.mark.parametrize(
    ("text", "message", "wanted"),
    [
        ("run kill@3 #abc", "'#abc' is not a seed", "#7"),
        ("run kill@3 #", "'#' is not a seed", "#7"),
        ("run kill@", "'kill@' lacks the number of a call", "kill@17"),
        ("run kill", "'kill' lacks the number of a call", "kill@17"),
        ("run kill@x", "'x' in 'kill@x' is not a number of a call", "kill@17"),
        ("run kill@0", "'0' in 'kill@0' is not a number of a call", "kill@17"),
        ("run kill@²", "'²' in 'kill@²' is not a number of a call", "kill@17"),
        ("run all@٣", "'٣' in 'all@٣' is not a number of a call", "kill@17"),
        ("run none@3", "no fault 'none'", "kill, torn"),
        ("run foo", "no fault 'foo'", "kill, torn, eio, enospc, full, stop, cut; when the power"),
        ("run rival", "the case 'run rival' has no fault", "run kill@17"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_case(text: str, message: str, wanted: str) -> None:
    with pytest.raises(CommandLineError) as caught:
        Case.parse(text)
    assert message in caught.value.message
    assert wanted in str(caught.value.wanted)


def test_a_seed_may_be_negative() -> None:
    assert Case.parse("run kill@3 #-5").seed == -5


def test_a_scenario_survives_json() -> None:
    then = (Operation.RUN, Operation.REPLAY)
    for scenario in (
        Scenario("s", Path("/i"), Operation.RUN),
        Scenario("s", Path("/i"), Operation.REPLAY, "a/b", "prod", 2, True, then),
    ):
        assert Scenario.from_json(json.loads(json.dumps(scenario.to_json()))) == scenario
    assert Scenario("s", Path("/i"), Operation.REPLAY).recovery == (Operation.REPLAY,)


def test_a_verdict_survives_json() -> None:
    verdict = Verdict("s kill@1 #0", 1, 1, ("s t/a",), ("Q4007",), 0, 0, ("x\ny",), (0.5,))
    assert Verdict.from_json(verdict.to_json()) == verdict
