"""What checks would have done with the rows of past updates; nothing is written.

The rows of an epoch are those that its commit added to the table, by the table's log, and those
that it put into quarantine and that still wait there. Each epoch is checked by itself, as the
update would have done it. Keys that have to be unique are also compared with the rows before;
what a rule refers to is looked up as it is now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qanat.errors import DatasetNotFoundError, QanatError, TableNotFoundError, nearest
from qanat.model.backtest import BACKTESTED, Backtest, CheckTrials, Trial, Unseen
from qanat.model.name import fold
from qanat.model.pipeline import Action, Dataset, Expectation, References, Unique
from qanat.model.record import Epoch
from qanat.model.work import Batch
from qanat.planning.fingerprint import expected
from qanat.ports.source import Readable
from qanat.run.analysis import rules_of
from qanat.run.brought import Aside, brought, past_epochs
from qanat.run.limit import limit_of, window_of
from qanat.run.results import Selection, choose_datasets
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.secret import masked
from qanat.text import size

_FAR = "more than {} would have to be read"


def backtest(
    session: Session,
    dataset: str,
    expectations: Sequence[Expectation] | None = None,
    updates: int = BACKTESTED,
    most_bytes: int | None = None,
) -> Backtest:
    """What each of some checks would have done with each of the last updates of a dataset.

    Args:
        expectations: as an author declares them; they need not be those of the dataset.
            Default: all that it has.
        updates: how many of the newest, at most.
        most_bytes: of files that are read, at most; what is older then is not looked at.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
    """
    found = session.pipeline.get(dataset)
    if found is None:
        known = [d.name for d in session.pipeline.datasets]
        raise DatasetNotFoundError(f"{dataset} is not declared", nearest=nearest(dataset, known))
    checks = found.expectations if expectations is None else tuple(expectations)
    return _Trying(session, found, checks, most_bytes).tried(updates)


def backtests(
    session: Session,
    selection: Selection | None = None,
    updates: int = BACKTESTED,
    changed: bool = False,
    most_bytes: int | None = None,
) -> tuple[Backtest, ...]:
    """The same of each chosen dataset with checks that has brought rows into a table.

    Args:
        changed: only of checks that are new, or that were declared otherwise at the last update.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: a pattern matches nothing.
    """
    session.require()
    found = []
    for name in choose_datasets(session, selection or Selection()).datasets:
        dataset = session.pipeline.dataset(name)
        checks = changed_checks(session, dataset) if changed else dataset.expectations
        if checks and dataset.stored and session.has_ledger and past_epochs(session, name, 1):
            found.append(_Trying(session, dataset, checks, most_bytes).tried(updates))
    return tuple(found)


def changed_checks(session: Session, dataset: Dataset) -> tuple[Expectation, ...]:
    """The checks of a dataset that its last update did not know, or knew otherwise.

    None of a dataset that has never run: nothing would be there to try them on.
    """
    known = session.recorded.definitions().get(dataset.name) if session.has_ledger else None
    if known is None:
        return ()
    return tuple(e for e in dataset.expectations if f"{masked(expected(e))}\n" not in known.text)


@dataclass(slots=True)
class _Trying:
    """Tries checks on the epochs of one dataset.

    Args:
        declared: the checks, in the project's dialect.
    """

    session: Session
    dataset: Dataset
    declared: tuple[Expectation, ...]
    most_bytes: int | None
    read: Readable = field(init=False)
    rules: tuple[Expectation, ...] = field(init=False)
    trials: dict[int, list[Trial]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        session = self.session
        self.read = session.readable(self.dataset.name)
        asked = replace(self.dataset, expectations=self.declared)
        self.rules = rules_of(asked, session.dialect, session.pipeline.own)

    def tried(self, updates: int) -> Backtest:
        """All of them on the newest epochs."""
        session, name = self.session, self.dataset.name
        epochs = past_epochs(session, name, updates) if session.has_ledger else []
        references, aside = self._references(), self._aside()
        unseen: Counter[str] = Counter()
        looked: list[Epoch] = []
        rows = left = 0
        for epoch in epochs:
            found = brought(session, self.read, epoch)
            if found.batch is None:
                unseen[found.missing or ""] += 1
                continue
            left += found.bytes
            if self.most_bytes is not None and left > self.most_bytes:
                unseen[_FAR.format(size(self.most_bytes))] += len(epochs) - len(looked)
                break
            looked.append(epoch)
            waiting = aside.of(epoch)
            rows += self._on(epoch, found.batch, waiting, references)
        self._unique(looked)
        released = {n: self._released(n, aside, references) for n in range(len(self.rules))}
        return Backtest(
            dataset=name,
            updates=updates,
            looked=len(looked),
            rows=rows,
            checks=tuple(
                CheckTrials(
                    declared, tuple(self.trials.get(n, ())), released[n], self.problems.get(n)
                )
                for n, declared in enumerate(self.declared)
            ),
            unseen=tuple(Unseen(count, reason) for reason, count in unseen.items()),
        )

    # -- one epoch ------------------------------------------------------------------------------

    def _on(
        self, epoch: Epoch, batch: Batch, waiting: Batch | None, references: Mapping[str, Batch]
    ) -> int:
        """Try all checks on the rows of one epoch; how many rows it has."""
        written, broken = self._counted(batch, references)
        others, waiting_broken = (0, {}) if waiting is None else self._counted(waiting, references)
        total = written + others
        for n, count in broken.items():
            violations = count + waiting_broken.get(n, 0)
            blocks = self._blocks(self.rules[n], epoch, total, violations, count)
            trial = Trial(
                epoch.flow,
                epoch.number,
                epoch.update,
                epoch.ended or epoch.started,
                total,
                violations,
                blocks,
            )
            self.trials.setdefault(n, []).append(trial)
        return total

    def _counted(self, batch: Batch, references: Mapping[str, Batch]) -> tuple[int, dict[int, int]]:
        """How many rows a batch has, and how many of them violate each check that can be tried."""
        asked = [n for n in range(len(self.rules)) if n not in self.problems]
        engine, name = self.session.engine, self.dataset.name
        try:
            rows, counts = engine.check(batch, name, [self.rules[n] for n in asked], references)
        except QanatError:
            # One of them cannot be tried, because it uses a column that is new, say.
            for n in asked:
                try:
                    engine.check(batch, name, [self.rules[n]], references)
                except QanatError as error:
                    self.problems[n] = error.message
            left = [n for n in asked if n not in self.problems]
            if len(left) == len(asked):
                raise
            return self._counted(batch, references)
        return rows, {n: c.violations for n, c in zip(asked, counts, strict=True)}

    def _blocks(
        self, rule: Expectation, epoch: Epoch, rows: int, violations: int, new: int
    ) -> bool:
        """True if the epoch would have published nothing.

        Args:
            new: violations among the rows that it did publish.
        """
        if rule.action is Action.FAIL:
            return violations > 0
        limit = limit_of(self.session, self.dataset)
        if rule.action is not Action.QUARANTINE or limit is None or not new:
            return False
        counts = epoch.counts
        if counts is None or window_of(self.session, self.dataset):
            return False
        return not limit.allows(counts.set_aside + new, max(rows, counts.out + counts.malformed))

    # -- what one epoch does not tell -----------------------------------------------------------

    def _unique(self, epochs: Sequence[Epoch]) -> None:
        """Add to violations of UNIQUE the rows whose key an earlier epoch has brought.

        Args:
            epochs: newest first.
        """
        chosen = [n for n, r in enumerate(self.rules) if isinstance(r.rule, Unique)]
        chosen = [n for n in chosen if self.trials.get(n)]
        appended = [e for e in epochs if not e.replaces and e.version]
        if not chosen or not appended:
            return
        known: dict[int, list[int]] = {}

        def at(version: int) -> list[int]:
            if version not in known:
                batch = stored(self.session, self.dataset.name, version).snapshot.batch
                _, counts = self.session.engine.check(
                    batch, self.dataset.name, [self.rules[n] for n in chosen], {}
                )
                known[version] = [c.violations for c in counts]
            return known[version]

        def split(some: Sequence[Epoch]) -> None:
            """Find the epochs that brought keys again; most of the time there are none."""
            first, last = some[-1].version or 0, some[0].version or 0
            if at(last) == at(first - 1):
                return
            if len(some) > 1:
                split(some[: len(some) // 2])
                split(some[len(some) // 2 :])
                return
            for n, after, before in zip(chosen, at(last), at(first - 1), strict=True):
                self._raise(n, some[0], after - before)

        try:
            split(appended)
        except TableNotFoundError:
            for n in chosen:
                self.problems[n] = (
                    "keys were compared within each update only: older versions of the table"
                    " were deleted"
                )

    def _raise(self, check: int, epoch: Epoch, violations: int) -> None:
        trials = self.trials[check]
        for place, trial in enumerate(trials):
            if (trial.flow, trial.epoch) == (epoch.flow, epoch.number):
                most = max(violations, trial.violations)
                blocks = self._blocks(self.rules[check], epoch, trial.rows, most, violations)
                trials[place] = replace(trial, violations=most, blocks=blocks)

    def _released(self, check: int, aside: Aside, references: Mapping[str, Batch]) -> int:
        """Rows that wait for a rule of this name, and for no other, and would pass now."""
        rule = self.rules[check]
        if isinstance(rule.rule, Unique):
            return 0  # what else the table has would have to be compared, too
        if check in self.problems or (waiting := aside.only_by(rule.name)) is None:
            return 0
        rows, counts = self.session.engine.check(waiting, self.dataset.name, [rule], references)
        return rows - sum(c.violations for c in counts)

    def _references(self) -> dict[str, Batch]:
        found: dict[str, Batch] = {}
        for n, each in enumerate(self.rules):
            if isinstance(each.rule, References):
                try:
                    batch = stored(self.session, each.rule.dataset).snapshot.batch
                except TableNotFoundError as error:
                    self.problems[n] = error.message
                else:
                    found[fold(each.rule.dataset)] = batch
        return found

    def _aside(self) -> Aside:
        try:
            return Aside(self.session, stored(self.session, self.dataset.quarantine))
        except TableNotFoundError:
            return Aside(self.session, None)
