"""A real Apache Kafka broker on this machine, for tests: one node, on free ports of 127.0.0.1.

Its jars come from Maven Central and are kept, with a formatted data folder to copy, in
`$XDG_CACHE_HOME/qanat-servers`. A start takes a second or two. Data lie in a temporary folder,
which outlives `kill` and `start` and is gone at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from qanat.errors import AdapterError
from qanat.testing.java import java, maven
from qanat.testing.relay import Relay
from qanat.testing.server import await_answer, free_ports

VERSION = "4.4.0"
USER, PASSWORD = "ada", "hunter2-of-ada"
"""Who may log in where a broker has TLS, by SASL's mechanism PLAIN."""

_STOP_SECONDS = 20.0
# A broker of tests is started often and works little: what starts quickly counts.
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>qanat</groupId><artifactId>broker</artifactId><version>1</version>
<packaging>pom</packaging><dependencies><dependency><groupId>org.apache.kafka</groupId>
<artifactId>kafka_2.13</artifactId><version>{version}</version></dependency></dependencies></project>
"""
_LOGGING = """status=error
rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c %m%n
"""
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.network.threads": 1,
    "num.io.threads": 2,
    "background.threads": 1,
    # After a kill, the node waits until the session of its predecessor has ended.
    "broker.heartbeat.interval.ms": 300,
    "broker.session.timeout.ms": 1000,
    "num.recovery.threads.per.data.dir": 1,
    "log.cleaner.enable": "false",
    # Messages of tests may have any time, and are deleted by tests alone.
    "log.retention.ms": -1,
    "log.segment.bytes": 64 << 20,
    "log.index.size.max.bytes": 1 << 20,
    # Of what Kafka keeps in topics of its own there is one partition, and one copy.
    "offsets.topic.num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "transaction.max.timeout.ms": 900_000,
}


class Broker:
    """A broker; `kafka` makes one.

    Args:
        folder: of its data and its log.
        tls: whether it also listens with TLS, and with TLS and SASL.
        relayed: whether clients can also come to it through a `Relay`.
    """

    def __init__(self, folder: Path, tls: bool = False, relayed: bool = False) -> None:
        self._folder, self._jars = folder, jars()
        port, controller, secure, login, behind = free_ports(5)
        self.address = f"127.0.0.1:{port}"
        self.network: Relay | None = None
        self.relayed_address = ""
        self.tls_address = f"127.0.0.1:{secure}" if tls else ""
        self.sasl_address = f"127.0.0.1:{login}" if tls else ""
        self.certificate = folder / "broker.pem"
        """Of the broker, which has signed it itself; for clients that use TLS."""
        listeners = {"PLAINTEXT": port}
        if tls:
            listeners |= {"SSL": secure, "SASL_SSL": login}
        if relayed:
            listeners |= {"RELAYED": behind}
            self.network = Relay(("127.0.0.1", behind))
            self.relayed_address = f"127.0.0.1:{self.network.port}"
        addresses = {name: f"{name}://127.0.0.1:{number}" for name, number in listeners.items()}
        told = addresses | ({"RELAYED": f"RELAYED://{self.relayed_address}"} if relayed else {})
        kinds = {"RELAYED": "PLAINTEXT"}
        properties = {
            **_PROPERTIES,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": ",".join((*addresses.values(), f"CONTROLLER://127.0.0.1:{controller}")),
            "advertised.listeners": ",".join(told.values()),
            "listener.security.protocol.map": ",".join(
                (
                    "CONTROLLER:PLAINTEXT",
                    *(f"{name}:{kinds.get(name, name)}" for name in listeners),
                )
            ),
            "log.dirs": folder / "data",
            **(self._secured() if tls else {}),
        }
        self._configuration = folder / "server.properties"
        self._configuration.write_text(_written(properties), encoding="utf-8")
        (folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        self._log = folder / "server.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._format()

    def start(self) -> None:
        """Start it, with the data and on the ports that it had before; returns once it serves.

        Raises:
            AdapterError: it ends by itself, or does not answer; with its last words.
        """
        with self._log.open("ab") as output:
            self._server = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                self._java("kafka.Kafka", str(self._configuration)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
            )
        await_answer("Kafka", self._server, self._answers, self._log)

    def create(self, *topics: str, partitions: int = 1) -> None:
        """Create topics.

        Raises:
            KafkaException: one is there already.
        """
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        asked = admin.create_topics([NewTopic(name, partitions) for name in topics])
        for made in asked.values():
            made.result()

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); `start` goes on with what it had stored."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(how)
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def _answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        stack = "-Djava.net.preferIPv4Stack=true"
        return [str(java()), *_JVM, stack, logging, "-cp", f"{self._jars}/*", *arguments]

    def _format(self) -> None:
        """Copy a formatted data folder: there is no port in it, and making one takes a second."""
        ready = self._jars.parent / "formatted"
        if not ready.is_dir():
            identity = "cWFuYXQtdGVzdC1icm9rZQ"
            tool = ("kafka.tools.StorageTool", "format", "-t", identity)
            _run(self._java(*tool, "-c", str(self._configuration)))
            _publish(self._folder / "data", ready)
            return
        shutil.copytree(ready, self._folder / "data")

    def _secured(self) -> Mapping[str, object]:
        """A certificate, made for this broker alone, and who may log in."""
        keys = self._folder / "broker.p12"
        tool = str(java().with_name("keytool"))
        named = ("-alias", "broker", "-keystore", str(keys), "-storepass", PASSWORD)
        made = ("-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12", "-validity", "30")
        name = ("-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1,dns:localhost")
        _run([tool, *made, *named, *name])
        _run([tool, "-exportcert", "-rfc", *named, "-file", str(self.certificate)])
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "ssl.keystore.location": keys,
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.password": PASSWORD,
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
        }


@contextmanager
def kafka(tls: bool = False, relayed: bool = False) -> Iterator[Broker]:
    """A running broker, for as long as the context is open.

    Topics are not created by the mere use of their names.

    Args:
        tls: whether it also listens with TLS (`Broker.tls_address`), and with TLS and SASL's
            PLAIN for `USER` (`Broker.sasl_address`).
        relayed: whether clients can also come to it (`Broker.relayed_address`) through a relay,
            `Broker.network`, which cuts their connections or holds them back.

    Raises:
        AdapterError: Java or Maven is missing and cannot be installed, or it does not start.
    """
    # A killed broker may still be writing a file that is to be removed.
    with tempfile.TemporaryDirectory(prefix="qanat-kafka-", ignore_cleanup_errors=True) as folder:
        broker = Broker(Path(folder), tls, relayed)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
            if broker.network is not None:
                broker.network.close()


def jars() -> Path:
    """The folder with the jars of the broker, fetched once.

    Raises:
        AdapterError: Maven is missing, or fails.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "qanat-servers" / f"kafka-{VERSION}"
    ready = folder / "jars"
    if not ready.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            pom, target = Path(scratch, "pom.xml"), Path(scratch, "jars")
            pom.write_text(_POM.format(version=VERSION), encoding="utf-8")
            goal = ("dependency:copy-dependencies", "-DincludeScope=runtime")
            _run([maven(), "-B", "-q", "-f", str(pom), *goal, f"-DoutputDirectory={target}"])
            _publish(target, ready)
    return ready


def _publish(made: Path, target: Path) -> None:
    """Put a copy of a folder into its place at once: another process may be making it, too."""
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        copy = shutil.copytree(made, scratch / target.name)
        if not target.exists():
            copy.rename(target)
    except OSError:
        # A folder is not renamed over another one, which somebody has just made.
        if not target.exists():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _written(properties: Mapping[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _run(command: Sequence[str]) -> None:
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise AdapterError(
            f"{Path(command[0]).name} failed after {time.monotonic() - started:.0f} seconds",
            got=(done.stdout + done.stderr).strip()[-500:],
        )
