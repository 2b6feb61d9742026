"""What notebooks show."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from qanat.model.record import Epoch, UpdateRecord, UpdateStatus
from qanat.model.schema import Field, Primitive, Schema
from qanat.report.drawing import Box, drawing
from qanat.report.history import history_html
from qanat.report.html import heading, page, preformatted, table
from qanat.report.table import rows_html
from qanat.run.results import HistoryEntry, QueryRows
from qanat.text import Cell

EVIL = "<img src=x onerror=alert(1)>&\"'\x1b[31m\u202e"


class Balance(HTMLParser):
    """Notes what is open, and fails where something else is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Balance:
    found = Balance()
    found.feed(html)
    assert not found.open
    return found


def test_nothing_from_data_becomes_markup() -> None:
    parts = [
        heading(EVIL, "bad", EVIL),
        table([EVIL], [[EVIL], [Cell(EVIL, "red")], [None], [1234]]),
        preformatted([(EVIL, "green"), (EVIL, None)]),
        drawing([Box(EVIL, EVIL), Box("b", "files", EVIL)], [(EVIL, "b")]),
    ]
    found = parsed(page(*parts))
    assert "img" not in found.tags
    assert not {"\x1b", "\u202e"} & set(found.text)
    assert "<img src=x onerror=alert(1)>" in found.text
    assert "1,234" in found.text


def test_columns_of_rows_with_one_name_and_odd_values() -> None:
    schema = Schema((Field("a", Primitive("string")), Field("a_1", Primitive("long"))))
    found = parsed(rows_html(QueryRows(schema, [(None, 1), ("", 2), ("<b>", 3)], complete=False)))
    assert "NULL" in found.text
    assert "there are more" in found.text


def test_no_rows_and_no_history() -> None:
    parsed(rows_html(QueryRows(Schema(()), [])))
    assert "No update has run yet." in parsed(history_html([])).text


def test_a_failed_update_in_the_history() -> None:
    update = UpdateRecord("u", "dev", "run", 0.0, 1.0, UpdateStatus.FAILED, EVIL)
    epoch = Epoch("f", "a", 1, "u", 0, False, {}, "x", 0.0)
    assert "img" not in parsed(history_html([HistoryEntry(update, (epoch,))])).tags


def boxes(svg: str) -> dict[str, tuple[float, float, float]]:
    """x, y and width of each box, by its name."""
    pattern = r"<title>(.*?) \(.*?</title><rect x=\"(\d+)\" y=\"(\d+)\" width=\"(\d+)\""
    return {n: (float(x), float(y), float(w)) for n, x, y, w in re.findall(pattern, svg)}


@pytest.mark.parametrize("wide", [1, 2, 20])
def test_a_drawing_runs_from_left_to_right(wide: int) -> None:
    names = [*(f"s{n}" for n in range(wide)), "middle", *(f"t{n}" for n in range(wide))]
    edges = [(f"s{n}", "middle") for n in range(wide)]
    edges += [("middle", f"t{n}") for n in range(wide)]
    edges += [(f"s{n}", f"t{n}") for n in range(wide)]
    svg = drawing([Box(n, "sink") for n in names], edges, {edges[0]})
    found = boxes(svg)
    assert found.keys() == set(names)
    for here, there in edges:
        assert found[here][0] + found[here][2] < found[there][0]
    taken = sorted((x, y) for x, y, _ in found.values())
    for (x1, y1), (x2, y2) in pairwise(taken):
        assert x1 != x2 or y2 - y1 >= 40, "boxes do not overlap"
    assert svg.count("stroke-dasharray") == 1
    assert parsed(svg).tags >= {"svg", "rect", "path"}


def test_a_drawing_of_one_box() -> None:
    assert boxes(drawing([Box("a", "files")], [])).keys() == {"a"}


def test_sources_of_any_connector_have_a_colour() -> None:
    def colours(kind: str) -> set[str]:
        return set(re.findall(r'fill="(#\w+)"', drawing([Box("a", kind)], [])))

    grey = colours("unknown")
    for kind in ("files", "PostgreSQL", "stream of another package"):
        assert colours(kind) == colours(f"{kind} column") != grey
    assert colours("column") == grey
