"""Projects that share a storage by mistake leave one another's tables as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import deltalake
import pytest

import qanat
from qanat.errors import ForeignTableError, HistoryMismatchError, OptionError, QanatError
from qanat.model.owner import OWNER, tag
from qanat.model.pipeline import SinkTarget
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.table import Change, Commit, TableRef
from qanat.ports.sink import Delivery
from qanat.project import Project, doctor
from qanat.run import epoch
from qanat.run.attempt import Attempt
from qanat.run.results import UpdateResult
from qanat.run.session import Session
from qanat.storage.delta.store import DeltaStore

TABLES = """
CREATE STREAMING TABLE bronze (CONSTRAINT few EXPECT (x < 100) ON VIOLATION QUARANTINE ROW)
TBLPROPERTIES ('team' = 'water')
AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE MATERIALIZED VIEW total AS SELECT sum(x) AS s FROM bronze;
"""
FORMATS = ("delta", "iceberg")
ID = Schema((Field("s", Primitive("long")),))


def make(folder: Path, name: str = "p", table_format: str = "delta", more: str = "") -> Path:
    """A project with a storage beside it, and two rows, one of which goes to quarantine."""
    (folder / "data").mkdir(parents=True)
    (folder / "transformations").mkdir()
    spec = f"name: {name}\nstorage: ../lake\ntable_format: {table_format}\n{more}"
    (folder / "qanat.yml").write_text(spec)
    (folder / "data/a.csv").write_text(f"id,x\n{name},10\n{name},200\n")
    (folder / "transformations/t.sql").write_text(TABLES)
    return folder


def state(lake: Path) -> Mapping[str, bytes]:
    """All files of all tables, and the catalog's content."""
    return {str(p): p.read_bytes() for p in (lake / "tables").rglob("*") if p.is_file()}


def rows(root: Path, environment: str | None = None) -> list[tuple[object, ...]]:
    with qanat.open(root, environment=environment) as project:
        return [
            *project.query("SELECT id, x FROM bronze").rows(),
            *project.query("SELECT s FROM total").rows(),
        ]


def refused(project: Project, **options: object) -> list[QanatError]:
    """The errors of an update that changes nothing, whose plan says so."""
    try:
        planned = project.plan(**options)  # type: ignore[arg-type]
        update = project.run(**options)  # type: ignore[arg-type]
    except QanatError as error:
        return [error]
    assert {str(d.step) for d in planned.datasets} <= {"fail", "skip"}
    assert {d.status for d in update.datasets} <= {"failed", "skipped", "unchanged"}
    return [d.error for d in update.failed if d.error is not None]


@pytest.mark.parametrize("table_format", FORMATS)
def test_another_project_changes_nothing(tmp_path: Path, table_format: str) -> None:
    first = make(tmp_path / "first", "shop", table_format)
    second = make(tmp_path / "second", "reports", table_format)
    with qanat.open(first) as project:
        assert not project.run().failed
    before, known = state(tmp_path / "lake"), rows(first)
    with qanat.open(second) as project:
        for options in (
            {},
            {"select": "total"},
            {"refresh": "total"},
            {"full_refresh": "bronze"},
            {"full_refresh": "total"},
            {"full_refresh": "*"},
        ):
            errors = refused(project, **options)
            assert errors, options
            for error in errors:
                assert isinstance(error, ForeignTableError), error
                assert "belongs to another project: shop (environment dev)" in error.message
                assert error.hint is not None
                assert "another `storage`" in error.hint
                assert "`name: shop`" in error.hint
        with pytest.raises(ForeignTableError):
            project.replay()
        found = {f.what: f.detail for f in doctor(second) if f.level == "error"}
        assert found.keys() == {"table bronze", "table total"}
        assert "belongs to another project: shop" in found["table total"]
    assert state(tmp_path / "lake") == before
    with qanat.open(first) as project:
        assert {d.status for d in project.run().datasets} == {"unchanged"}
    assert rows(first) == known


@pytest.mark.parametrize("table_format", FORMATS)
def test_another_environment_changes_nothing(
    tmp_path: Path, table_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "first", "p", table_format, "environments: {prod: {}}\n")
    with qanat.open(root) as project:
        assert not project.run().failed
    before = state(tmp_path / "lake")
    monkeypatch.setenv("QANAT__STORAGE", str(tmp_path / "lake"))
    with qanat.open(root, environment="prod") as project:
        for options in ({}, {"full_refresh": "*"}):
            for error in refused(project, **options):
                assert isinstance(error, ForeignTableError), error
                assert "belongs to environment dev of this project" in error.message
    assert state(tmp_path / "lake") == before


@pytest.mark.parametrize("table_format", FORMATS)
def test_tables_without_a_mark_are_taken_over_by_who_knows_them(
    tmp_path: Path, table_format: str
) -> None:
    first = make(tmp_path / "first", "shop", table_format)
    second = make(tmp_path / "second", "reports", table_format)
    with qanat.open(first) as project:
        project.run()
    for path in (tmp_path / "lake/tables").rglob("*.json"):
        path.write_text(UNMARK[table_format](path.read_text()))
    before = state(tmp_path / "lake")
    with qanat.open(second) as project:
        for options in ({}, {"full_refresh": "*"}):
            for error in refused(project, **options):
                assert "shop (environment dev)" in error.message
                assert error.got == "the ledger has epochs of it by 'shop/dev'"
    assert state(tmp_path / "lake") == before
    # With the ledger lost, nobody knows them: only who asks for it replaces them.
    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    (tmp_path / "lake/_qanat/ledger.db").unlink()
    with qanat.open(first) as project:
        for error in refused(project):
            assert "there is a table" in error.message
            assert "if it is this project's and the ledger was lost" in (error.hint or "")
        assert state(tmp_path / "lake") == before
        assert not project.run(full_refresh="*").failed
        assert sorted(owners(first)) == ["shop/dev"] * 3
    shutil.rmtree(tmp_path / "lake")
    shutil.copytree(tmp_path / "copy", tmp_path / "lake")
    (first / "data/b.csv").write_text("id,x\nshop,5\nshop,500\n")
    with qanat.open(first) as project:
        assert owners(first) == [None] * 3
        assert not project.run().failed
        assert owners(first) == ["shop/dev"] * 3
    assert rows(first) == [("shop", 10), ("shop", 5), (15,)]


def _unmarked_log(text: str) -> str:
    actions = [json.loads(line) for line in text.splitlines()]
    for action in actions:
        action.get("metaData", {}).get("configuration", {}).pop(OWNER, None)
    return "\n".join(map(json.dumps, actions)) + "\n"


def _unmarked_metadata(text: str) -> str:
    metadata = json.loads(text)
    metadata["properties"].pop(OWNER, None)
    return json.dumps(metadata)


UNMARK: Mapping[str, Callable[[str], str]] = {
    "delta": _unmarked_log,
    "iceberg": _unmarked_metadata,
}


def owners(root: Path) -> list[str | None]:
    """Whose the tables are, and the quarantine."""
    names = ("bronze", "bronze__quarantine", "total")
    with Session.open(root) as session:
        return [session.store.owner(session.table(n)) for n in names]


def test_a_table_of_another_tool_is_not_replaced(tmp_path: Path) -> None:
    root = make(tmp_path / "first")
    place = tmp_path / "lake/tables/total"
    with qanat.open(root) as project:
        assert not project.run("bronze").failed
        DeltaStore().publish(Commit(TableRef(str(place), "total"), ID, (), Change.APPEND, "x", 1))
        before = state(tmp_path / "lake")
        for options in ({}, {"full_refresh": "total"}):
            for error in refused(project, **options):
                assert isinstance(error, ForeignTableError), error
                assert error.hint is not None
                assert str(place) in error.hint
        assert state(tmp_path / "lake") == before
        shutil.rmtree(place)
        assert not project.run().failed


def test_a_lost_ledger_is_no_other_project(tmp_path: Path) -> None:
    root = make(tmp_path / "first")
    with qanat.open(root) as project:
        project.run()
    (tmp_path / "lake/_qanat/ledger.db").unlink()
    with qanat.open(root) as project:
        first = project.run().failed[0].error
        assert isinstance(first, HistoryMismatchError)
        assert not project.run(full_refresh="*").failed
    assert rows(root) == [("p", 10), (10,)]


def test_the_mark_is_not_the_authors(tmp_path: Path) -> None:
    root = make(tmp_path / "first")
    text = TABLES.replace("'team' = 'water'", f"'{OWNER}' = 'else/dev'")
    (root / "transformations/t.sql").write_text(text)
    with qanat.open(root) as project, pytest.raises(OptionError, match=OWNER):
        project.run()


def test_other_tools_read_mark_and_properties(tmp_path: Path) -> None:
    root = make(tmp_path / "first")
    with qanat.open(root) as project:
        project.run()
    found = deltalake.DeltaTable(tmp_path / "lake/tables/bronze").metadata().configuration
    assert found == {"team": "water", OWNER: "p/dev"}


@pytest.mark.parametrize("table_format", FORMATS)
def test_recovery_leaves_what_others_are_about_to_publish(
    tmp_path: Path, table_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two projects make the same tables at once; the second one crashes, recovers and sweeps."""
    first = make(tmp_path / "first", "shop", table_format)
    second = make(tmp_path / "second", "reports", table_format)
    with qanat.open(second) as project, monkeypatch.context() as patched:
        patched.setattr(epoch, "publish_epoch", _dies)
        with pytest.raises(KeyboardInterrupt):
            project.run("bronze")
    assert len(staged(tmp_path / "lake", "reports/dev")) == 2
    publish = epoch.publish_epoch

    def meanwhile(attempt: Attempt) -> int | None:
        monkeypatch.undo()
        with qanat.open(second) as project:
            recovered.append(project.run())
        assert len(staged(tmp_path / "lake", "shop/dev")) == 2
        return publish(attempt)

    recovered: list[UpdateResult] = []
    monkeypatch.setattr(epoch, "publish_epoch", meanwhile)
    with qanat.open(first) as project:
        errors = [d.error for d in project.run().failed]
    # The second project came first after all: its tables are its own.
    assert not recovered[0].failed
    assert isinstance(errors[0], ForeignTableError)
    assert not staged(tmp_path / "lake", "shop/dev")
    assert rows(second) == [("reports", 10), (10,)]


def staged(lake: Path, owner: str) -> list[Path]:
    """Files that an owner has staged, whether or not they are part of a table by now."""
    return [p for p in (lake / "tables").rglob("*.parquet") if tag(owner) in p.name]


def _dies(attempt: Attempt) -> int | None:
    raise KeyboardInterrupt


def test_a_sinks_folder_is_swept_of_what_is_ones_own(tmp_path: Path) -> None:
    """An update sweeps at its start, also one that finds nothing new."""
    target = SinkTarget("csv", (("path", str(tmp_path / "out")),))
    delivery = Delivery(target, "send", 1, tmp_path)
    with Session.open(make(tmp_path / "first", "shop")) as first:
        staging = first.sink(target).output(delivery).folder
        (staging / "part-0.csv").touch()
        with Session.open(make(tmp_path / "second", "reports")) as second:
            second.sink(target).sweep(target, lambda: None)
        assert (staging / "part-0.csv").exists()
        first.sink(target).sweep(target, lambda: None)
        assert not (tmp_path / "out/.qanat").exists()
