"""Checks in Python, in `checks/*.yml` and in contracts: one meaning, wherever they are written."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qanat import check
from qanat.errors import BreakingChangeError
from qanat.model.expectation import Expectation
from qanat.project import Project
from qanat.project.opening import open_project
from tests.acceptance.projects import Shop

SOURCE = """SELECT * FROM STREAM read_files('data/*.csv',
  schema => 'id BIGINT, price DOUBLE, city VARCHAR, mail VARCHAR')"""
ROWS = "id,price,city,mail\n1,5,Oslo,a@b.no\n2,500,Bergen,ab\n3,7,Paris,c@d.fr\n,8,,e@f.no\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/1.csv", ROWS)
    return shop


def declared(shop: Shop, dataset: str = "orders") -> dict[str, Expectation]:
    """The expectations of a dataset, by name."""
    with open_project(shop.folder) as project:
        assert not project.validate().problems, project.validate().problems
        found = project.session.pipeline.dataset(dataset).expectations
    return {each.name: each for each in found}


def meaning(found: dict[str, Expectation]) -> dict[str, tuple[object, ...]]:
    """All that a check means, without where it was declared."""
    fields = ("rule", "action", "where", "nulls", "tolerance", "severity", "dimension", "owner")
    return {name: tuple(getattr(e, f) for f in fields) for name, e in found.items()}


def table(shop: Shop, head: str = "") -> None:
    shop.python(f'{head}@dp.table\ndef orders():\n    return """{SOURCE}"""\n')


SQL = f"""CREATE STREAMING TABLE orders (
  CONSTRAINT id_not_null EXPECT (id IS NOT NULL) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT price_between EXPECT (price BETWEEN 0 AND 100) WHERE (id > 0) TOLERATE 50 %
    WITH (severity = 'high', owner = 'ada', dimension = 'validity'),
  CONSTRAINT city_one_of EXPECT (city IN ('Oslo', 'Bergen')) NULLS PASS ON VIOLATION DROP ROW,
  CONSTRAINT id_unique EXPECT UNIQUE (id) ON VIOLATION FAIL UPDATE,
  CONSTRAINT row_count EXPECT EPOCH (count(*) BETWEEN 1 AND 9) ON VIOLATION FAIL UPDATE,
  CONSTRAINT price_mean EXPECT TABLE (avg(price) <= 1000)
) AS {SOURCE};"""
PYTHON = f'''from qanat import check, pipelines as dp
@dp.table
@dp.expect_or_quarantine("id_not_null", check.not_null("id"))
@dp.expect_all([
    check.between("price", 0, 100).where("id > 0").tolerate("50 %")
        .severity("high").owner("ada").dimension("validity"),
    check.one_of("city", ["Oslo", "Bergen"]).nulls_pass().drop(),
    check.row_count(1, 9, of="epoch").fail(),
    check.mean("price", max=1000),
])
@dp.expect_all_or_fail([check.unique("id")])
def orders():
    return """{SOURCE}"""
'''
YAML = """parameters: {most: 100}
checks:
  - dataset: ord*
    checks:
      - not_null: id
        action: quarantine
      - sql: price BETWEEN 0 AND ${most}
        name: price_between
        where: id > 0
        tolerate: 50 %
        severity: high
        owner: ada
        dimension: validity
      - one_of: {column: city, values: [Oslo, Bergen]}
        nulls: pass
        action: drop
  - dataset: orders
    action: fail
    checks:
      - unique: id
      - row_count: {min: 1, max: 9, of: epoch}
      - mean: {column: price, max: 1000}
        action: warn
"""


def test_sql_python_and_yaml_mean_the_same(shop: Shop) -> None:
    shop.sql(SQL)
    wanted = meaning(declared(shop))
    (shop.folder / "transformations/all.sql").unlink()
    shop.file("transformations/all.py", PYTHON)
    assert meaning(declared(shop)) == wanted
    table(shop)
    shop.file("checks/orders.yml", YAML)
    assert meaning(declared(shop)) == wanted
    assert declared(shop)["id_unique"].origin == "checks/orders.yml"


def test_checks_of_files_are_kept(shop: Shop) -> None:
    table(shop)
    shop.file("checks/orders.yml", YAML.replace("  - dataset: orders\n", "  - dataset: orders\n"))
    result = shop.run()["orders"]
    assert shop.quarantined("orders") == [(None, ["id_not_null"])]
    assert [row[0] for row in shop.rows("orders")] == [1, 2]
    assert result.counts.dropped == 1


def test_rules_are_rows_of_a_file(shop: Shop) -> None:
    table(shop)
    shop.file("checks/all.yml", "checks:\n  - rules: rules.csv\n")
    shop.file(
        "checks/rules.csv",
        "name,dataset,rule,action,tags\n"
        'has_id,orders,id IS NOT NULL,quarantine,"a, b"\n'
        "one,ord*,UNIQUE (id) TOLERATE 3 ROWS,warn,\n",
    )
    found = declared(shop)
    assert found["has_id"].tags == ("a", "b")
    assert str(found["one"].tolerance) == "3 rows"
    shop.file("checks/rules.csv", "name,dataset,rule\nhas_id,order,id IS NOT NULL\n")
    assert [str(p.location) for p in shop.validation().problems] == ["checks/rules.csv:2"]


def test_rules_are_rows_of_parquet(shop: Shop) -> None:
    shop.sql("CREATE MATERIALIZED VIEW orders AS SELECT 1 AS id;")
    shop.file("checks/all.yml", "checks:\n  - rules: rules.parquet\n")
    path = shop.folder / "checks" / "rules.parquet"
    rules = [
        {"name": "small", "dataset": "orders", "rule": "id < 1", "tags": ["a", "b"]},
        {"name": "known", "dataset": "orders", "rule": "id > 0", "tags": None},
    ]
    pq.write_table(pa.Table.from_pylist(rules), path)
    found = {r.rule: r.violations for r in shop.run()["orders"].rules}
    assert found == {"small": 1, "known": 0}
    path.write_bytes(b"no Parquet")
    assert [str(p.location) for p in shop.validation().problems] == ["checks/rules.parquet"]


def test_tags_choose_datasets(shop: Shop) -> None:
    shop.sql(f"CREATE STREAMING TABLE orders TBLPROPERTIES ('qanat.tags' = 'gold') AS {SOURCE};")
    shop.file("checks/all.yml", "checks: [{tagged: gold, checks: [{not_null: id}]}]")
    assert list(declared(shop)) == ["id_not_null"]
    shop.file("checks/all.yml", "checks: [{tagged: golt, checks: [{not_null: id}]}]")
    (problem,) = shop.validation().problems
    assert (problem.nearest, str(problem.location)) == ("gold", "checks/all.yml:1:19")


@pytest.mark.parametrize(
    ("wrong", "nearest", "place"),
    [
        ("{not_nul: id}", "not_null", "3:17"),
        ("{not_null: id, actoin: fail}", "action", "3:31"),
        ("{not_null: id, action: fial}", "fail", "3:39"),
        ("{between: {column: price, mni: 1}}", "min", "3:42"),
        ("{not_null: id, severity: hihg}", "high", "3:41"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    shop: Shop, wrong: str, nearest: str, place: str
) -> None:
    table(shop)
    shop.file("checks/all.yml", f"checks:\n- dataset: orders\n  checks:     [{wrong}]\n")
    (problem,) = shop.validation().problems
    assert (problem.nearest, str(problem.location)) == (nearest, f"checks/all.yml:{place}")


def test_an_action_has_to_fit(shop: Shop) -> None:
    table(shop)
    shop.file(
        "checks/all.yml",
        "checks: [{dataset: orders, checks: [{row_count: {min: 1}, action: drop}]}]",
    )
    (problem,) = shop.validation().problems
    assert "no single row breaks it" in str(problem)


def test_a_check_is_immutable() -> None:
    first = check.not_null("id")
    assert first.fail() != first
    assert repr(first.fail()) == "check.not_null(columns=['id']).fail()"


CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.2.0
status: active
team: {name: shop, members: [{username: ada, role: owner}]}
schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer, physicalType: BIGINT, primaryKey: true}
      - name: price
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 1000}
        quality:
          - {metric: nullValues, mustBeLessThan: 5, unit: percent, severity: warning}
      - name: mail
        logicalType: string
        quality:
          - {metric: duplicateValues, mustBe: 0}
          - {metric: missingValues, arguments: {missingValues: ["", n/a]}, mustBe: 0}
          - {metric: invalidValues, arguments: {pattern: "@"}, mustBe: 0, name: At}
    quality:
      - {metric: rowCount, mustBeGreaterOrEqualTo: 1}
      - type: sql
        name: cheap
        query: SELECT COUNT(*) FROM ${object} WHERE price > 900
        mustBe: 0
      - {type: sql, name: total, query: "SELECT sum(price) FROM orders", mustBeBetween: [0, 9]}
      - {type: text, description: All is well}
      - {type: custom, engine: soda, implementation: "x"}
slaProperties:
  - {property: freshness, value: 2, unit: d, element: orders.id}
"""


def test_a_contract_binds_its_dataset(shop: Shop) -> None:
    table(shop)
    shop.file("contracts/orders.odcs.yaml", CONTRACT)
    found = {name: f"{each.text} {each.action}" for name, each in declared(shop).items()}
    share = "coalesce(100.0 * count(*) FILTER (WHERE price IS NULL) / nullif(count(*), 0), 0) < 5"
    assert found == {
        "id_not_null": "id IS NOT NULL fail",
        "price_not_null": "price IS NOT NULL fail",
        "price_between": "price BETWEEN 0 AND 1000 NULLS PASS fail",
        "price_null_values": f"TABLE ({share}) warn",
        "mail_unique": "UNIQUE (mail) fail",
        "mail_not_missing": "mail IS NOT NULL AND mail NOT IN ('', 'n/a') fail",
        "at": "REGEXP_MATCHES(mail, '@') NULLS PASS fail",
        "id_unique": "UNIQUE (id) fail",
        "contract_columns": "COLUMNS (id bigint, price, mail) fail",
        "row_count": "TABLE (count(*) >= 1) fail",
        "cheap": "NOT (price > 900) NULLS PASS fail",
        "total": "TABLE (SUM(price) BETWEEN 0 AND 9) fail",
        "id_fresh": "FRESH (id) WITHIN 2 DAYS fail",
    }
    assert declared(shop)["id_unique"].owner == "ada"
    notes = [note.split(": ", 1)[1] for note in shop.validation().notes]
    assert notes == [
        "All is well (of orders): it is text, for people",
        "a quality rule (of orders): it is for the engine soda",
    ]


def test_a_property_of_a_contract_may_say_what_becomes_of_its_rows(shop: Shop) -> None:
    table(shop)
    said = "customProperties: [{property: qanat.action, value: quarantine}]"
    contract = CONTRACT.replace("primaryKey: true}", f"primaryKey: true, {said}}}")
    shop.file("contracts/orders.odcs.yaml", contract)
    found = {name: str(each.action) for name, each in declared(shop).items()}
    assert found["id_not_null"] == found["id_unique"] == "quarantine"
    assert found["price_not_null"] == found["contract_columns"] == "fail"


def test_a_contract_is_as_the_standard_has_it(shop: Shop) -> None:
    table(shop)
    wrong = CONTRACT.replace("logicalType: number", "logicaltype: number")
    shop.file("contracts/orders.odcs.yaml", wrong)
    (problem,) = shop.validation().problems
    assert problem.nearest == "logicalType"
    assert str(problem.location) == "contracts/orders.odcs.yaml:12:9"


@pytest.mark.parametrize(
    ("source", "head", "told"),
    [
        (SOURCE.replace("*", "id, price", 1), "", "orders.mail is gone"),
        (SOURCE.replace("*", "id::INT AS id, price, mail", 1), "", "the type of orders.id is now"),
        (SOURCE, "@dp.expect('id_not_null', 'id IS NOT NULL')\n", "only warns"),
        (
            SOURCE,
            "@dp.expect_or_fail('id_not_null', 'id IS NOT NULL OR price > 1')\n",
            "is another rule",
        ),
    ],
)
def test_what_breaks_a_contract_is_told(shop: Shop, source: str, head: str, told: str) -> None:
    shop.file("contracts/orders.odcs.yaml", CONTRACT)
    shop.python(f'@dp.table\n{head}def orders():\n    return """{source}"""\n')
    problems = shop.validation().problems
    assert [type(p) for p in problems] == [BreakingChangeError]
    assert told in str(problems[0])


def test_a_tighter_range_keeps_the_contract(shop: Shop) -> None:
    shop.file("contracts/orders.odcs.yaml", CONTRACT)
    rule = "@dp.expect_or_fail('price_between', 'price BETWEEN 1 AND 9')\n"
    shop.python(f'@dp.table\n{rule}def orders():\n    return """{SOURCE}"""\n')
    assert not shop.problems()


def exported(shop: Shop) -> str:
    project: Project
    with open_project(shop.folder) as project:
        return project.export_contract("orders")


def test_an_exported_contract_has_the_same_checks(shop: Shop) -> None:
    shop.sql(SQL)
    wanted = meaning(declared(shop))
    shop.file("contracts/orders.odcs.yaml", exported(shop))
    shop.sql(f"CREATE STREAMING TABLE orders AS {SOURCE};")
    found = meaning(declared(shop))
    del found["contract_columns"]
    assert found == wanted


def drawn(seed: int) -> str:
    """A table with checks of all kinds, each with anything that may be said of it."""
    chance = random.Random(seed)  # noqa: S311
    rows = [
        "(id IS NOT NULL)",
        "(price IS NOT NULL AND price NOT IN (0.0, 9.5))",
        "(price BETWEEN 0 AND 100.5)",
        "(price > 0)",
        "(city IN ('Oslo', 'It''s', 'a b'))",
        "(city NOT IN ('x', '%'))",
        "(regexp_matches(mail, '^[^@]+@\\d+\\.no$'))",
        "(NOT regexp_matches(mail, ' '))",
        "(length(city) BETWEEN 1 AND 9)",
        "(price <= id)",
        "(CASE WHEN city = 'Oslo' THEN price > 1 ELSE id > 2 END)",
        "(price <> 5 OR city LIKE '%''%')",
        "(coalesce(price, 0) >= 0 AND NOT (id IS NULL))",
        "UNIQUE (id)",
        "UNIQUE (id, city)",
        "INCREASING (id)",
        "STRICTLY DECREASING (price)",
    ]
    tables = [
        "TABLE (count(*) >= 1)",
        "TABLE (count(*) BETWEEN 1 AND 9)",
        "EPOCH (count(*) = 4)",
        "TABLE (avg(price) <= 1000)",
        "TABLE (sum(price) BETWEEN 0 AND 9e5)",
        "EPOCH (count(DISTINCT city) > 1 AND max(price) < 1e6)",
        "COLUMNS (id bigint, price) IN ORDER",
    ]
    written = []
    for number, rule in enumerate(chance.sample(rows, 12) + chance.sample(tables, 5)):
        of_rows = rule in rows
        text = f"CONSTRAINT c{number} EXPECT {rule}"
        if of_rows and chance.random() < 0.3:
            text += " WHERE (id > 0 AND city <> 'it''s')"
        never_null = ("UNIQUE", "INCR", "STRICT", "COL", "TABLE (count", "EPOCH (count(*)")
        if not rule.startswith(never_null) and chance.random() < 0.4:
            text += " NULLS PASS"
        if of_rows and chance.random() < 0.4:
            text += chance.choice([" TOLERATE 5 %", " TOLERATE 12.5 %", " TOLERATE 3 ROWS"])
        said = {
            "severity": chance.choice(["low", "high", "critical"]),
            "owner": "ada@example.com",
            "dimension": chance.choice(["completeness", "validity", "timeliness"]),
            "comment": "it''s: so # much",
            "tags": "a, b c",
        }
        some = chance.sample([*said], chance.randint(0, 5))
        if some:
            listed = ", ".join(f"{key} = '{said[key]}'" for key in some)
            text += f" WITH ({listed})"
        actions = ["FAIL UPDATE", "DROP ROW", "QUARANTINE ROW"] if of_rows else ["FAIL UPDATE"]
        if chance.random() < 0.7:
            text += f" ON VIOLATION {chance.choice(actions)}"
        written.append(text)
    inner = ",\n  ".join(written)
    return f"CREATE STREAMING TABLE orders (\n  {inner}\n) AS {SOURCE};"


@pytest.mark.parametrize("seed", range(6))
def test_any_checks_come_back_from_a_contract_as_they_were(shop: Shop, seed: int) -> None:
    shop.sql(drawn(seed))
    wanted = declared(shop)
    shop.file("contracts/orders.odcs.yaml", exported(shop))
    shop.sql(f"CREATE STREAMING TABLE orders AS {SOURCE};")
    found = declared(shop)  # it is as the standard's schema has it, or that would be a problem
    del found["contract_columns"]
    for name, expectation in wanted.items():
        again = found.pop(name)
        # Names of functions may come in capitals.
        assert str(again.rule).lower() == str(expectation.rule).lower()
        assert replace(again, rule=expectation.rule, location=None, origin=None) == replace(
            expectation, location=None
        )
    assert not found


NEWER = (
    CONTRACT.replace("maximum: 1000", "maximum: 2000")
    .replace("physicalType: BIGINT", "physicalType: INTEGER")
    .replace("      - {metric: rowCount, mustBeGreaterOrEqualTo: 1}\n", "")
    .replace("required: true", "required: false")
    .replace("mustBeBetween: [0, 9]", "mustBeBetween: [0, 9], severity: info")
    .replace("{property: freshness, value: 2", "{property: freshness, value: 1")
    .replace(
        "- name: mail", "- {name: town, logicalType: string, required: true}\n      - name: mail"
    )
)


def test_two_versions_of_a_contract_are_compared(shop: Shop) -> None:
    table(shop)
    old = shop.file("old.yaml", CONTRACT)
    with open_project(shop.folder) as project:
        same = project.compare_contracts(old, old)
        found = project.compare_contracts(old, shop.file("new.yaml", NEWER))
        back = project.compare_contracts(shop.folder / "new.yaml", old)
    assert (same.changes, same.breaks) == ((), False)
    assert [c.what.split(":")[0] for c in found.changes if c.breaking] == [
        "the type of id is int, and was bigint",
        "price_not_null is gone",
        "price_between lets more pass",
        "row_count is gone",
        "total lets more pass",
    ]
    assert [c.what.split(":")[0] for c in found.changes if not c.breaking] == [
        "column town is new",
        "id_fresh is stricter",
        "town_not_null is new",
    ]
    assert [c.what.split(":")[0] for c in back.changes if not c.breaking] == [
        "price_between is stricter",
        "total is stricter",
        "price_not_null is new",
        "row_count is new",
    ]


DEEP = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - name: price
        logicalType: number
        logicalTypeOptions: {exclusiveMinimum: 0, maximum: 1000}
      - {name: mail, logicalType: string, logicalTypeOptions: {maxLength: 50}}
      - name: state
        logicalType: string
        quality: [{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}]
      - {name: place, logicalType: object, properties: [{name: x, logicalType: integer}]}
      - {name: parts, logicalType: array, items: {logicalType: integer}}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 10}
      - {type: sql, name: cheap, query: "SELECT COUNT(*) FROM orders WHERE price > 9", mustBe: 0}
"""


@pytest.mark.parametrize(
    ("old", "new", "there", "back"),
    [
        ("maxLength: 50", "maxLength: 40", [], ["mail_length lets more pass"]),
        ("[a, b]", "[b, a]", [], []),
        ("[a, b]", "[a]", [], ["state_one_of lets more pass"]),
        ("[a, b]", "[A, b]", ["state_one_of is another rule"], ["state_one_of is another rule"]),
        ("Than: 10", "Than: 50", [], ["row_count lets more pass"]),
        ("Than: 10", "OrEqualTo: 11", ["row_count is another rule"], None),
        ("name: cheap", "name: dear", [], []),
        ("name: state", "name: STATE", [], []),
        ("{name: x, logicalType: integer}", "{name: y, logicalType: integer}",
         ["column place.x is gone"], ["column place.y is gone"]),
        ("x, logicalType: integer", "x, logicalType: string",
         ["the type of place.x is string, and was integer"], None),
        ("items: {logicalType: integer}", "items: {logicalType: date}",
         ["the type of parts[] is date, and was integer"], None),
        (" maximum: 1000", " maximum: 999.5", [], ["price_max lets more pass"]),
        ("exclusiveMinimum: 0", "exclusiveMinimum: 1", [], ["price_min lets more pass"]),
    ],
)  # fmt: skip
def test_only_what_lets_more_pass_breaks_a_contract(
    shop: Shop, old: str, new: str, there: list[str], back: list[str] | None
) -> None:
    table(shop)
    one, other = shop.file("old.yaml", DEEP), shop.file("new.yaml", DEEP.replace(old, new))
    with open_project(shop.folder) as project:
        found = project.compare_contracts(one, other)
        reverse = project.compare_contracts(other, one)
    assert [c.what.split(":")[0] for c in found.changes if c.breaking] == there
    if back is not None:
        assert [c.what.split(":")[0] for c in reverse.changes if c.breaking] == back


def test_each_end_of_a_range_belongs_to_it_or_not(shop: Shop) -> None:
    table(shop)
    limits = "{exclusiveMinimum: 0, maximum: 1000}"
    contract = CONTRACT.replace("{minimum: 0, maximum: 1000}", limits)
    shop.file("contracts/orders.odcs.yaml", contract)
    found = declared(shop)
    assert found["price_min"].text == "price > 0 NULLS PASS"
    assert found["price_max"].text == "price <= 1000 NULLS PASS"


def test_a_value_in_other_letters_is_another_value(shop: Shop) -> None:
    contract = CONTRACT.replace("@", "A")
    shop.file("contracts/orders.odcs.yaml", contract)
    rule = "@dp.expect_or_fail('at', \"REGEXP_MATCHES(MAIL, 'a')\")\n"
    shop.python(f'@dp.table\n{rule}def orders():\n    return """{SOURCE}"""\n')
    (problem,) = shop.validation().problems
    assert "is another rule" in str(problem)
