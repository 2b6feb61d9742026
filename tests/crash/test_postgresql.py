"""Ledgers in PostgreSQL: any message to the server may be the last one, or get no answer."""

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
"""The number of calls to try for each fault and scenario; None for all."""


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
def test_faults_at_calls_to_the_server(prepared: Prepared, name: str, fault: Fault) -> None:
    crew, all_ = prepared
    scenario, reference = all_[name]
    found = [n for n, call in enumerate(reference.calls, 1) if _sent(fault, call)]
    assert len(found) > 20
    # No seed is needed to repeat a failure: it names its cases.
    drawn = found if MOST is None else SystemRandom().sample(found, MOST)
    cases = [(scenario, Case(name, (Shot(fault, n),))) for n in drawn]
    verdicts = []
    crew.attempt(cases, verdicts.append)
    assert {v.case: v.complaints for v in verdicts if v.complaints} == {}
    # Not every fault happens: the numbers of calls shift by one or two from run to run, and only
    # a message can be cut. Of eight drawn calls half may miss by chance.
    assert sum(bool(v.hits) for v in verdicts) > len(verdicts) / 4
    assert len(verdicts) == len(cases)


def _sent(fault: Fault, call: Call) -> bool:
    return call.op == "n" and applicable(fault, call)
