"""What `pip install qanat` brings is enough for everything but frames, ORC and lz4."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.acceptance.projects import Shop

EXTRAS = (
    *("adbc_driver_manager", "adbc_driver_postgresql", "confluent_kafka", "ibis", "lz4"),
    *("numpy", "obstore", "pandas", "polars", "psycopg", "pyarrow", "pyiceberg"),
)
BLOCK = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
"""
SQL = """
CREATE STREAMING TABLE bronze TBLPROPERTIES ('delta.checkpointInterval' = '1')
AS SELECT * FROM STREAM read_files('csv/*', format => 'csv',
  schema => 'id BIGINT, amount DECIMAL(10, 2), at TIMESTAMP, note STRING');

CREATE MATERIALIZED VIEW ids AS
SELECT id FROM read_files('ids.parquet')
UNION ALL SELECT id FROM delta_scan('foreign')
UNION ALL SELECT id FROM read_files('more.json', format => 'json');

CREATE STREAMING TABLE silver (
  CONSTRAINT known    EXPECT (id) REFERENCES ids (id) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT once     EXPECT UNIQUE (id)              ON VIOLATION QUARANTINE ROW,
  CONSTRAINT positive EXPECT (amount > 0)             ON VIOLATION DROP ROW
) AS SELECT * FROM STREAM bronze;

CREATE STREAMING TABLE events (CONSTRAINT kind EXPECT (kind IN ('a', 'b')))
AS SELECT * FROM STREAM read_files('json/*', format => 'ndjson');
"""
SINK = """
from qanat import pipelines as dp

for kind in ("csv", "json", "parquet"):
    dp.create_sink(f"out_{kind}", format=kind, options={"path": f"out_{kind}"})

    def publish() -> str:
        return "SELECT * FROM STREAM silver"

    dp.append_flow(target=f"out_{kind}", name=f"publish_{kind}")(publish)
"""
ROWS = {
    "a.csv": b"id,amount,at,note\n1,1.50,2026-01-02 03:04:05.000006,plain\n",
    "b.csv.gz": gzip.compress(b'id,amount,at,note\n2,2.50,2026-01-03,"a ""b"",\nc"\n'),
    "d.csv.bz2": bz2.compress(b"id,amount,at,note\n3,-1,2026-01-04,dropped\n1,9,,doubled\n"),
    "e.csv.xz": lzma.compress(b"id,amount,at,note\n99,1,2026-01-05,unknown\n4,x,,misfit\n"),
    # A lone quote and mixed ends: read record by record.
    "f.csv": b'id,amount,at,note\r\n5,5,,"open\n6,6,2026-01-06,fine\n7,too,,many,fields\n',
}


SILVER = [
    (1, Decimal("1.50"), datetime.fromisoformat("2026-01-02T03:04:05.000006"), "plain"),
    (2, Decimal("2.50"), datetime.fromisoformat("2026-01-03"), 'a "b",\nc'),
    (6, Decimal("6.00"), datetime.fromisoformat("2026-01-06"), "fine"),
]
EXTRA = {"pyarrow": "arrow"}
Core = Callable[..., subprocess.CompletedProcess[str]]


def block(folder: Path, *packages: str) -> None:
    """Let the processes of `core` not find these packages."""
    text = BLOCK.replace("EXTRAS", repr(packages))
    (folder / "blocked" / "sitecustomize.py").write_text(text)


@pytest.fixture
def core(tmp_path: Path) -> Core:
    """The program, in a process that finds no optional package."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    block(tmp_path, *EXTRAS)
    environ = os.environ | {"PYTHONPATH": str(blocked), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path / "project",
            env=environ,
            capture_output=True,
            text=True,
        )

    (tmp_path / "project").mkdir()
    return call


@pytest.fixture
def shop(tmp_path: Path, core: Core) -> Shop:
    return Shop(tmp_path / "project")


def mapped(folder: Path) -> None:
    """A Delta table with ids 4 to 6 whose column has another name in its files."""
    (folder / "_delta_log").mkdir(parents=True)
    file = folder / "x.parquet"
    duckdb.execute(
        f"COPY (SELECT range AS c1 FROM range(4, 7)) TO '{file}'"
        " (FORMAT parquet, FIELD_IDS {c1: 1})"
    )
    names = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "c1"}
    column = {"name": "id", "type": "long", "nullable": True, "metadata": names}
    actions: tuple[dict[str, Any], ...] = (
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {
            "metaData": {
                "id": "1",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": [column]}),
                "partitionColumns": [],
                "configuration": {"delta.columnMapping.mode": "name"},
                "createdTime": 1,
            }
        },
        {
            "add": {
                "path": file.name,
                "partitionValues": {},
                "size": file.stat().st_size,
                "modificationTime": 1,
                "dataChange": True,
            }
        },
    )
    log = "".join(f"{json.dumps(action)}\n" for action in actions)
    (folder / "_delta_log" / f"{0:020}.json").write_text(log)


def test_a_project_needs_no_extra(shop: Shop, core: Core) -> None:
    shop.sql(SQL)
    shop.file("transformations/sinks.py", SINK)
    shop.file("more.json", '[{"id": 3}, {"id": 7}]')
    mapped(shop.folder / "foreign")
    duckdb.execute(f"COPY (SELECT unnest([1, 2]) AS id) TO '{shop.folder}/ids.parquet'")
    for name, content in ROWS.items():
        shop.file(f"csv/{name}", "").write_bytes(content)
    shop.file("json/x", "").unlink()
    duckdb.execute(
        f"COPY (SELECT unnest(['a', 'c']) AS kind, {{'n': [1, NULL]}} AS more)"
        f" TO '{shop.folder}/json/a.json.zst' (FORMAT json, COMPRESSION zstd)"
    )
    ran = core("-m", "qanat", "run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert shop.rows("silver") == SILVER
    assert shop.quarantined("silver") == [(1, ["once"]), (99, ["known"])]
    assert [rules for _, rules in shop.quarantined("bronze")] == 3 * [["_malformed"]]
    assert shop.rows("events") == [("a", {"n": [1, None]}), ("c", {"n": [1, None]})]

    # Mixed compressions are unpacked before the engine sees them; and 99 becomes known.
    duckdb.execute(f"COPY (SELECT unnest([1, 2, 99]) AS id) TO '{shop.folder}/ids.parquet'")
    duckdb.execute(
        "COPY (SELECT 5 AS id, 7 AS amount, NULL AS at, 'ü' AS note)"
        f" TO '{shop.folder}/csv/g.csv.zst' (FORMAT csv, HEADER, COMPRESSION zstd)"
    )
    shop.file("csv/h.csv", "id,amount,at,note\n7,0.50,,last\n")
    for command in (("run",), ("quarantine", "replay", "silver")):
        ran = core("-m", "qanat", *command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [row[0] for row in shop.rows("silver")] == [1, 2, 5, 6, 7, 99]
    out = f"'{shop.folder}/out_parquet/**/*.parquet'"
    written = duckdb.execute(f"SELECT DISTINCT id FROM {out} ORDER BY id").fetchall()
    assert written == [(1,), (2,), (5,), (6,), (7,)]


def test_a_log_that_was_cut_is_swept(shop: Shop, core: Core) -> None:
    """Of the files that only a checkpoint mentions."""
    shop.sql(SQL.partition("CREATE MATERIALIZED")[0])
    for name in ("a.csv", "b.csv.gz"):
        shop.file(f"csv/{name}", "").write_bytes(ROWS[name])
        assert core("-m", "qanat", "run").returncode == 0
    table = Path(shop.table("bronze"))
    for entry in (table / "_delta_log").glob("*0.json"):
        entry.unlink()
    kept = set(table.glob("*.parquet"))
    (table / "epoch-9-stray.parquet").touch()
    swept = core(
        "-c",
        "from qanat.model.table import TableRef;"
        "from qanat.storage.delta.store import DeltaStore;"
        f"print(DeltaStore().sweep(TableRef({str(table)!r}, 't')))",
    )
    assert swept.stdout.strip() == "1", swept.stderr
    assert set(table.glob("*.parquet")) == kept


FRAMES = {
    "pyarrow": "import pyarrow as pa\ndef v(t: pa.Table): return t",
    "polars": "import polars as pl\ndef v(t: pl.DataFrame): return t",
    "pandas": "import pandas as pd\ndef v(t: pd.DataFrame): return t",
    "ibis": "import ibis\ndef v(): return ibis.table({'n': 'int64'}, name='t')",
}


def hint(package: str) -> str:
    return f"pip install 'qanat[{EXTRA.get(package, package)}]'"


def test_what_is_missing_is_named_where_it_is_imported(shop: Shop, core: Core) -> None:
    for package, code in FRAMES.items():
        view = code.replace("def v", f"@dp.materialized_view\ndef {package}")
        shop.file(f"transformations/{package}.py", f"from qanat import pipelines as dp\n{view}")
    shop.sql("CREATE MATERIALIZED VIEW t AS SELECT 1 AS n;")
    ran = core("-m", "qanat", "run")
    assert ran.returncode == 2
    for package in FRAMES:
        _, found, said = ran.stderr.partition(f"no module {package!r}")
        assert found, ran.stderr
        assert hint(package) in said.partition("error[")[0]


def test_what_is_missing_is_named_where_it_is_used(shop: Shop, core: Core) -> None:
    """An annotation that only a type checker follows imports nothing."""
    used = ("pyarrow", "polars", "pandas")
    for package in used:
        view = FRAMES[package].replace("\ndef v", f"\n@dp.materialized_view\ndef {package}")
        shop.file(
            f"transformations/{package}.py",
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
            f"from qanat import pipelines as dp\nif TYPE_CHECKING:\n    {view}",
        )
    shop.sql("CREATE MATERIALIZED VIEW t AS SELECT 1 AS n;")
    ran = core("-m", "qanat", "run")
    assert ran.returncode == 2
    for package in used:
        (said,) = (e for e in ran.stderr.split("error[") if f"{package}.py" in e)
        assert said.startswith("Q4001")
        assert hint(package) in said


def test_files_that_need_an_extra(shop: Shop, core: Core) -> None:
    needs = {"a.orc": "arrow", "a.csv.lz4": "lz4"}
    tables = ""
    for name, extra in needs.items():
        shop.file(f"{extra}/{name}", "not looked at")
        tables += (
            f"CREATE STREAMING TABLE {extra}s AS SELECT * FROM STREAM read_files('{extra}/*');\n"
        )
    shop.sql(tables)
    ran = core("-m", "qanat", "run")
    assert ran.returncode == 2, ran.stdout
    _, *errors = ran.stderr.split("error[")
    for name, extra in needs.items():
        (said,) = (e for e in errors if f"{name}' needs the package" in e)
        assert f"pip install 'qanat[{extra}]'" in said


def test_frames_need_arrow_on_both_ways(shop: Shop, core: Core, tmp_path: Path) -> None:
    block(tmp_path, "pyarrow")
    shop.python(
        "import polars as pl\n@dp.materialized_view\ndef v(t: pl.DataFrame): return t\n"
        "@dp.materialized_view\ndef w(t: 'pandas.DataFrame'): return t\n"
        "@dp.materialized_view\ndef x() -> pl.DataFrame: return pl.DataFrame({'n': [1]})\n"
    )
    shop.sql("CREATE MATERIALIZED VIEW t AS SELECT 1 AS n;")
    ran = core("-m", "qanat", "run", "--output", "json")
    found = json.loads(ran.stdout)["problems"]
    assert {e["message"].partition(" needs the package pyarrow")[0] for e in found} == {
        "v()",
        "w()",
        "x()",
    }
    assert {e["hint"] for e in found} == {"pip install 'qanat[arrow]'"}
