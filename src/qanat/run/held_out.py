"""Which rows of a dataset suggest checks, and which ones are held out to try them on.

The newest epochs are held out, as what comes next resembles them most. Where there is only one
epoch, its last rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from qanat.errors import TableNotFoundError
from qanat.frozen import Frozen
from qanat.model.backtest import CheckTrials, Trial
from qanat.model.expectation import Expectation
from qanat.model.pipeline import Dataset
from qanat.model.record import Epoch
from qanat.model.rule import Level, Unique
from qanat.model.schema import Schema
from qanat.model.staged import RuleCount
from qanat.model.work import Batch
from qanat.run.backtest import backtest
from qanat.run.brought import about, computed, past_epochs
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.run.trying import Trying

MOST_EPOCHS = 120
_PART = 4
"""One of so many epochs, or rows, is held out."""


class Parted(Frozen):
    """The rows of a dataset, in two parts.

    Args:
        older: those that suggest checks.
        older_epochs, held_out: epochs of both parts, newest first; none are held out where the
            rows of one epoch were split.
        schema: of the table.
        newer: the last rows of one epoch, where these were split; `whole` has all of them, which
            are `total`.
    """

    older: Batch
    older_epochs: tuple[Epoch, ...]
    held_out: tuple[Epoch, ...]
    schema: Schema
    newer: Batch | None = None
    whole: Batch | None = None
    total: int | None = None

    def least(self, rows: int) -> int:
        """How many rows there have to be, so that the older part has so many."""
        return (
            rows if self.total is None else next(n for n in count(rows) if n - n // _PART >= rows)
        )


def parted(session: Session, dataset: Dataset, held_out: int | None) -> Parted:
    """Part the rows of a dataset.

    Args:
        held_out: epochs to hold out; default: a quarter of those that are known.

    Raises:
        TableNotFoundError: it has no table (yet).
    """
    epochs = past_epochs(session, dataset.name, MOST_EPOCHS) if session.has_ledger else []
    newest = stored(session, dataset.name).snapshot
    if len(epochs) > 1:
        many = min(held_out or -(-len(epochs) // _PART), len(epochs) - 1)
        try:
            older = stored(session, dataset.name, epochs[many].version).snapshot
        except TableNotFoundError:
            pass  # maintenance has deleted what the table was then
        else:
            return Parted(older.batch, tuple(epochs[many:]), tuple(epochs[:many]), newest.schema)
    rows = newest.rows if newest.rows is not None else _counted(session, newest.batch)
    first = rows - rows // _PART
    batch = {"__rows": newest.batch}
    return Parted(
        computed(session, f"SELECT * FROM __rows LIMIT {first}", batch),
        tuple(epochs[:1]),
        (),
        newest.schema,
        computed(session, f"SELECT * FROM __rows OFFSET {first}", batch),
        newest.batch,
        rows,
    )


def _counted(session: Session, batch: Batch) -> int:
    rows, _ = session.engine.check(batch, "", (), {})
    return rows


def holding(
    session: Session, dataset: Dataset, parts: Parted, checks: Sequence[Expectation]
) -> frozenset[int]:
    """The numbers of the checks that the older rows keep, exactly, up to what they tolerate.

    Those about whole tables go by the history, and are not looked at here.
    """
    trying = Trying(session, dataset, tuple(checks))
    trying.find_references()
    of_rows = [n for n, each in enumerate(checks) if each.rule.level.of_rows]
    rows, counts = trying.counted(parts.older, of_rows)
    held = {n for n, c in counts.items() if checks[n].allows(c.violations, about(c, rows))}
    return frozenset(held | (set(range(len(checks))) - set(of_rows)))


def tried(
    session: Session, dataset: Dataset, parts: Parted, checks: Sequence[Expectation]
) -> tuple[CheckTrials, ...]:
    """What checks do on the rows that were held out, without those that wait in quarantine.

    Those are known to be bad: a check that finds them, too, is no worse for it.
    """
    if parts.newer is None or parts.whole is None:
        many = len(parts.held_out)
        return backtest(session, dataset.name, checks, many, waiting=False).checks
    trying = Trying(session, dataset, tuple(checks))
    trying.find_references()
    of_rows = [n for n, each in enumerate(checks) if each.rule.level is not Level.TABLE]
    rows, counts = trying.counted(parts.newer, of_rows)
    unique = [n for n in counts if isinstance(trying.rules[n].rule, Unique)]
    if unique:
        _, after = trying.counted(parts.whole, unique)
        _, before = trying.counted(parts.older, unique)
        for n in unique:
            new = after[n].violations - before[n].violations
            counts[n] = replace(counts[n], violations=max(new, counts[n].violations))
    return tuple(
        CheckTrials(
            check,
            (_trial(check, counts[n], rows),) if n in counts else (),
            problem=trying.problems.get(n),
        )
        for n, check in enumerate(checks)
    )


def _trial(check: Expectation, count: RuleCount, rows: int) -> Trial:
    of = about(count, rows)
    violations = count.violations
    return Trial("", 0, "", 0.0, of, violations, not check.allows(violations, of), count.value)
