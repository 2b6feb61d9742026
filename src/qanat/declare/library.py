"""Finds the files of a project and declares what they say."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qanat.declare.functions import declare_python
from qanat.declare.registry import Registry
from qanat.declare.settings import DEFAULT_LIBRARIES
from qanat.declare.statements import declare_sql
from qanat.errors import QanatError, SpecError, SqlSyntaxError
from qanat.model.location import Location
from qanat.model.pipeline import Pipeline
from qanat.model.project import Project


@dataclass(frozen=True, slots=True)
class Declared:
    """A pipeline as far as it could be understood, and everything that is wrong with it."""

    pipeline: Pipeline
    problems: tuple[QanatError, ...]


def load_pipeline(project: Project) -> Declared:
    """Read all transformation files of a project.

    Never raises for what the files say: all of it is in `Declared.problems`, in the order of
    files and lines.
    """
    registry = Registry(project)
    for path in _files(project, registry.problems):
        shown = path.relative_to(project.root).as_posix()
        with registry.collecting():
            text = _read(path, shown)
            if path.suffix == ".py":
                declare_python(path, text, registry)
            else:
                declare_sql(text, shown, registry)
    pipeline = Pipeline(project, registry.datasets, registry.flows)
    return Declared(pipeline, tuple(registry.problems))


def _files(project: Project, problems: list[QanatError]) -> list[Path]:
    """The `.sql` and `.py` files that the globs match, each once, sorted by path."""
    found: set[Path] = set()
    for pattern in project.libraries:
        matched = set(_match(project.root, pattern))
        # The default is two globs; a project need not have both kinds of file.
        if not matched and project.libraries != DEFAULT_LIBRARIES:
            problems.append(_nothing(project, pattern))
        found |= matched
    if not found and project.libraries == DEFAULT_LIBRARIES:
        problems.append(_nothing(project, "transformations/**"))
    return sorted(found)


def _nothing(project: Project, pattern: str) -> QanatError:
    return SpecError(
        f"libraries: {pattern!r} matches no .sql or .py file",
        location=Location(project.spec.name),
        hint=f"globs start in the folder of {project.spec.name}",
    )


def _match(root: Path, pattern: str) -> Iterator[Path]:
    # SDP's `folder/**` means every file below it; a plain folder means the same here.
    patterns = [pattern, f"{pattern}/*"] if pattern.endswith("**") else [pattern]
    if (root / pattern).is_dir():
        patterns = [f"{pattern}/**/*"]
    for each in patterns:
        # Path.glob follows no `..`, which a library shared by two projects needs.
        for name in glob.iglob(each, root_dir=root, recursive=True):  # noqa: PTH207
            path = Path(root, name)
            parts = Path(name).parts
            hidden = any(p.startswith(".") and p not in (".", "..") for p in parts)
            if hidden or "__pycache__" in parts or path.suffix not in (".sql", ".py"):
                continue
            if path.is_file() and path.is_relative_to(root):
                yield path


def _read(path: Path, shown: str) -> str:
    """The text of a file; a byte order mark and Windows' line ends do no harm."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SqlSyntaxError(
            "the file is not UTF-8 text", location=Location(shown), got=f"byte {error.start}"
        ) from error
    except OSError as error:
        raise SqlSyntaxError(
            f"cannot read the file: {error.strerror}", location=Location(shown)
        ) from error
