"""A relay before a server, for tests of what happens when the network is cut, or slow."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 1 << 16


class Relay:
    """Passes bytes on between clients and a server. `relay` makes one.

    Args:
        target: host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._cut = False
        self.delay = 0.0
        """Seconds that each piece is held back."""
        self.port: int = self._listener.getsockname()[1]
        """Where it listens, on 127.0.0.1."""
        threading.Thread(target=self._accept, daemon=True, name="qanat-relay").start()

    def cut(self) -> None:
        """Break all connections, and refuse new ones until `mend`."""
        with self._lock:
            self._cut = True
            broken, self._open = self._open, set()
        for each in broken:
            _close(each)

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._cut = False

    def close(self) -> None:
        """Break all connections for good."""
        self.cut()
        _close(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _close(client)
            return
        with self._lock:
            cut = self._cut
            self._open |= set() if cut else {client, server}
        if cut:
            _close(client)
            _close(server)
            return
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(_PIECE):
                if self.delay:
                    time.sleep(self.delay)
                other.sendall(piece)
        with self._lock:
            self._open -= {one, other}
        _close(one)
        _close(other)


def _close(each: socket.socket) -> None:
    # A thread that reads from it wakes up only by a shutdown.
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def relay(host: str, port: int) -> Iterator[Relay]:
    """Stand before a server for as long as the block lasts.

    Example:

        with relay("127.0.0.1", 5432) as network:
            connect(network.port)
            network.cut()
    """
    made = Relay((host, port))
    try:
        yield made
    finally:
        made.close()
