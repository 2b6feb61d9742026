"""`qanat` without the second that an interpreter takes to start and to import everything.

One process imports Qanat and what it stands on; each command is a process forked from it, with
streams, folder, environment and exit code of its own. So a test runs the program as often as it
likes. Tests of the start itself (encodings, closed streams, imports, limits and signals of the
process) start `python -m qanat` instead.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import qanat

LIBRARIES = ("deltalake", "duckdb", "pyarrow", "sqlglot.dialects.duckdb", "sqlglot.dialects.spark")
APART = (
    "qanat.__main__",
    "qanat.testing",
    "qanat.crash",
    "qanat.orchestrate",
    "qanat.storage.iceberg",
)
"""What commands seldom need."""

# It imports as little as it can: it runs once for each command.
CLIENT = """\
import _socket, os, sys
peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
peer.connect(sys.argv[1])
words = [os.getcwdb(), b"%d" % (len(sys.argv) - 2), *map(os.fsencode, sys.argv[2:])]
words += [name + b"=" + value for name, value in os.environb.items()]
request = b"\\0".join(words)
streams = b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 1, 2))
rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)]
peer.sendmsg([len(request).to_bytes(8, "big")], rights)
peer.sendall(request)
code = peer.recv(8)
os._exit(int(code) if code else 70)
"""


@contextmanager
def started() -> Iterator[list[str]]:
    """Start the process that commands are forked from.

    Yields:
        A command line that stands for `python -m qanat`, as long as the context is open.
    """
    # Not in pytest's own folders: the name of a socket may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="qanat-") as folder:
        client, address = Path(folder, "client.py"), Path(folder, "socket")
        client.write_text(CLIENT, encoding="utf-8")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("QANAT", "PYTEST"))}
        server = subprocess.Popen(
            [sys.executable, __file__, address],
            env=environ | {"PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,  # The server ends when this is closed, however we end.
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield [sys.executable, "-I", "-S", str(client), str(address)]
        finally:
            server.communicate()


def ours() -> Iterator[str]:
    """The modules of Qanat that most commands need, or some."""
    for module in pkgutil.walk_packages(qanat.__path__, "qanat."):
        if not module.name.startswith(APART):
            yield module.name


class Server:
    """Forks a process for each command, and sends its exit code when it ends."""

    def __init__(self, address: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address)
        self.listener.listen(16)
        self.peers: dict[int, socket.socket] = {}
        # Python writes a byte into a pipe when a child ends, which wakes the selector.
        self.ended, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector = selectors.DefaultSelector()
        for source in (self.listener.fileno(), self.ended, sys.stdin.fileno()):
            self.selector.register(source, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until standard input is closed."""
        while True:
            for key, _ in self.selector.select():
                if key.fd == self.listener.fileno():
                    self._begin(self.listener.accept()[0])
                elif key.fd == self.ended:
                    os.read(self.ended, 512)
                    self._reap()
                elif key.fd == sys.stdin.fileno():
                    return
                else:
                    # The client was killed, as at the end of a test's patience.
                    self.selector.unregister(key.fd)
                    os.kill(key.data, signal.SIGKILL)

    def _begin(self, peer: socket.socket) -> None:
        head, streams, _, _ = socket.recv_fds(peer, 8, 3)
        with peer.makefile("rb") as file:
            request = file.read(int.from_bytes(head, "big"))
        pid = os.fork()
        if not pid:
            self.listener.close()
            become(request, streams)
        for stream in streams:
            os.close(stream)
        self.peers[pid] = peer
        self.selector.register(peer, selectors.EVENT_READ, pid)

    def _reap(self) -> None:
        while self.peers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            peer = self.peers.pop(pid)
            if peer.fileno() in self.selector.get_map():
                self.selector.unregister(peer)
                peer.sendall(b"%d" % (128 - code if code < 0 else code))  # as a shell says it
            peer.close()


def become(request: bytes, streams: list[int]) -> NoReturn:
    """Be the process of a command: do what `python -m qanat` does once it is started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder, count, *words = request.split(b"\0")
    arguments, environ = words[: int(count)], words[int(count) :]
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(word.split(b"=", 1) for word in environ)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The streams of before remember whether theirs could seek.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until its end
    sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["qanat", *map(os.fsdecode, arguments)]
    sys.path[0] = str(Path.cwd())
    tempfile.tempdir = None
    import_module("qanat.cli").main()
    sys.exit()


def main() -> None:
    """Import everything, then serve at the address that is the only argument."""
    for name in (*LIBRARIES, *ours()):
        import_module(name)
    gc.freeze()  # Garbage is not looked for among them, so the processes share their memory.
    server = Server(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
