"""Where files are, as catalogs name it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.model.location import is_url
from qanat.model.portrait import Place, place_of


def place(written: str, options: Mapping[str, Any], root: Path) -> Place:
    """The place of files that are read, or of a folder that is written to.

    >>> place("data/*.csv", {}, Path("/shop"))
    Place(namespace='file', name='/shop/data/*.csv')
    >>> place("", {"path": "s3://lake/out"}, Path("/shop"))
    Place(namespace='s3://lake', name='out')
    """
    where = written or str(options.get("path", ""))
    local = where.removeprefix("file://")
    return place_of(where) if is_url(where) else place_of(str(root / local))
