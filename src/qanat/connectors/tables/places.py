"""Where tables of others are, as catalogs name it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.model.location import is_url
from qanat.model.portrait import Place, place_of


def place(written: str, options: Mapping[str, Any], root: Path) -> Place:
    """The place of a table.

    >>> place("lake/orders", {}, Path("/shop"))
    Place(namespace='file', name='/shop/lake/orders')
    """
    del options
    local = written.removeprefix("file://")
    return place_of(written) if is_url(written) else place_of(str(root / local))
