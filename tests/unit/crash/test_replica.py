"""Copies of a project's storage, and where there is room for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.crash.quarters import places
from qanat.crash.replica import copy_storage, roomy
from qanat.errors import StorageFullError
from qanat.run.session import Session


def test_only_scratch_space_is_left_out(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    kept = {"_qanat/ledger.db", "tables/scratch/1.parquet", "tables/t/scratch/1.parquet"}
    for name in {*kept, "_qanat/scratch/0a/rows.parquet"}:
        (storage / name).parent.mkdir(parents=True, exist_ok=True)
        (storage / name).write_text(name)
    copy = tmp_path / "copy"
    copy_storage(storage, copy)
    assert {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()} == kept


def test_copies_are_not_made_inside_the_project(tmp_path: Path) -> None:
    (tmp_path / "qanat.yml").write_text("name: shop\n", encoding="utf-8")
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "a").write_text("a", encoding="utf-8")
    with Session.open(tmp_path, None) as session:
        assert roomy(session, 1) in places()
        with pytest.raises(StorageFullError) as caught:
            roomy(session, 10**18)
    assert str(tmp_path) not in str(caught.value.wanted)
    assert "TMPDIR" in str(caught.value.hint)
