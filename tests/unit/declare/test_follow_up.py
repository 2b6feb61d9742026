"""What is wrong is told once: what only follows from it is not."""

from __future__ import annotations

import pytest

from qanat.run.analysis import analyse
from tests.unit.declare.conftest import Load

READERS = (
    "CREATE STREAMING TABLE reader (CONSTRAINT c EXPECT (id) REFERENCES broken (id))"
    " AS SELECT id FROM STREAM broken; CREATE FLOW more AS INSERT INTO reader BY NAME"
    " SELECT id FROM STREAM typo;"
)
FILES = "AS SELECT * FROM STREAM read_files('*.csv')"
BROKEN = {
    "property": f"STREAMING TABLE broken TBLPROPERTIES ('qanat.nothing' = '1') {FILES};",
    "columns": f"STREAMING TABLE broken (id BIGINT id) {FILES};",
    "query": "STREAMING TABLE broken AS SELECT (;",
    "view": "TEMPORARY VIEW broken AS SELECT (;",
}
NAMELESS = {
    "a.sql": [
        "CREATE STREAMING TABL broken AS SELECT 1 AS id",
        "CREATE TABLE broken AS SELECT 1 AS id",
        "CREAT STREAMING TABLE broken",
        "CREATE STREAMING TABLE ${no} AS SELECT 1 AS id",
        "CREATE STREAMING TABLE broken AS SELECT 'unclosed",
    ],
    "a.py": ["1 / 0", "def"],
}


def problems(load: Load, files: dict[str, str]) -> list[str]:
    declared = load(files)
    return [p.message for p in analyse(declared.pipeline.project, "duckdb").problems]


@pytest.mark.parametrize("broken", BROKEN)
def test_who_reads_a_wrong_declaration_is_not_wrong(load: Load, broken: str) -> None:
    """But a name that nothing has is, also beside a wrong declaration."""
    readers = READERS.replace(" (CONSTRAINT c EXPECT (id) REFERENCES broken (id))", "")
    told = problems(
        load,
        {"a.sql": f"CREATE {BROKEN[broken]}", "b.sql": readers if broken == "view" else READERS},
    )
    assert len(told) == 2
    assert "no dataset 'typo'" in told


def test_who_reads_a_wrong_python_declaration_is_not_wrong(load: Load) -> None:
    text = (
        "from qanat import pipelines as dp\n"
        "dp.create_streaming_table('broken', table_properties={'qanat.nothing': '1'})\n"
    )
    told = problems(load, {"a.py": text, "b.sql": READERS})
    assert len(told) == 2
    assert "no dataset 'typo'" in told


@pytest.mark.parametrize(
    ("file", "text"), [(f, t) for f, texts in NAMELESS.items() for t in texts]
)
def test_where_a_name_is_not_known_none_is_missed(load: Load, file: str, text: str) -> None:
    flow = "CREATE FLOW f AS INSERT INTO broken BY NAME SELECT id FROM STREAM reader;"
    readers = READERS.replace("STREAM typo", "STREAM broken")
    assert len(problems(load, {file: text, "b.sql": readers + flow})) == 1


def test_a_name_that_no_file_has_is_missed_beside_any_mistake(load: Load) -> None:
    told = problems(load, {"a.sql": "CREATE TABL broken AS SELECT 1 AS id", "b.sql": READERS})
    assert len(told) == 2
    assert told[1] == "no dataset 'typo'"
