"""A sample of the crash test of Kafka: each fault at a step that is drawn."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from qanat.testing.kafka import kafka
from tests.kafka.faults import FAULTS, Case
from tests.kafka.trial import Trial

pytestmark = pytest.mark.services


def test_each_fault_at_some_step_leaves_every_message_once(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)  # noqa: S311
    with kafka(relayed=True) as broker:
        trial = Trial(tmp_path, broker)
        steps = trial.steps()
        drawn = [Case(kind, draw.randint(1, steps)) for kind in FAULTS]
        found = [trial.attempt(case) for case in (*drawn, Case("kill", 2), Case("cut", 5))]
    assert [v.complaints for v in found] == [()] * len(found), (seed, found)
    assert all(v.hits for v in found[-2:])
    assert (sum(v.lost for v in found), sum(v.doubled for v in found)) == (0, 0)
