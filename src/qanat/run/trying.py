"""Checks, tried on the rows of one epoch after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from qanat.errors import QanatError, TableNotFoundError
from qanat.frozen import Frozen
from qanat.model.backtest import Trial
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Name, fold
from qanat.model.pipeline import Dataset
from qanat.model.record import Epoch
from qanat.model.rule import Level, of_epoch
from qanat.model.staged import RuleCount
from qanat.model.work import Batch
from qanat.ports.source import Readable
from qanat.run.analysis import rules_of
from qanat.run.auditing import of_columns
from qanat.run.brought import Aside, about
from qanat.run.limit import limit_of, window_of
from qanat.run.session import Session
from qanat.run.stored import stored
from qanat.text import size


class FarError(Exception):
    """More would have to be read than may be."""


class Looked(Frozen):
    """An epoch whose rows checks were tried on.

    Args:
        batch: the rows that it wrote.
        waiting: those that it put into quarantine; None if there are none.
        rows: how many of both there are.
        written: violations among those that it wrote, by the number of the check.
    """

    epoch: Epoch
    batch: Batch
    waiting: Batch | None
    rows: int
    written: dict[int, int]


@dataclass(slots=True)
class Trying:
    """Tries checks on the epochs of one dataset.

    Args:
        declared: the checks, in the project's dialect.
        most_bytes: of files that are read, at most.
        rules: the checks in the engine's dialect.
        references: what rules refer to, by dataset.
        trials: by the number of the check and the epoch.
        problems: why checks could not be tried, by their numbers.
        bytes: that were read.
    """

    session: Session
    dataset: Dataset
    declared: tuple[Expectation, ...]
    most_bytes: int | None = None
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

    def on(self, epoch: Epoch, batch: Batch, waiting: Batch | None) -> Looked:
        """Try all checks on the rows of one epoch."""
        asked = [n for n in range(len(self.rules)) if not self.whole(n)]
        written, counts = self.counted(batch, asked, epoch.started)
        others, aside = 0, dict[int, RuleCount]()
        if waiting is not None:
            of_rows = [n for n in counts if self.rules[n].rule.level.of_rows]
            others, aside = self.counted(waiting, of_rows)
        for n, count in counts.items():
            also = aside.get(n)
            violations = count.violations + (also.violations if also else 0)
            among = about(count, written) + (about(also, others) if also else 0)
            self.add(n, epoch, among, violations, count.violations, count.value)
        brought = {n: count.violations for n, count in counts.items()}
        return Looked(epoch, batch, waiting, written + others, brought)

    def add(
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

    def counted(
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
        of_rows = [n for n in asked if self.rules[n].rule.level.of_rows]
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
        """True if the epoch would have published nothing; see `add`."""
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

    def at(self, version: int) -> Batch:
        """The whole table at a version, unless more would be read for it than may be.

        Raises:
            TableNotFoundError: it is not there any more.
        """
        snapshot = stored(self.session, self.dataset.name, version).snapshot
        if self.too_much(snapshot.bytes):
            raise FarError
        return snapshot.batch

    def too_much(self, more: int) -> bool:
        """True if so many bytes more are more than may be read; else they are counted."""
        if self.most_bytes is not None and self.bytes + more > self.most_bytes:
            return True
        self.bytes += more
        return False

    @property
    def far(self) -> str:
        """Why something was not read, half a sentence."""
        return f"more than {size(self.most_bytes or 0)} would have to be read"

    def released(self, check: int, aside: Aside) -> int:
        """Rows that wait for a rule of this name, and for no other, and would pass now."""
        rule = self.rules[check]
        if rule.rule.level is not Level.ROW:
            return 0  # what else the table has would have to be compared, too
        if check in self.problems or (waiting := aside.only_by(rule.name)) is None:
            return 0
        rows, counts = self.counted(waiting, [check])
        return rows - sum(c.violations for c in counts.values())

    def whole(self, check: int) -> bool:
        """True of a rule about the table as it is after an epoch, not about the epoch's rows."""
        rule = self.rules[check].rule
        return not rule.level.of_rows and not of_epoch(rule)

    def find_references(self) -> None:
        """Look up what rules refer to."""
        for n, each in enumerate(self.rules):
            for name in each.rule.datasets:
                try:
                    batch = stored(self.session, name).snapshot.batch
                except TableNotFoundError as error:
                    self.problems[n] = error.message
                else:
                    self.references[fold(name)] = batch
