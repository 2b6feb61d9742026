"""Finds the spec and the files of a project."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qanat.errors import SpecError, SpecNotFoundError

if TYPE_CHECKING:
    # What prints errors imports this module, also for `qanat --help`.
    from qanat.model.pipeline import ProjectSpec

QANAT_SPECS = ("qanat.yml", "qanat.yaml")
SDP_SPECS = ("spark-pipeline.yml", "spark-pipeline.yaml")


def find_spec(start: Path) -> Path:
    """The spec in a folder, or in the nearest folder above it that has one.

    `qanat.yml` comes before SDP's `spark-pipeline.yml`.

    Raises:
        SpecNotFoundError: no folder has a spec.
        SpecError: a folder has a spec with both suffixes, `.yml` and `.yaml`.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        for names in (QANAT_SPECS, SDP_SPECS):
            found = [folder / name for name in names if (folder / name).is_file()]
            if len(found) > 1:
                raise SpecError(
                    f"both {names[0]} and {names[1]} are in {folder}",
                    hint="keep one of them",
                )
            if found:
                return found[0]
    raise SpecNotFoundError(
        f"no spec in {start} or any folder above",
        wanted="qanat.yml or spark-pipeline.yml",
        hint="`qanat init` makes a small project that runs",
    )


CHECKS = "checks"
"""The folder of a project that has its files of checks, and the rules that these name."""
CONTRACTS = "contracts"
"""The folder of a project that has its data contracts."""
_QUALITY = (".yml", ".yaml", ".csv", ".json", ".jsonl", ".parquet")

DEFAULT_LIBRARIES = ("transformations/**/*.sql", "transformations/**/*.py")


def library_files(project: ProjectSpec) -> list[Path]:
    """The `.sql` and `.py` files that the project's globs match, each once, sorted by path."""
    return sorted({path for pattern in project.libraries for path in match(project.root, pattern)})


def project_files(project: ProjectSpec) -> list[Path]:
    """All files that say what a project declares: those of its libraries, checks and contracts."""
    return [*library_files(project), *quality_files(project.root)]


def quality_files(root: Path) -> list[Path]:
    """The files of checks and contracts in a project's folder, sorted by path."""
    folders = (root / CHECKS, root / CONTRACTS)
    found = (path for folder in folders if folder.is_dir() for path in folder.rglob("*"))
    return sorted(path for path in found if path.suffix.lower() in _QUALITY and path.is_file())


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
