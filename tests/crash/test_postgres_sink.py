"""A sink in PostgreSQL: any message to the server may be the last, be cut or go unanswered."""

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
from tests.crash.postgres_sink import SINK, scenarios
from tests.crash.postgresql import SERVER

pytestmark = [pytest.mark.crash, pytest.mark.services]

FAULTS = (Fault.KILL, Fault.EIO, Fault.CUT, Fault.STOP)
MOST = None if os.environ.get("QANAT_CRASH_STEPS") == "all" else 8
"""How many sites of each fault and scenario are drawn."""

Prepared = tuple[Crew, Mapping[str, tuple[Scenario, Reference]]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("postgres-sink")
    with postgresql() as url, pytest.MonkeyPatch.context() as patched:
        patched.setenv(SERVER, url)
        patched.setenv(SINK, url)
        made = scenarios(folder)
        with Crew(folder, 2, "tests.crash.postgres_sink") as crew:
            yield crew, {s.name: (s, crew.prepare(s)) for s in made}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["first", "append", "moved"])
def test_each_row_is_sent_once(prepared: Prepared, name: str, fault: Fault) -> None:
    crew, all_ = prepared
    scenario, reference = all_[name]
    found = [n for n, call in enumerate(reference.calls, 1) if _drawn_from(fault, call)]
    assert len(found) > 10
    # A failure names its cases, and so what has been drawn.
    drawn = found if MOST is None else SystemRandom().sample(found, min(MOST, len(found)))
    cases = [(scenario, Case(name, (Shot(fault, n),))) for n in drawn]
    verdicts = []
    crew.attempt(cases, verdicts.append)
    assert {v.case: v.complaints for v in verdicts if v.complaints} == {}
    assert sum(v.lost + v.doubled for v in verdicts) == 0
    # From run to run numbers shift by one or two, and only what is sent can be cut.
    assert sum(bool(v.hits) for v in verdicts) > len(verdicts) / 2
    assert len(verdicts) == len(cases)


def _drawn_from(fault: Fault, call: Call) -> bool:
    """Messages; a process may also die or sleep between two of them."""
    return applicable(fault, call) and (call.op == "n" or fault in (Fault.KILL, Fault.STOP))
