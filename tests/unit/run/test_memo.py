"""What is kept of a project's files, and when it is not believed."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qanat.declare.library import load_pipeline
from qanat.errors import DeclarationError
from qanat.model.pipeline import ProjectSpec
from qanat.run import memo
from qanat.run.memo import Analysis, Notes
from qanat.run.session import Session
from qanat.run.update import update

SQL = """
CREATE STREAMING TABLE bronze (CONSTRAINT c EXPECT (a > 0) ON VIOLATION DROP ROW, a INT NOT NULL)
PARTITIONED BY (b) COMMENT 'größe' AS SELECT * FROM STREAM read_files('x/*.csv', header => true);
CREATE TEMPORARY VIEW v AS SELECT a FROM STREAM bronze;
CREATE STREAMING TABLE silver (CONSTRAINT u EXPECT UNIQUE (a)) AS SELECT a FROM STREAM v;
CREATE MATERIALIZED VIEW today AS SELECT current_date AS d, count(*) AS n FROM silver;
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "qanat"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "transformations").mkdir(parents=True)
    (root / "qanat.yml").write_text("name: memo\nstorage: ${WHERE:-here}\n")
    (root / "transformations" / "all.sql").write_text(SQL)
    return root


def opened(project: Path) -> Analysis:
    with Session.open(project) as session:
        assert session.problems == ()
        return session.analysis


def kept(cache: Path) -> set[str]:
    return {p.name for p in cache.glob("*.memo")}


def test_what_is_kept_comes_back_the_same(project: Path, cache: Path) -> None:
    first = opened(project)
    files = kept(cache)
    assert len(files) == 2, "one for the spec, one for what the files declare"
    assert opened(project) == first
    assert kept(cache) == files
    assert memo.decode(memo.encode(first)) == first


def test_unchanged_files_are_not_parsed_again(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(project)
    monkeypatch.setattr("qanat.run.analysis.load_pipeline", None)
    assert set(opened(project).flows) == {"bronze", "v", "silver", "today"}


@pytest.mark.parametrize("what", ["sql", "spec", "variable", "override", "new file"])
def test_any_change_is_seen(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before = opened(project)
    match what:
        case "sql":
            path = project / "transformations" / "all.sql"
            path.write_text(SQL.replace("a > 0", "a > 1"))
        case "spec":
            (project / "qanat.yml").write_text("name: other\n")
        case "variable":
            monkeypatch.setenv("WHERE", "there")
        case "override":
            monkeypatch.setenv("QANAT__NAME", "other")
        case "new file":
            more = project / "transformations" / "more.sql"
            more.write_text("CREATE MATERIALIZED VIEW more AS SELECT 1 AS one;")
    assert opened(project) != before
    assert len(kept(cache)) == 2, "what has changed is not kept"


PYTHON = """\
import os

import qanat as dp

with open("runs.txt", "a") as file:
    file.write("x")


@dp.expect("wanted", "one > 0")
@dp.materialized_view(comment=os.environ.get("COMMENT"))
def one():
    return f"SELECT {os.environ.get('ONE', '1')} AS one"
"""


def test_python_files_are_always_run(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they declare is kept, and made anew when that changes without any file."""
    monkeypatch.chdir(project)
    (project / "transformations" / "more.py").write_text(PYTHON)
    first = opened(project)
    files = kept(cache)
    assert len(files) == 2
    assert opened(project) == first
    with monkeypatch.context() as without_parsers:
        without_parsers.setattr("qanat.run.analysis.load_pipeline", None)
        assert opened(project) == first
    assert kept(cache) == files
    assert (project / "runs.txt").read_text() == "xxx", "once each time"
    for name, value in (("ONE", "2"), ("COMMENT", "of late")):
        before = opened(project)
        monkeypatch.setenv(name, value)
        assert opened(project) != before
    assert opened(project).pipeline.dataset("one").comment == "of late"
    assert "SELECT 2" in str(opened(project).flows["one"].query)


def test_a_start_lists_and_reads_the_files_once(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / "transformations" / "more.py").write_text(PYTHON)
    opened(project)
    asked = []
    listed, read = memo.project_files, Path.read_bytes

    def counted_list(project: ProjectSpec) -> list[Path]:
        asked.append("list")
        return listed(project)

    def counted_read(path: Path) -> bytes:
        asked.append(path.name)
        return read(path)

    monkeypatch.setattr(memo, "project_files", counted_list)
    monkeypatch.setattr(Path, "read_bytes", counted_read)
    opened(project)
    assert sorted(asked) == ["all.sql", "list", "more.py", "qanat.yml"]


@pytest.mark.parametrize(
    "text",
    [
        "@dp.materialized_view\ndef one(base):\n    return base\n",
        "@dp.materialized_view\ndef one(base: 'pl.DataFrame'):\n    return base\n",
        "@dp.materialized_view\ndef one() -> 'pl.DataFrame':\n    return None\n",
        "@dp.materialized_view\ndef one():\n    return 1\n",
        "@dp.materialized_view\ndef one():\n    return 1 / 0\n",
        "@dp.materialized_view(comment=b'x')\ndef one():\n    return 'SELECT 1 AS one'\n",
        "@dp.materialized_view\ndef one():\n    return 'SELECT 1 AS one'\n\n1 / 0\n",
        "@dp.expect('a', 'b')\ndef one():\n    return 'SELECT 1 AS one'\n",
    ],
)
def test_what_cannot_be_kept(project: Path, cache: Path, text: str) -> None:
    (project / "transformations" / "more.py").write_text(f"import qanat as dp\n\n\n{text}")
    for _ in range(2):
        with Session.open(project) as session:
            told = [str(p) for p in session.problems]
            assert "one" in str(session.pipeline.datasets) or told
    assert len(kept(cache)) == 1, "only the spec"


def test_another_home_is_another_project(
    project: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "qanat.yml").write_text("name: memo\nstorage: ~/data\n")
    for home in (tmp_path / "one", tmp_path / "two"):
        monkeypatch.setenv("HOME", str(home))
        with Session.open(project) as session:
            assert Path(session.project.storage) == home / "data"


def test_a_file_saved_while_it_was_read_is_read_again(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, load = project / "transformations" / "all.sql", "qanat.run.analysis.load_pipeline"
    text = path.read_text()

    def saved_meanwhile(*arguments: Any) -> Any:
        path.write_text("CREATE MATERIALIZED VIEW other AS SELECT 1 AS a;")
        found = load_pipeline(*arguments)
        path.write_text(text + " ")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(load, saved_meanwhile)
        opened(project)
    path.write_text(text)
    assert "silver" in {d.name for d in opened(project).pipeline.datasets}


def test_problems_are_never_kept(project: Path, cache: Path) -> None:
    (project / "transformations" / "bad.sql").write_text("CREATE MATERIALIZED VIEW x AS SELEC 1")
    for _ in range(2):
        with Session.open(project) as session, pytest.raises(DeclarationError):
            session.require()


@pytest.mark.parametrize("damage", [b"", b"{", b"cos\nsystem\n", b"\0" * 999])
def test_a_damaged_cache_is_no_cache(project: Path, cache: Path, damage: bytes) -> None:
    first = opened(project)
    for path in cache.iterdir():
        path.write_bytes(damage)
    assert opened(project) == first


def test_a_cache_that_cannot_be_written_is_no_trouble(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    opened(project)


def test_only_our_own_classes_are_made() -> None:
    with pytest.raises(ValueError, match="no place in a memo"):
        memo.decode(pickle.dumps(subprocess.Popen))


def test_another_version_of_an_installed_package_is_seen(
    project: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have connectors, table formats or engines."""
    site = tmp_path / "site-packages"
    (site / "qanat_kinesis-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    memo._program.cache_clear()
    opened(project)
    before = kept(cache)
    opened(project)
    assert kept(cache) == before
    (site / "qanat_kinesis-1.0.dist-info").rename(site / "qanat_kinesis-1.1.dist-info")
    memo._program.cache_clear()  # as in a process of its own
    opened(project)
    assert not kept(cache) & before


def test_what_an_engine_has_noted_is_there_again(project: Path, cache: Path) -> None:
    with Session.open(project) as session:
        notes = Notes(session.project)
        notes["SELECT 1"] = ("SELECT 1", ("a", "b"))
        notes.keep()
        files = kept(cache)
        assert dict(Notes(session.project)) == {"SELECT 1": ("SELECT 1", ("a", "b"))}
        notes.keep()
        assert kept(cache) == files, "nothing new was noted"


def test_only_the_newest_notes_are_kept(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo, "_NOTES", 2)
    with Session.open(project) as session:
        notes = Notes(session.project)
        notes.update(a=1, b=2, c=3)
        notes.keep()
        assert dict(Notes(session.project)) == {"b": 2, "c": 3}


RULES = """
CREATE STREAMING TABLE bronze (CONSTRAINT c EXPECT (a > 0) ON VIOLATION DROP ROW)
AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE STREAMING TABLE copy AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE STREAMING TABLE told AS SELECT a, _metadata.file_name FROM STREAM read_files('data/*.csv');
"""


def test_queries_are_parsed_once_for_many_processes(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "transformations" / "all.sql").write_text(RULES)
    (project / "data").mkdir()
    for file in ("one.csv", "two.csv"):
        (project / "data" / file).write_text("a,b\n1,1\n-1,2\n")
        with Session.open(project) as session:
            found = {d.dataset: d for d in update(session).datasets}
        assert {d: f.status for d, f in found.items()} == dict.fromkeys(found, "updated")
        assert found["bronze"].counts.dropped == 1
        # The second update finds in the notes what it needs to know about the queries.
        monkeypatch.setattr("qanat.engines.duckdb.hidden.carry", None)
        monkeypatch.setattr("qanat.planning.levels.copies_input", None)
