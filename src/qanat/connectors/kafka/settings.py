"""A client's configuration, from options with the names that Kafka's Java client has.

librdkafka, which does the work, has most of these names too. Where it calls a setting otherwise,
the Java name is translated; what it does not know at all, it refuses itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qanat.connectors.kafka.options import CLIENT, Secret
from qanat.errors import OptionError
from qanat.frozen import Frozen

_RENAMED = {
    "ssl.truststore.location": "ssl.ca.location",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.cipher.suites": "ssl.cipher.suites",
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    "request.timeout.ms": "socket.timeout.ms",
    "connections.max.idle.ms": "connections.max.idle.ms",
    "metadata.max.age.ms": "metadata.max.age.ms",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "buffer.memory": "queue.buffering.max.kbytes",
}
_STORES = ("ssl.truststore.type", "ssl.keystore.type")
_PEM = "keytool -exportcert -rfc -keystore truststore.jks -alias ca -file ca.pem"


class Settings(Frozen):
    """How to reach one cluster.

    Args:
        servers: as `host:port`, separated by commas.
        client: settings of librdkafka; with passwords, so never to be shown.
    """

    servers: str
    client: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(options: Iterable[tuple[str, Any]]) -> Settings:
        """Those of a reference or a sink.

        >>> Settings.of([("bootstrap_servers", "a:9092"), ("kafka.fetch.max.wait.ms", "5")]).client
        (('fetch.wait.max.ms', '5'),)

        Raises:
            OptionError: a setting is one of Java's that has no counterpart.
        """
        given = dict(options)
        found = {}
        for name, value in sorted(given.items()):
            if name.startswith(CLIENT):
                java = name.removeprefix(CLIENT)
                text = value.text if isinstance(value, Secret) else str(value)
                found.update(_translated(java, text))
        return Settings(str(given["bootstrap_servers"]), tuple(found.items()))

    def configuration(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """For a client.

        Args:
            own: what its work needs, whatever the author says.
        """
        return {
            # Errors are raised, and tell more than these lines on standard error.
            "log_level": 0,
            "socket.keepalive.enable": True,
            "client.id": "qanat",
            **dict(self.client),
            "bootstrap.servers": self.servers,
            **own,
        }


def _translated(name: str, value: str) -> dict[str, str]:
    if name in _STORES:
        if value.upper() in ("PEM", "PKCS12") and not (value.upper() != "PEM" and "trust" in name):
            return {}
        raise OptionError(
            f"the client reads no certificates of the type {value!r}",
            wanted="\"kafka.ssl.ca.location\" => 'ca.pem', a file in PEM",
            hint=f"`{_PEM}` writes one",
        )
    if name == "ssl.truststore.location" and value.lower().endswith((".jks", ".p12", ".pfx")):
        raise OptionError(
            f"the client reads no certificates from {value!r}",
            wanted="\"kafka.ssl.ca.location\" => 'ca.pem', a file in PEM",
            hint=f"`{_PEM}` writes one",
        )
    if name == "ssl.endpoint.identification.algorithm":
        return {name: value or "none"}
    if name == "buffer.memory":
        return {_RENAMED[name]: str(max(1, int(value) // 1024))}
    return {_RENAMED.get(name, name): value}
