"""`qanat diff` of all that it compares: tables, versions, environments, files, queries, others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

import qanat
from qanat.cli.program import main
from qanat.errors import ColumnNotFoundError, SqlSyntaxError, TableNotFoundError
from qanat.model.comparison import Diff
from qanat.report.documents import schema
from qanat.testing.postgresql import postgresql
from tests.acceptance.projects import Shop

READ = "read_files('in/*.csv', schema => 'id BIGINT, city STRING, amount DOUBLE')"
SQL = f"""\
CREATE OR REFRESH STREAMING TABLE orders (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one EXPECT UNIQUE (id)
) AS SELECT * FROM STREAM {READ};
CREATE OR REFRESH MATERIALIZED VIEW by_city AS
SELECT city, sum(amount) AS amount FROM orders GROUP BY city;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A table of two versions: 1 Yazd 10, 2 Bam 20; then 3 Kerman 30, and 4 in quarantine."""
    shop = Shop(tmp_path)
    shop.file("qanat.yml", "name: shop\nthreads: 1\nenvironments: {dev: {}, prod: {}}\n")
    shop.sql(SQL)
    shop.file("in/1.csv", "id,city,amount\n1,Yazd,10\n2,Bam,20\n")
    shop.run()
    shop.file("in/2.csv", "id,city,amount\n3,Kerman,30\n4,Bam,-1\n")
    shop.run()
    return shop


def compared(shop: Shop, left: str, right: str, *keys: str, **how: Any) -> Diff:
    with qanat.open(shop.folder) as project:
        return project.diff(left, right, keys=keys, **how)


def only(found: Diff) -> tuple[int, int, int]:
    """How many rows are only left, only right, and changed."""
    differences = found.differences
    return differences.left.only, differences.right.only, differences.changed


def changes(found: Diff) -> dict[str, list[tuple[Any, Any, Any]]]:
    return {
        c.column: [(s.key[0], s.left, s.right) for s in c.samples]
        for c in found.differences.changes
    }


def test_a_table_and_a_file(shop: Shop) -> None:
    shop.file("export.csv", "id,city,amount\n1,Yazd,10\n2,BAM,21\n9,Shiraz,5\n")
    found = compared(shop, "orders", "export.csv")
    assert (only(found), found.keyed, found.same) == ((1, 1, 1), "declared", False)
    assert changes(found) == {"city": [(2, "Bam", "BAM")], "amount": [(2, 20.0, 21.0)]}
    assert found.differences.left.samples == [(3, "Kerman", 30.0)]
    assert (found.left.rows, found.right.rows) == (3, 3)


def test_two_versions_share_files_which_are_not_read(shop: Shop) -> None:
    found = compared(shop, "orders@0", "orders@1")
    assert only(found) == (0, 1, 0)
    assert found.shared >= 1
    assert found.differences.right.samples == [(3, "Kerman", 30.0)]
    with pytest.raises(TableNotFoundError):
        compared(shop, "orders", "orders@99")


def test_titles_say_where_rows_are_left_out(shop: Shop) -> None:
    some = "SELECT * FROM orders WHERE id = 1"
    assert "\n2 rows only in orders, the first 1\n" in str(
        compared(shop, "orders", some, samples=1)
    )
    assert "\n2 rows only in orders\n" in str(compared(shop, "orders", some))
    changed = "SELECT id, 'x' AS city, amount FROM orders"
    assert "city: 3 rows changed, the first 2" in str(compared(shop, "orders", changed, samples=2))


def test_environments(shop: Shop) -> None:
    with pytest.raises(TableNotFoundError, match="environment prod has no table orders") as told:
        compared(shop, "orders", "prod:orders")
    assert told.value.hint == "environment dev there has it: dev:orders"
    shop.run("prod")
    assert compared(shop, "orders", "prod:orders").same
    shop.file("in/3.csv", "id,city,amount\n5,Shiraz,50\n")
    shop.run()
    assert only(compared(shop, "orders", "prod:orders")) == (1, 0, 0)
    with pytest.raises(TableNotFoundError, match="orders"):
        compared(shop, "orders", "prod:order")


def test_files_of_several_formats(shop: Shop) -> None:
    shop.file("a.json", '{"id": 1, "city": "Yazd"}\n{"id": 2, "city": null}\n')
    with qanat.open(shop.folder) as project:
        project.query("SELECT id, city FROM orders WHERE id < 3").write_parquet(
            shop.folder / "b.parquet"
        )
    assert changes(compared(shop, "a.json", "b.parquet", "id")) == {"city": [(2, None, "Bam")]}
    assert compared(shop, "in/*.csv", "in/*.csv", "id").same


def test_queries(shop: Shop) -> None:
    query = "SELECT city, sum(amount) AS amount FROM orders GROUP BY city"
    assert compared(shop, "by_city", query, "city").same
    shop.file("in/3.csv", "id,city,amount\n5,Bam,1\n")
    shop.run(select=("orders",))
    assert changes(compared(shop, "by_city", query, "city")) == {"amount": [("Bam", 20.0, 21.0)]}
    with pytest.raises(SqlSyntaxError):
        compared(shop, "orders", "SELECT FROM WHERE")


def test_a_quarantine(shop: Shop) -> None:
    query = "SELECT 4 AS id, 'Bam' AS city, -1.0 AS amount"
    found = compared(shop, "orders__quarantine", query, "id", columns=("city", "amount"))
    assert found.same


def test_what_has_no_key_says_how_to_name_one(shop: Shop) -> None:
    with pytest.raises(ColumnNotFoundError) as asked:
        compared(shop, "SELECT 'a' AS x FROM range(2)", "SELECT 'a' AS x")
    assert "--key" in (asked.value.hint or "")
    assert compared(shop, "by_city", "by_city").keyed == "found"
    with pytest.raises(ColumnNotFoundError, match="either side has no column idd") as wrong:
        compared(shop, "orders", "orders", "idd")
    assert wrong.value.nearest == "id"


def test_duplicates_and_null_keys_are_counted(shop: Shop) -> None:
    left = "SELECT unnest([1, 1, NULL, 2]) AS id, unnest(['a', 'b', 'n', 'x']) AS v"
    right = "SELECT unnest([1, 1, NULL, 2]) AS id, unnest(['b', 'c', 'm', 'x']) AS v"
    found = compared(shop, left, right, "id")
    assert only(found) == (0, 0, 2)
    assert changes(found) == {"v": [(1, "a", "c"), (None, "n", "m")]}
    sides = found.differences.left, found.differences.right
    assert [(side.read, side.null_keys, side.duplicates) for side in sides] == [(4, 1, 1)] * 2


def test_values_that_change_places_among_rows_of_one_key(shop: Shop) -> None:
    """Column by column both sides have the same values; row by row they have not."""
    left = "FROM (VALUES (1, 1, 'a'), (1, 2, 'b')) AS t (id, n, v)"
    right = "FROM (VALUES (1, 1, 'b'), (1, 2, 'a')) AS t (id, n, v)"
    assert only(compared(shop, left, right, "id")) == (0, 0, 2)


def test_keys_and_columns_of_any_name(shop: Shop) -> None:
    left = 'SELECT \'Ä\' AS "the Schlüssel", 1 AS "a""b", \'سلام\' AS "group"'
    right = 'SELECT \'Ä\' AS "The schlüssel", 2 AS "A""B", \'سلام\' AS "GROUP"'
    found = compared(shop, left, right, "the Schlüssel")
    assert (only(found), changes(found)) == ((0, 0, 1), {'a"b': [("Ä", 1, 2)]})
    # Letters that look alike are not: one with a combining mark, the other without.
    assert only(compared(shop, "SELECT 'e\u0301' AS id", "SELECT '\u00e9' AS id", "id")) == (
        1,
        1,
        0,
    )


def test_nested_columns(shop: Shop) -> None:
    left = "SELECT 1 AS id, [1, NULL, 2] AS l, {'a': 1, 'b': 'x'} AS s, MAP {'k': [1]} AS m"
    right = "SELECT 1 AS id, [1, NULL, 2] AS l, {'a': 1, 'b': 'y'} AS s, MAP {'k': [2]} AS m"
    assert compared(shop, left, left, "id").same
    assert sorted(changes(compared(shop, left, right, "id"))) == ["m", "s"]
    assert compared(shop, left, right, "id", ignore=("s", "m")).same


def test_types_that_differ_are_told_and_compared(shop: Shop) -> None:
    left = "SELECT '1' AS id, 2 AS n, DATE '2026-01-01' AS d, 'x' AS t"
    right = "SELECT 1 AS id, 2.0::DOUBLE AS n, TIMESTAMP '2026-01-01 00:00:00' AS d, 5 AS t"
    found = compared(shop, left, right, "id", tolerance=0.5)
    assert changes(found) == {"t": [("1", "x", "5")]}
    assert [(t.column, t.left, t.right) for t in found.differences.types] == [
        ("id", "string", "int"),
        ("n", "int", "double"),
        ("d", "date", "timestamp_ntz"),
        ("t", "string", "int"),
    ]


def test_columns_that_only_one_side_has(shop: Shop) -> None:
    found = compared(shop, "SELECT 1 AS id, 2 AS a", "SELECT 1 AS id, 3 AS b", "id")
    differences = found.differences
    assert (differences.only_left, differences.only_right) == (("a",), ("b",))
    assert (only(found), found.same) == ((0, 0, 0), False)
    assert compared(
        shop, "SELECT 1 AS id, 2 AS a", "SELECT 1 AS id, 3 AS b", "id", ignore=("a", "b")
    ).same


def test_empty_sides(shop: Shop) -> None:
    empty, one = "SELECT 1 AS id, 'a' AS v WHERE false", "SELECT 1 AS id, 'a' AS v"
    assert only(compared(shop, empty, one, "id")) == (0, 1, 0)
    assert only(compared(shop, one, empty, "id")) == (1, 0, 0)
    assert compared(shop, empty, empty, "id").same


def test_a_filter_and_a_tolerance(shop: Shop) -> None:
    shop.file("export.csv", "id,city,amount\n1,Yazd,10.001\n2,Bam,20\n3,Kerman,99\n")
    assert only(compared(shop, "orders", "export.csv", tolerance=0.01)) == (0, 0, 1)
    assert compared(shop, "orders", "export.csv", relative_tolerance=0.001, where="id < 3").same


def test_memory_is_bounded_where_all_rows_differ(shop: Shop) -> None:
    """Both sides are several times as large as what the engine may hold; it spills."""
    shop.file("qanat.yml", "name: shop\nthreads: 1\nmemory_limit: 100MB\n")
    side = "SELECT i AS id, repeat(md5((i + {0})::VARCHAR), 4) AS v FROM range(1500000) t (i)"
    found = compared(shop, side.format(0), side.format(1), "id", samples=1)
    assert only(found) == (0, 0, 1500000)


# -- the command -------------------------------------------------------------------------------


def typed(shop: Shop, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["diff", *arguments, "-C", str(shop.folder)])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("orders", "orders"), 0),
        (("orders", "orders@0"), 0),
        (("orders", "orders@0", "--fail-on-difference"), 1),
        (("orders", "orders", "--fail-on-difference"), 0),
        (("orders", "nothing"), 2),
        (("orders", "orders", "--key", "nothing"), 2),
        (("orders", "orders", "--where", "nothing > 1"), 2),
        (("orders", "orders", "--tolerance", "-1"), 2),
    ],
)
def test_exit_codes(shop: Shop, arguments: tuple[str, ...], code: int) -> None:
    assert typed(shop, *arguments) == code


def test_json_keeps_to_its_schema(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.file("export.csv", "id,city,amount\n1,Yazd,nan\n2,BAM,21\n9,Shiraz,5\n")
    assert typed(shop, "orders", "export.csv", "--output", "json", "--fail-on-difference") == 1
    said = json.loads(capfd.readouterr().out)
    jsonschema.validate(said, schema("diff"))
    assert (said["same"], said["keys"], said["keyed"]) == (False, ["id"], "declared")
    assert said["only_left_samples"] == [{"id": 3, "city": "Kerman", "amount": 30.0}]
    assert {c["column"]: c["rows"] for c in said["changes"]} == {"city": 1, "amount": 2}


class _Read(HTMLParser):
    """The cells of a page, and whatever it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.loads: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag in ("td", "th", "h2", "p")
        if self._inside:
            self.cells.append("")
        given = dict(attrs)
        links = (given.get("src"), given.get("href"), given.get("action"))
        self.loads += [link for link in links if link and not link.startswith("#")]
        if tag in ("script", "link", "iframe", "object", "img"):
            self.loads.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def test_a_page(shop: Shop) -> None:
    shop.file("export.csv", "id,city,amount\n1,<script>alert(1)</script>,10\n2,Bam,20\n")
    page = shop.folder / "diff.html"
    assert typed(shop, "orders", "export.csv", "--html", str(page)) == 0
    read = _Read(page.read_text(encoding="utf-8"))
    assert read.loads == []
    assert "1 row only in orders; 1 row changed." in read.cells
    assert "<script>alert(1)</script>" in read.cells
    assert "Kerman" in read.cells


# -- other databases ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.mark.services
def test_a_table_of_postgresql(
    shop: Shop, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(server, autocommit=True) as session:
        for statement in (
            "DROP TABLE IF EXISTS orders",
            "CREATE TABLE orders (id int PRIMARY KEY, city text, amount numeric(10, 2))",
            "INSERT INTO orders VALUES (1, 'Yazd', 10), (2, 'Bam', 20.5), (7, 'Ray', 1)",
        ):
            session.execute(statement.encode())
    monkeypatch.setenv("SHOP_URL", server.replace("qanat@", "qanat:hush@"))
    shop.file("qanat.yml", "name: shop\nthreads: 1\nconfiguration: {shop: '${SHOP_URL}'}\n")
    there = "read_postgres('orders', url => '${shop}')"
    found = compared(shop, "orders", there)
    assert only(found) == (1, 1, 1)
    assert changes(found) == {"amount": [(2, 20.0, 20.5)]}
    assert [t.column for t in found.differences.types] == ["id", "amount"]
    assert typed(shop, "orders", there, "--fail-on-difference") == 1
    assert "hush" not in "".join(capsys.readouterr())
    assert only(compared(shop, there, f"SELECT * FROM {there} WHERE id < 3")) == (1, 0, 0)
