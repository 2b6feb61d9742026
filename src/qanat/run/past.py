"""What a flow has read of its sources so far, as the ledger has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qanat.frozen import Frozen
from qanat.model.record import Epoch, FileRef
from qanat.ports.ledger import Ledger
from qanat.run.memo import CompiledFlow

SNAPSHOT = "now|"
"""Before the key of a source that is read as it is: what was looked up there is not taken."""


class FlowPast(Frozen):
    """The `Past` of one source of one flow.

    Args:
        key: of the source.
        generation: of the flow's target.
        published: an epoch of the flow that a crash left open although readers can see it. The
            next update calls it committed; what reads before that must see the same.
        corrects: files that replace, this once, what was read of them.
    """

    ledger: Ledger
    compiled: CompiledFlow
    key: str
    generation: int
    published: Epoch | None = None
    corrects: frozenset[str] = frozenset()

    @property
    def replaceable(self) -> bool:
        """Whether the rows of a file can go again, as far as that is known without the query."""
        flow = self.compiled
        return flow.changes is None and flow.stateful is None and flow.dataset.sink is None

    @property
    def final(self) -> bool:
        """Whether the flow runs once: no later epoch takes what the next one leaves."""
        return self.compiled.flow.once

    @property
    def position(self) -> Mapping[str, Any] | None:
        """Where the newest committed range with a position has ended."""
        range_ = None if self.published is None else self.published.ranges.get(self.key)
        if range_ is not None and range_.positioned:
            return range_.value
        flow, dataset = self.compiled.flow.name, self.compiled.dataset.name
        return self.ledger.position(flow, dataset, self.generation, self.key)

    def seen(self, paths: Iterable[str]) -> Mapping[str, FileRef]:
        """Of these files, those that committed epochs have taken, as they were then."""
        asked = frozenset(paths)
        flow, dataset = self.compiled.flow.name, self.compiled.dataset.name
        read = dict(self.ledger.seen(flow, dataset, self.generation, asked, self._relevant))
        ranges = {} if self.published is None else self.published.ranges
        for key, range_ in ranges.items():
            if self._relevant(key):
                read |= {f.path: f for f in range_.files if f.path in asked}
        return read

    def replaced(self, dataset: str) -> int | None:
        """The lowest version at which a dataset was replaced since the flow's last epoch."""
        if not self.ledger.generation(dataset):
            return None
        flow, target = self.compiled.flow.name, self.compiled.dataset.name
        mine = self.published or self.ledger.last_epoch(flow, target)
        return None if mine is None else self.ledger.replaced(dataset, after=mine.id)

    def _relevant(self, key: str) -> bool:
        """True if a file that was read under a key has been taken by this source.

        A file that was only looked up, or taken by another stream of the flow, has not. One
        taken under a path that the author has rewritten since has.
        """
        streams = {r.source.key for r in self.compiled.reads if r.streaming}
        return not key.startswith(SNAPSHOT) and key not in streams - {self.key}


class LookedPast(FlowPast):
    """The `Past` of a source that a flow has read without STREAM: once, or as it is."""

    def _relevant(self, key: str) -> bool:
        return key == SNAPSHOT + self.key
