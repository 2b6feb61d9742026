"""What checks would have done with the rows of past updates; nothing is written.

The rows of an epoch are those that its commit added to the table, by the table's log, and those
that it put into quarantine and that still wait there. Each epoch is checked by itself, as the
update would have done it. Keys that have to be unique are also compared with the rows before;
what a rule refers to is looked up as it is now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from qanat.errors import DatasetNotFoundError, QanatError, TableNotFoundError, nearest
from qanat.model.backtest import BACKTESTED, Backtest, CheckTrials, Trial, Unseen
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Name, fold
from qanat.model.pipeline import Dataset
from qanat.model.record import Epoch
from qanat.model.rule import Level, Monotonic, Unique, of_epoch
from qanat.model.staged import RuleCount
from qanat.model.work import Batch
from qanat.planning.fingerprint import expected
from qanat.ports.source import Readable
from qanat.run.analysis import rules_of
from qanat.run.auditing import of_columns
from qanat.run.brought import Aside, about, brought, past_epochs, taken
from qanat.run.limit import limit_of, window_of
from qanat.run.results import Selection, choose_datasets
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.secret import masked
from qanat.text import size

_WITHIN = "rows were compared within each update only"


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


class _FarError(Exception):
    """More would have to be read than may be."""


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
    references: dict[Name, Batch] = field(default_factory=dict)
    trials: dict[int, dict[int, Trial]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    bytes: int = 0

    def __post_init__(self) -> None:
        session = self.session
        self.read = session.readable(self.dataset.name)
        asked = replace(self.dataset, expectations=self.declared)
        self.rules = rules_of(asked, session.dialect, session.pipeline.own)

    def tried(self, updates: int) -> Backtest:
        """All of them on the newest epochs."""
        session, name = self.session, self.dataset.name
        epochs = past_epochs(session, name, updates) if session.has_ledger else []
        aside = self._aside()
        self._find_references()
        unseen: Counter[str] = Counter()
        looked: list[Epoch] = []
        rows = 0
        for found in brought(session, self.read, epochs):
            epoch = found.epoch
            if found.batch is None:
                unseen[found.missing or ""] += 1
                continue
            if self._too_much(found.bytes):
                unseen[self._far] += len(epochs) - len(looked) - unseen.total()
                break
            looked.append(epoch)
            rows += self._on(epoch, found.batch, aside.of(epoch))
        self._among_all(looked)
        self._of_tables(looked)
        return Backtest(
            dataset=name,
            updates=updates,
            looked=len(looked),
            rows=rows,
            checks=tuple(
                CheckTrials(
                    declared,
                    tuple(self.trials.get(n, {}).values()),
                    self._released(n, aside),
                    self.problems.get(n),
                )
                for n, declared in enumerate(self.declared)
            ),
            unseen=tuple(Unseen(count, reason) for reason, count in unseen.items()),
            bytes=self.bytes,
        )

    # -- one epoch ------------------------------------------------------------------------------

    def _on(self, epoch: Epoch, batch: Batch, waiting: Batch | None) -> int:
        """Try all checks on the rows of one epoch; how many rows it has."""
        written, counts = self._counted(
            batch, [n for n in self._all if not self._whole(n)], epoch.started
        )
        others, aside = 0, dict[int, RuleCount]()
        if waiting is not None:
            others, aside = self._counted(waiting, [n for n in counts if self._of_rows(n)])
        for n, count in counts.items():
            also = aside.get(n)
            violations = count.violations + (also.violations if also else 0)
            if also and waiting is not None:
                known = count.violations + self._taken(n, epoch, waiting)
                violations = max(violations, known)
            among = about(count, written) + (about(also, others) if also else 0)
            self._add(n, epoch, among, violations, count.violations, count.value)
        return written + others

    def _taken(self, check: int, epoch: Epoch, waiting: Batch) -> int:
        """Rows in quarantine whose key the table had by then, for UNIQUE."""
        asked, key = self.rules[check], self.rules[check].rule
        if not isinstance(key, Unique):
            return 0
        try:
            table = self._at(epoch.version or 0)
        except (_FarError, TableNotFoundError) as error:
            self.problems[check] = self._why(error)
            return 0
        return taken(self.session, asked, key, waiting, (self.dataset.name, table))

    def _add(
        self,
        check: int,
        epoch: Epoch,
        rows: int,
        violations: int,
        new: int,
        value: str | None = None,
    ) -> None:
        """Note what a check would have done with an epoch.

        Args:
            new: violations among the rows that the epoch did publish.
        """
        blocks = self._blocks(self.rules[check], epoch, rows, violations, new)
        at = epoch.ended or epoch.started
        told = (epoch.flow, epoch.number, epoch.update, at, rows, violations, blocks, value)
        self.trials.setdefault(check, {})[epoch.id] = Trial(*told)

    def _counted(
        self, batch: Batch, asked: Sequence[int], at: float = 0.0
    ) -> tuple[int, dict[int, RuleCount]]:
        """How many rows a batch has, and what comes of each check that can be tried on them.

        Args:
            at: the time that rules compare with, seconds since 1970 (UTC).
        """
        asked = [n for n in asked if n not in self.problems]
        try:
            return self._evaluated(batch, asked, at)
        except QanatError:
            # One of them cannot be tried, because it uses a column that is new, say.
            for n in asked:
                try:
                    self._evaluated(batch, [n], at)
                except QanatError as error:
                    self.problems[n] = error.message
            left = [n for n in asked if n not in self.problems]
            if len(left) == len(asked):
                raise
            return self._evaluated(batch, left, at)

    def _evaluated(
        self, batch: Batch, asked: Sequence[int], at: float
    ) -> tuple[int, dict[int, RuleCount]]:
        engine, name = self.session.engine, self.dataset.name
        of_rows = [n for n in asked if self._of_rows(n)]
        rules = [self.rules[n] for n in of_rows]
        rows, counts = engine.check(batch, name, rules, self.references)
        found = dict(zip(of_rows, counts, strict=True))
        of_table = [n for n in asked if self.rules[n].rule.level is Level.TABLE]
        if of_table:
            rules, at_ns = [self.rules[n] for n in of_table], round(at * 1e9)
            counts = engine.measure((batch,), name, rules, self.references, at_ns, rows)
            found |= dict(zip(of_table, counts, strict=True))
        of_schema = [n for n in asked if self.rules[n].rule.level is Level.SCHEMA]
        schema = getattr(batch, "schema", None)
        if of_schema and schema is not None:
            counts = tuple(of_columns(name, schema, [self.rules[n] for n in of_schema]))
            found |= dict(zip(of_schema, counts, strict=True))
        return rows, {n: found[n] for n in asked if n in found}

    def _blocks(
        self, rule: Expectation, epoch: Epoch, rows: int, violations: int, new: int
    ) -> bool:
        """True if the epoch would have published nothing; see `_add`."""
        beyond = not rule.allows(violations, rows)
        if rule.action is Action.FAIL or (rule.action.moves and rule.tolerance is not None):
            return beyond
        limit = limit_of(self.session, self.dataset)
        if rule.action is not Action.QUARANTINE or limit is None or not new:
            return False
        counts = epoch.counts
        if counts is None or window_of(self.session, self.dataset):
            return False
        return not limit.allows(counts.set_aside + new, counts.out + counts.malformed)

    # -- what one epoch does not tell -----------------------------------------------------------

    def _among_all(self, epochs: Sequence[Epoch]) -> None:
        """Add to the violations of rules about a row among others what earlier epochs brought.

        Args:
            epochs: newest first.
        """
        chosen = [n for n in self._all if isinstance(self.rules[n].rule, Unique | Monotonic)]
        chosen = [n for n in chosen if self.trials.get(n)]
        appended = [e for e in epochs if not e.replaces and e.version]
        if not chosen or not appended:
            return
        known: dict[int, list[int]] = {}

        def at(version: int) -> list[int]:
            if version not in known:
                _, counts = self._counted(self._at(version), chosen)
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
                trial = self.trials[n][some[0].id]
                most = max(after - before, trial.violations)
                self._add(n, some[0], trial.rows, most, after - before)

        try:
            split(appended)
        except (_FarError, TableNotFoundError) as error:
            self.problems |= dict.fromkeys(chosen, self._why(error))

    def _why(self, error: _FarError | TableNotFoundError) -> str:
        """Why rows were compared with fewer others than they should have been."""
        gone = "older versions of the table were deleted"
        return f"{_WITHIN}: {self._far if isinstance(error, _FarError) else gone}"

    def _of_tables(self, epochs: Sequence[Epoch]) -> None:
        """Try rules about the whole table on what it was after each epoch."""
        chosen = [n for n in self._all if self._whole(n)]
        for epoch in epochs if chosen else ():
            try:
                batch = self._at(epoch.version or 0)
            except _FarError:
                self.problems |= dict.fromkeys(chosen, self._far)
                return
            except TableNotFoundError as error:
                self.problems |= dict.fromkeys(chosen, error.message)
                return
            rows, counts = self._counted(batch, chosen, epoch.started)
            for n, count in counts.items():
                found = count.violations
                self._add(n, epoch, about(count, rows), found, found, count.value)

    def _at(self, version: int) -> Batch:
        """The whole table at a version.

        Raises:
            TableNotFoundError: it is not there any more.
            _FarError: more would be read than may be.
        """
        snapshot = stored(self.session, self.dataset.name, version).snapshot
        if self._too_much(snapshot.bytes):
            raise _FarError
        return snapshot.batch

    def _too_much(self, more: int) -> bool:
        """True if so many bytes more are more than may be read; else they are counted."""
        if self.most_bytes is not None and self.bytes + more > self.most_bytes:
            return True
        self.bytes += more
        return False

    @property
    def _far(self) -> str:
        return f"more than {size(self.most_bytes or 0)} would have to be read"

    def _released(self, check: int, aside: Aside) -> int:
        """Rows that wait for a rule of this name, and for no other, and would pass now."""
        rule = self.rules[check]
        if rule.rule.level is not Level.ROW:
            return 0  # what else the table has would have to be compared, too
        if check in self.problems or (waiting := aside.only_by(rule.name)) is None:
            return 0
        rows, counts = self._counted(waiting, [check])
        return rows - sum(c.violations for c in counts.values())

    @property
    def _all(self) -> range:
        return range(len(self.rules))

    def _whole(self, check: int) -> bool:
        """True of a rule about the table as it is after an epoch, not about the epoch's rows."""
        rule = self.rules[check].rule
        return not rule.level.of_rows and not of_epoch(rule)

    def _of_rows(self, check: int) -> bool:
        return self.rules[check].rule.level.of_rows

    def _find_references(self) -> None:
        for n, each in enumerate(self.rules):
            for name in each.rule.datasets:
                try:
                    batch = stored(self.session, name).snapshot.batch
                except TableNotFoundError as error:
                    self.problems[n] = error.message
                else:
                    self.references[fold(name)] = batch

    def _aside(self) -> Aside:
        try:
            return Aside(self.session, stored(self.session, self.dataset.quarantine))
        except TableNotFoundError:
            return Aside(self.session, None)
