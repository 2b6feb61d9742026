"""The page of a crash test: well-formed, complete, and safe to open."""

from __future__ import annotations

from html.parser import HTMLParser

from qanat.crash.case import Verdict
from qanat.crash.page import page
from qanat.crash.report import report
from qanat.crash.sweep import KINDS
from qanat.crash.trace import Call

CALLS = [
    Call("o", 0, 0, 0, "c-", "storage/_qanat/ledger.db", ""),
    Call("s", 0, 0, 0, "-", "storage/tables/<b>&", ""),
]
GOOD = Verdict("run kill@1 #0", 1, 1, ("o storage",), ("Q4007",), seconds=(0.25,))
BAD = Verdict("run eio@2 #0", 1, 0, ("s <t>",), (), 1, 2, ("<i> has 1 row",), (0.5,))
POWER = Verdict("run all@1 part@2 #0", 2, seconds=(0.3, 0.35))


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


def test_all_well() -> None:
    text = page(report(7, [GOOD, POWER], KINDS), {"run": CALLS}, [GOOD, POWER])
    reader = Reader(text)
    assert reader.seen.count("svg") == 2
    for part in ("3 faults, all survived", "seed 7", "0.25", "Q4007", "2: sync storage/tables"):
        assert part in text, part
    assert "Not survived</h2>" not in text


def test_something_was_not_survived() -> None:
    text = page(report(7, [GOOD, BAD], KINDS), {"run": CALLS}, [GOOD, BAD])
    Reader(text)
    for part in ("1 of 2 faults did harm", "lost: 1, doubled: 2", "run eio@2 #0", 'class="bad"'):
        assert part in text, part
    assert "&lt;i&gt; has 1 row" in text
    assert "<i> has" not in text
    assert "<b>&" not in text


def test_nothing_was_tried() -> None:
    Reader(page(report(7, [], KINDS)))
