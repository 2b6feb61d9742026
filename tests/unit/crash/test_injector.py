"""Errors that keep the injector from being built or loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.crash.injector import build, preloaded
from qanat.errors import AdapterError, UnsupportedError


def test_a_compiler_that_fails_without_output_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")
    with pytest.raises(AdapterError, match="/false cannot compile") as caught:
        build(tmp_path)
    assert caught.value.got == "exit code 1"


@pytest.mark.parametrize("name", ["my files", "a:b", "$LIB", "a\tb"])
def test_a_path_that_the_loader_would_split_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        preloaded(Path("/srv") / name / "fault.so", {})
    assert "TMPDIR" in str(caught.value.hint)


def test_what_the_user_preloads_is_loaded_too() -> None:
    library = Path("/srv/fault.so")
    assert preloaded(library, {}) == preloaded(library, {"LD_PRELOAD": ""}) == str(library)
    assert preloaded(library, {"LD_PRELOAD": "a.so b.so"}) == f"{library}:a.so b.so"
