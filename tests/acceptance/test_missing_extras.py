"""Without an optional package, every command says which extra brings it, and nothing else fails.

The package is hidden in this process: its import fails as if it had never been installed, and
Qanat's own modules that import it are imported again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import qanat
from qanat.cli.program import program
from qanat.errors import MissingExtraError, QanatError, install

ORDERS = "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files({!r}{});\n"
DP = "from qanat import pipelines as dp\n"
LATER = "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n" + DP
SERVER = "postgresql://ada@127.0.0.1:1/shop"
PYTHON, SQL, SPEC = "transformations/all.py", "transformations/all.sql", "qanat.yml"


@dataclass
class Case:
    """A project that needs a package which is not installed.

    Args:
        missing: the packages.
        extra: that brings them where they are needed.
        files: of the project, beside a spec and the declaration of a view `one`.
    """

    missing: tuple[str, ...]
    extra: str
    files: Mapping[str, str]


def view(package: str, alias: str, frame: str) -> dict[str, str]:
    """A function of frames, for whose annotation nothing is imported."""
    return {
        PYTHON: f"{LATER}if TYPE_CHECKING:\n    import {package} as {alias}\n"
        f"@dp.materialized_view\ndef v(one: {alias}.{frame}): return one\n"
    }


def imports(package: str) -> dict[str, str]:
    return {PYTHON: f"{DP}import {package}\n@dp.materialized_view\ndef v(): return 'SELECT 1'\n"}


def sink(format_: str, options: str) -> dict[str, str]:
    return {
        SQL: "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');\n",
        PYTHON: f"{DP}dp.create_sink('out', '{format_}', {{{options}}})\n"
        "@dp.append_flow(target='out')\ndef f(): return 'SELECT * FROM STREAM orders'\n",
    }


def read(options: str) -> dict[str, str]:
    sql = f"read_kafka(bootstrap_servers => '127.0.0.1:1', subscribe => 'orders', {options})"
    return {SQL: f"CREATE STREAMING TABLE orders AS SELECT * FROM STREAM {sql};\n"}


CASES = {
    "ledger": Case(("psycopg",), "postgres", {SPEC: f"name: shop\nledger: {SERVER}\n"}),
    "read_postgres": Case(
        ("psycopg",),
        "postgres",
        {
            SQL: "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM"
            f" read_postgres('public.orders', url => '{SERVER}', cursor => 'id');\n"
        },
    ),
    "read_postgres without ADBC": Case(
        ("adbc_driver_manager", "adbc_driver_postgresql"),
        "postgres",
        {
            SQL: "CREATE MATERIALIZED VIEW orders AS SELECT * FROM"
            f" read_postgres('public.orders', url => '{SERVER}');\n"
        },
    ),
    "postgres sink": Case(
        ("psycopg",), "postgres", sink("postgres", f"'url': '{SERVER}', 'table': 'orders'")
    ),
    "a column of a Spark frame": Case(
        ("sqlframe",),
        "spark-frames",
        {
            PYTHON: f"{DP}@dp.materialized_view\ndef v():\n"
            "    one = spark.table('one')\n    return one.where(one.n > 1)\n"
        },
    ),
    "read_kafka": Case(
        ("confluent_kafka",),
        "kafka",
        {
            SQL: "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM"
            " read_kafka(bootstrap_servers => '127.0.0.1:1', subscribe => 'orders');\n"
        },
    ),
    **{
        f"read_kafka in {format_} without {package}": Case(
            (package,), extra, read(f"format => '{format_}', value_schema => '{schema}'")
        )
        for format_, schema, extra, packages in (
            ("avro", '"string"', "avro", ("fastavro", "polars")),
            ("protobuf", "message M {}", "protobuf", ("google", "grpc_tools", "ptars")),
        )
        for package in packages
    },
    **{
        f"a contract without {package}": Case(
            (package,), "contracts", {"contracts/one.odcs.yaml": "apiVersion: v3.0.2\n"}
        )
        for package in ("jsonschema", "open_data_contract_standard")
    },
    "kafka sink in Avro": Case(
        ("fastavro",),
        "avro",
        sink(
            "kafka",
            "'bootstrap_servers': '127.0.0.1:1', 'topic': 'orders', 'value_format': 'avro',"
            " 'value_schema': '\"string\"'",
        ),
    ),
    "kafka sink": Case(
        ("confluent_kafka",),
        "kafka",
        sink("kafka", "'bootstrap_servers': '127.0.0.1:1', 'topic': 'orders'"),
    ),
    "storage in a bucket": Case(("obstore",), "cloud", {SPEC: "name: shop\nstorage: s3://b/t\n"}),
    "files in a bucket": Case(
        ("obstore",), "cloud", {SQL: ORDERS.format("s3://b/o/*.csv", ", format => 'csv'")}
    ),
    "iceberg": Case(("pyiceberg",), "iceberg", {SPEC: "name: shop\ntable_format: iceberg\n"}),
    "iceberg without PyArrow": Case(
        ("pyarrow",), "iceberg", {SPEC: "name: shop\ntable_format: iceberg\n"}
    ),
    "ORC": Case(("pyarrow",), "arrow", {SQL: ORDERS.format("orc/*", ""), "orc/a.orc": "ORC"}),
    "lz4": Case(("lz4",), "lz4", {SQL: ORDERS.format("in/*", ""), "in/a.csv.lz4": "x"}),
    "import pyarrow": Case(("pyarrow",), "arrow", imports("pyarrow")),
    "import polars": Case(("polars",), "polars", imports("polars")),
    "import pandas": Case(("pandas",), "pandas", imports("pandas")),
    "import ibis": Case(("ibis",), "ibis", imports("ibis")),
    "arrow function": Case(("pyarrow",), "arrow", view("pyarrow", "pa", "Table")),
    "polars function": Case(("polars",), "polars", view("polars", "pl", "DataFrame")),
    "polars function without PyArrow": Case(
        ("pyarrow",), "arrow", view("polars", "pl", "LazyFrame")
    ),
    "pandas function": Case(("pandas",), "pandas", view("pandas", "pd", "DataFrame")),
}
VERBS = ("validate", "plan", "run", "doctor")


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let packages be as if they were not installed."""

    def hidden(*packages: str) -> None:
        gone = {name for name in sys.modules if name.partition(".")[0] in packages}
        # And what of Qanat has imported them, or something that has.
        while more := {name for name in sys.modules.keys() - gone if _imports(name, gone)}:
            gone |= more
        for name in gone:
            monkeypatch.delitem(sys.modules, name)
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return hidden


def _imports(name: str, gone: set[str]) -> bool:
    """True if a module of Qanat's adapters has something of another module in it."""
    module = sys.modules[name]
    if not name.startswith("qanat.") or hasattr(module, "__path__"):
        return False
    names = (
        v.__name__ if isinstance(v, ModuleType) else getattr(v, "__module__", None)
        for v in vars(module).values()
    )
    return not gone.isdisjoint(names)


def told(verb: str, folder: Path) -> list[tuple[str, str]]:
    """The codes and hints of what a command says is wrong."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        try:
            program.main([verb, "-C", str(folder), "--output", "json"], standalone_mode=False)
        except QanatError as error:
            return [(p.code, p.hint or "") for p in error.problems]
    return list(facts(json.loads(output.getvalue())))


def facts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value.get("code"):
        yield value["code"], value["hint"] or ""
    elif isinstance(value, dict) and value.get("level") == "error":
        yield MissingExtraError.code, value["hint"]
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from facts(each)


@pytest.mark.parametrize("name", CASES)
def test_every_command_names_the_extra(
    name: str, tmp_path: Path, hide: Callable[..., None]
) -> None:
    case = CASES[name]
    files = {
        SPEC: "name: shop\nretries: 0\n",
        "transformations/one.sql": "CREATE MATERIALIZED VIEW one AS SELECT 1 AS n;\n",
        "data/a.csv": "id\n1\n",
        **case.files,
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    hide(*case.missing)
    found = {verb: set(told(verb, tmp_path)) for verb in VERBS}
    wanted = {(MissingExtraError.code, f"pip install 'qanat[{case.extra}]'")}
    if name.startswith("import "):
        wanted = {("Q1004", f"pip install 'qanat[{case.extra}]'")}
        found["doctor"] = {("Q1004", hint) for _, hint in found["doctor"]}
    assert found == dict.fromkeys(VERBS, wanted)


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [
        ("arrow", "pyarrow", "arrow"),
        ("polars", "polars", "polars"),
        ("pandas", "pandas", "pandas"),
    ],
)
def test_a_table_names_the_extra_of_a_frame(
    method: str, package: str, extra: str, tmp_path: Path, hide: Callable[..., None]
) -> None:
    (tmp_path / "transformations").mkdir()
    (tmp_path / SPEC).write_text("name: shop\n")
    (tmp_path / SQL).write_text("CREATE MATERIALIZED VIEW one AS SELECT 1 AS n;\n")
    with qanat.open(tmp_path) as project:
        project.run()
        hide(package)
        with pytest.raises(MissingExtraError) as caught:
            getattr(project.table("one"), method)()
    assert caught.value.hint == f"pip install 'qanat[{extra}]'"


def test_an_update_says_what_needs_the_extra(tmp_path: Path, hide: Callable[..., None]) -> None:
    (tmp_path / "transformations").mkdir()
    (tmp_path / SPEC).write_text("name: shop\nretries: 0\n")
    (tmp_path / SQL).write_text(
        "CREATE STREAMING TABLE t AS\n"
        f"SELECT * FROM STREAM read_postgres('public.orders', connection => '{SERVER}');\n"
    )
    hide("psycopg")
    with qanat.open(tmp_path) as project:
        (error,) = project.run().failed[0].error.problems
    assert error.location is not None
    assert error.location.line == 2


def test_metrics_name_the_extra(tmp_path: Path, hide: Callable[..., None]) -> None:
    (tmp_path / SPEC).write_text("name: shop\n")
    hide("prometheus_client")
    arguments = ["run", "-C", str(tmp_path), "--continuous", "--metrics", "9464"]
    with pytest.raises(MissingExtraError) as caught:
        program.main(arguments, standalone_mode=False)
    assert caught.value.hint == "pip install 'qanat[metrics]'"


def test_every_package_of_an_extra_is_tried() -> None:
    """What `pyproject.toml` lists is hidden by a test above."""
    imported = {
        "confluent-kafka": "confluent_kafka",
        "ibis-framework": "ibis",
        "grpcio-tools": "grpc_tools",
        "protobuf": "google",
        "adbc-driver-postgresql": "adbc_driver_postgresql",
        "prometheus-client": "prometheus_client",
        "open-data-contract-standard": "open_data_contract_standard",
    }
    hidden = {p for case in CASES.values() for p in case.missing} | {"prometheus_client"}
    extras: dict[str, set[str]] = {}
    for line in importlib.metadata.requires("qanat") or []:
        found = re.match(r"([\w-]+)[^;]*; extra == '([\w-]+)'", line.replace('"', "'"))
        if found and found[2] != "all" and found[1] != "qanat":
            extras.setdefault(found[2], set()).add(imported.get(found[1], found[1]))
    assert set().union(*extras.values()) <= hidden
    assert set(extras) == {case.extra for case in CASES.values()} | {"metrics"}
    for extra, packages in extras.items():
        assert all(install(p, extra) == f"pip install 'qanat[{extra}]'" for p in packages)
