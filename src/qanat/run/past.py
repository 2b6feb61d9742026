"""What the ledger remembers of one source of one flow, as connectors ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qanat.model.position import FileRef
from qanat.model.record import Epoch
from qanat.ports.ledger import Ledger
from qanat.run.compiled import CompiledFlow

SNAPSHOT = "now|"
"""Before the key of a source that is read as it is: what was looked up there is not taken."""


@dataclass(frozen=True, slots=True)
class FlowPast:
    """The `Past` of one source of one flow.

    Args:
        key: of the source.
        generation: of the flow's target.
        published: an epoch of the flow that a crash left open although readers can see it. The
            next update calls it committed; whoever looks before that must see the same.
    """

    ledger: Ledger
    compiled: CompiledFlow
    key: str
    generation: int
    published: Epoch | None = None

    @property
    def position(self) -> Mapping[str, Any] | None:
        """Where the newest committed range that moves has ended."""
        if self.published is not None:
            range_ = self.published.ranges.get(self.key)
            if range_ is not None and range_.moves:
                return range_.value
        return self.ledger.position(self.compiled.flow.name, self.generation, self.key)

    def seen(self, paths: Iterable[str]) -> Mapping[str, FileRef]:
        """Of these files, those that committed epochs have taken, as they were then."""
        asked = tuple(paths)
        name = self.compiled.flow.name
        found = dict(self.ledger.seen(name, self.generation, asked, self._counts))
        if self.published is not None:
            wanted = set(asked)
            for key, range_ in self.published.ranges.items():
                if self._counts(key):
                    found |= {f.path: f for f in range_.files if f.path in wanted}
        return found

    def replaced(self, dataset: str) -> int | None:
        """The lowest version at which a dataset was replaced since the flow's last epoch."""
        if not self.ledger.generation(dataset):
            return None
        mine = self.published or self.ledger.last_epoch(self.compiled.flow.name)
        return None if mine is None else self.ledger.replaced(dataset, after=mine.id)

    def _counts(self, key: str) -> bool:
        """Whether a file that was read under a key has been taken by this source.

        A file that was only looked up, or taken by another stream of the flow, has not. One
        taken under a path that the author has rewritten since has.
        """
        streams = {r.source.key for r in self.compiled.reads if r.streaming}
        return not key.startswith(SNAPSHOT) and key not in streams - {self.key}
