"""Kafka as a sink: the rows of an epoch and its number, in one transaction.

Each flow into a topic has a transactional identifier of its own. Whoever registers a producer
under it ends what an earlier one has begun, and lets that one commit nothing any more. So the
order is always: register, then look which epoch is there, then send. A process that takes over
also writes down that it is the one: another that was asleep might have to register again, to try
once more what has failed, and finds out by that.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from qanat.connectors.kafka.books import Books, Mark
from qanat.connectors.kafka.drivers import KafkaError, KafkaException, Producer
from qanat.connectors.kafka.encode import Manner, encoded
from qanat.connectors.kafka.faults import Troubles, explained, meaning
from qanat.connectors.kafka.given import given
from qanat.connectors.kafka.produce import (
    Sending,
    Sent,
    check_columns,
    check_key,
    from_columns,
    from_rows,
)
from qanat.connectors.kafka.registry import Access, RegistryClient
from qanat.connectors.kafka.settings import Settings
from qanat.connectors.kafka.target import Target, target_of
from qanat.connectors.kafka.topics import means
from qanat.disk import explained as written
from qanat.errors import (
    CommitConflictError,
    FileVanishedError,
    HistoryMismatchError,
    InvariantError,
    OptionError,
    SourceNotFoundError,
)
from qanat.model.owner import tag
from qanat.model.pipeline import SinkTarget
from qanat.model.query import SourceRef
from qanat.model.staged import StagedTable
from qanat.model.work import Output
from qanat.model.written import Written
from qanat.ports.sink import Delivery
from qanat.ports.source import Surroundings

_SECONDS = 30.0
_OWN = {
    "enable.idempotence": True,
    # A transaction that a crash has left open keeps readers waiting for so long at most.
    "transaction.timeout.ms": 300_000,
}
_TUNING = {"linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)


class _Line:
    """One flow into one topic: its books, and the producer that may commit, once there is one."""

    def __init__(self, to: Target, name: str) -> None:
        self.to, self.name = to, name
        self.books = Books(to.settings, name)
        self.lock = threading.Lock()
        self._holder = ""
        self._troubles = Troubles()
        self._producer: Producer | None = None
        # What the books have, for as long as nobody else can write into them.
        self._known = Mark()

    @property
    def held(self) -> bool:
        """True if it has a producer."""
        return self._producer is not None

    def take_over(self) -> None:
        """Be the one that may send; only for the holder of the lease.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        self.books.create()
        self._register()
        last, self._holder = self.books.last(), uuid4().hex
        with self.transaction() as producer:
            self.write(producer, last.epoch, last.attempt)

    def last(self) -> Mark:
        """The newest epoch, for the one that may send; none comes behind its back any more.

        Raises:
            CommitConflictError: another has taken over.
            QanatError: as `faults.explained` tells.
        """
        if self._producer is None:
            # To register would end what the one that has taken over is sending.
            self._check_holder(self.books.last())
            self._register()
            self._known = self._check_holder(self.books.last())
        return self._known

    def _check_holder(self, found: Mark) -> Mark:
        if found.holder != self._holder:
            raise self._conflict()
        return found

    def write(self, producer: Producer, epoch: int, attempt: str) -> None:
        """Make an epoch the newest one, as part of the transaction."""
        # If the transaction fails, so does the producer, and the books are read again.
        self._known = Mark(epoch, attempt, self._holder)
        self.books.write(producer, self._known)

    def _register(self) -> None:
        own = {**_OWN, "transactional.id": self.name, "error_cb": self._troubles}
        # What the author says of the timeout counts; what keeps an epoch whole does not.
        own |= {k: v for k, v in self.to.settings.client if k == "transaction.timeout.ms"}
        self._producer, self._troubles.error = None, None
        with explained(self.to.settings, self._troubles):
            producer = Producer({**_TUNING, **self.to.settings.configuration(own)})
            producer.init_transactions(_SECONDS)
        self._producer = producer

    def _conflict(self) -> CommitConflictError:
        return CommitConflictError(
            f"another update has taken over what sends to {self.to.topic!r}",
            hint="this one was stopped for too long; the other one sends its rows",
        )

    @contextmanager
    def transaction(self) -> Iterator[Producer]:
        """A transaction that is committed at the end of the block, or not at all.

        Raises:
            CommitConflictError: another producer has been registered since.
            QanatError: as `faults.explained` tells.
        """
        producer = self._producer
        if producer is None:
            raise self._conflict()
        try:
            producer.begin_transaction()
            yield producer
            _commit(producer)
        except KafkaException as error:
            self._producer = None
            if error.args[0].code() in _FENCED:
                raise self._conflict() from error
            _abort(producer)
            raise meaning(error.args[0], self.to.settings, self._troubles) from error
        except BaseException:
            self._producer = None
            _abort(producer)
            raise


class KafkaSink:
    """A `Sink` of topics."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._tag = tag(surroundings.scope)
        self._scope = surroundings.scope
        self._lock = threading.Lock()
        self._lines: dict[tuple[Target, str], _Line] = {}
        self._surroundings = surroundings
        self._registries: dict[Access, RegistryClient] = {}

    def check(self, target: SinkTarget) -> None:
        """Look at the options.

        Raises:
            OptionError: one is missing, does not exist or does not fit.
        """
        target_of(target)

    def place(self, target: SinkTarget) -> object:
        """The brokers, as they are written, and the topic."""
        to = target_of(target)
        return to.settings.servers, to.topic

    def feeds(self, target: SinkTarget, ref: SourceRef) -> bool:
        """True if the topic is one that is read, from the same brokers."""
        if ref.connector != target.connector:
            return False
        to = target_of(target)
        servers = Settings.of(ref.options).servers
        return to.settings.servers == servers and means(ref, (to.topic, 0))

    def output(self, delivery: Delivery) -> Output:
        """A folder for the rows; from now on no earlier process can commit.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            SourceNotFoundError: there is no such topic.
            QanatError: the brokers say no, as `faults.explained` tells.
        """
        line = self._line(delivery.target, delivery.flow)
        to = line.to
        if to.topic not in line.books.cluster.partitions():
            raise SourceNotFoundError(
                f"there is no topic {to.topic!r} at {to.settings.servers}",
                hint=f"create it: kafka-topics.sh --create --topic {to.topic}",
            )
        with line.lock:
            if not line.held:
                line.take_over()
        staging = delivery.scratch / f"{self._tag}-{uuid4().hex}"
        with written("stage in", staging):
            staging.mkdir(parents=True)
        return Output(staging, "rows", "json" if to.format == "json" else "parquet")

    def publish(
        self, delivery: Delivery, staging: Path, staged: StagedTable, may_be_published: bool
    ) -> None:
        """Commit the rows and the number of the epoch, once.

        Raises:
            HistoryMismatchError: the topic has an epoch of that number which this project has not
                sent.
            CommitConflictError: another update has taken over.
            SchemaMismatchError: the rows are no messages.
            FileVanishedError: staged files were removed.
            QanatError: the brokers say no, as `faults.explained` tells; nothing of the epoch is
                there, or all of it: the next call finds out.
        """
        line = self._line(delivery.target, delivery.flow)
        to, attempt = line.to, staging.name
        if not to.whole:
            check_columns(staged.schema)
        elif to.key is not None:
            check_key(staged.schema, to.key)
        files = _files(staging, staged)
        with line.lock:
            last = line.last()
            if last.epoch < delivery.epoch:
                rows = self._rows(to, files, staged)
                with line.transaction() as producer:
                    sending = Sending(producer, to.topic)
                    sending.send(rows)
                    if sending.sent != staged.rows:
                        raise InvariantError(
                            f"{staged.rows} rows were staged for {to.topic!r},"
                            f" {sending.sent} were sent"
                        )
                    line.write(producer, delivery.epoch, attempt)
            elif not may_be_published and last.attempt != attempt:
                raise HistoryMismatchError(
                    f"{to.topic!r} has epoch {last.epoch} of flow {delivery.flow} already, which"
                    " this project has not sent",
                    hint="if another project or environment sends there too, give each a name or a"
                    " topic of its own",
                )
        shutil.rmtree(staging, ignore_errors=True)

    def _rows(self, to: Target, files: list[Path], staged: StagedTable) -> Iterator[Sent]:
        """The messages of an epoch."""
        if not to.whole:
            return from_columns(files)
        registry = None if to.access is None else self._registry(to.access)
        if to.format == "json" and registry is None:
            return from_rows(files, staged.schema, to.key)
        written: Written | None = None
        if to.schema:
            found = given(to.schema, to.format, self._surroundings)
            if isinstance(found, bytes):
                raise OptionError(
                    "a sink needs the text of its Protobuf schema",
                    wanted="value_schema: a file .proto",
                    got=to.schema,
                )
            written = found
        manner = Manner(to.format, to.topic, written, to.message, to.strategy)
        return encoded(files, staged.schema, to.key, manner, registry)

    def _registry(self, access: Access) -> RegistryClient:
        with self._lock:
            if access not in self._registries:
                self._registries[access] = RegistryClient(access)
            return self._registries[access]

    def carries(self, target: SinkTarget, flow: str, epoch: int) -> bool:
        """True if the epoch has been published; if not, no earlier process can do so any more."""
        line = self._line(target, flow)
        with line.lock:
            line.take_over()
            return line.last().epoch >= epoch

    def last(self, target: SinkTarget, flow: str) -> int:
        """The greatest number of the flow's epochs; 0 if there is none."""
        return self._line(target, flow).books.last().epoch

    def secure(self, target: SinkTarget) -> None:
        """Nothing: what can be read is on all brokers that keep it (acks=all)."""

    def rename(self, target: SinkTarget, flow: str, new: str) -> None:
        """Let the books have the flow under its new name.

        Raises:
            OptionError: an option is missing, does not exist or does not fit.
            QanatError: the brokers say no, as `faults.explained` tells.
        """
        old, line = self._line(target, flow), self._line(target, new)
        with old.lock:
            old.take_over()
            sent = old.last()
        if sent.epoch:
            with line.lock:
                line.take_over()
                with line.transaction() as producer:
                    line.write(producer, sent.epoch, sent.attempt)
                    old.books.write(producer, None)

    def sweep(self, target: SinkTarget, confirm: Callable[[], object]) -> None:
        """Nothing: `carries` ends what was begun, and staged rows lie in the scratch folder."""

    def _line(self, target: SinkTarget, flow: str) -> _Line:
        to = target_of(target)
        with self._lock:
            if (to, flow) not in self._lines:
                name = f"qanat:{self._scope}:{to.topic}:{flow}"
                self._lines[to, flow] = _Line(to, name)
            return self._lines[to, flow]


def _files(staging: Path, staged: StagedTable) -> list[Path]:
    paths = [staging / file.path for file in staged.files]
    for path in paths:
        if not path.is_file():
            raise FileVanishedError(f"the staged file {str(path)!r} is gone")
    return paths


def _commit(producer: Producer) -> None:
    """Commit; what the brokers could not answer in time is asked again."""
    for _ in range(3):
        try:
            producer.commit_transaction(_SECONDS)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
        else:
            return
    producer.commit_transaction(_SECONDS)


def _abort(producer: Producer) -> None:
    # If this fails, too, the next producer that is registered ends the transaction.
    with suppress(KafkaException):
        producer.abort_transaction(_SECONDS)
