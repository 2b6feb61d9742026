"""All that there is to tell of one update, as `accounting` finds it."""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.model.anomaly import Anomaly
from qanat.model.event import DatasetEnded
from qanat.model.metrics import Metrics
from qanat.model.profile import Profile
from qanat.model.staged import RuleCount
from qanat.planning.lineage import Lineage
from qanat.run.results import FirstRows, HistoryEntry, UpdateEvents


class UpdateAccount(Frozen):
    """One update and what surrounds it.

    Args:
        told: its events.
        entry: the update with its epochs.
        trends: by dataset, what the newest updates up to this one brought, oldest first.
        anomalies: that were found in it.
        samples: of quarantines that it put rows into, the first of them.
        lineage: of all datasets; None if the declarations are wrong.
        values: whether the values of quarantined rows, and of profiles, may be shown.
        profiles: that it has kept.
    """

    project: str
    told: UpdateEvents
    entry: HistoryEntry
    trends: dict[str, tuple[Metrics, ...]]
    anomalies: tuple[Anomaly, ...]
    samples: tuple[FirstRows, ...]
    lineage: Lineage | None
    values: bool = False
    profiles: tuple[Profile, ...] = ()

    @property
    def rules(self) -> tuple[RuleCount, ...]:
        """What came of each rule in all epochs of the update, those of epochs that failed too."""
        found: dict[tuple[str, str], RuleCount] = {}
        for epoch in self.entry.epochs:
            for rule in epoch.rules:
                before = found.get((rule.dataset, rule.rule))
                found[rule.dataset, rule.rule] = rule if before is None else before + rule
        return tuple(found.values())

    @property
    def ended(self) -> tuple[DatasetEnded, ...]:
        """How each dataset ended, in the order in which they did."""
        return tuple(r.event for r in self.told.events if isinstance(r.event, DatasetEnded))
