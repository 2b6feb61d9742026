"""What the crash test of a project says when it is not over."""

from __future__ import annotations

from qanat.cli.crash_test import so_far
from qanat.crash.case import Verdict

GOOD = Verdict("run kill@1 #0", 1, seconds=(0.25,))
BAD = Verdict("run eio@2 #0", 1, sites=("sync t\x1b[2J",), complaints=("t has 1 row",))


def test_what_came_of_it_until_it_was_interrupted() -> None:
    assert list(so_far([GOOD, BAD], 200, "qanat doctor --crash-test")) == [
        "Interrupted: 2 of 200 cases tried, 1 failed. The project is untouched.",
        "",
        "✗ run eio@2 #0",
        "  at sync t\\x1b[2J",
        "  t has 1 row",
        '  = hint: again: qanat doctor --crash-test --case "run eio@2 #0"',
    ]


def test_interrupted_before_anything_was_tried() -> None:
    (text,) = so_far([], 0, "")
    assert text == "Interrupted: nothing was tried yet. The project is untouched."
