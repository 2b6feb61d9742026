"""The source line below an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.cli.excerpt import LONGEST, excerpt
from qanat.cli.failure import describe
from qanat.errors import DatasetNotFoundError, Location, SqlSyntaxError
from qanat.text import cells


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "qanat.yml").write_text("name: t\n")
    (tmp_path / "sql" / "sql").mkdir(parents=True)
    (tmp_path / "sql" / "gold.sql").write_text("SELECT 1\n  FROM slver\n", encoding="utf-8")
    return tmp_path


def test_a_whole_error(root: Path) -> None:
    error = DatasetNotFoundError(
        "no dataset 'slver'",
        location=Location("sql/gold.sql", 2, 8),
        wanted="a dataset",
        got="slver",
        nearest="silver",
        hint="declare it\nor correct it",
    )
    assert describe(error, root).splitlines() == [
        "error[Q1006]: no dataset 'slver'",
        " --> sql/gold.sql:2:8",
        "  |",
        "2 |   FROM slver",
        "  |        ^^^^^",
        "  = did you mean 'silver'?",
        "  = wanted: a dataset",
        "  = got: slver",
        "  = hint: declare it",
        "          or correct it",
    ]


def test_the_file_is_found_from_a_folder_below_the_root(root: Path) -> None:
    # A file of the same relative name below the start is not the one that is meant.
    (root / "sql" / "sql" / "gold.sql").write_text("other\n")
    assert "FROM slver" in excerpt(Location("sql/gold.sql", 2), root / "sql")[1]


@pytest.mark.parametrize(
    "location",
    [
        Location("sql/gold.sql"),
        Location("sql/gold.sql", 99, 1),
        Location("nowhere.sql", 1, 1),
        Location("sql", 1, 1),
        Location("/nowhere/at/all.sql", 1, 1),
    ],
)
def test_no_excerpt_where_nothing_can_be_read(root: Path, location: Location) -> None:
    assert excerpt(location, root) == []


@pytest.mark.parametrize(
    ("line", "column"),
    [("\tFROM slver", 7), ("'数据' = slver", 8), ("slver", 1), ("x" * 5000 + " slver", 5002)],
)
def test_the_caret_is_below_the_word(root: Path, line: str, column: int) -> None:
    (root / "a.sql").write_text(line, encoding="utf-8")
    _, source, carets = excerpt(Location("a.sql", 1, column), root)
    assert carets.count("^") == len("slver")
    before = source[: source.rindex("slver")]
    assert cells(carets[: carets.index("^")]) == cells(before)
    assert len(source) <= LONGEST + 4


def test_a_column_after_the_end_has_no_caret(root: Path) -> None:
    assert "^" not in "".join(excerpt(Location("sql/gold.sql", 1, 40), root))
    assert "^" in "".join(excerpt(Location("sql/gold.sql", 1, 9), root))


def test_source_and_message_cannot_steer_the_terminal(root: Path) -> None:
    (root / "a.sql").write_bytes(b"SELECT '\x1b[2J\xff'\n")
    error = SqlSyntaxError("odd \x1b[5m", location=Location("a.sql", 1, 9), got="\x9b1m")
    assert not {"\x1b", "\x9b"} & set(describe(error, root))
