"""A copy of a storage has what the original has."""

from __future__ import annotations

from pathlib import Path

from qanat.crash.replica import copy_storage


def test_only_scratch_space_is_left_out(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    kept = {"_qanat/ledger.db", "tables/scratch/1.parquet", "tables/t/scratch/1.parquet"}
    for name in {*kept, "_qanat/scratch/0a/rows.parquet"}:
        (storage / name).parent.mkdir(parents=True, exist_ok=True)
        (storage / name).write_text(name)
    copy = tmp_path / "copy"
    copy_storage(storage, copy)
    assert {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()} == kept
