"""Finds the spec of a project."""

from __future__ import annotations

from pathlib import Path

from qanat.errors import SpecError, SpecNotFoundError

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
