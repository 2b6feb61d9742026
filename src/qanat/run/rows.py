"""Rows that a query gave, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qanat.model.schema import Schema


@dataclass(frozen=True, slots=True)
class Rows:
    """The first rows of a query.

    Args:
        complete: False if there are more than were asked for.
    """

    schema: Schema
    rows: Sequence[tuple[Any, ...]]
    complete: bool = True
