"""Versions of snapshots: what may be one, which comes after which, and how a ledger keeps them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from qanat.model.snapshots import (
    Version,
    as_version,
    follows,
    kind_of,
    moment_after,
    version_from_json,
    version_to_json,
)

DAY = datetime(2026, 1, 31, 12, 30, 15, 250_000)  # noqa: DTZ001 - as a file without zones has it
MOMENT = DAY.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (np.int32(7), 7),
        (0.5, 0.5),
        (np.float64(1.5), 1.5),
        ("2026-01-31", "2026-01-31"),
        (date(2026, 1, 31), date(2026, 1, 31)),
        (DAY, DAY),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), MOMENT),
        (pd.Timestamp("2026-01-31 12:30:15.25"), DAY),
        (pd.Timestamp("2026-01-31 12:30:15.25", tz="UTC"), MOMENT),
    ],
)
def test_what_may_be_a_version(given: object, wanted: Version) -> None:
    found = as_version(given)
    assert found == wanted
    assert type(found) is type(wanted)
    assert version_from_json(version_to_json(found)) == found
    assert kind_of(version_from_json(version_to_json(found))) == kind_of(found)


@pytest.mark.parametrize(
    "given", [None, True, "", 2**63, -(2**63) - 1, math.nan, math.inf, b"1", [1], object()]
)
def test_what_may_not(given: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_version(given)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (2, 1),
        (1.5, 0.5),
        ("b", "a"),
        (date(2026, 2, 1), date(2026, 1, 31)),
        (DAY + timedelta(microseconds=1), DAY),
        (MOMENT + timedelta(days=1), MOMENT),
    ],
)
def test_versions_grow(later: Version, earlier: Version) -> None:
    assert follows(later, earlier)
    assert not follows(earlier, later)
    assert not follows(later, later)


@pytest.mark.parametrize(
    ("one", "other"),
    [(2, "1"), (2, 1.5), (DAY + timedelta(days=1), MOMENT), (date(2027, 1, 1), DAY)],
)
def test_versions_of_two_kinds_have_no_order(one: Version, other: Version) -> None:
    assert not follows(one, other)
    assert not follows(other, one)


def test_a_clock_that_was_put_back_does_not_count() -> None:
    tick = timedelta(microseconds=1)
    assert moment_after(MOMENT, None) == MOMENT
    assert moment_after(MOMENT, MOMENT - tick) == MOMENT
    assert moment_after(MOMENT, MOMENT) == MOMENT + tick
    assert moment_after(MOMENT, MOMENT + timedelta(days=1)) == MOMENT + timedelta(days=1) + tick
