"""Schemas that messages were written by, as a registry has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from qanat.frozen import Frozen


class Written(Frozen):
    """One schema.

    Args:
        kind: `AVRO`, `PROTOBUF` or `JSON`.
        text: the schema.
        references: by name, the texts of those that it refers to; what they refer to comes first.
    """

    kind: str
    text: str
    references: Mapping[str, str] = field(default_factory=dict)


class Registry(Protocol):
    """Where schemas are registered, each under a number."""

    def schema(self, number: int) -> Written | None:
        """The schema of a number; None if there is none.

        Raises:
            QanatError: it cannot be asked.
        """
        ...
