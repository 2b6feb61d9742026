"""Where the benchmarks keep what is dear to make, and what they start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
QANAT = (sys.executable, "-m", "qanat")


def cache() -> Path:
    """The folder for downloads and generated data; outside the checkout, kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "qanat-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for one benchmark's projects, on the same disk as the data; removed after."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def no_cache(folder: Path) -> dict[str, str]:
    """An environment in which Qanat finds nothing that an earlier run kept for it."""
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def spark() -> Path:
    """`spark-pipelines` in a virtual environment of its own (needs Java 17), made once."""
    venv = cache() / "spark-venv"
    installed = venv / ".installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        # `pyspark[connect]` forgets PyYAML, which its own command line imports.
        pip = (str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "pyspark[connect]", "pyyaml"], check=True)
        installed.touch()
    return venv / "bin" / "spark-pipelines"


def tpch(scale: int) -> Path:
    """A folder with TPC-H lineitem.parquet, orders.parquet and dirty.parquet, made once."""
    folder = cache() / "tpch" / f"sf{scale}"
    if not (folder / ".made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        generate = ["tpchgen-cli", "parquet", "--tables", "lineitem,orders"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [*generate, "--scale-factor", str(scale), "--output-dir", str(folder)],
            check=True,
            env={**os.environ, "PATH": path},
        )
        # In a process of its own: see measure.py.
        spoil = Path(__file__).with_name("spoil.py")
        subprocess.run([sys.executable, spoil, folder], check=True)
        (folder / ".made").touch()
    return folder
