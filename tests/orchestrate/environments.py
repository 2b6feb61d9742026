"""Installs an orchestrator into an environment of its own, once, outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from venv import EnvBuilder

PACKAGES = {
    "airflow": ("apache-airflow>=3.1,<4",),
    "dagster": ("dagster>=1.11,<2", "dagster-webserver>=1.11,<2"),
    "luigi": ("luigi>=3.6,<4",),
    "prefect": ("prefect>=3.4,<4",),
}
SOURCE = Path(__file__).parents[2] / "src"


def programs(orchestrator: str) -> Path:
    """The folder `bin` of its environment, which is made when it is first needed.

    It has no package that Qanat depends on, unless the orchestrator brings it.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qanat-tests"
    base.mkdir(parents=True, exist_ok=True)
    packages = PACKAGES[orchestrator]
    asked = hashlib.sha256(f"{sys.version} {packages}".encode()).hexdigest()[:12]
    home = base / f"{orchestrator}-{asked}"
    with (base / f"{orchestrator}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".made").exists():
            EnvBuilder(clear=True, with_pip=True).create(home)
            install = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *packages], check=True, timeout=900)
            (home / ".made").touch()
    return home / "bin"


def variables(orchestrator: str, **more: str) -> dict[str, str]:
    """The environment of its processes: its programs first, and Qanat without dependencies."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "VIRTUAL_ENV"))}
    path = f"{programs(orchestrator)}{os.pathsep}{os.environ['PATH']}"
    # As after `pip install --no-deps qanat`.
    return kept | {"PATH": path, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1"} | more
