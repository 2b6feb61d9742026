"""The spec: what it accepts, and every message about what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.files import find_spec
from qanat.declare.spec import load_project
from qanat.errors import ProblemsError, SpecError, SpecNotFoundError
from qanat.model.kind import EngineKind
from qanat.model.pipeline import Drift, ProjectSpec

ENVIRONMENTS = """name: x
configuration: {a: 1, b: 2}
environments:
  prod: {storage: p, configuration: {a: 9}, threads: 4}
  stage:
"""


def load(
    folder: Path,
    text: str,
    environment: str | None = None,
    environ: dict[str, str] | None = None,
    name: str = "qanat.yml",
) -> ProjectSpec:
    (folder / name).write_text(text, encoding="utf-8")
    kinds = plugins.engine, plugins.table_format, plugins.observer_kind
    return load_project(folder / name, *kinds, environment, environ or {})


def test_a_spec_needs_only_a_name(tmp_path: Path) -> None:
    project = load(tmp_path, "name: flüge")
    assert project == ProjectSpec(
        name="flüge",
        root=tmp_path,
        spec=tmp_path / "qanat.yml",
        storage=str(tmp_path / "storage"),
        libraries=("transformations/**/*.sql", "transformations/**/*.py"),
    )


def test_every_setting(tmp_path: Path) -> None:
    text = """
name: x
storage: data
catalog: c
database: s
configuration: {start: 2013, on: true, ratio: 1.5, text: hello}
libraries:
  - glob: {include: transformations/**}
  - extra/*.sql
dialect: spark
engine: duckdb
table_format: delta
ledger: postgresql://h/db
memory_limit: 512MiB
threads: 2
retries: 0
schema_drift: freeze
"""
    project = load(tmp_path, text)
    assert project.schema == "s"
    assert project.configuration == {
        "start": "2013",
        "on": "true",
        "ratio": "1.5",
        "text": "hello",
    }
    assert project.libraries == ("transformations/**", "extra/*.sql")
    assert (project.memory_limit, project.threads, project.retries) == (512 * 2**20, 2, 0)
    assert project.schema_drift is Drift.FREEZE
    assert (project.dialect, project.catalog, project.ledger) == (
        "spark",
        "c",
        "postgresql://h/db",
    )


@pytest.mark.parametrize(
    "written", ["010", "1.10", "12:30:00", "0x1F", "1_000", "1e3", ".inf", "no", "2026-01-01"]
)
def test_text_stays_as_it_is_written(tmp_path: Path, written: str) -> None:
    text = f"name: {written}\nstorage: {written}\nconfiguration: {{a: {written}}}\n"
    project = load(tmp_path, text + "threads: 0x4\nmemory_limit: 1_000\n")
    assert project.configuration == {"a": written}
    assert (project.name, Path(project.storage).name) == (written, written)
    assert (project.threads, project.memory_limit) == (4, 1000)
    with pytest.raises(ProblemsError, match="have one storage"):
        load(tmp_path, f"{text}environments: {{p: {{storage: '{written}'}}}}")


def test_sdp_specs_are_in_sparks_dialect(tmp_path: Path) -> None:
    assert load(tmp_path, "name: x", name="spark-pipeline.yml").dialect == "spark"
    assert (
        load(tmp_path, "name: x\ndialect: duckdb", name="spark-pipeline.yml").dialect == "duckdb"
    )


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        ("data", "data"),
        ("./a/../data", "data"),
        ("file:data", "data"),
        ("file:///abs/with%20space", "/abs/with space"),
        ("/abs", "/abs"),
    ],
)
def test_storage_is_a_folder(tmp_path: Path, storage: str, folder: str) -> None:
    assert Path(load(tmp_path, f"name: x\nstorage: {storage}").storage) == tmp_path / folder


@pytest.mark.parametrize(
    ("environment", "storage", "configuration"),
    [
        (None, "storage", {"a": "1", "b": "2"}),
        ("dev", "storage", {"a": "1", "b": "2"}),
        ("prod", "p", {"a": "9", "b": "2"}),
        ("stage", "storage/stage", {"a": "1", "b": "2"}),
    ],
)
def test_environments(
    tmp_path: Path, environment: str | None, storage: str, configuration: dict[str, str]
) -> None:
    project = load(tmp_path, ENVIRONMENTS, environment)
    assert project.environment == (environment or "dev")
    assert Path(project.storage) == tmp_path / storage
    assert project.configuration == configuration


def test_an_environment_reads_from_another(tmp_path: Path) -> None:
    text = (
        "name: x\nstorage: s\nenvironments:\n  prod:\n  stage: {from: prod}\n  dev: {from: stage}"
    )
    environ = {"QANAT__TABLE_FORMAT": "iceberg"}
    project = load(tmp_path, text, environ=environ)
    stage = project.reads_from
    assert stage is not None
    prod = stage.reads_from
    assert prod is not None
    assert prod.reads_from is None
    assert [Path(p.storage) for p in (project, stage, prod)] == [
        tmp_path / folder for folder in ("s", "s/stage", "s/prod")
    ]
    # The variables are for the environment that runs.
    assert [p.table_format for p in (project, stage, prod)] == ["iceberg", "delta", "delta"]


def test_an_environment_keeps_apart_from_the_one_that_it_reads(tmp_path: Path) -> None:
    text = "name: x\nenvironments: {dev: {from: prod}, prod: {storage: p}}"
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, text, environ={"QANAT__STORAGE": "./p"})
    assert str(caught.value) == (
        "environment variable QANAT__STORAGE: environment 'dev' has the storage of 'prod', which"
        " it reads from\n"
        "  wanted: another storage: an environment never writes to the one that it reads from\n"
        f"  got: {tmp_path / 'p'}"
    )


def test_variables_override(tmp_path: Path) -> None:
    environ = {
        "QANAT__MEMORY_LIMIT": "1GB",
        "QANAT__CONFIGURATION__A": "7",
        "QANAT__CONFIGURATION__new": "8",
        "QANAT__STORAGE": "elsewhere",
        "HOME": "/nowhere",
    }
    project = load(tmp_path, ENVIRONMENTS, "prod", environ)
    assert project.memory_limit == 10**9
    assert project.configuration == {"a": "7", "b": "2", "new": "8"}
    assert Path(project.storage) == tmp_path / "elsewhere"


def test_variables_are_expanded(tmp_path: Path) -> None:
    project = load(
        tmp_path,
        "name: x\nstorage: ${A}/${B:-b}\nthreads: ${N}\nconfiguration: {k: '${C:-}'}",
        environ={"A": "é", "N": "3"},
    )
    assert Path(project.storage) == tmp_path / "é" / "b"
    assert project.threads == 3
    assert project.configuration == {"k": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "qanat.yml: the spec is empty\n  wanted: at least `name: my_project`"),
        ("# x\n", "qanat.yml: the spec is empty\n  wanted: at least `name: my_project`"),
        ("- a", "qanat.yml:1:1: the spec is not a mapping\n  wanted: lines of `key: value`"),
        ("storage: x", "qanat.yml: 'name' is missing\n  wanted: name: …"),
        ("name:", "qanat.yml: 'name' is missing\n  wanted: name: …"),
        (
            "name: x\nstorge: y",
            "qanat.yml:2:1: unknown key 'storge' (did you mean 'storage'?)",
        ),
        (
            "name: x\nname: y",
            (
                "qanat.yml:2:1: key 'name' is given twice\n"
                "  hint: the first is at qanat.yml:1:1; keep one of them"
            ),
        ),
        (
            "name: x\n\tstorage: y",
            (
                "qanat.yml:2:1: not YAML: found character '\\t' that cannot start any token\n"
                "  hint: indent with spaces; YAML does not allow tabs"
            ),
        ),
        ("? [a]\n: b\nname: x", "qanat.yml:1:3: a key must be text"),
        (
            "name: x\nconfiguration: &c {a: *c}",
            "qanat.yml:2:20: an alias refers to what it is part of",
        ),
        (
            "name: x\nstorage: ${A}",
            (
                "qanat.yml:2:10: environment variable A is not set\n"
                "  hint: set it, or give a default: ${A:-…}"
            ),
        ),
        *(
            (
                f"name: x\nconfiguration: {{a: '{text}'}}",
                (
                    "qanat.yml:2:20: `${` begins the name of an environment variable\n"
                    f"  wanted: ${{NAME}} or ${{NAME:-default}}\n  got: '{text}'"
                ),
            )
            for text in ("${}", "${1X}", "${LOST")
        ),
        (
            "name: x\nstorage: s4://b/c",
            (
                "qanat.yml:2:10: storage does not fit\n"
                "  wanted: a folder, or a URL such as s3://bucket/path, gs://bucket/path or"
                " abfss://container@account.dfs.core.windows.net/path\n"
                "  got: 's4://b/c'"
            ),
        ),
        (
            "name: x\nstorage: S3:/lake/shop",
            (
                "qanat.yml:2:10: storage does not fit (did you mean 's3://lake/shop'?)\n"
                "  wanted: a folder, or a URL such as s3://bucket/path, gs://bucket/path or"
                " abfss://container@account.dfs.core.windows.net/path\n"
                "  got: 'S3:/lake/shop'"
            ),
        ),
        (
            "name: x\nstorage: s3://lake\ntable_format: iceberg",
            (
                "qanat.yml:2:10: iceberg tables cannot be kept in an object store yet\n"
                "  got: s3://lake\n"
                "  hint: use `table_format: delta`, or a folder"
            ),
        ),
        (
            "name: x\ndialect: sprak",
            (
                "qanat.yml:2:10: dialect does not fit (did you mean 'spark'?)\n"
                "  wanted: duckdb or spark\n  got: 'sprak'"
            ),
        ),
        (
            "name: x\nstorage_options: {a: b}",
            "qanat.yml:2:19: table_format: delta has no option 'a'",
        ),
        (
            "name: x\ntable_format: iceberg\nstorage_options:\n  tpye: sql\n  ur: x",
            (
                "qanat.yml:4:3: table_format: iceberg has no option 'tpye'"
                " (did you mean 'type'?)\n"
                "qanat.yml:5:3: table_format: iceberg has no option 'ur'"
                " (did you mean 'uri'?)"
            ),
        ),
        (
            "name: x\ntable_format: icebrg",
            (
                "qanat.yml:2:15: there is no table format 'icebrg' (did you mean 'iceberg'?)\n"
                "  wanted: delta or iceberg"
            ),
        ),
        (
            "name: x\nmemory_limit: 2 cows",
            (
                "qanat.yml:2:15: memory_limit does not fit\n"
                "  wanted: a size such as 2GB or 512MiB\n  got: '2 cows'"
            ),
        ),
        (
            "name: x\nthreads: 0",
            (
                "qanat.yml:2:10: threads does not fit\n"
                "  wanted: a whole number from 1 to 1,024\n  got: 0"
            ),
        ),
        (
            "name: x\nsinks: no",
            "qanat.yml:2:8: sinks does not fit\n  wanted: on or off\n  got: no",
        ),
        (
            "name: x\nenvironments: {dev: {from: no}}",
            (
                "qanat.yml:2:28: no environment 'no' to read from\n"
                "  wanted: another environment of this spec"
            ),
        ),
        (
            "name: x\nlibraries: [{glob: {inclde: a}}]",
            (
                "qanat.yml:2:12: libraries does not fit\n"
                "  wanted: a glob such as transformations/**, or glob: {include: …}\n"
                "  got: [{'glob': {'inclde': 'a'}}]"
            ),
        ),
        (
            "name: x\nconfiguration: {a: [1]}",
            "qanat.yml:2:20: configuration.a does not fit\n  wanted: text\n  got: [1]",
        ),
        (
            "name: [a, b]",
            (
                "qanat.yml:1:7: name does not fit\n"
                "  wanted: text that is not empty\n  got: ['a', 'b']"
            ),
        ),
        (
            "name: x\nledger: {a: b}",
            (
                "qanat.yml:2:9: ledger does not fit\n  wanted: text that is not empty\n"
                "  got: {'a': 'b'}"
            ),
        ),
        (
            "name: x\nretries: -1",
            (
                "qanat.yml:2:10: retries does not fit\n"
                "  wanted: a whole number from 0 to 100\n  got: -1"
            ),
        ),
        (
            "name: x\nretries: 101",
            (
                "qanat.yml:2:10: retries does not fit\n"
                "  wanted: a whole number from 0 to 100\n  got: 101"
            ),
        ),
        (
            "name: x\nthreads: ٤",
            (
                "qanat.yml:2:10: threads does not fit\n  wanted: a whole number from 1 to 1,024\n"
                "  got: '٤'"
            ),
        ),
        (
            "name: x\nmemory_limit: 999999999999TB",
            (
                "qanat.yml:2:15: memory_limit does not fit\n"
                "  wanted: a size such as 2GB or 512MiB\n  got: '999999999999TB'"
            ),
        ),
        (
            "name: x\nthreads: =",
            (
                "qanat.yml:2:10: threads does not fit\n  wanted: a whole number from 1 to 1,024\n"
                "  got: '='"
            ),
        ),
        (
            "name: x\nretries: !!int abc",
            (
                "qanat.yml:2:10: retries does not fit\n"
                "  wanted: a whole number from 0 to 100\n  got: 'abc'"
            ),
        ),
        (
            "name: x\nconfiguration: {<<: 5}",
            (
                "qanat.yml:2:16: `<<` does not fit\n"
                "  wanted: <<: *anchor, where the anchor is of a mapping"
            ),
        ),
        (
            'name: "a\\0b"',
            "qanat.yml:1:7: a value contains the character NUL\n  got: 'a\\x00b'",
        ),
        (
            'name: "a\\ud800"',
            "qanat.yml:1:7: a value contains half of a surrogate pair\n  got: 'a\\ud800'",
        ),
        (
            "name: x\nstorage: ~nobody_of_that_name/x",
            (
                "qanat.yml:2:10: storage does not fit\n"
                "  wanted: a folder; ~NAME is the home folder of a user of this machine\n"
                "  got: '~nobody_of_that_name/x'"
            ),
        ),
        (
            "name: x\ndatabase: a\nschema: b",
            (
                "qanat.yml:2:1: 'database' and 'schema' are two names of one setting\n"
                "  hint: keep one of them"
            ),
        ),
        (
            "name: x\nenvironments: 3",
            (
                "qanat.yml:2:15: environments is not a mapping\n"
                "  wanted: environments: {prod: {storage: …}}"
            ),
        ),
        (
            "name: x\nenvironments: {a: 3}",
            (
                "qanat.yml:2:19: environment 'a' is not a mapping\n"
                "  wanted: settings such as storage: …"
            ),
        ),
        (
            "name: x\nenvironments: {a: {storag: s}}",
            "qanat.yml:2:20: unknown key of environment 'a': 'storag' (did you mean 'storage'?)",
        ),
        (
            "name: x\nenvironments: {tables: {}}",
            (
                "qanat.yml:2:16: environment name 'tables' cannot be used\n"
                "  wanted: letters, digits, _ and -, beginning with a letter or digit"
            ),
        ),
        (
            "name: x\nenvironments: {a: {storage: s}, b: {storage: ./s}}",
            (
                "qanat.yml:2:46: environments 'a' and 'b' have one storage\n  got: ./s\n"
                "  hint: leave it out to get a folder 'b' below the spec's storage"
            ),
        ),
        (
            "name: x\nenvironments: {a: {storage: storage}}",
            (
                "qanat.yml:2:29: environments 'dev' and 'a' have one storage\n  got: storage\n"
                "  hint: leave it out to get a folder 'a' below the spec's storage"
            ),
        ),
        (
            "name: x\nenvironments: {dev: {from: dev}, prod: }",
            "qanat.yml:2:28: environment 'dev' reads from itself\n  wanted: prod",
        ),
        (
            "name: x\nenvironments: {dev: {from: prd}, prod: }",
            (
                "qanat.yml:2:28: no environment 'prd' to read from (did you mean 'prod'?)\n"
                "  wanted: prod"
            ),
        ),
        (
            "name: x\nenvironments: {dev: {from: [prod]}, prod: }",
            (
                "qanat.yml:2:28: no environment ['prod'] to read from (did you mean 'prod'?)\n"
                "  wanted: prod"
            ),
        ),
        (
            "name: x\nenvironments: {a: {from: b}, b: {from: c}, c: {from: b}}",
            (
                "qanat.yml:2:40: environments read from one another: b from c from b\n"
                "  hint: take `from` out of one of them"
            ),
        ),
        (
            "name: x\nfrom: prod\nenvironments: {prod: }",
            (
                "qanat.yml:2:1: unknown key 'from'\n"
                "  hint: write it below the environment that reads:"
                " environments: {dev: {from: prod}}"
            ),
        ),
    ],
)
def test_messages(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("digits", ["9" * 5000, "'" + "9" * 5000 + "'", "0x" + "f" * 5000])
def test_numbers_that_nobody_counts_to(tmp_path: Path, digits: str) -> None:
    for key in ("threads", "retries", "memory_limit"):
        with pytest.raises(ProblemsError, match=f"{key} does not fit"):
            load(tmp_path, f"name: x\n{key}: {digits}")


@pytest.mark.parametrize(
    "text", ["[" * 5000, "name: x\nconfiguration: " + "{a: " * 600 + "}" * 600]
)
def test_nested_too_deeply(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProblemsError, match="the spec is nested too deeply"):
        load(tmp_path, text)


def test_dates_and_what_looks_like_one_are_text(tmp_path: Path) -> None:
    spec = "name: 2024-01-02\nconfiguration: {start: 2024-01-02, never: 2024-13-45}"
    project = load(tmp_path, spec)
    assert project.name == "2024-01-02"
    assert project.configuration == {"start": "2024-01-02", "never": "2024-13-45"}


def test_what_an_environment_gives_no_value_is_left_out(tmp_path: Path) -> None:
    spec = (
        "name: x\nstorage: data\nconfiguration: {a: b}\n"
        "environments: {prod: {storage: , configuration: , retries: }}"
    )
    project = load(tmp_path, spec, "prod")
    assert Path(project.storage) == tmp_path / "data" / "prod"
    assert project.configuration == {"a": "b"}


def test_an_override_in_the_very_spelling_wins(tmp_path: Path) -> None:
    spec = "name: x\nconfiguration: {Lo: 1, LO: 2, lo: 3}"
    project = load(tmp_path, spec, environ={"QANAT__CONFIGURATION__LO": "9"})
    assert project.configuration == {"Lo": "1", "LO": "9", "lo": "3"}


def test_all_problems_at_once_in_order(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, "nme: x\nthreads: no\nstorage: ${NOPE}")
    lines = [p.location.line if p.location else None for p in caught.value.problems]
    assert lines == [None, 1, 2, 3]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"QANAT__MEMRY_LIMIT": "1GB"},
            (
                "environment variable QANAT__MEMRY_LIMIT: QANAT__MEMRY_LIMIT overrides no setting "
                "(did you mean 'QANAT__MEMORY_LIMIT'?)"
            ),
        ),
        (
            {"QANAT__THREADS": "x"},
            (
                "environment variable QANAT__THREADS: threads does not fit\n"
                "  wanted: a whole number from 1 to 1,024\n  got: 'x'"
            ),
        ),
    ],
)
def test_wrong_overrides(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, "name: x", environ=environ)
    assert str(caught.value) == message


def test_an_environment_must_be_declared(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, ENVIRONMENTS, "prd")
    assert str(caught.value) == (
        "qanat.yml: no environment 'prd' (did you mean 'prod'?)\n  wanted: dev or prod or stage"
    )


def test_the_spec_must_exist_and_be_text(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"^qanat.yml: cannot read the spec: No such file"):
        load_project(
            tmp_path / "qanat.yml",
            plugins.engine,
            plugins.table_format,
            plugins.observer_kind,
            environ={},
        )
    (tmp_path / "qanat.yml").write_bytes(b"name: \xff")
    with pytest.raises(ProblemsError, match=r"^qanat.yml: cannot read the spec: it is not UTF-8"):
        load_project(
            tmp_path / "qanat.yml",
            plugins.engine,
            plugins.table_format,
            plugins.observer_kind,
            environ={},
        )


def test_the_spec_is_found_from_a_folder_below(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "spark-pipeline.yml").touch()
    assert find_spec(below) == tmp_path / "spark-pipeline.yml"
    (tmp_path / "qanat.yaml").touch()
    assert find_spec(below) == tmp_path / "qanat.yaml"
    (tmp_path / "a" / "qanat.yml").touch()
    assert find_spec(below) == tmp_path / "a" / "qanat.yml"
    (tmp_path / "a" / "qanat.yaml").touch()
    with pytest.raises(SpecError, match=r"^both qanat.yml and qanat.yaml are in "):
        find_spec(below)


def test_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecNotFoundError) as caught:
        find_spec(tmp_path)
    assert str(caught.value) == (
        f"no spec in {tmp_path} or any folder above\n  wanted: qanat.yml or spark-pipeline.yml\n"
        "  hint: `qanat init` makes a small project that runs"
    )


def test_dialects_are_those_of_the_engine(tmp_path: Path) -> None:
    known = {"tiny": EngineKind("tiny", "mysql", "x:Tiny", translated=("tsql",))}

    def engines(name: str) -> EngineKind:
        return known.get(name) or plugins.engine(name)

    def dialect(text: str) -> str:
        (tmp_path / "qanat.yml").write_text(f"name: x\n{text}", encoding="utf-8")
        return load_project(
            tmp_path / "qanat.yml",
            engines,
            plugins.table_format,
            plugins.observer_kind,
            environ={},
        ).dialect

    assert dialect("") == "duckdb"
    assert dialect("engine: tiny") == "mysql"
    assert dialect("engine: tiny\ndialect: tsql") == "tsql"
    for text, message in {
        "engine: tiny\ndialect: duckdb": (
            "qanat.yml:3:10: dialect does not fit\n  wanted: mysql or tsql\n  got: 'duckdb'"
        ),
        "engine: duckbd": (
            "qanat.yml:2:9: there is no engine 'duckbd' (did you mean 'duckdb'?)\n  wanted: duckdb"
        ),
    }.items():
        with pytest.raises(ProblemsError) as caught:
            dialect(text)
        assert [str(p) for p in caught.value.problems] == [message]


@pytest.mark.parametrize(
    ("storage", "tables"),
    [
        ("s3://lake", "s3://lake/tables"),
        ("s3a://lake/shop/", "s3://lake/shop/tables"),
        ("abfss://c@a.dfs.core.windows.net/x", "abfss://c@a.dfs.core.windows.net/x/tables"),
    ],
)
def test_tables_in_an_object_store_have_their_ledger_beside_the_spec(
    tmp_path: Path, storage: str, tables: str
) -> None:
    project = load(tmp_path, f"name: x\nstorage: {storage}\nenvironments: {{prod: {{}}}}")
    assert project.tables == tables
    assert project.private.parent == tmp_path / ".qanat"
    prod = load_project(
        project.spec, plugins.engine, plugins.table_format, plugins.observer_kind, "prod", {}
    )
    assert prod.tables == tables.removesuffix("tables") + "prod/tables"
    assert prod.private != project.private
