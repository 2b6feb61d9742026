"""A project's life at the command line, from `init` to replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qanat.run.look import history
from qanat.run.session import Session

FEBRUARY = "order_id,customer_id,ordered_on,amount\n9,4,2026-02-02,10.00\n"


@pytest.fixture
def shop(transcript: Any) -> Any:
    """A terminal in a new project; `init` has a transcript of its own."""
    assert transcript.type("qanat init .") == 0
    transcript.text = ""
    return transcript


def test_validate(shop: Any) -> None:
    assert shop.type("qanat validate") == 0
    assert shop.type("qanat validate --output json") == 0


def test_plan(shop: Any) -> None:
    assert shop.type("qanat plan") == 0
    assert not (shop.folder / "storage").exists()
    assert shop.type("qanat run --dry-run --select silver_orders --output json") == 0


def test_run(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    assert shop.type("qanat run") == 0
    shop.file("data/orders/2026-02.csv", FEBRUARY)
    assert shop.type("qanat plan") == 0
    assert shop.type("qanat run") == 0
    assert shop.type("qanat show revenue_by_city") == 0


def test_show_without_a_name(shop: Any) -> None:
    assert shop.type("qanat show") == 0
    assert shop.type("qanat run") == 0
    assert shop.type("qanat show") == 0
    assert shop.type("qanat show --output json") == 0
    assert shop.type("qanat show --schema") == 2


def test_run_as_json(shop: Any) -> None:
    assert shop.type("qanat run --select +silver_orders --output json") == 0
    assert shop.type("qanat run --select +silver_orders --output json") == 0


def test_changed_query(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    gold = shop.folder / "transformations/gold.sql"
    gold.write_text(gold.read_text().replace("count(*)", "count(DISTINCT o.order_id)"))
    silver = shop.folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("amount > 0", "amount >= 0"))
    assert shop.type("qanat plan") == 0
    assert shop.type("qanat run --full-refresh silver_orders") == 0


def test_show(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat show silver_orders") == 0
    assert shop.type("qanat show silver_orders --limit 1") == 0
    assert shop.type("qanat show silver_orders --where 'amount > 200'") == 0
    assert shop.type("qanat show silver_orders --schema") == 0
    assert shop.type("qanat show ranking --output json") == 0
    assert shop.type("qanat show silver_order") == 2
    assert shop.type("qanat show silver_orders --limit 0") == 2


def test_lineage(shop: Any) -> None:
    assert shop.type("qanat lineage ranking") == 0
    assert shop.type("qanat lineage revenue_by_city.revenue") == 0
    assert shop.type("qanat lineage revenue_by_city --format mermaid") == 0
    assert shop.type("qanat lineage silver_orders --output json") == 0
    assert shop.type("qanat lineage rankin") == 2


def test_history(shop: Any) -> None:
    assert shop.type("qanat history") == 0
    assert shop.type("qanat run --select +silver_orders") == 0
    shop.text = ""
    assert shop.type("qanat history") == 0
    assert shop.type("qanat history silver_orders --output json") == 0


def test_history_of_an_update(shop: Any) -> None:
    assert shop.type("qanat run --select +silver_orders") == 0
    silver = shop.folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("QUARANTINE ROW", "FAIL UPDATE"))
    assert shop.type("qanat run --full-refresh silver_orders") == 1
    with Session.open(shop.folder) as workspace:
        second, first = (entry.update.id for entry in history(workspace))
    shop.text = ""
    assert shop.type(f"qanat history --update {first}") == 0
    assert shop.type(f"qanat history --update {second}") == 0
    assert shop.type("qanat history --update last silver_orders") == 0
    assert shop.type(f"qanat history customers --update {first} --output json") == 0
    assert shop.type("qanat history --update latest") == 2


def test_rename(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    for path in (shop.folder / "transformations").glob("*.sql"):
        path.write_text(path.read_text().replace("bronze_orders", "raw_orders"))
    assert shop.type("qanat plan --select raw_orders --select silver_orders") == 2
    assert shop.type("qanat rename bronze_order raw_orders") == 2
    assert shop.type("qanat rename silver_orders raw_orders") == 2
    assert shop.type("qanat rename bronze_orders silver_orders") == 2
    assert shop.type("qanat rename bronze_orders bronze_orders") == 2
    assert shop.type("qanat rename bronze_orders raw_order") == 2
    assert shop.type("qanat rename bronze_orders raw_orders -e prod") == 2
    assert shop.type("qanat rename bronze_orders raw_orders --output json") == 0
    assert shop.type("qanat plan") == 0
    assert shop.type("qanat history") == 0


def test_drop(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat drop ranking --yes") == 2
    (shop.folder / "transformations/ranking.py").unlink()
    assert shop.type("qanat plan") == 0
    assert shop.type("qanat drop rankin --yes") == 2
    assert shop.type("qanat drop ranking") == 2
    assert shop.type("qanat drop ranking --yes") == 0
    assert shop.type("qanat drop ranking --yes") == 2
    text = (shop.folder / "transformations/bronze.sql").read_text()
    (shop.folder / "transformations/bronze.sql").write_text("")
    assert shop.type("qanat drop bronze_orders") == 2
    (shop.folder / "transformations/bronze.sql").write_text(text)


def test_quarantine(shop: Any) -> None:
    assert shop.type("qanat quarantine list") == 0
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat quarantine list") == 0
    assert shop.type("qanat quarantine show silver_orders") == 0
    assert shop.type("qanat quarantine show silver_orders --rule one_per_order") == 0
    silver = shop.folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("amount > 0", "amount > -5"))
    assert shop.type("qanat quarantine replay silver_orders") == 0
    assert shop.type("qanat quarantine replay silver_orders") == 0
    assert shop.type("qanat quarantine replay --output json") == 0
    assert shop.type("qanat quarantine lst") == 2
    assert shop.type("qanat quarantine export silver_orders rows.csv") == 0
    assert len((shop.folder / "rows.csv").read_text().splitlines()) == 3
    assert shop.type("qanat quarantine export silver_orders rows.xls") == 2
    one = "qanat quarantine discard silver_orders"
    assert shop.type(f"{one} --rule one_per_order") == 2
    assert shop.type(f"{one} --where 'ammount = 0' --yes") == 2
    assert shop.type(f"{one} --where 'amount = 0' --yes --output json") == 0
    assert shop.type(f"{one} --rule one_per_order --yes") == 0
    assert shop.type(f"{one} --yes") == 0
    assert shop.type("qanat history") == 0


def test_row_errors(shop: Any) -> None:
    """Rows that a query cannot compute stop no others, and come back once it can."""
    assert shop.type("qanat run") == 0
    shop.text = ""
    gold = (
        "CREATE STREAMING TABLE priced AS\n"
        "SELECT order_id, CAST({} AS TINYINT) AS cents FROM STREAM silver_orders;\n"
    )
    shop.file("transformations/gold.sql", gold.format("amount * 10"))
    assert shop.type("qanat run --select priced") == 0
    assert shop.type("qanat quarantine show priced") == 0
    assert shop.type("qanat quarantine replay priced") == 0
    shop.file("transformations/gold.sql", gold.format("least(amount, 12) * 10"))
    assert shop.type("qanat quarantine replay priced") == 0
    assert shop.type("qanat show priced") == 0


def test_expectations(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat test") == 0
    silver = shop.folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("amount > 0", "amount > 10"))
    assert shop.type("qanat test") == 1
    assert shop.type("qanat test --select silver_orders --output json") == 1


def test_query(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    by_customer = "SELECT customer_id, count(*) AS orders, sum(amount) AS total FROM silver_orders"
    by_customer += " GROUP BY ALL ORDER BY total DESC"
    assert shop.type(f"qanat query '{by_customer}'") == 0
    assert shop.type(f"qanat query '{by_customer}' --limit 1") == 0
    assert shop.type(f"qanat query '{by_customer}' --output json --limit 1") == 0
    assert shop.type(f"qanat query '{by_customer}' --output csv") == 0
    rules = "SELECT order_id, _quarantine_rules FROM silver_orders__quarantine ORDER BY ALL"
    assert shop.type(f"qanat query '{rules}' --output csv --limit 1") == 0
    shop.file("data/orders/2026-02.csv", FEBRUARY)
    before = shop.text
    assert shop.type("qanat run --select +silver_orders") == 0
    shop.text = before
    counts = "SELECT count(*) AS n FROM silver_orders"
    assert shop.type(f"qanat query '{counts}'") == 0
    assert shop.type(f"qanat query '{counts} VERSION AS OF 0'") == 0
    assert shop.type("qanat query 'FROM silver_orders' --output parquet --to orders.parquet") == 0
    assert shop.type("qanat query 'FROM silver_orders' --output csv --to orders.csv") == 0
    lines = (shop.folder / "orders.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("order_id,customer_id,ordered_on,amount", 7)
    assert not list(shop.folder.glob(".*.part"))


def test_query_mistakes(shop: Any) -> None:
    assert shop.type("qanat run --select +silver_orders") == 0
    shop.text = ""
    assert shop.type("qanat query 'SELECT amont FROM silver_orders'") == 2
    assert shop.type("qanat query 'SELECT *\n  FROM slver_orders'") == 2
    assert shop.type("qanat query 'SELECT * FROM silver_orders WHERE order_id = 1 AND'") == 2
    assert shop.type("qanat query 'DROP TABLE silver_orders'") == 2
    assert shop.type("qanat query 'SELECT 1; SELECT 2'") == 2
    assert shop.type("qanat query 'FROM silver_orders VERSION AS OF 7'") == 1
    assert shop.type("qanat query 'FROM silver_orders' --output parquet") == 2
    assert shop.type("qanat query 'FROM slver_orders' --output json") == 2
    assert shop.type("qanat query 'FROM silver_orders' --output csv --to nowhere/x.csv") == 2


def test_profile(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat profile silver_orders") == 0


def test_suggest(shop: Any) -> None:
    (shop.folder / "transformations/stock.sql").write_text(
        "CREATE MATERIALIZED VIEW stock AS SELECT n AS id, CASE WHEN n < 90 THEN n % 4 ELSE n END"
        " AS shelf, 'A-' || (1000 + n * 37) AS item FROM range(100) AS t (n);\n"
    )
    assert shop.type("qanat run") == 0
    shop.text = ""
    assert shop.type("qanat suggest stock --all") == 0
    assert shop.type("qanat suggest stock --apply --action quarantine") == 0
    assert shop.type("qanat suggest stock silver_orders") == 0
    assert shop.type("qanat suggest stok") == 2
    assert shop.type("qanat suggest --action stop") == 2


def test_environments(shop: Any) -> None:
    assert shop.type("qanat run --env prod --select customers") == 0
    assert shop.type("qanat history") == 0
    assert shop.type("qanat run --env prd") == 2


def test_hints_in_an_environment(shop: Any) -> None:
    assert shop.type("qanat run -e prod") == 0
    for path in (shop.folder / "transformations").iterdir():
        path.write_text(path.read_text().replace("silver_orders", "silver"))
    shop.text = ""
    assert shop.type("qanat plan -e prod --select silver") == 2
    assert shop.type("qanat run --env=prod -C transformations") == 2
    assert shop.type("qanat run -eprod --dry-run") == 2


def test_environment_that_reads_from_another(shop: Any) -> None:
    spec = shop.folder / "qanat.yml"
    spec.write_text(f"{spec.read_text()}  dev:\n    from: prod\n")
    assert shop.type("qanat run --env prod --select +silver_orders") == 0
    shop.text = ""
    assert shop.type("qanat plan --select revenue_by_city") == 0
    assert shop.type("qanat run --select revenue_by_city") == 0
    assert shop.type("qanat show silver_orders --limit 1") == 0
    assert shop.type("qanat lineage revenue_by_city") == 0
    assert shop.type("qanat plan --select revenue_by_city --output json") == 0
    assert shop.type("qanat run --full-refresh silver_orders --select bronze_orders") == 0
    assert shop.type("qanat drop silver_orders --yes") == 0
    assert shop.type("qanat drop silver_orders --yes") == 2
    assert shop.type("qanat run --select revenue_by_city") == 0


def test_promote(shop: Any) -> None:
    spec = shop.folder / "qanat.yml"
    spec.write_text(f"{spec.read_text()}  dev:\n    from: prod\n")
    assert shop.type("qanat run --env prod") == 0
    gold = shop.folder / "transformations/gold.sql"
    gold.write_text(gold.read_text().replace("count(*)", "count(DISTINCT o.order_id)"))
    shop.text = ""
    assert shop.type("qanat promote revenue_by_city --env prod --from dev") == 2
    assert shop.type("qanat run --select revenue_by_city") == 0
    assert shop.type("qanat promote revenue_by_city --env prod --from dev --dry-run") == 0
    assert shop.type("qanat promote revenue_by_city --env prod --from dev") == 0
    assert shop.type("qanat run --env prod") == 0
    assert shop.type("qanat promote revenue_by_city --env prod --from dev --output json") == 0
    gold.write_text(gold.read_text().replace("DISTINCT", ""))
    assert shop.type("qanat promote revenue_by_city --env prod --from dev") == 2
    assert shop.type("qanat promote silver_orders --env prod --from dev") == 2
    assert shop.type("qanat promote revenue_by_city --env prod --from prd") == 2
    assert shop.type("qanat promote revenue_by_city --from dev") == 2
    assert shop.type("qanat history --env prod --limit 2") == 0


def test_continuous(shop: Any) -> None:
    assert shop.type("qanat run --continuous --full-refresh") == 2
    assert shop.type("qanat run --metrics 9464") == 2
    assert shop.type("qanat run --continuous --metrics everywhere") == 2


def test_pause(shop: Any) -> None:
    assert shop.type("qanat run") == 0
    assert shop.type("qanat pause") == 0
    assert shop.type("qanat pause silver_order") == 2
    assert shop.type("qanat pause silver_orders --reason 'the shop is being moved'") == 0
    assert shop.type("qanat run") == 0
    assert shop.type("qanat plan --select silver_orders") == 0
    assert shop.type("qanat pause --output json") == 0
    assert shop.type("qanat resume silver_orders") == 0
    assert shop.type("qanat resume --output json") == 0


SCHEDULES = """\
name: shop
schedules:
  yearly: {cron: 0 0 1 1 *, select: silver_orders}
  report: {after: yearly, timezone: Europe/Berlin, done_by: 06:00}
"""
WRONG_SCHEDULES = """\
name: shop
schedules:
  a: {cron: 61 * * * *}
  b: {evry: 1 hour}
  c: {every: 1 hour, timezone: Europe/Berlim}
  d: {after: e}
"""


def test_schedules(shop: Any) -> None:
    assert shop.type("qanat schedules list") == 0
    assert shop.type("qanat serve --once") == 0
    shop.file("qanat.yml", SCHEDULES)
    assert shop.type("qanat serve --once") == 0
    assert shop.type("qanat schedules runs") == 0
    assert shop.type("qanat schedules pause yearli") == 2
    assert shop.type("qanat schedules runs daily") == 2
    assert shop.type("qanat export airflow --schedule yearly") == 2
    assert shop.type("qanat show") == 0
    assert shop.type("qanat schedules pause yearly --reason 'the shop is being moved'") == 0
    assert shop.type("qanat schedules list --output json") == 0
    assert shop.type("qanat schedules resume yearly") == 0
    assert shop.type("qanat schedules resume --output json") == 0
    shop.file("qanat.yml", WRONG_SCHEDULES)
    assert shop.type("qanat validate") == 2


def test_doctor(terminal: Any) -> None:
    assert terminal.type("qanat doctor") == 0
    assert terminal.type("qanat init .") == 0
    terminal.text = ""
    assert terminal.type("qanat doctor --output json") == 0
    document = json.loads(terminal.text.partition("\n")[2])
    assert document["healthy"]
    assert {f["level"] for f in document["findings"]} <= {"ok", "absent", "warning"}
    terminal.file("qanat.yml", "nme: x\n")
    assert terminal.type("qanat doctor") == 2
    found = [line for line in terminal.text.splitlines() if " project: " in line]
    assert found[-2:] == [
        "✗ project: qanat.yml: 'name' is missing; wanted: name: …",
        "✗ project: qanat.yml:1:1: unknown key 'nme' (did you mean 'name'?)",
    ]


def test_a_pattern_that_matches_nothing(shop: Any) -> None:
    (shop.folder / "transformations/more.sql").write_text(
        "CREATE STREAMING TABLE o AS SELECT * FROM STREAM read_files('data/orders/*.csvv');\n"
    )
    assert shop.type("qanat plan --select o") == 0
    assert shop.type("qanat run --select o") == 0
    assert shop.type("qanat show o") == 1


def test_logs(terminal: Any) -> None:
    assert terminal.type("qanat init .") == 0
    terminal.text = ""
    assert terminal.type("qanat run --log-format json --output json --select customers") == 0
    lines = terminal.text.splitlines()[1:]
    events = [json.loads(line) for line in lines if line.startswith('{"ts"')]
    names = [e["event"] for e in events]
    assert names[0] == "update_started"
    assert names[-1] == "update_ended"
    assert "epoch_committed" in names


def test_a_reader_who_leaves(terminal: Any, tmp_path: Path) -> None:
    """`qanat show … | head -1`: no traceback, and the exit code is the command's own."""
    assert terminal.type("qanat init .") == 0
    assert terminal.type("qanat run") == 0
    process = terminal.start("qanat show silver_orders --output json")
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_a_sub_folder_is_in_the_project(terminal: Any) -> None:
    assert terminal.type("qanat init shop") == 0
    assert terminal.type("qanat validate -C shop/transformations") == 0
