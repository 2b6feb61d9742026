"""By what one sees that the files of a project may declare something else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from qanat.declare.files import project_files
from qanat.run.session import Session

Stamps: TypeAlias = tuple[tuple[tuple[Path, int, int], ...], dict[str, str]]
"""Files with when they were changed (ns since 1970) and their bytes; environment variables."""


def stamps_of(session: Session) -> Stamps | None:
    """By what one sees that a project may declare something else; None while it changes."""
    paths = (session.project.spec, *project_files(session.project))
    try:
        found = [(path, path.stat()) for path in paths]
    except OSError:
        return None
    files = tuple((path, each.st_mtime_ns, each.st_size) for path, each in found)
    # Specs and Python files read the environment.
    return files, dict(os.environ)
