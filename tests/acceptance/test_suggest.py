"""Checks that tables suggest: tried on held-out epochs, applied, and then kept by updates."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import qanat
from qanat.cli.program import main
from qanat.model.suggestion import DatasetSuggestions
from qanat.project import Suggestions
from tests.acceptance.projects import Shop

SQL = """\
CREATE STREAMING TABLE orders (
  CONSTRAINT known EXPECT (order_id IS NOT NULL) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM read_files('in/orders*.csv', format => 'csv',
  schema => 'order_id BIGINT, customer_id BIGINT, invoice STRING, status STRING, quantity BIGINT,
  price DOUBLE, ordered_at TIMESTAMP, shipped_at TIMESTAMP, remark STRING');
CREATE MATERIALIZED VIEW customers AS SELECT * FROM read_files('in/customers.csv',
  format => 'csv', schema => 'id BIGINT, city STRING');
CREATE MATERIALIZED VIEW totals AS SELECT status, sum(price) AS total FROM orders GROUP BY status;
"""
HEAD = "order_id,customer_id,invoice,status,quantity,price,ordered_at,shipped_at,remark\n"
STATUS = ("new", "paid", "sent")
_ROWS = 60


def order(number: int, **other: object) -> str:
    """One line; `number` decides all that `other` does not."""
    day = 1 + number // _ROWS
    values = {
        "order_id": 1000 + number,
        "customer_id": 1 + number * 7 % 40,
        "invoice": f"INV-{number * 37 % 100_000:05}",
        "status": STATUS[number % 3],
        "quantity": 1 + number % 5,
        "price": 3 + number * 13 % 400,
        "ordered_at": f"2024-03-{day:02} {number % 24:02}:00:00",
        "shipped_at": f"2024-03-{day + 1 + number % 3:02} 12:00:00" if number % 20 else "",
        "remark": "" if number % 2 else f"{'so ' * (number % 7)}many {number} words",
    }
    return ",".join(str(v) for v in {**values, **other}.values())


def bring(shop: Shop, day: int, **other: object) -> None:
    """One epoch of orders, the first of which has other values."""
    lines = [order(n) for n in range(day * _ROWS, (day + 1) * _ROWS)]
    if other:
        lines[3] = order(day * _ROWS + 3, **other)
    shop.file(f"in/orders{day:02}.csv", HEAD + "\n".join(lines) + "\n")
    shop.run()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL)
    cities = ("Oslo", "Rome", "Bern")
    made.file(
        "in/customers.csv", "id,city\n" + "".join(f"{n},{cities[n % 3]}\n" for n in range(1, 61))
    )
    return made


@pytest.fixture
def orders(shop: Shop) -> Shop:
    for day in range(8):
        bring(shop, day)
    return shop


def suggested(shop: Shop, dataset: str = "orders", **how: object) -> DatasetSuggestions:
    with qanat.open(shop.folder) as project:
        (found,) = project.suggest(dataset, **how)  # type: ignore[arg-type]
    return found


def ended(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def texts(found: DatasetSuggestions) -> list[str]:
    return [each.expectation.text for each in found.offered]


def refused(found: DatasetSuggestions) -> dict[str, str | None]:
    return {each.expectation.text: each.refused for each in found.refused}


EXPECTED = [
    "UNIQUE (order_id)",
    "UNIQUE (invoice)",
    "customer_id IS NOT NULL",
    "(customer_id) REFERENCES customers (id)",
    "invoice IS NOT NULL",
    "REGEXP_MATCHES(invoice, '^INV-[0-9]{5}$') NULLS PASS",
    "status IS NOT NULL",
    "status IN ('new', 'paid', 'sent') NULLS PASS",
    "quantity IS NOT NULL",
    "quantity BETWEEN 1 AND 5 NULLS PASS",
    "price IS NOT NULL",
    "price BETWEEN 0 AND 900 NULLS PASS",
    "ordered_at IS NOT NULL",
    "ordered_at <= now() + INTERVAL 1 DAY NULLS PASS",
    "ordered_at >= '2023-01-01' NULLS PASS",
    "shipped_at <= now() + INTERVAL 1 DAY NULLS PASS",
    "shipped_at >= '2023-01-01' NULLS PASS",
    "ordered_at <= shipped_at NULLS PASS",
]


def test_older_epochs_suggest_and_the_newest_try(orders: Shop) -> None:
    found = suggested(orders)
    assert (found.rows, found.epochs, found.held_out) == (6 * _ROWS, 6, 2)
    assert texts(found) == EXPECTED
    assert not found.refused
    assert all(each.tried.rows for each in found.offered)
    first = found.offered[0]
    assert (first.reason, first.tried.violations) == ("360 rows, all different", 0)
    # The same tables suggest the same.
    assert suggested(orders) == found


def test_what_is_applied_is_kept_and_not_suggested_again(orders: Shop) -> None:
    found = suggested(orders, apply=True)
    assert found.applied
    assert found.edit is not None
    file = orders.folder / "checks/orders.yml"
    assert file.read_text() == found.edit.after
    assert orders.problems() == []
    again = suggested(orders, apply=True)
    assert (again.offered, again.edit) == ((), None)
    assert file.read_text() == found.edit.after
    bring(orders, 8, status="snet", quantity=70, customer_id=999, shipped_at="2024-01-01 00:00:00")
    with qanat.open(orders.folder) as project:
        rules = {r.rule: r.violations for r in project.history("orders")[0].epochs[0].rules}
    broken = {name for name, violations in rules.items() if violations}
    assert broken == {
        "status_one_of",
        "quantity_between",
        "customer_id_references",
        "ordered_at_before_shipped_at",
    }


def test_what_fails_on_held_out_epochs_is_not_offered_but_something_laxer(orders: Shop) -> None:
    bring(orders, 8, status="lost", quantity=9, price=5000, invoice="none", customer_id=-5)
    found = suggested(orders, held_out=1)
    why = "1 of 60 rows violates it in the epoch held out"
    assert refused(found) == {
        "(customer_id) REFERENCES customers (id)": why,
        "REGEXP_MATCHES(invoice, '^INV-[0-9]{5}$') NULLS PASS": why,
        "length(invoice) = 9 NULLS PASS": why,
        "status IN ('new', 'paid', 'sent') NULLS PASS": why,
        "quantity BETWEEN 1 AND 5 NULLS PASS": why,
        "price BETWEEN 0 AND 900 NULLS PASS": why,
    }
    offered = texts(found)
    assert "quantity BETWEEN 0 AND 9 NULLS PASS" in offered
    assert "price >= 0 NULLS PASS" in offered


def test_the_rows_of_one_epoch_are_split(shop: Shop) -> None:
    lines = [order(n) for n in range(200)]
    lines[-1] = order(199, status="gone", order_id=1005)
    shop.file("in/orders.csv", HEAD + "\n".join(lines) + "\n")
    shop.run()
    found = suggested(shop)
    assert (found.rows, found.epochs, found.held_out) == (150, 1, 0)
    why = "1 of 50 rows violates it in the rows held out"
    assert refused(found) == {
        "UNIQUE (order_id)": why,
        "status IN ('new', 'paid', 'sent') NULLS PASS": why,
    }
    assert "quantity BETWEEN 1 AND 5 NULLS PASS" in texts(found)


def test_rows_in_quarantine_speak_against_no_check(orders: Shop) -> None:
    bring(orders, 8, order_id="", status="?")
    found = suggested(orders, held_out=1)
    assert "status IN ('new', 'paid', 'sent') NULLS PASS" in texts(found)


DECLARED = (
    "CONSTRAINT a EXPECT (quantity > 0 AND status IN ('new', 'paid', 'sent', 'lost')),\n"
    "  CONSTRAINT b EXPECT (shipped_at >= ordered_at) NULLS PASS,\n"
    "  CONSTRAINT c EXPECT UNIQUE (order_id),\n  CONSTRAINT known"
)


def test_declared_checks_and_what_follows_from_them_are_not_suggested(orders: Shop) -> None:
    orders.sql(SQL.replace("CONSTRAINT known", DECLARED, 1))
    orders.file(
        "checks/some.yml",
        "checks:\n- dataset: orders\n  checks:\n  - not_null: [price, invoice]\n"
        "    tolerate: 5 %\n  - references: {columns: customer_id, dataset: customers, "
        "target: id}\n",
    )
    offered = texts(suggested(orders))
    left = [text for text in EXPECTED if text not in offered]
    assert left == [
        "UNIQUE (order_id)",
        "(customer_id) REFERENCES customers (id)",
        "invoice IS NOT NULL",
        "status IS NOT NULL",  # a NULL would break the condition of `a`
        "status IN ('new', 'paid', 'sent') NULLS PASS",
        "quantity IS NOT NULL",
        "quantity BETWEEN 1 AND 5 NULLS PASS",
        "price IS NOT NULL",
        "ordered_at <= shipped_at NULLS PASS",
    ]
    # Of two bounds the one that nobody has declared.
    assert [text for text in offered if text not in EXPECTED] == ["quantity <= 5 NULLS PASS"]


CODES = """
CREATE MATERIALIZED VIEW codes AS
  SELECT n AS id, chr((65 + n % 26)::INT) || chr((97 + n % 13)::INT) AS pair, n % 90 * 1.5 AS wind
  FROM range(400) AS t (n);
"""


def test_lengths_and_conditions_for_known_values_are_recognised(shop: Shop) -> None:
    shop.sql(CODES)
    shop.run()
    offered = texts(suggested(shop, "codes"))
    assert {"length(pair) = 2 NULLS PASS", "wind BETWEEN 0 AND 300 NULLS PASS"} <= set(offered)
    known = "length(pair) = 2 AND (wind IS NULL OR wind BETWEEN 0 AND 150)"
    shop.sql(CODES.replace("codes AS", f"codes (CONSTRAINT a EXPECT ({known})) AS"))
    offered = texts(suggested(shop, "codes"))
    assert offered == ["UNIQUE (id)", "id IS NOT NULL", "wind IS NOT NULL"]


EXISTING = """\
# What the shop has agreed on.
checks:
  - dataset: orders   # not the others
    checks:
      # ask Ada before this is changed
      - not_null: [price]
        action: fail

  - dataset: customers
    checks: [{unique: id}]
# the end
"""


def test_what_is_in_a_file_stays(orders: Shop) -> None:
    file = orders.file("checks/orders.yml", EXISTING)
    found = suggested(orders, apply=True)
    assert "price IS NOT NULL" not in texts(found)
    written = file.read_text()
    kept = iter(written.splitlines())
    assert all(line in kept for line in EXISTING.splitlines())
    assert written.index("unique: order_id") < written.index("- dataset: customers")
    assert orders.problems() == []
    assert suggested(orders).offered == ()


def test_the_change_is_a_patch(orders: Shop) -> None:
    orders.file("checks/orders.yml", EXISTING)
    with qanat.open(orders.folder) as project:
        found = project.suggest()
        assert isinstance(found, Suggestions)
        assert str(found).count("+++ b/checks/") == 2
        assert "UNIQUE (order_id)" in found._repr_html_()
    subprocess.run(["git", "apply", "-"], cwd=orders.folder, input=found.diff.encode(), check=True)
    for each in found:
        if each.edit:
            assert (orders.folder / each.edit.path).read_text() == each.edit.after


def test_an_action_is_for_checks_of_rows_that_tolerate_none(orders: Shop) -> None:
    for day in range(8, 11):
        bring(orders, day)
    found = suggested(orders, apply=True, action="quarantine")
    actions = {each.expectation.name: str(each.expectation.action) for each in found.offered}
    assert actions.pop("enough_rows") == "warn"
    assert set(actions.values()) == {"quarantine"}
    bring(orders, 11, quantity=70)
    assert orders.quarantined("orders") == [(1000 + 11 * _ROWS + 3, ["quantity_between"])]


VIEWS = """
CREATE MATERIALIZED VIEW invoices AS SELECT invoice, price FROM orders;
CREATE MATERIALIZED VIEW buyers AS SELECT customer_id, count(*) AS n FROM orders GROUP BY ALL;
CREATE MATERIALIZED VIEW visits AS
  SELECT (order_id * 7) % 40 + 1 AS customer_id, invoice, ordered_at AS at FROM orders;
"""


def test_what_lists_things_is_a_target_and_no_sum_and_nothing_made_of_the_dataset(
    orders: Shop,
) -> None:
    orders.sql(SQL + VIEWS)
    orders.run()
    customers, invoices = "(customer_id) REFERENCES customers (id)", "invoices (invoice)"
    # Not totals and invoices, which are made of the orders.
    assert referring(orders, "orders") == [customers]
    # Not buyers either: who is there was taken from the orders.
    assert referring(orders, "visits") == [customers, f"(invoice) REFERENCES {invoices}"]


def referring(shop: Shop, dataset: str) -> list[str]:
    return [text for text in texts(suggested(shop, dataset)) if "REFERENCES" in text]


def test_datasets_with_few_rows_or_none_say_so(shop: Shop) -> None:
    found = suggested(shop)
    assert (found.offered, found.note) == (
        (),
        "orders has no table yet: nothing to read yet in in/orders*.csv",
    )
    shop.file("in/orders.csv", HEAD + order(1) + "\n")
    shop.run()
    assert suggested(shop).note == "1 row, and it takes 39"


def test_rows_that_are_merged_suggest_as_well(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE people;\n"
        "CREATE FLOW f AS AUTO CDC INTO people FROM STREAM read_files('in/*.csv', format =>"
        " 'csv', schema => 'id BIGINT, age BIGINT, seq BIGINT') KEYS (id) SEQUENCE BY seq;\n"
    )
    for seq in range(4):
        rows = [f"{n},{20 + (n + seq) % 40},{seq}" for n in range(seq * 5, seq * 5 + 80)]
        shop.file(f"in/{seq}.csv", "id,age,seq\n" + "\n".join(rows) + "\n")
        shop.run()
    found = suggested(shop, "people", apply=True)
    offered = texts(found)
    assert "UNIQUE (id)" not in offered  # it is kept by its key
    assert "age BETWEEN 0 AND 100 NULLS PASS" in offered
    assert shop.problems() == []
    shop.run()
    assert suggested(shop, "people").offered == ()


def test_two_checks_never_have_one_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        'CREATE MATERIALIZED VIEW t AS SELECT n AS a_id, n + 5 AS a, n % 3 AS "a_id_unique",'
        " 'x' AS b FROM range(200) AS s (n);\n"
        "CREATE MATERIALIZED VIEW u (CONSTRAINT a_id_unique EXPECT (a_id >= 0))"
        " AS SELECT * FROM t;"
    )
    shop.run()
    with qanat.open(shop.folder) as project:
        names = [
            [s.expectation.name for s in each.offered] for each in project.suggest(apply=True)
        ]
    assert all(len(set(each)) == len(each) for each in names)
    assert any("a_id_unique_2" in each for each in names)
    assert shop.problems() == []


def test_checks_are_written_in_the_dialect_of_the_project(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    shop.sql(
        "CREATE STREAMING TABLE t AS SELECT id AS `Line No`, code, CAST(at AS TIMESTAMP) AS"
        " `Made At` FROM STREAM read_files('in/*.csv', format => 'csv', header => true,"
        " schema => 'id BIGINT, code STRING, at STRING');\n"
    )
    for day in range(1, 4):
        rows = [f"{100 * day + n},A-{n:02},2024-01-0{day} 00:00:00" for n in range(50)]
        shop.file(f"in/{day}.csv", "id,code,at\n" + "\n".join(rows) + "\n")
        shop.run()
    found = suggested(shop, "t", apply=True)
    assert "`Made At` <= now() + INTERVAL 1 DAY NULLS PASS" in texts(found)
    assert shop.problems() == []
    shop.run()
    assert suggested(shop, "t").offered == ()


def test_the_command(orders: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    orders.file("in/orders08.csv", HEAD + order(480, status="lost") + "\n")
    orders.run()
    at = ["-C", str(orders.folder)]
    assert ended(["suggest", "orders", "--all", "--held-out", "1", *at]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("orders: ")
    assert "1 of 1 row violates it in the epoch held out" in shown
    assert "+      - unique: order_id\n" in shown
    assert not (orders.folder / "checks").exists()
    assert ended(["suggest", "orders", "--output", "json", *at]) == 0
    (document,) = json.loads(capfd.readouterr().out)["suggestions"]
    assert document["offered"][0]["text"] == "UNIQUE (order_id)"
    assert document["diff"].startswith("--- /dev/null\n+++ b/checks/orders.yml\n")
    assert ended(["suggest", "orders", "customers", "--apply", *at]) == 0
    assert capfd.readouterr().out.endswith("Wrote checks/orders.yml, checks/customers.yml.\n")
    assert ended(["validate", *at]) == 0
    capfd.readouterr()
    assert ended(["suggest", "ordres", *at]) == 2
    assert "orders" in capfd.readouterr().err
