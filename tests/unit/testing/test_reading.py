"""What a connector is tried with holds it to what a ledger would."""

from __future__ import annotations

import pytest

from qanat.model.record import Range
from qanat.testing.reading import RememberedPast


def test_a_position_comes_back_as_json() -> None:
    past = RememberedPast()
    past.settle(Range({"upto": (1, 2)}, positioned=True))
    assert past.position == {"upto": [1, 2]}
    past.settle(Range({"upto": 3}, positioned=False))
    assert past.position == {"upto": [1, 2]}


@pytest.mark.parametrize("value", [b"x", {1}, float("nan")])
def test_a_position_that_no_ledger_can_keep(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        RememberedPast().settle(Range({"upto": value}, positioned=True))
