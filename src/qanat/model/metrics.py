"""What is known of the rows of an update without another look at them: the history of metrics.

Counts come from the epoch itself, columns from the statistics of the files that it staged. The
epochs of a flow in one update are one entry of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from qanat.frozen import Frozen
from qanat.model.pipeline import is_declared
from qanat.model.record import Epoch
from qanat.model.staged import ColumnMetrics, ColumnStatistics, Counts, RuleCount, Staged

METRICS_RETENTION = "qanat.metrics_retention"
"""The entry of the configuration that says for how long the history of metrics is kept."""
KEPT = "180 days"
"""How long it is kept where nothing is said."""

Columns: TypeAlias = Mapping[str, ColumnMetrics]


class Metrics(Frozen):
    """What the epochs of one flow have brought in one update.

    Args:
        flow, dataset: the flow, and what it feeds.
        update: its identifier.
        started, ended: of the first epoch, and of the last; seconds since 1970 (UTC).
        epochs: how many there were.
        rules: violations, also of expectations of views that the flow reads.
        bytes: that were written.
        columns: by name; only where the files hold just the rows of the epochs.
        gap: the longest time between two epochs that followed on one another, seconds.
    """

    flow: str
    dataset: str
    update: str
    started: float
    ended: float
    epochs: int
    counts: Counts
    rules: tuple[RuleCount, ...] = ()
    bytes: int = 0
    columns: Columns = field(default_factory=dict)
    gap: float = 0.0

    @property
    def shares(self) -> Mapping[str, tuple[int, int]]:
        """By metric, how many rows of how many were counted.

        >>> counts = Counts(out=9, written=8, dropped=1, malformed=1)
        >>> rules = (RuleCount("f", "known", "drop", 1),)
        >>> columns = {"amount": ColumnMetrics(8, 2)}
        >>> dict(Metrics("f", "f", "u", 1.0, 2.0, 1, counts, rules, 10, columns).shares)
        {'quarantined': (1, 10), 'dropped': (1, 10), 'violations(known)': (1, 10), \
'nulls(amount)': (2, 8)}
        """
        counts = self.counts
        found = {"quarantined": counts.set_aside, "dropped": counts.dropped}
        for rule in (r for r in self.rules if r.of_rows):
            of = rule.rule if rule.dataset == self.dataset else f"{rule.dataset}.{rule.rule}"
            found[f"violations({of})"] = rule.violations
        # A view may have given more rows than the flow made of them.
        shares = {name: (part, max(part, self.rows)) for name, part in found.items()}
        for name, column in self.columns.items():
            if column.nulls is not None:
                shares[f"nulls({name})"] = (column.nulls, column.rows)
        return shares

    @property
    def rows(self) -> int:
        """Rows that came: those of the query, and those that could not be parsed."""
        return self.counts.out + self.counts.malformed

    def __add__(self, later: Metrics) -> Metrics:
        """The same of these epochs and later ones.

        >>> first = Metrics("f", "f", "u", 1.0, 2.0, 1, Counts(out=3), (), 10)
        >>> both = first + Metrics("f", "f", "u", 4.0, 5.0, 1, Counts(out=4), (), 10)
        >>> both.rows, both.epochs, both.started, both.ended, both.gap
        (7, 2, 1.0, 5.0, 3.0)
        """
        return Metrics(
            self.flow,
            later.dataset,
            self.update,
            min(self.started, later.started),
            max(self.ended, later.ended),
            self.epochs + later.epochs,
            self.counts + later.counts,
            together(self.rules, later.rules),
            self.bytes + later.bytes,
            joined(self.columns, later.columns),
            max(self.gap, later.gap, later.ended - self.ended if later.epochs == 1 else 0.0),
        )


class Volume(Frozen):
    """How many rows a flow has brought in one update.

    Args:
        ended: when, seconds since 1970 (UTC).
        generation: of its target; the first update of one takes all rows that there are.
        lasted: of a continuous update, seconds from its beginning to its end; 0 while it goes on,
            or if it never came to its end. None of others.
    """

    update: str
    ended: float
    rows: int
    generation: int = 0
    lasted: float | None = None


class Watched(Frozen):
    """What is watched of a flow.

    Args:
        metrics: how many metrics its newest update had.
        due: when it should have brought something again, seconds since 1970 (UTC); None if that
            is not known, or has been told.
    """

    flow: str
    dataset: str
    metrics: int
    due: float | None = None


def of_epoch(epoch: Epoch) -> Metrics | None:
    """The metrics of one epoch; None of one that brings no rows, as a replay or maintenance.

    Args:
        epoch: with what was staged in it.
    """
    if epoch.counts is None or not is_declared(epoch.flow):
        return None
    ended = epoch.started if epoch.ended is None else epoch.ended
    return Metrics(
        epoch.flow,
        epoch.dataset,
        epoch.update,
        epoch.started,
        ended,
        1,
        epoch.counts,
        epoch.rules,
        epoch.bytes_written or 0,
        epoch.columns,
    )


def measured(staged: Staged) -> Columns:
    """The metrics of the columns of the rows that were staged, from the statistics of their files.

    Empty where files hold other rows, too: a merge writes rows of the table again.
    """
    table = staged.table
    if table.rows != staged.counts.written or table.removed or table.rewritten:
        return {}
    found: Columns = {}
    for file in table.files:
        of_file = {n: _of_column(file.rows, s) for n, s in file.statistics.items()}
        found = joined(found, of_file) if found else of_file
    return found


def joined(one: Columns, other: Columns) -> Columns:
    """The metrics of the rows of both; a column that only one of them has counts for its rows."""
    if not one:
        return other
    both = {name: known + other[name] for name, known in one.items() if name in other}
    return {**one, **other, **both}


def _of_column(rows: int, known: ColumnStatistics) -> ColumnMetrics:
    low, high = (_plain(known.low), _plain(known.high)) if known.bounded else (None, None)
    return ColumnMetrics(rows, known.nulls, low, high)


def _plain(value: object) -> int | float | str | None:
    """A bound as JSON has it; None for texts, whose bounds may be names of people."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def together(one: tuple[RuleCount, ...], other: tuple[RuleCount, ...]) -> tuple[RuleCount, ...]:
    """What came of expectations in two lots of epochs, added up by expectation."""
    found = {(r.dataset, r.rule, r.action): r for r in one}
    for rule in other:
        key = rule.dataset, rule.rule, rule.action
        before = found.get(key)
        found[key] = rule if before is None else before + rule
    return tuple(found.values())
