"""What the rows of one epoch do not tell: how they compare with those of other epochs.

The table is read as seldom as can be, as a backtest may read only so much of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from qanat.errors import TableNotFoundError
from qanat.model.record import Epoch
from qanat.model.rule import Monotonic, Unique
from qanat.model.work import Batch
from qanat.run.brought import Aside, about, known_keys, taken, taken_by
from qanat.run.trying import FarError, Looked, Trying

_WITHIN = "rows were compared within each update only"


def among_waiting(trying: Trying, looked: Sequence[Looked], aside: Aside) -> None:
    """Add to the violations of UNIQUE the rows in quarantine whose key the table had by then.

    Args:
        looked: newest first.
    """
    chosen = [n for n, each in enumerate(trying.rules) if isinstance(each.rule, Unique)]
    chosen = [n for n in chosen if trying.trials.get(n) and n not in trying.problems]
    waiting = [each for each in looked if each.waiting is not None]
    for each in waiting if chosen else ():
        if each.epoch.replaces:
            for n in chosen:
                _take(trying, n, each, each.batch)
    appended = [each for each in waiting if not each.epoch.replaces]
    if not chosen or not appended:
        return
    try:
        table = trying.at(max(each.epoch.version or 0 for each in appended))
    except (FarError, TableNotFoundError) as error:
        trying.problems |= dict.fromkeys(chosen, _why(trying, error))
        return
    everything = aside.of_all([each.epoch for each in appended])
    brought = [each for each in reversed(looked) if not each.epoch.replaces]
    for n in chosen:
        # Most of the time the table has none of the keys, and need not be read again.
        if everything is None or not _taken(trying, n, everything, table):
            continue
        columns = _columns(trying, n)
        keys = known_keys(
            trying.session, columns, everything, table, [each.batch for each in brought]
        )
        for at, each in enumerate(brought):
            if each.waiting is not None:
                _take(trying, n, each, taken_by(trying.session, keys, at))


def _take(trying: Trying, check: int, looked: Looked, table: Batch) -> None:
    """Add the rows of one epoch that wait and whose key a table has."""
    trial = trying.trials[check].get(looked.epoch.id)
    if trial is None or looked.waiting is None:
        return
    new = looked.written.get(check, 0)
    known = new + _taken(trying, check, looked.waiting, table)
    trying.add(check, looked.epoch, trial.rows, max(trial.violations, known), new)


def _taken(trying: Trying, check: int, waiting: Batch, table: Batch) -> int:
    there = (trying.dataset.name, table)
    return taken(trying.session, trying.rules[check], _columns(trying, check), waiting, there)


def _columns(trying: Trying, check: int) -> tuple[str, ...]:
    columns: tuple[str, ...] = getattr(trying.rules[check].rule, "columns", ())
    return columns


def among_all(trying: Trying, epochs: Sequence[Epoch]) -> None:
    """Add to the violations of rules about a row among others what earlier epochs brought.

    Args:
        epochs: newest first.
    """
    rules = trying.rules
    chosen = [n for n, each in enumerate(rules) if isinstance(each.rule, Unique | Monotonic)]
    chosen = [n for n in chosen if trying.trials.get(n)]
    appended = [e for e in epochs if not e.replaces and e.version]
    if not chosen or not appended:
        return
    known: dict[int, list[int]] = {}

    def at(version: int) -> list[int]:
        if version not in known:
            _, counts = trying.counted(trying.at(version), chosen)
            known[version] = [counts[n].violations for n in chosen]
        return known[version]

    def split(some: Sequence[Epoch]) -> None:
        """Find the epochs that brought violations; most of the time there are none."""
        first, last = some[-1].version or 0, some[0].version or 0
        if at(last) == at(first - 1):
            return
        if len(some) > 1:
            split(some[: len(some) // 2])
            split(some[len(some) // 2 :])
            return
        for n, after, before in zip(chosen, at(last), at(first - 1), strict=True):
            trial = trying.trials[n][some[0].id]
            most = max(after - before, trial.violations)
            trying.add(n, some[0], trial.rows, most, after - before)

    try:
        split(appended)
    except (FarError, TableNotFoundError) as error:
        trying.problems |= dict.fromkeys(chosen, _why(trying, error))


def _why(trying: Trying, error: FarError | TableNotFoundError) -> str:
    """Why rows were compared with fewer others than they should have been."""
    gone = "older versions of the table were deleted"
    return f"{_WITHIN}: {trying.far if isinstance(error, FarError) else gone}"


def of_tables(trying: Trying, epochs: Sequence[Epoch]) -> None:
    """Try rules about the whole table on what it was after each epoch."""
    chosen = [n for n in range(len(trying.rules)) if trying.whole(n)]
    for epoch in epochs if chosen else ():
        try:
            batch = trying.at(epoch.version or 0)
        except FarError:
            trying.problems |= dict.fromkeys(chosen, trying.far)
            return
        except TableNotFoundError as error:
            trying.problems |= dict.fromkeys(chosen, error.message)
            return
        rows, counts = trying.counted(batch, chosen, epoch.started)
        for n, count in counts.items():
            found = count.violations
            trying.add(n, epoch, about(count, rows), found, found, count.value)
