"""A real PostgreSQL server on this machine, for tests, as a process of its own.

Nothing is installed as a system service and nothing outlives the test: data lie in a temporary
folder, the server listens on a free port of 127.0.0.1, and it is stopped at the end.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qanat.errors import AdapterError

_START_SECONDS = 60.0


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server; gives the URL of an empty database.

    The server's programs are looked for on the PATH and where Debian puts them; root installs
    them from Debian's repository when they are missing.

    Raises:
        AdapterError: there is no PostgreSQL and it cannot be installed, or it does not start.
    """
    programs = _programs() or _installed()
    user = _unprivileged()
    root = Path(tempfile.mkdtemp(prefix="qanat-postgresql-"))
    try:
        data, log = root / "data", root / "server.log"
        log.touch()
        if user is not None:
            for path in (root, log):
                shutil.chown(path, user)
        options = f"-D {data} -U qanat -A trust -E UTF8 --locale=C --no-sync"
        _run([str(programs / "initdb"), *options.split()], user, root)
        port = _free_port()
        options = f"-D {data} -p {port} -k {root} -c listen_addresses=127.0.0.1"
        with log.open("ab") as output:
            server = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [str(programs / "postgres"), *options.split()],
                stdout=output,
                stderr=output,
                cwd=root,
                user=user,
            )
        try:
            _await(port, server, log)
            yield f"postgresql://qanat@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            try:
                server.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _programs() -> Path | None:
    """The folder of `postgres` and `initdb`, the newest version where there are several."""
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(debian, key=lambda p: int(p.parts[-3]), default=None)
    return newest.parent if newest else None


def _installed() -> Path:
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends"]):
            packages = ["postgresql"] if arguments[0] == "install" else []
            _run([apt, *arguments, *packages], None, Path("/"))
        if found := _programs():
            return found
    raise AdapterError(
        "there is no PostgreSQL server to test with",
        wanted="`postgres` and `initdb` on the PATH",
        hint="install PostgreSQL's server package; it need not run as a service",
    )


def _unprivileged() -> str | None:
    """The user to run the server as: PostgreSQL refuses root."""
    return "nobody" if os.geteuid() == 0 else None


def _run(command: list[str], user: str | None, cwd: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        user=user,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        raise AdapterError(f"{Path(command[0]).name} failed", got=done.stderr.strip()[-500:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server accepts a session: it listens earlier than it serves."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if "ready to accept connections" in log.read_text(encoding="utf-8", errors="replace"):
            return
        time.sleep(0.05)
    raise AdapterError(
        f"PostgreSQL did not start on port {port}",
        got=log.read_text(encoding="utf-8", errors="replace")[-500:],
    )
