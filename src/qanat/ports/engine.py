"""What computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from qanat.model.batch import Batch
from qanat.model.schema import Schema
from qanat.model.work import Staged, Work

Progress = Callable[[float | None], None]
"""Called now and then with the fraction done (0 to 1), or None when unknown."""


class Engine(Protocol):
    """Runs queries; safe to call from several threads at once."""

    @property
    def dialect(self) -> str:
        """The SQL dialect that `Work.query` must be in."""
        ...

    def stage(self, work: Work, progress: Progress) -> Staged:
        """Run one epoch and stage its rows: files are written and fsynced, not published.

        On any error, and when a `fail` expectation is violated, no staged file remains
        (in the second case the returned `Staged.failed` is not empty and there are no files).

        Raises:
            ContractError: a source's columns or values break a declared contract.
            DeclarationError: the query does not compile against its inputs.
            AdapterError: an input cannot be read or an output cannot be written.
        """
        ...

    def describe(self, work: Work) -> Schema:
        """The columns that `work.query` would give, without running it."""
        ...

    def fetch(
        self, batch: Batch, limit: int | None = None, where: str | None = None
    ) -> tuple[Schema, Sequence[tuple[Any, ...]]]:
        """The first rows of a batch as Python values, for people to look at."""
        ...

    def close(self) -> None:
        """Free memory and scratch space."""
        ...
