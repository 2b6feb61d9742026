"""The timetable of a continuous update, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from qanat.run.agenda import Agenda, Entry, Outcome


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Table:
    """An agenda, its clock, and looks that take no time of their own."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.clock = Clock()
        self.agenda = Agenda(entries, self.clock)

    def look(self, name: str, outcome: Outcome, seconds: float = 0.0) -> float:
        self.agenda.start(name)
        self.clock.now += seconds
        return self.agenda.end(name, outcome)


CHAIN = {"bronze": Entry(asks=True), "silver": Entry(("bronze",)), "gold": Entry(("silver",))}


def test_nothing_comes_before_what_it_reads_has_come() -> None:
    table = Table(CHAIN)
    assert table.agenda.due() == ["bronze"]
    table.look("bronze", Outcome.NOTHING)
    assert table.agenda.due() == ["silver"]
    table.look("silver", Outcome.FAILED)
    table.clock.now += 0.5
    assert table.agenda.due() == ["bronze"]
    table.clock.now += 0.5
    table.look("silver", Outcome.NOTHING)
    assert set(table.agenda.due()) == {"bronze", "gold"}


def test_news_wake_readers_and_nobody_else() -> None:
    table = Table(CHAIN)
    for name in CHAIN:
        table.look(name, Outcome.NOTHING)
    assert table.agenda.due() == []
    table.clock.now += 60
    assert table.agenda.due() == ["bronze"]
    table.look("bronze", Outcome.NEWS)
    assert set(table.agenda.due()) == {"bronze", "silver"}


def test_news_that_come_while_a_dataset_is_computed_are_taken_afterwards() -> None:
    table = Table(CHAIN)
    for name in CHAIN:
        table.look(name, Outcome.NOTHING)
    table.agenda.start("silver")
    table.look("bronze", Outcome.NEWS)
    assert "silver" not in table.agenda.due()
    table.agenda.end("silver", Outcome.NOTHING)
    assert "silver" in table.agenda.due()


def test_sources_that_have_nothing_are_asked_at_longer_and_longer_intervals() -> None:
    table = Table({"bronze": Entry(asks=True)})
    pauses = [table.look("bronze", Outcome.NOTHING) for _ in range(10)]
    assert pauses[:4] == pytest.approx([0.01, 0.02, 0.04, 0.08])
    assert pauses[-1] == pytest.approx(1.0)
    table.look("bronze", Outcome.NEWS)
    assert table.agenda.due() == ["bronze"]
    assert table.look("bronze", Outcome.NOTHING) == pytest.approx(0.01)


def test_looks_that_find_nothing_take_a_tenth_of_a_core_at_most() -> None:
    many = {f"bronze_{n}": Entry(asks=True) for n in range(50)}
    table = Table(many)
    for _ in range(10):
        waits = [table.look(name, Outcome.NOTHING, seconds=0.02) for name in many]
    assert waits[-1] == pytest.approx(50 * 0.02 * 10)


def test_a_failure_waits_longer_each_time_and_news_do_not_change_that() -> None:
    table = Table(CHAIN)
    for name in CHAIN:
        table.look(name, Outcome.NOTHING)
    table.look("bronze", Outcome.NEWS)
    waits = []
    for _ in range(8):
        waits.append(table.look("silver", Outcome.FAILED))
        table.look("bronze", Outcome.NEWS)
        assert "silver" not in table.agenda.due()
        table.clock.now += waits[-1]
        assert "silver" in table.agenda.due()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert table.agenda.failures("silver") == 8
    table.look("silver", Outcome.NEWS)
    assert table.agenda.failures("silver") == 0


def test_an_author_may_want_time_between_epochs() -> None:
    table = Table({"bronze": Entry(asks=True, interval=10.0)})
    assert table.look("bronze", Outcome.NEWS, seconds=4.0) == 6.0
    assert table.look("bronze", Outcome.NEWS, seconds=12.0) == 0.0


def test_what_is_computed_as_a_whole_rests_longer_than_it_works() -> None:
    table = Table({"silver": Entry(asks=True), "gold": Entry(("silver",), whole=True)})
    table.look("silver", Outcome.NEWS)
    table.look("gold", Outcome.NEWS, seconds=2.0)
    table.look("silver", Outcome.NEWS)
    assert "gold" not in table.agenda.due()
    table.clock.now += 10.0
    assert "gold" in table.agenda.due()


def test_how_long_there_is_nothing_to_do() -> None:
    table = Table(CHAIN)
    assert table.agenda.wait() == 0.0
    table.agenda.start("bronze")
    assert table.agenda.wait() is None
    assert table.agenda.running == ("bronze",)
    table.agenda.end("bronze", Outcome.NEWS)
    assert table.agenda.wait() == 0.0


def test_the_longest_overdue_comes_first() -> None:
    table = Table({"a": Entry(asks=True), "b": Entry(asks=True)})
    table.look("a", Outcome.NOTHING)
    table.clock.now += 5
    assert table.agenda.due() == ["b", "a"]


def test_while_a_long_look_ends_only_those_that_are_short_go_on() -> None:
    names = ("long", "short", "slow", "late")
    table = Table({name: Entry(asks=True) for name in names})
    agenda = table.agenda
    table.look("short", Outcome.NEWS, seconds=0.2)
    table.look("slow", Outcome.NEWS, seconds=5)
    agenda.start("long")
    agenda.wind_down()
    # How long the first look at `late` takes, nobody knows.
    assert agenda.due() == ["short"]
    table.look("short", Outcome.NEWS, seconds=0.1)
    assert agenda.due() == ["short"]
    assert not agenda.ended
    agenda.start("short")
    agenda.end("long", Outcome.NEWS)
    assert not agenda.ended
    agenda.end("short", Outcome.NEWS)
    assert agenda.due() == []
    assert agenda.ended


def test_nothing_begins_where_nothing_is_waited_for() -> None:
    table = Table({"bronze": Entry(asks=True)})
    table.look("bronze", Outcome.NEWS)
    table.agenda.wind_down()
    assert table.agenda.ended
    assert table.agenda.due() == []


def test_what_fails_wakes_its_readers_as_it_may_have_committed_something_first() -> None:
    table = Table(CHAIN)
    for name in CHAIN:
        table.look(name, Outcome.NOTHING)
    table.clock.now += 60
    table.look("bronze", Outcome.FAILED)
    assert table.agenda.due() == ["silver"]
