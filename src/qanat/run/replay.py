"""Move quarantined rows that pass now into their table, once.

A replay is an epoch of its own (flow `<dataset>::replay`). The rows that pass are written down
durably first, with their identifiers; then the epoch is intended, the table gets the rows in one
commit, and the quarantine loses them in another. A crash in between is brought to its end from
what was written down, so that a row is never in neither place and never twice in the table.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from qanat.disk import explained, sync_path
from qanat.errors import HistoryMismatchError, QanatError, TableNotFoundError
from qanat.model.batch import Batch, TableBatch
from qanat.model.dataset import Dataset
from qanat.model.event import EpochCommitted
from qanat.model.expectation import Action, Expectation, References, Unique
from qanat.model.flow import Flow
from qanat.model.location import Location
from qanat.model.position import TableSnapshot
from qanat.model.query import DatasetRead, Read, SqlQuery
from qanat.model.record import Epoch, EpochStatus
from qanat.model.schema import Schema
from qanat.model.work import MALFORMED, Counts, Output, StagedTable, Work
from qanat.ports.store import Commit, Snapshot
from qanat.run.epoch import Step, unstage
from qanat.run.results import ReplayResult

_SUFFIX = "::replay"
_ID = "_quarantine_id"
_QUARANTINE, _PASSED = "__quarantine", "__passed"


def is_replay(flow: str) -> bool:
    """Whether an epoch's flow is a replay."""
    return flow.endswith(_SUFFIX)


def replay_flow(dataset: str) -> str:
    """The name under which the ledger knows a dataset's replays."""
    return dataset + _SUFFIX


class Replay:
    """One replay of one dataset."""

    def __init__(self, step: Step, dataset: Dataset) -> None:
        self.step = step
        self.ws = step.ws
        self.dataset = dataset
        where = dataset.location
        self.flow = Flow(replay_flow(dataset.name), dataset.name, _select("", (), where), where)

    def run(self, quarantine: Snapshot) -> ReplayResult:
        """Find the rows that pass, write them down, move them."""
        ws, dataset = self.ws, self.dataset
        examined = quarantine.rows or 0
        table = ws.store.snapshot(str(ws.folder(dataset.name)))
        folder = ws.replays / uuid4().hex
        passed = self._passing(quarantine, table, folder)
        if not passed.files:
            shutil.rmtree(folder, ignore_errors=True)
            return ReplayResult(dataset.name, examined, 0, examined)
        self._keep()
        epoch = ws.ledger.intend(
            Epoch(
                flow=self.flow.name,
                dataset=dataset.name,
                number=self._next_number(),
                update=self.step.update,
                generation=ws.ledger.generation(dataset.name),
                replaces=False,
                ranges={_QUARANTINE: TableSnapshot(quarantine.version)},
                # What recovery needs to know: where the rows that passed are.
                fingerprint=folder.name,
                started=time.time(),
                counts=Counts(out=passed.rows, written=passed.rows),
            ),
            self.step.lease.current,
        )
        try:
            version = self.publish(epoch)
        except QanatError as error:
            self._give_up(epoch, error)
            raise
        return ReplayResult(dataset.name, examined, passed.rows, examined - passed.rows, version)

    def begun(self, epoch: Epoch) -> bool:
        """Whether the table has got the rows."""
        folder = str(self.ws.folder(self.dataset.name))
        return self.ws.store.transaction(folder, self.flow.application) >= epoch.number

    def kept(self, epoch: Epoch) -> bool:
        """Whether the rows to move are still written down."""
        return any((self.ws.replays / epoch.fingerprint).glob("*.parquet"))

    def _keep(self) -> None:
        """Make the names of the folders durable in which the rows were written down."""
        with explained("keep", self.ws.replays):
            sync_path(self.ws.replays)

    def _give_up(self, epoch: Epoch, error: QanatError) -> None:
        """Note that a replay failed, unless rows have been moved: then it goes on some day."""
        try:
            if self.begun(epoch):
                return
            self.ws.ledger.abandon(epoch, error.message, self.step.lease.current)
        except QanatError as second:
            error.add_note(f"the replay stays open: {second.message}")
            return
        shutil.rmtree(self.ws.replays / epoch.fingerprint, ignore_errors=True)

    def _next_number(self) -> int:
        # A table or a quarantine that was rebuilt has forgotten its replays.
        last = self.ws.ledger.last_epoch(self.flow.name)
        folders = [self.ws.folder(n) for n in (self.dataset.name, self.dataset.quarantine)]
        known = (self.ws.store.transaction(str(f), self.flow.application) for f in folders)
        return max(last.number if last else 0, *known) + 1

    def publish(self, epoch: Epoch) -> int:
        """Move the rows that were written down; doing it again is the same as once."""
        ws, dataset = self.ws, self.dataset
        started = time.monotonic()
        folder = ws.replays / epoch.fingerprint
        table_folder = ws.folder(dataset.name)
        quarantine_folder = ws.folder(dataset.quarantine)
        table = ws.store.snapshot(str(table_folder))
        read = epoch.ranges[_QUARANTINE]
        version_read = read.version if isinstance(read, TableSnapshot) else None
        try:
            quarantine = ws.store.snapshot(str(quarantine_folder), version_read)
        except TableNotFoundError as error:
            raise HistoryMismatchError(
                f"the quarantine of {dataset.name} was lost, or restored from a copy, while a"
                " replay was moving rows out of it",
                wanted=f"version {version_read} of {quarantine_folder}",
                hint="restore it of that time, or compute table and quarantine anew from their"
                f" sources: qanat run --full-refresh {dataset.name}",
            ) from error
        files = tuple(str(p) for p in sorted(folder.glob("*.parquet")))
        if not files:
            # Without them the quarantine would keep rows that the table has already.
            raise HistoryMismatchError(
                f"the rows that a replay was moving into {dataset.name} are gone",
                wanted=f"Parquet files in {folder}",
                hint="restore that folder, or compute table and quarantine anew from their"
                f" sources: qanat run --full-refresh {dataset.name}",
            )
        identity = next(f for f in quarantine.schema.fields if f.name == _ID)
        passed = TableBatch(files, Schema((*table.schema.fields, identity)))
        columns = ", ".join(_quoted(n) for n in table.schema.names)
        counts = Counts()
        if not self.begun(epoch):
            moved = self._stage(
                f'SELECT {columns} FROM "{_PASSED}"', {_PASSED: passed}, table_folder, table, epoch
            )
            counts = Counts(out=moved.rows, written=moved.rows)
            epoch = replace(epoch, counts=counts)
            with _removing(table_folder, moved):
                ws.ledger.prepare(epoch, self.step.lease.current)
            self._commit(table_folder, moved, epoch, replaces=False, partitions=table.partition_by)
        if ws.store.transaction(str(quarantine_folder), self.flow.application) < epoch.number:
            left = self._stage(
                f'SELECT q.* FROM "{_QUARANTINE}" AS q WHERE NOT EXISTS (SELECT 1 FROM '
                f'"{_PASSED}" AS p WHERE p."{_ID}" = q."{_ID}")',
                {_QUARANTINE: quarantine.batch, _PASSED: passed},
                quarantine_folder,
                quarantine,
                epoch,
            )
            with _removing(quarantine_folder, left):
                self.step.lease.confirm()
            self._commit(quarantine_folder, left, epoch, replaces=True, partitions=())
        version = ws.store.version(str(table_folder))
        settled = replace(epoch, status=EpochStatus.COMMITTED, version=version, ended=time.time())
        ws.ledger.settle(settled, self.step.lease.current)
        seconds = time.monotonic() - started
        self.step.tell(
            EpochCommitted(dataset.name, epoch.flow, epoch.number, version, counts, (), 0, seconds)
        )
        shutil.rmtree(folder, ignore_errors=True)
        return version or 0

    def _passing(self, quarantine: Snapshot, table: Snapshot, folder: Path) -> StagedTable:
        """The rows that break no rule any more, with their identifiers."""
        known = quarantine.schema
        columns = ", ".join(
            _quoted(n) if known.get(n) else f"NULL AS {_quoted(n)}" for n in table.schema.names
        )
        query = (
            f'SELECT {columns}, "{_ID}" FROM "{_QUARANTINE}" WHERE NOT '
            f"list_contains(map_keys(\"_quarantine_rules\"), '{MALFORMED}')"
        )
        rules = tuple(_keeping(e) for e in self.ws.analysis.rules[self.dataset.name])
        unique = any(isinstance(e.rule, Unique) for e in rules)
        output = Output(folder, "passed", existing=table.batch if unique else None)
        work = self._work(query, {_QUARANTINE: quarantine.batch}, output, 0)
        references: dict[str, Batch] = {}
        for rule in rules:
            if isinstance(rule.rule, References):
                target = str(self.ws.folder(rule.rule.dataset))
                references[rule.rule.dataset.casefold()] = self.ws.store.snapshot(target).batch
        aside = Output(work.scratch, "rest")
        work = replace(work, expectations=rules, references=references, quarantine=aside)
        return self.ws.engine.stage(work, _silent).table

    def _stage(
        self, query: str, inputs: dict[str, Batch], folder: Path, into: Snapshot, epoch: Epoch
    ) -> StagedTable:
        output = Output(
            folder,
            f"replay-{epoch.number}-{uuid4().hex}",
            schema=into.schema,
            partition_by=into.partition_by,
        )
        work = self._work(query, inputs, output, epoch.number)
        return self.ws.engine.stage(work, _silent).table

    def _work(self, query: str, inputs: dict[str, Batch], output: Output, number: int) -> Work:
        scratch = self.ws.scratch / uuid4().hex
        return Work(
            flow=self.flow.name,
            epoch=number,
            update=self.step.update,
            dataset=self.dataset.name,
            query=_select(query, tuple(inputs), self.dataset.location),
            inputs=inputs,
            output=output,
            quarantine=Output(scratch, "none"),
            scratch=scratch,
            at_ns=self.step.at_ns,
        )

    def _commit(
        self,
        folder: Path,
        staged: StagedTable,
        epoch: Epoch,
        replaces: bool,
        partitions: tuple[str, ...],
    ) -> None:
        commit = Commit(
            folder=folder,
            schema=staged.schema,
            files=staged.files,
            replaces=replaces,
            application=self.flow.application,
            number=epoch.number,
            partition_by=partitions,
            gaps=True,
            gate=self.step.gate,
            info={"qanat.update": epoch.update, "qanat.flow": epoch.flow},
        )
        store = self.ws.store
        try:
            store.publish(commit)
        except QanatError:
            if store.transaction(str(folder), commit.application) < commit.number:
                unstage(folder, staged)
            raise


@contextmanager
def _removing(folder: Path, staged: StagedTable) -> Iterator[None]:
    """Remove what was staged if it is not to be published after all: nobody looks for it.

    The replay is given up then; or another update has brought it to its end meanwhile, and has
    swept before these files were written.
    """
    try:
        yield
    except BaseException:
        unstage(folder, staged)
        raise


def _silent(fraction: float | None) -> None:
    del fraction


def _keeping(expectation: Expectation) -> Expectation:
    """Rows that break a rule stay in quarantine, whatever the rule does to new rows."""
    if expectation.action is Action.WARN:
        return expectation
    return replace(expectation, action=Action.QUARANTINE)


def _select(sql: str, names: tuple[str, ...], where: Location) -> SqlQuery:
    reads = tuple(Read(n, DatasetRead(n), streaming=False, location=where) for n in names)
    return SqlQuery(sql, sql, "duckdb", reads, where)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
