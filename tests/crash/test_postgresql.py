"""Ledgers in PostgreSQL: whatever is sent to the server may be the last, or go unanswered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from random import SystemRandom

import pytest

from qanat.crash.case import Case, Scenario, Shot
from qanat.crash.cases import applicable
from qanat.crash.crew import Crew
from qanat.crash.injector import Fault
from qanat.crash.reference import Reference
from qanat.crash.trace import Call
from qanat.testing.postgresql import postgresql
from tests.crash.postgresql import LEDGER, SERVER, scenarios

pytestmark = [pytest.mark.crash, pytest.mark.services]

FAULTS = (Fault.KILL, Fault.EIO, Fault.CUT, Fault.STOP)
MOST = None if os.environ.get("QANAT_CRASH_STEPS") == "all" else 8
"""How many sites of each fault and scenario are drawn."""


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with postgresql() as url, pytest.MonkeyPatch.context() as patched:
        patched.setenv(SERVER, url)
        patched.setenv(LEDGER, url)
        yield


Prepared = tuple[Crew, Mapping[str, tuple[Scenario, Reference]]]


@pytest.fixture(scope="module")
def prepared(server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("postgresql")
    made = scenarios(folder)
    with Crew(folder, 2, "tests.crash.postgresql") as crew:
        yield crew, {s.name: (s, crew.prepare(s)) for s in made}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["first", "append", "replay", "refresh"])
def test_whatever_becomes_of_what_is_sent(prepared: Prepared, name: str, fault: Fault) -> None:
    crew, all_ = prepared
    scenario, reference = all_[name]
    found = [n for n, call in enumerate(reference.calls, 1) if _sent(fault, call)]
    assert len(found) > 20
    # A failure names its cases, and so what has been drawn.
    drawn = found if MOST is None else SystemRandom().sample(found, MOST)
    cases = [(scenario, Case(name, (Shot(fault, n),))) for n in drawn]
    verdicts = []
    crew.attempt(cases, verdicts.append)
    assert {v.case: v.complaints for v in verdicts if v.complaints} == {}
    # From run to run numbers shift by one or two, and only what is sent can be cut.
    assert sum(bool(v.hits) for v in verdicts) > len(verdicts) / 2
    assert len(verdicts) == len(cases)


def _sent(fault: Fault, call: Call) -> bool:
    return call.op == "n" and applicable(fault, call)
