"""One dataset's part of an update: all of its flows, as many epochs as there is to read."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

from qanat.disk import disk_error
from qanat.errors import (
    FileChangedError,
    FileVanishedError,
    InvariantError,
    QanatError,
    QueryError,
    RunError,
)
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.event import Warned
from qanat.model.location import Location
from qanat.model.position import Range, range_to_json
from qanat.model.query import DatasetRead, FilesRead, FunctionQuery
from qanat.model.record import Definition
from qanat.model.work import Counts, RuleCount
from qanat.run.compiled import CompiledFlow
from qanat.run.consistency import check_history
from qanat.run.epoch import Done, Step, carry_out, intend
from qanat.run.reach import Reach, choose
from qanat.run.retry import retrying
from qanat.run.selection import Chosen


@dataclass(slots=True)
class DatasetRun:
    """Brings one dataset up to date and adds up what that took."""

    step: Step
    dataset: Dataset
    chosen: Chosen
    begin: Callable[[], None]
    """Called before the first write."""
    epochs: list[Done] = field(default_factory=list)
    reason: str = ""

    def run(self) -> None:
        """Run every flow of the dataset.

        Raises:
            QanatError: whatever stopped it; epochs before that are committed.
        """
        ws, name = self.step.ws, self.dataset.name
        flows = ws.analysis.flows_into(name)
        generation = ws.ledger.generation(name)
        if name in self.chosen.full_refresh:
            self.begin()
            generation = ws.ledger.refresh(name, self.step.lease.current)
        else:
            for compiled in flows:
                check_history(ws, compiled)
        fingerprint, text = ws.analysis.definitions[name]
        inputs: str | None = ""
        if self.dataset.kind is DatasetKind.MATERIALIZED_VIEW:
            inputs = self._view(flows[0], generation, fingerprint)
        else:
            for compiled in flows:
                self._stream(compiled, generation, fingerprint)
        if inputs is not None:
            self._define(Definition(name, str(self.dataset.kind), fingerprint, inputs, text))

    # -- streaming tables and sinks --------------------------------------------------------

    def _stream(self, compiled: CompiledFlow, generation: int, fingerprint: str) -> None:
        """Take epochs of one flow until what was there is read.

        An epoch takes all that it finds unless its author has put a limit on it. What arrives
        meanwhile is for the next update: where something always arrives, this one would never end.
        """
        ws = self.step.ws
        if compiled.flow.once:
            last = ws.ledger.last_epoch(compiled.flow.name)
            if last is not None and last.generation == generation:
                self.reason = self.reason or "has run once"
                return
        growing: frozenset[str] = frozenset()
        taken: Reach | None = None
        while True:
            missing = self._missing(compiled)
            if missing:
                self.reason = f"{missing} has no table yet"
                return
            reach = self._choose(compiled, generation, growing)
            starts = not ws.ledger.generation_started(self.dataset.name, generation)
            # A full refresh replaces the table even if nothing is there to read.
            replaces = generation > 0 and starts
            if not reach.new and not replaces and not compiled.flow.once:
                self.reason = "" if self.epochs else "nothing new"
                return
            if reach == taken:
                # Better an error than rows without end.
                raise InvariantError(f"{self.dataset.name} was given the same input twice")
            try:
                self._epoch(compiled, reach, generation, replaces, fingerprint)
            except (FileChangedError, FileVanishedError) as error:
                if error.path is None or error.path in growing:
                    raise
                growing |= {error.path}
                message = f"{error.path} is still being written; a later update will take it"
                if isinstance(error, FileVanishedError):
                    message = f"{error.message}; a later update takes what is there then"
                self.step.tell(Warned(self.dataset.name, message))
                continue
            if compiled.flow.once or not _limited(compiled):
                return
            taken = reach

    # -- materialized views ----------------------------------------------------------------

    def _view(self, compiled: CompiledFlow, generation: int, fingerprint: str) -> str | None:
        """Recompute if the definition or an input changed; the inputs' fingerprint."""
        ws = self.step.ws
        missing = self._missing(compiled)
        if missing:
            self.reason = f"{missing} has no table yet"
            return None
        reach = self._choose(compiled, generation, frozenset())
        inputs = fingerprint_of(reach)
        before = ws.ledger.definitions().get(self.dataset.name.casefold())
        why = self._why(compiled, before, fingerprint, inputs)
        if why is None:
            self.reason = "inputs and definition are unchanged"
            return inputs
        self._epoch(compiled, reach, generation, True, fingerprint)
        self.reason = why
        return inputs

    def _why(
        self, compiled: CompiledFlow, before: Definition | None, fingerprint: str, inputs: str
    ) -> str | None:
        """Why a view must be recomputed; None if it need not be."""
        ws, name = self.step.ws, self.dataset.name
        if name in self.chosen.full_refresh or name in self.chosen.refresh:
            return "asked for"
        if before is None or ws.store.version(str(ws.folder(name))) is None:
            return "new"
        if before.fingerprint != fingerprint:
            return "its definition changed"
        if before.inputs != inputs:
            return "its inputs changed"
        if compiled.flow.name in ws.analysis.volatile:
            return "its query depends on the time or on chance"
        return None

    # -- both ------------------------------------------------------------------------------

    def _choose(self, compiled: CompiledFlow, generation: int, without: frozenset[str]) -> Reach:
        ws = self.step.ws
        find = partial(choose, ws, compiled, generation, without)
        return retrying(find, ws.project.retries, self.dataset.name, self.step.tell)

    def _epoch(
        self,
        compiled: CompiledFlow,
        reach: Reach,
        generation: int,
        replaces: bool,
        fingerprint: str,
    ) -> None:
        self.begin()
        epoch = intend(self.step, compiled, reach.ranges, generation, replaces, fingerprint)
        self.epochs.append(carry_out(self.step, compiled, epoch))
        self.reason = ""

    def _missing(self, compiled: CompiledFlow) -> str | None:
        """A dataset that is read as it is now and has no table yet (it has had no rows)."""
        ws = self.step.ws
        for read in compiled.reads:
            if isinstance(read.source, DatasetRead) and not read.streaming:
                name = read.source.dataset
                if ws.store.version(str(ws.folder(name))) is None:
                    return name
        return None

    def _define(self, found: Definition) -> None:
        before = self.step.ws.ledger.definitions().get(found.dataset.casefold())
        if before != found:
            self.begin()
            self.step.ws.ledger.define(found, self.step.lease.current)

    def explain(self, error: Exception) -> QanatError:
        """An exception that is not ours: the user's function's, or a defect of Qanat."""
        flows = self.step.ws.pipeline.flows_into(self.dataset.name)
        functions = [f.query for f in flows if isinstance(f.query, FunctionQuery)]
        trace = traceback.extract_tb(error.__traceback__)
        for query in functions:
            code = query.function.__code__
            mine = [f for f in trace if f.filename == code.co_filename]
            if mine:
                return _raised(error, query, mine[-1].lineno)
        found: QanatError
        if isinstance(error, OSError):
            found = disk_error(error, "use", error.filename or "the disk")
            found.__cause__ = error
            return found
        found = RunError(
            f"{type(error).__name__}: {error}",
            hint="this is a defect of Qanat; please report it with the log",
        )
        found.__cause__ = error
        return found

    # -- sums ------------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """Rows of all epochs."""
        all_ = [d.epoch.counts for d in self.epochs if d.epoch.counts is not None]
        return Counts(
            out=sum(c.out for c in all_),
            written=sum(c.written for c in all_),
            dropped=sum(c.dropped for c in all_),
            quarantined=sum(c.quarantined for c in all_),
            malformed=sum(c.malformed for c in all_),
        )

    @property
    def rules(self) -> tuple[RuleCount, ...]:
        """Violations of all epochs, by rule."""
        sums: dict[tuple[str, str, str], int] = {}
        for done in self.epochs:
            for rule in done.epoch.rules:
                key = (rule.dataset, rule.rule, rule.action)
                sums[key] = sums.get(key, 0) + rule.violations
        return tuple(RuleCount(*key, violations) for key, violations in sums.items())

    @property
    def files(self) -> int:
        """Files read."""
        return sum(d.files for d in self.epochs)

    @property
    def read(self) -> int:
        """Rows read."""
        return sum(d.read for d in self.epochs)

    @property
    def version(self) -> int | None:
        """The table's after the last epoch; None if nothing was written."""
        return self.epochs[-1].epoch.version if self.epochs else None


def _limited(compiled: CompiledFlow) -> bool:
    """Whether an epoch may leave files that were there for the next one."""
    given = (
        name.replace("_", "").casefold()
        for read in compiled.reads
        if read.streaming and isinstance(read.source, FilesRead)
        for name, _ in read.source.options
    )
    return not {"maxfilespertrigger", "maxbytespertrigger"}.isdisjoint(given)


def fingerprint_of(reach: Reach) -> str:
    """Names the exact versions of all inputs."""
    ranges: dict[str, Range] = dict(reach.ranges)
    # Which version a rule's reference had matters as much as what the query reads.
    text = json.dumps({k: range_to_json(r) for k, r in sorted(ranges.items())})
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _raised(error: Exception, query: FunctionQuery, line: int | None) -> QueryError:
    found = QueryError(
        f"{query.function.__name__} raised {type(error).__name__}: {error}",
        location=Location(query.location.file, line),
    )
    found.__cause__ = error
    return found
