"""What puts data outside the project's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from qanat.model.dataset import SinkTarget
from qanat.model.work import Output, StagedTable


class Sink(Protocol):
    """A place that takes each epoch of a flow exactly once."""

    def check(self, target: SinkTarget) -> None:
        """Raise what is wrong with a target, as far as it can be told without writing."""
        ...

    def output(self, target: SinkTarget, flow: str, epoch: int, root: Path) -> Output:
        """Where the engine shall stage the rows."""
        ...

    def publish(
        self, target: SinkTarget, flow: str, epoch: int, staged: StagedTable, root: Path
    ) -> None:
        """Make the epoch visible, whole; doing it twice is the same as once."""
        ...

    def carries(self, target: SinkTarget, flow: str, epoch: int, root: Path) -> bool:
        """Whether the epoch has been published."""
        ...

    def sweep(self, target: SinkTarget, root: Path) -> None:
        """Remove what epochs that are over have left behind; none may be open."""
        ...
