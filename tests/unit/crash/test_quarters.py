"""The folder of a crash test is removed when it ends, or when the next one begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qanat.crash.quarters import places, quarters, sweep_quarters

WORKING = """\
import sys
from pathlib import Path
from qanat.crash.quarters import quarters
with quarters(Path(sys.argv[1])) as folder:
    (folder / "images").mkdir()
    (folder / "images" / "a").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_the_folder_is_removed_at_the_end(tmp_path: Path) -> None:
    with quarters(tmp_path) as folder:
        (folder / "images").mkdir()
        (folder / "images" / "a").touch()
        (folder / "b").touch()
    assert list(tmp_path.iterdir()) == []


def test_only_the_folder_of_a_killed_crash_test_is_swept(tmp_path: Path) -> None:
    other = tmp_path / "qanat-crash-of-somebody"
    other.mkdir()
    (other / "a").touch()
    with subprocess.Popen(
        [sys.executable, "-c", WORKING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().rstrip())
        sweep_quarters([tmp_path])
        assert (folder / "images" / "a").exists()
        process.kill()
        process.wait()
    assert folder.exists()
    sweep_quarters([tmp_path, tmp_path / "nowhere"])
    assert list(tmp_path.iterdir()) == [other]


def test_a_link_to_another_folder_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "mine").mkdir(parents=True)
    (target / "lock").touch()
    (tmp_path / "qanat-crash-link").symlink_to(target)
    sweep_quarters([tmp_path])
    assert (target / "mine").exists()


def test_places_are_in_memory_and_in_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert places()[-1] == tmp_path
    assert all(os.access(p, os.W_OK) for p in places())
