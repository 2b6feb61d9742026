"""Many mistakes of one kind in one project: each is found at its place, all at once."""

from __future__ import annotations

from typing import Any

import pytest

ORDERS = (
    "CREATE STREAMING TABLE orders AS\n"
    "SELECT * FROM STREAM read_files('data/*.csv',\n"
    "  schema => 'id BIGINT, amount BIGINT, name STRING, day DATE');\n"
)
DATA = "id,amount,name,day\n1,10,x,2026-01-01\n2,20,y,2026-01-02\n"

QUERIES = """\
SELECT id FROM orders WHERE amuont > 1
SELECT o.id FROM orders AS o JOIN orders AS p ON o.id = p.idd
SELECT x.id FROM orders AS o
SELECT st.b FROM (SELECT {'a': id} AS st FROM orders)
WITH c AS (SELECT idd FROM orders) SELECT * FROM c
WITH c AS (SELECT id FROM orders) SELECT amount FROM c
SELECT * EXCLUDE (nmae) FROM orders
SELECT id -- not this idd
  , 'idd' AS text, idd FROM orders
SELECT lenght(name) AS l FROM orders
SELECT * FROM read_fles('data/*.csv')
SELECT substring(amount, 1, 2) AS l FROM orders
SELECT name + 1 AS n FROM orders
SELECT id FROM orders WHERE name > 3
SELECT coalesce(id, name) AS n FROM orders
SELECT id FROM orders AS o JOIN orders AS p ON o.id = p.id
SELECT id, name, count(*) AS n FROM orders GROUP BY id
SELECT sum(amount) AS n FROM orders WHERE sum(amount) > 1
SELECT id, name FROM orders UNION ALL SELECT id FROM orders
SELECT CAST(id AS BIGNT) AS n FROM orders
SELECT INTERVAL 1 DAY AS y FROM orders
SELECT * FROM broken
"""
BROKEN = "CREATE TEMPORARY VIEW broken AS SELECT idd FROM orders;\n"


@pytest.fixture
def shop(transcript: Any) -> Any:
    transcript.file("qanat.yml", "name: shop\n", shown=False)
    transcript.file("transformations/orders.sql", ORDERS, shown=False)
    transcript.file("data/a.csv", DATA, shown=False)
    return transcript


def views(queries: str) -> str:
    """A materialized view for each query; a query begins in the first column."""
    found = queries.replace("\n ", "\0 ").splitlines()
    return "".join(
        f"CREATE MATERIALIZED VIEW v{n} AS\n{q}\n;\n".replace("\0", "\n").replace("\n;", ";")
        for n, q in enumerate(found, 1)
    )


def test_mistakes_in_queries(shop: Any) -> None:
    shop.file("transformations/gold.sql", views(QUERIES) + BROKEN, shown=False)
    assert shop.type("qanat validate") == 2
    assert_nothing_generated(shop.text)


def test_mistakes_in_rules(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW checked (\n"
        "  CONSTRAINT a EXPECT (amuont > 1),\n"
        "  CONSTRAINT b EXPECT (amount > DATE '2026-01-01'),\n"
        "  CONSTRAINT c EXPECT (lenght(name) > 1) ON VIOLATION DROP ROW,\n"
        "  CONSTRAINT d EXPECT UNIQUE (idd) ON VIOLATION QUARANTINE ROW,\n"
        "  CONSTRAINT e EXPECT (id) REFERENCES orders (idd) ON VIOLATION FAIL UPDATE,\n"
        "  CONSTRAINT f EXPECT (nmae) REFERENCES orders (name),\n"
        "  CONSTRAINT g EXPECT (id) REFERENCES ordrs (id),\n"
        '  CONSTRAINT h EXPECT (name = "x")\n'
        ") AS SELECT * FROM orders;\n"
        "CREATE MATERIALIZED VIEW parted PARTITIONED BY (dya) AS SELECT * FROM orders;\n"
        "CREATE MATERIALIZED VIEW named (id BIGINT, amuont BIGINT) AS\n"
        "SELECT id, amount FROM orders;\n",
        shown=False,
    )
    assert shop.type("qanat validate") == 2
    assert_nothing_generated(shop.text)


def test_mistakes_in_statements(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALISED VIEW a AS SELECT 1 AS n;\n"
        "CREATE TABLE b AS SELECT 1 AS n;\n"
        "CREATE MATERIALIZED VIEW c (CONSTRAINT r EXPCT (n > 1)) AS SELECT 1 AS n;\n"
        "CREATE MATERIALIZED VIEW d (CONSTRAINT r EXPECT (n > 1) ON VIOLATION QUARANTIN ROW)\n"
        "  AS SELECT 1 AS n;\n"
        "CREATE STREAMING TABLE e AS SELECT id FROM orders;\n"
        "CREATE MATERIALIZED VIEW f AS SELECT id FROM STREAM orders;\n"
        "CREATE MATERIALIZED VIEW g (n BIGNT) AS SELECT 1 AS n;\n"
        "CREATE MATERIALIZED VIEW h TBLPROPERTIES ('qanat.schema_drft' = 'evolve') AS SELECT 1;\n"
        "CREATE MATERIALIZED VIEW i AS SELECT * FROM read_files('data/*.csv', formt => 'csv');\n"
        "CREATE MATERIALIZED VIEW j AS SELECT * FROM read_files('data/*.csv', format => 'cvs');\n"
        "CREATE MATERIALIZED VIEW k AS SELECT (1 AS n;\n"
        "CREATE STREAMING TABLE l AS SELECT * FROM STREAM read_kafka(subscribe => 'x');\n"
        "CREATE FLOW m AS INSERT INTO ordes BY NAME SELECT * FROM STREAM orders;\n"
        "CREATE FLOW n AS AUTO CDC INTO orders FROM STREAM orders KEYS (id) SEQUENC BY day;\n"
        "SELECT 1;\n",
        shown=False,
    )
    assert shop.type("qanat validate") == 2


def test_slips(shop: Any) -> None:
    """What people who come from other tools write, one file each: the rest of a file is lost."""
    for name, text in {
        "dbt": "{{ config(materialized='table') }}\nSELECT * FROM {{ ref('orders') }}\n",
        "loop": "{% for x in xs %}CREATE MATERIALIZED VIEW a AS SELECT 1 AS n;\n",
        "ref": "CREATE MATERIALIZED VIEW b AS\nSELECT * FROM {{ ref('orders') }};\n",
        "query": "CREATE MATERIALIZED VIEW c AS SELECT 1 AS n FROM orders\n"
        "CREATE MATERIALIZED VIEW d AS SELECT 1 AS n;\n",
        "table": "CREATE STREAMING TABLE e\nCREATE MATERIALIZED VIEW f AS SELECT 1 AS n;\n",
        "warn": "CREATE MATERIALIZED VIEW g (\n"
        "  CONSTRAINT r EXPECT (n > 1) ON VIOLATION WARN\n) AS SELECT 1 AS n;\n",
        "nameless": "CREATE MATERIALIZED VIEW h (EXPECT (n > 1)) AS SELECT 1 AS n;\n",
    }.items():
        shop.file(f"transformations/{name}.sql", text, shown=False)
    assert shop.type("qanat validate") == 2


def test_mistakes_in_sources(shop: Any) -> None:
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM read_files('dta/*.csv');\n"
        "CREATE MATERIALIZED VIEW b AS SELECT * FROM read_files('data/b.csv');\n"
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM delta_scan('nowhere');\n"
        "CREATE MATERIALIZED VIEW d AS SELECT * FROM read_table('x', project => 'nowhere');\n",
        shown=False,
    )
    assert shop.type("qanat validate") == 1


def test_mistakes_in_python(shop: Any) -> None:
    head = "from qanat import pipelines as dp\n"
    for name, code in {
        "a": "@dp.materialised_view\ndef a(): ...\n",
        "b": "@dp.materialized_view(nmae='b')\ndef b(): ...\n",
        "c": "import pyarow as pa\n",
        "d": "def d(:\n",
        "e": "@dp.materialized_view\ndef e():\n    return 1 / 0\n",
        "f": "@dp.materialized_view\ndef f():\n    return 'SELECT idd FROM orders'\n",
        "g": "@dp.materialized_view\ndef g(orders): ...\n",
        "h": "dp.create_sink('h', 'cvs', {'path': 'out'})\n",
    }.items():
        shop.file(f"transformations/{name}.py", head + code, shown=False)
    assert shop.type("qanat validate") == 2


def test_values_that_do_not_fit(shop: Any) -> None:
    """What no look at the query can tell: the value and the place in the query are named."""
    queries = """\
SELECT CAST(name AS INTEGER) AS n FROM orders
SELECT CAST(id * 1000 AS TINYINT) AS n FROM orders
SELECT name::DATE AS d FROM orders
SELECT strptime(name, '%Y') AS d FROM orders
SELECT id // 0 AS n FROM orders
SELECT (SELECT id FROM orders) AS n
SELECT CASE WHEN id = 2 THEN error('no order may be 2') ELSE 1 END AS n FROM orders
"""
    rule = (
        "CREATE TEMPORARY VIEW typed AS SELECT CAST(name AS DOUBLE) AS x FROM orders;\n"
        "CREATE MATERIALIZED VIEW far AS SELECT x FROM typed;\n"
        "CREATE MATERIALIZED VIEW narrow (n TINYINT) AS SELECT id * 1000 AS n FROM orders;\n"
        "CREATE MATERIALIZED VIEW checked (\n"
        "  CONSTRAINT a EXPECT (id > 0),\n"
        "  CONSTRAINT b EXPECT (CAST(name AS INTEGER) > 1)\n"
        ") AS SELECT * FROM orders;\n"
    )
    shop.file("transformations/gold.sql", views(queries) + rule, shown=False)
    spec = shop.folder / "qanat.yml"
    spec.write_text(f"{spec.read_text()}\nconfiguration: {{qanat.on_row_error: fail}}\n")
    assert shop.type("qanat validate") == 0
    assert shop.type("qanat run") == 2
    assert_nothing_generated(shop.text)


def assert_nothing_generated(text: str) -> None:
    """No name of Qanat's own making, and no SQL that the author did not write."""
    for mark in ("__qanat", "__v", "__checked", "__orders", "LINE 1", "Binder Error", "memory."):
        assert mark not in text


def test_several_mistakes_in_one_statement(shop: Any) -> None:
    """All that do not depend on one another are told, each at its place."""
    shop.file(
        "transformations/gold.sql",
        "CREATE MATERIALIZED VIEW names AS\n"
        "SELECT amuont, orders.idd, lenght(name) AS l, CAST(id AS BIGNT) AS n\n"
        "FROM orders WHERE nmae = 'x';\n"
        "CREATE MATERIALIZED VIEW clauses\n"
        "TBLPROPERTIES ('qanat.on_row_eror' = 'fail', 'qanat.quarantine_limit' = 'few')\n"
        "AS SELECT amuont FROM orders;\n"
        "CREATE MATERIALIZED VIEW listed (\n"
        "  id BIGNT,\n"
        "  amount BIGINT PRIMARY KEY,\n"
        "  CONSTRAINT a EXPECT (id > 1) ON VIOLATION DORP ROW,\n"
        "  CONSTRAINT b EXPECT (id >) ON VIOLATION DROP ROW\n"
        ") AS SELECT idd, amount FROM orders;\n"
        "CREATE STREAMING TABLE files AS SELECT *\n"
        "FROM STREAM read_files('data/*.csv', formt => 'csv', header => maybe)\n"
        "JOIN read_files('data/*.csv', hedaer => true) USING (id);\n",
    )
    shop.file(
        "transformations/gold.py",
        "from qanat import pipelines as dp\n\n\n"
        "@dp.materialized_view(\n"
        "    format='csv', table_properties={'qanat.on_row_error': 'stop'}, schema='a BIGNT'\n"
        ")\n"
        "def one():\n"
        "    return 'SELECT idd, nmae FROM orders'\n",
    )
    assert shop.type("qanat validate") == 2
