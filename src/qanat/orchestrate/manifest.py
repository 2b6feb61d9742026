"""What a project declares, without its parser: a document that is kept until a file changes.

Orchestrators parse their files often, and in each task: so a project's datasets come from a JSON
document that `qanat export manifest` writes. It is kept in the user's cache folder, with when the
files that it was made from were changed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeAlias

from qanat import __version__
from qanat.declare.files import find_spec, match, quality_files
from qanat.frozen import Frozen
from qanat.orchestrate.program import Qanat

Stamps: TypeAlias = list[list[Any]]
"""Files with when they were changed (ns since 1970) and their bytes."""


class Rule(Frozen):
    """An expectation of a dataset; see `ManifestExpectation` in the reference."""

    name: str
    action: str
    text: str
    severity: str
    comment: str | None = None


class DatasetEntry(Frozen):
    """A table, materialized view or sink; see `ManifestDataset` in the reference."""

    dataset: str
    kind: str
    group: str
    comment: str | None
    tags: tuple[str, ...]
    reads: tuple[str, ...]
    sources: tuple[str, ...]
    rules: tuple[Rule, ...]


class Manifest(Frozen):
    """A project as an orchestrator sees it; `datasets` come each after what it reads."""

    project: str
    environment: str
    datasets: tuple[DatasetEntry, ...]


def manifest_of(document: Mapping[str, Any]) -> Manifest:
    """The manifest that a JSON document describes."""
    return Manifest(
        project=document["project"],
        environment=document["environment"],
        datasets=tuple(
            DatasetEntry(
                dataset=d["dataset"],
                kind=d["kind"],
                group=d["group"],
                comment=d["comment"],
                tags=tuple(d["tags"]),
                reads=tuple(d["reads"]),
                sources=tuple(d["sources"]),
                rules=tuple(
                    Rule(e["name"], e["action"], e["text"], e["severity"], e["comment"])
                    for e in d["expectations"]
                ),
            )
            for d in document["datasets"]
        ),
    )


def read_manifest(
    qanat: Qanat, select: Sequence[str] = (), file: str | Path | None = None
) -> Manifest:
    """The manifest of a project, from a file or from the project's own files.

    Python files of a project are not run to find out whether what they import has changed: touch
    them, or give a file.

    Args:
        select: only these datasets; none: all. A file has its own.
        file: that `qanat export manifest` wrote; None: ask the project, if its files have changed
            since it was last asked.

    Raises:
        QanatError: the project cannot be read.
    """
    if file is not None:
        return manifest_of(json.loads(Path(file).read_text(encoding="utf-8")))
    kept = _kept(qanat, select)
    known = _load(kept)
    if known is not None and known.get("stamps") == _stamps(qanat, known["libraries"]):
        return manifest_of(known)
    options = [part for name in select for part in ("--select", name)]
    began = time.time_ns()
    document = qanat.ask("export manifest", *options)
    stamps = _stamps(qanat, document["libraries"])
    # A file that was changed meanwhile may have been read before or after.
    if all(changed < began for _, changed, _ in stamps):
        _keep(kept, {**document, "stamps": stamps})
    return manifest_of(document)


def _kept(qanat: Qanat, select: Sequence[str]) -> Path:
    """Where the manifest is kept, by everything that it depends on but the project's files."""
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("QANAT__"))
    parts = (__version__, str(Path(qanat.project).absolute()), qanat.environment, qanat.command)
    text = repr((*parts, sorted(qanat.variables.items()), settings, tuple(select)))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "qanat" / f"{blake2b(text.encode(), digest_size=16).hexdigest()}.manifest"


def _stamps(qanat: Qanat, libraries: Sequence[str]) -> Stamps:
    spec = find_spec(Path(qanat.project))
    root = spec.parent
    found = {path for pattern in libraries for path in match(root, pattern)}
    paths = (spec, *sorted(found), *quality_files(root))
    return [[str(p), s.st_mtime_ns, s.st_size] for p in paths for s in (p.stat(),)]


def _load(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _keep(file: Path, document: Mapping[str, Any]) -> None:
    """Keep a document if the folder can be written; without one, the project is asked again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            "w", dir=file.parent, suffix=".new", delete=False, encoding="utf-8"
        ) as new:
            json.dump(document, new)
        Path(new.name).replace(file)
    except OSError:
        return
