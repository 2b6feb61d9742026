"""The page of a crash test: well-formed, complete, and safe to open."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from qanat.crash.campaign import KINDS
from qanat.crash.case import Verdict
from qanat.crash.histogram import histogram
from qanat.crash.page import Subject, page
from qanat.crash.report import report
from qanat.crash.strip import cells, strip
from qanat.crash.trace import Call

CALLS = [
    Call("o", 0, 0, 0, "c-", "storage/_qanat/ledger.db", ""),
    Call("s", 0, 0, 0, "-", "storage/tables/<b>&", ""),
]
GOOD = Verdict("run kill@1 #0", 1, 1, ("o storage",), ("Q4007",), seconds=(0.25,))
BAD = Verdict("run eio@2 #0", 1, 0, ("s <t>",), (), 1, 2, ("<i> has 1 row",), (0.5,))
POWER = Verdict("run all@1 part@2 #0", 2, seconds=(0.3, 0.35))


SUBJECT = Subject({"project": "/home/<me>/shop", "Qanat": "0.0"}, "qanat doctor --crash-test")


class Reader(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def test_a_page_without_failures() -> None:
    text = page(report(7, [GOOD, POWER], KINDS), {"run": CALLS}, [GOOD, POWER], SUBJECT)
    reader = Reader(text)
    assert reader.seen.count("svg") == 2
    for part in (
        "3 faults, 3 survived; no row lost, none doubled",
        "<dt>seed</dt><dd>7</dd>",
        "0.25",
        "StorageFullError",
        "2: sync storage/tables",
        "an update of the project as it is, 2 calls",
        "<b>zeros</b>: names and sizes came",
        "/home/&lt;me&gt;/shop",
    ):
        assert part in text, part
    assert "What did harm" not in text
    assert 'class="bad"' not in text
    # A strip has rows only for the kinds that were tried.
    assert text.count('px">kill</span>') == text.count('px">power</span>') == 1
    assert 'px">eio</span>' not in text


def test_a_page_with_a_failure() -> None:
    text = page(report(7, [GOOD, BAD], KINDS), {"run": CALLS}, [GOOD, BAD], SUBJECT)
    Reader(text)
    for part in (
        "2 faults, 1 survived, 1 did harm; 1 row lost, 2 rows doubled",
        "<code>qanat doctor --crash-test --case &quot;run eio@2 #0&quot;</code>",
        "For example, <code>run eio@2 #0</code>: &lt;i&gt; has 1 row",
        "did harm: eio",
        'class="bad"',
    ):
        assert part in text, part
    assert text.index("<h2>What did harm") < text.index("<h2>What was tried")
    assert "<i> has" not in text
    assert "<b>&" not in text


def test_a_page_without_cases() -> None:
    text = page(report(7, [], KINDS), {}, [], SUBJECT)
    Reader(text)
    assert "Nothing was tried" in text


def test_harm_is_marked_at_the_call_of_its_power_loss() -> None:
    loss = Verdict("run all@1 part@2 #0", 2, complaints=("part@2: lost",), seconds=(0.3, 0.3))
    assert cells([loss]) == {"run": {("power", 1): True, ("power", 2): False}}
    unknown = Verdict("run all@1 part@2 #0", 2, complaints=("it hangs",), seconds=(0.3, 0.3))
    assert cells([unknown]) == {"run": {("power", 1): False, ("power", 2): False}}


def test_html_in_a_message_is_escaped() -> None:
    evil = Verdict("run eio@1 #0", 1, complaints=("<script>a\x1b[2J\u202ename\ud800",))
    text = page(report(7, [evil], KINDS), {"run": CALLS}, [evil], SUBJECT)
    Reader(text)
    assert "<script" not in text
    assert not {"\x1b", "\u202e", "\ud800"} & set(text)


def test_one_slow_recovery_does_not_squeeze_the_histogram() -> None:
    picture = histogram([0.2] * 500 + [60.0], 0.2, 0.2)
    Reader(picture)
    assert "1 took longer than 0.3" in picture
    assert "500 took" in picture


@pytest.mark.parametrize("seconds", [[0.0], [1e-6], [0.25], [0.2, 900.0], [3e5] * 3])
def test_any_durations_can_be_drawn(seconds: list[float]) -> None:
    Reader(histogram(seconds, seconds[0], seconds[-1]))


def test_a_single_mark_among_many_calls_is_visible() -> None:
    text = strip(CALLS * 500, {("kill", 400): True, ("kill", 7): False}, ["kill"])
    Reader(text)
    for state in ("good", "bad"):
        assert re.search(rf'<rect class="{state}" [^>]*width="4.00"', text)


def test_labels_of_equal_durations_do_not_overlap() -> None:
    picture = histogram([0.2] * 500 + [0.5], 0.2, 0.2)
    assert re.search(r'text-anchor="end">median', picture)
    assert re.search(r'text-anchor="start">p99', picture)
