"""Pages of updates, kept in the folder that the spec names (`reports`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qanat import disk
from qanat.errors import QanatError
from qanat.model.event import Warned
from qanat.ports.observer import Observer
from qanat.project.shown import Report, report, shown
from qanat.project.upkeep import run_module
from qanat.run.session import Session

_PAGE = re.compile(r"\d{8}T\d{6}-[0-9a-f]+\.html")
"""The name of a page: the identifier of its update, which begins with the time. Other files in the
folder are not Qanat's."""


def keep_page(session: Session, update: str, observers: Sequence[Observer]) -> None:
    """Write the page of an update if the spec asks for it, and remove the oldest ones.

    The update has ended: a page that cannot be written is a warning.

    Args:
        update: its identifier; empty if nothing had to be written.
    """
    folder = session.project.reports
    if folder is None or not update:
        return
    try:
        page = shown(Report, run_module("accounting").account(session, update)).html()
        with disk.explained("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            report("page").write(folder / f"{update}.html", page)
            _prune(folder, session.project.keep_reports)
    except QanatError as error:
        warned = Warned(None, f"the update has no page: {error.message}")
        for observer in observers:
            observer.on(warned)


def _prune(folder: Path, keep: int) -> None:
    pages = sorted((p for p in folder.iterdir() if _PAGE.fullmatch(p.name)), key=_written)
    for page in pages[:-keep]:
        page.unlink(missing_ok=True)


def _written(page: Path) -> tuple[str, int]:
    """When an update began, and its page was written: several may begin in one second."""
    try:
        return page.name.partition("-")[0], page.stat().st_mtime_ns
    except FileNotFoundError:
        # Another update has removed it meanwhile.
        return "", 0
