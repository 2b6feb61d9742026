"""Is everything installed that Qanat needs?"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from qanat.run.results import Finding

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*(?:>=\s*(?P<least>[\w.]+))?[^;]*"
    r"(?:;\s*extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"])?"
)
_PYTHON = (3, 11)


def installation() -> Iterator[Finding]:
    """Python, the packages that Qanat needs, and those that its extras add."""
    yield _python()
    try:
        needed = requires("qanat") or []
        yield Finding("ok", "qanat", f"version {version('qanat')}")
    except PackageNotFoundError:
        yield Finding(
            "warning",
            "qanat",
            "runs from its source without being installed: what it needs is not known",
            "pip install qanat",
        )
        return
    told: set[str] = set()
    # Several extras may bring one package; `all` brings what the others do.
    for match in sorted(filter(None, map(_REQUIREMENT.match, needed)), key=_all_last):
        if match["name"] not in told:
            told.add(match["name"])
            yield _package(match["name"], match["least"], match["extra"])


def _all_last(match: re.Match[str]) -> bool:
    return match["extra"] == "all"


def _python() -> Finding:
    running = platform.python_version()
    if numbers(running) >= _PYTHON:
        return Finding("ok", "python", f"version {running}")
    least = ".".join(map(str, _PYTHON))
    return Finding(
        "error", "python", f"version {running} is too old", f"use Python {least} or newer"
    )


def _package(name: str, least: str | None, extra: str | None) -> Finding:
    install = f"pip install --upgrade 'qanat[{extra}]'" if extra else f"pip install -U {name}"
    try:
        installed = version(name)
    except PackageNotFoundError:
        if extra:
            detail = f"not installed; {install.replace(' --upgrade', '')} adds it"
            return Finding("absent", f"{name} (optional)", detail)
        return Finding("error", name, "not installed", install)
    what = f"{name} (optional)" if extra else name
    if least is not None and numbers(installed) < numbers(least):
        level = "warning" if extra else "error"
        return Finding(level, what, f"version {installed} is older than {least}", install)
    return Finding("ok", what, f"version {installed}")


def numbers(version: str) -> tuple[int, ...]:
    """A version's leading numbers, for comparing.

    >>> numbers("1.10.0rc1") > numbers("1.9")
    True
    """
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(n) for n in release[0].split(".")) if release else ()
