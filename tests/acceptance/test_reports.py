"""Pages of updates: what they say is what the history has, and they load nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import qanat
from qanat.cli.program import main
from qanat.model.event import Event, Warned
from qanat.report.documents import schema
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE orders (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW WITH (severity = 'high'),
  CONSTRAINT named EXPECT (name IS NOT NULL),
  CONSTRAINT several EXPECT EPOCH (count(*) > 1) WITH (severity = 'low')
) AS SELECT * FROM STREAM read_files('in/*.csv', schema => 'id BIGINT, name STRING, amount INT');
CREATE OR REFRESH STREAMING TABLE paid (
  CONSTRAINT small EXPECT (amount < 1000) ON VIOLATION FAIL UPDATE WITH (severity = 'critical')
) AS SELECT id, amount FROM STREAM orders;
CREATE OR REFRESH MATERIALIZED VIEW total AS SELECT sum(amount) AS amount FROM paid;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three updates: a good one, one with rows in quarantine, and one that fails."""
    shop = Shop(tmp_path)
    shop.sql(SQL)
    shop.file("in/1.csv", "id,name,amount\n1,<b>Ada</b>,10\n2,Bo,20\n")
    shop.run()
    shop.file("in/2.csv", "id,name,amount\n3,Cy,-1\n4,Di & <script>x</script>,-2\n5,Ed,5\n")
    shop.run()
    shop.file("in/3.csv", "id,name,amount\n6,Fa,2000\n7,Gu,-3\n")
    assert [d.dataset for d in shop.update().failed] == ["paid"]
    return shop


_VOID = ("meta", "br", "wbr")


class Page(HTMLParser):
    """A page as a browser has it: its tables by their names, its texts, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.loads: list[str] = []
        self._label = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "tags that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[n] for n in ("src", "href", "action", "data") if n in given]
        self.loads += re.findall(r"url\([^)]*\)|@import", given.get("style", ""))
        self.loads += [n for n in given if n.startswith("on")]
        if tag in ("script", "link", "iframe", "object", "embed", "form"):
            self.loads.append(tag)
        if tag in _VOID:
            return
        self._open.append(tag)
        self._label = given.get("aria-label", self._label)
        if tag == "tr":
            self.tables.setdefault(self._label, []).append([])
        if tag in ("td", "th"):
            self.tables[self._label][-1].append("")
        if tag in ("p", "h1", "h2", "h3", "summary", "li"):
            self.texts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.loads += re.findall(r"url\([^)]*\)|@import", data)
        elif "title" in self._open and "svg" in self._open:
            return
        elif "td" in self._open or "th" in self._open:
            self.tables[self._label][-1][-1] += data
        elif self.texts and self._open and self._open[-1] in ("p", "h1", "h2", "h3", "summary"):
            self.texts[-1] += data


def page_of(shop: Shop, update: str = "last", values: bool = False) -> Page:
    with qanat.open(shop.folder) as project:
        return Page(project.report(update, values=values).html())


def updates(shop: Shop) -> list[Any]:
    """The past updates, oldest first."""
    with qanat.open(shop.folder) as project:
        return [*reversed(project.history())]


def rules(page: Page) -> dict[str, tuple[str, ...]]:
    headers, *lines = page.tables["Rules"]
    assert headers[:5] == ["Rule", "Result", "Violations", "Severity", "Action"]
    return {line[0]: tuple(line[1:5]) for line in lines}


def test_what_a_page_says_is_what_the_history_has(shop: Shop) -> None:
    for entry in updates(shop):
        page = page_of(shop, entry.update.id)
        assert f"shop: update {entry.update.id}" in page.texts
        told = {line[0]: line[2:5] for line in page.tables["Datasets"][1:]}
        for epoch in entry.epochs:
            counts = epoch.counts
            wanted = (counts.written, counts.set_aside, counts.dropped) if counts else (0, 0, 0)
            assert told[epoch.dataset] == [str(number) for number in wanted]
        wanted_rules = {f"{r.dataset}.{r.rule}" for e in entry.epochs for r in e.rules}
        assert rules(page).keys() == wanted_rules


def test_rules_of_a_dataset_that_failed_are_there_and_the_worst_come_first(shop: Shop) -> None:
    found = rules(page_of(shop))
    assert [*found] == ["paid.small", "orders.positive", "orders.several", "orders.named"]
    assert found["paid.small"] == ("violated", "1", "critical", "fail")
    assert found["orders.positive"] == ("violated", "1", "high", "quarantine")
    assert found["orders.several"][0] == "violated"
    assert found["orders.named"] == ("passed", "0", "medium", "warn")


def test_a_failure_has_its_place_and_what_to_do(shop: Shop) -> None:
    page = page_of(shop)
    assert any(
        t.startswith("Update failed, 1 dataset failed, 1 row in quarantine") for t in page.texts
    )
    assert any(t.startswith("paid: 1 row of paid violates small") for t in page.texts)
    assert any("mend the data or the rule" in t for t in page.texts)
    assert "1 dataset without new rows" in page.texts


def test_values_are_shown_only_if_they_are_asked_for(shop: Shop) -> None:
    second = updates(shop)[1].update.id
    page = page_of(shop, second)
    assert page.tables["Rows of orders"] == [
        ["Broke", "From"],
        ["positive", "in/2.csv:2"],
        ["positive", "in/2.csv:3"],
    ]
    shown = page_of(shop, second, values=True)
    assert shown.tables["Rows of orders"][2][2:] == ["4", "Di & <script>x</script>", "-2"]


@pytest.mark.parametrize("values", [False, True])
def test_a_page_loads_nothing_and_runs_nothing(shop: Shop, values: bool) -> None:
    for entry in updates(shop):
        links = page_of(shop, entry.update.id, values).loads
        assert [link for link in links if not link.startswith("#")] == []


# -- pages that are written by themselves ------------------------------------------------------


def test_every_update_leaves_a_page_of_which_the_newest_stay(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\nreports: out/pages\nkeep_reports: 2\n")
    folder = shop.file("out/pages/index.html", "not Qanat's").parent
    written: list[str] = []
    with qanat.open(shop.folder) as project:
        for number in range(4, 8):
            shop.file(f"in/{number}.csv", f"id,name,amount\n{number}0,Hu,1\n{number}1,Iv,1\n")
            written.append(project.run("orders").id)
        assert {p.name for p in folder.iterdir()} == {
            "index.html",
            *(f"{update}.html" for update in written[-2:]),
        }
        assert project.run("orders").id == ""  # nothing is new, and there is no page
        assert len([*folder.iterdir()]) == 3
    page = Page((folder / f"{written[-1]}.html").read_text(encoding="utf-8"))
    assert f"shop: update {written[-1]}" in page.texts


def test_an_environment_has_a_folder_of_its_own(shop: Shop) -> None:
    shop.file(
        "qanat.yml", "name: shop\nthreads: 1\nenvironments:\n  dev: {}\n  prod: {reports: pages}\n"
    )
    with qanat.open(shop.folder) as project:
        project.run(refresh="orders")
    assert not (shop.folder / "pages").exists()
    with qanat.open(shop.folder, "prod") as project:
        done = project.run("orders")
    assert [p.name for p in (shop.folder / "pages").iterdir()] == [f"{done.id}.html"]


class _Heard:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event.message)


def test_a_page_that_cannot_be_written_is_a_warning(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\nreports: pages\n")
    shop.file("pages", "a file")
    shop.file("in/4.csv", "id,name,amount\n40,Hu,1\n41,Iv,1\n")
    heard = _Heard()
    with qanat.open(shop.folder) as project:
        assert project.run("orders", observers=[heard]).status == "succeeded"
    assert any("the update has no page" in text for text in heard.warnings)


# -- the command -------------------------------------------------------------------------------


def typed(shop: Shop, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *arguments, "-C", str(shop.folder)])
    return int(ended.value.code or 0)


def test_json_keeps_to_its_schema(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(shop, "--output", "json") == 0
    said = json.loads(capfd.readouterr().out)
    jsonschema.validate(said, schema("report"))
    assert {r["rule"]: r["violations"] for r in said["rules"]} == {
        "positive": 1,
        "named": 0,
        "several": 1,
        "small": 1,
    }
    assert [d["dataset"] for d in said["datasets"] if d["failure"]] == ["paid"]
    assert said["quarantined"] == [
        {
            "dataset": "orders",
            "total": 1,
            "rows": [{"broke": ["positive"], "source": "in/3.csv:3"}],
        }
    ]
    assert typed(shop, "--output", "json", "--values") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["quarantined"][0]["rows"][0]["values"] == {"id": 7, "name": "Gu", "amount": -3}


def test_exit_codes(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    page = shop.folder / "one.html"
    assert typed(shop, "--html", str(page)) == 0
    assert "paid.small" in page.read_text(encoding="utf-8").replace("<wbr>", "")
    assert typed(shop, "nothing") == 2
    assert typed(shop, "--html", str(shop.folder / "no/where.html")) == 2
    assert "Wrote" in capsys.readouterr().err
