"""Which offsets come next."""

from __future__ import annotations

import json

import pytest

from qanat.connectors.kafka import KAFKA, READ
from qanat.connectors.kafka.position import Bounds, Position, following
from qanat.connectors.kafka.topics import chosen, means
from qanat.errors import NotAppendOnlyError, OptionError, SourceNotFoundError
from qanat.model.query import SourceRef

A, B = ("t", 0), ("t", 1)


def refer(**options: object) -> SourceRef:
    given = {"bootstrap_servers": "a:1", **({"subscribe": "t"} | options)}
    if "subscribe_pattern" in options or "assign" in options:
        del given["subscribe"]
    return KAFKA.refer("t", READ.check_all(given.items()))


def test_a_position_outlives_json() -> None:
    position = Position({A: (1, 2**53 + 1), ("ü", 12): (0, 0)}, {"t": "id"}, {A: 3})
    assert Position.of(json.loads(json.dumps(position.value()))) == position


def test_what_follows_begins_where_the_last_epoch_has_ended() -> None:
    there = Bounds({A: 0, B: 2}, {A: 9, B: 5}, {"t": "id"})
    found = following(Position({A: (0, 4)}, {"t": "id"}), there, refer(), there.first)
    assert found.offsets == {A: (4, 9), B: (2, 5)}
    assert found.size == 8


@pytest.mark.parametrize(
    ("there", "message", "then"),
    [
        (Bounds({A: 6}, {A: 9}, {}), "2 offsets of partition 0", (6, 9)),
        (Bounds({A: 0}, {A: 3}, {}), "ends before what was read", (0, 3)),
        (Bounds({A: 0}, {A: 9}, {"t": "other"}), "deleted and created again", (0, 9)),
        (Bounds({}, {}, {}), "partition 0 of the topic 't' is gone", None),
    ],
)
def test_what_was_lost(there: Bounds, message: str, then: tuple[int, int] | None) -> None:
    past = Position({A: (0, 4)}, {"t": "id"})
    with pytest.raises(NotAppendOnlyError, match=message) as told:
        following(past, there, refer(), there.first)
    assert "fail_on_data_loss => false" in str(told.value.hint)
    lenient = following(past, there, refer(fail_on_data_loss=False), there.first)
    assert lenient.offsets == ({A: then} if then else {})


def test_a_topic_that_is_read_no_more_is_not_lost() -> None:
    was = Position({A: (0, 4), ("u", 0): (0, 7)}, {"t": "id", "u": "other"})
    fewer = following(was, Bounds({A: 0}, {A: 5}, {"t": "id"}), refer(), {})
    assert fewer.offsets == {A: (4, 5), ("u", 0): (7, 7)}
    both = refer(subscribe="t,u")
    there = Bounds({A: 0, ("u", 0): 0}, {A: 5, ("u", 0): 9}, {"t": "id", "u": "other"})
    assert following(fewer, there, both, {}).offsets == {A: (5, 5), ("u", 0): (7, 9)}
    again = Bounds(there.first, there.end, {"t": "id", "u": "new"})
    with pytest.raises(NotAppendOnlyError, match="'u' was deleted and created again"):
        following(fewer, again, both, {})


@pytest.mark.parametrize(
    "options", [{"assign": '{"t": [0]}'}, {"subscribe_pattern": "t"}, {"subscribe": "t"}]
)
def test_what_a_reference_means_may_be_missing(options: dict[str, str]) -> None:
    assert means(refer(**options), A)
    assert not means(refer(**options), ("u", 0))


def test_shares_of_an_epoch() -> None:
    position = Position({A: (0, 90), B: (5, 6), ("u", 0): (3, 3)})
    for most in (1, 2, 50, 90):
        taken = position.capped(most)
        assert taken.size == most
        assert all(taken.offsets[p][0] == begin for p, (begin, _) in position.offsets.items())
        assert all(taken.offsets[p][1] <= end for p, (_, end) in position.offsets.items())
    assert position.capped(None) == position.capped(91) == position


THERE = {"t": (0, 1), "tt": (0,), "__consumer_offsets": (0,)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"subscribe": "tt, t"}, [("tt", 0), A, B]),
        ({"subscribe_pattern": ".*"}, [A, B, ("tt", 0)]),
        ({"subscribe_pattern": "t"}, [A, B]),
        ({"subscribe_pattern": "none"}, []),
        ({"assign": '{"t": [1], "tt": [0]}'}, [B, ("tt", 0)]),
    ],
)
def test_partitions(options: dict[str, str], expected: list[tuple[str, int]]) -> None:
    assert list(chosen(refer(**options), THERE)) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"subscribe": "tx"}, SourceNotFoundError, "no topic 'tx'"),
        ({"subscribe_pattern": "("}, OptionError, "no regular expression"),
        ({"assign": "t"}, OptionError, "'assign' of read_kafka does not fit"),
        ({"assign": '{"t": 1}'}, OptionError, "'assign' of read_kafka does not fit"),
        ({"assign": '{"t": [7]}'}, SourceNotFoundError, "no partition 7"),
    ],
)
def test_partitions_that_are_not_there(
    options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        chosen(refer(**options), THERE)
