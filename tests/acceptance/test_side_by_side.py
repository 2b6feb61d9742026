"""Processes that update parts of one project at the same time; `make side-by-side` does more."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from qanat.testing.postgresql import postgresql
from tests.side_by_side.rounds import compare, lay_out, play, settle


def _played(folder: Path, ledger: str | None) -> None:
    seed = random.SystemRandom().randrange(10**6)
    root, undisturbed = folder / "played", folder / "undisturbed"
    lay_out(root, ledger)
    lay_out(undisturbed, ledger)
    try:
        play(root, 3, seed)
        settle(root)
        shutil.copytree(root / "in", undisturbed / "in", dirs_exist_ok=True)
        settle(undisturbed)
        compare(root, undisturbed)
    except AssertionError as error:
        error.add_note(f"python -m tests.side_by_side.run --rounds 3 --seed {seed}")
        raise


def test_with_a_ledger_in_sqlite(tmp_path: Path) -> None:
    _played(tmp_path, None)


@pytest.mark.services
def test_with_a_ledger_in_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        _played(tmp_path, url)
