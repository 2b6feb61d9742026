"""Where the spec is."""

from __future__ import annotations

from pathlib import Path

from qanat.errors import SpecError, SpecNotFoundError

QANAT_SPECS = ("qanat.yml", "qanat.yaml")
SDP_SPECS = ("spark-pipeline.yml", "spark-pipeline.yaml")


def find_spec(start: Path) -> Path:
    """The spec in a folder or the nearest folder above it; `qanat.yml` goes before SDP's.

    Raises:
        SpecNotFoundError: there is none.
        SpecError: a folder has both spellings (`.yml` and `.yaml`) of one name.
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
