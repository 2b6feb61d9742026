"""What is known of the rows of the last minutes, after each epoch, against a plain sum."""

from __future__ import annotations

import random

from qanat.model.staged import Counts
from qanat.run.pausing import Recent


def test_rows_of_the_last_minutes_also_where_the_clock_is_set_back() -> None:
    drawn = random.Random(7)  # noqa: S311
    for _ in range(50):
        recent, known, now = Recent(60.0), list[tuple[float, int, int]](), 1000.0
        for _ in range(100):
            now += drawn.choice([0.0, 0.01, 5.0, 30.0, 100.0, -0.5, -200.0])
            out = drawn.randrange(100)
            bad = drawn.randint(0, out)
            recent.add(now, Counts(out=out, written=out - bad, quarantined=bad))
            known = [k for k in (*known, (now, bad, out)) if k[0] >= now - 60.0]
            for at in (now - 60.0, now - drawn.random() * 60.0):
                since = [each for each in known if each[0] > at]
                assert recent.since(at) == (sum(b for _, b, _ in since), sum(o for *_, o in since))
