"""Finds the files of a project."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from qanat.model.project import Project

DEFAULT_LIBRARIES = ("transformations/**/*.sql", "transformations/**/*.py")


def library_files(project: Project) -> list[Path]:
    """The `.sql` and `.py` files that the project's globs match, each once, sorted by path."""
    return sorted({path for pattern in project.libraries for path in match(project.root, pattern)})


def match(root: Path, pattern: str) -> Iterator[Path]:
    """The `.sql` and `.py` files that one glob matches, without hidden ones."""
    # SDP's `folder/**` means every file below the folder; a plain folder means the same here.
    patterns = [pattern, f"{pattern}/*"] if pattern.endswith("**") else [pattern]
    if (root / pattern).is_dir():
        patterns = [f"{pattern}/**/*"]
    for each in patterns:
        # Not Path.glob, which rejects `..`: two projects may share a library beside them.
        for name in glob.iglob(each, root_dir=root, recursive=True):  # noqa: PTH207
            path = Path(root, name)
            parts = Path(name).parts
            hidden = any(p.startswith(".") and p not in (".", "..") for p in parts)
            if hidden or "__pycache__" in parts or path.suffix not in (".sql", ".py"):
                continue
            if path.is_file() and path.is_relative_to(root):
                yield path
