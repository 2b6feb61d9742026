"""What `pip install` of the core brings into an empty environment, beside DuckDB alone."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

from figure import Against, Figure
from measure import BASELINES
from place import SOURCE, install, scratch


def size(folder: Path, what: str | Path) -> float:
    """MB that an installation adds to a new environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    before = _held(folder)
    install(folder / "bin", what)
    return _held(folder) - before


def _held(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def measure() -> list[Figure]:
    """MB on disk, compiled modules included; measured once, as it does not vary."""
    with scratch("install-size") as folder:
        core = size(folder / "qanat", SOURCE)
        alone = size(folder / "duckdb", "duckdb") if BASELINES else math.nan
    name = "install_size: core"
    return [Figure(name, core, "duckdb alone", alone, "MB", Against.VALUE, 300)]
