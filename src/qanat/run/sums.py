"""What epochs of one dataset have done, added up."""

from __future__ import annotations

from dataclasses import dataclass, field

from qanat.model.staged import Counts, RuleCount
from qanat.run.attempt import Done


@dataclass(slots=True)
class Sums:
    """Sums over epochs of one dataset.

    Args:
        files, read: files and rows that they have read.
        version: of the table after the last one; None if nothing was written.
    """

    epochs: int = 0
    counts: Counts = field(default_factory=Counts)
    files: int = 0
    read: int = 0
    version: int | None = None
    _rules: dict[tuple[str, str, str], RuleCount] = field(default_factory=dict)
    _notes: dict[str, None] = field(default_factory=dict)

    def add(self, *epochs: Done) -> Sums:
        """Add epochs, in their order."""
        for done in epochs:
            self.epochs += 1
            self.counts += done.epoch.counts or Counts()
            self.files += done.files
            self.read += done.read
            self.version = done.epoch.version
            for rule in done.epoch.rules:
                key = (rule.dataset, rule.rule, rule.action)
                before = self._rules.get(key)
                self._rules[key] = rule if before is None else before + rule
            self._notes |= dict.fromkeys(done.remarks)
        return self

    @property
    def rules(self) -> tuple[RuleCount, ...]:
        """Violations, by rule."""
        return tuple(self._rules.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """How columns of the table and of its sources have changed, each once."""
        return tuple(self._notes)
