"""Commands in hints work on what the user's command worked on."""

from __future__ import annotations

import pytest

from qanat.report.aim import aimed

OPTIONS = " -C 'my shop' -e prod"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("start over: qanat run --full-refresh a b", "start over: qanat run… --full-refresh a b"),
        ("if it was renamed: qanat rename a b", "if it was renamed: qanat rename… a b"),
        ("first: qanat drop a; then qanat run", "first: qanat drop… a; then qanat run…"),
        ("qanat quarantine replay a", "qanat quarantine replay… a"),
        ("qanat anomalies mark a expected", "qanat anomalies mark… a expected"),
        ("qanat pause a", "qanat pause… a"),
        ("`qanat plan` says how to go on", "`qanat plan…` says how to go on"),
        ("there: qanat run -e dev --select a", "there: qanat run -C 'my shop' -e dev --select a"),
        ("first: qanat run -C ../other", "first: qanat run -C ../other"),
        ("see `qanat run --help`", "see `qanat run --help`"),
        ("pip install 'qanat[cloud]'", "pip install 'qanat[cloud]'"),
        ("`qanat init` makes a small one", "`qanat init` makes a small one"),
        ("the environment that qanat runs in", "the environment that qanat runs in"),
    ],
)
def test_what_a_command_lacks_is_added(hint: str, expected: str) -> None:
    assert aimed(hint, OPTIONS) == expected.replace("…", OPTIONS)
    assert aimed(hint, "") == hint
