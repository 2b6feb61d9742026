"""A worker of the crash test whose projects have their ledgers in PostgreSQL.

`python -m tests.crash.postgresql SLOT` works like `qanat.crash.worker`. For each scenario there is
a database with the scenario's name that has the ledger before the operation; each attempt gets a
copy of it.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from qanat.crash.case import Operation, Scenario
from qanat.crash.slot import Slot, copy_project
from qanat.crash.worker import serve
from qanat.ledgers.sql import postgresql
from tests.acceptance.conftest import Paths
from tests.crash.projects import operate

SERVER = "QANAT_TEST_POSTGRESQL"
"""The environment variable with the URL of the server."""
LEDGER = "QANAT__LEDGER"
_WORK = "work"


def database(name: str) -> str:
    """The URL of a database of the server."""
    return urlsplit(os.environ[SERVER])._replace(path=f"/{name}").geturl()


def copy_database(source: str, target: str) -> None:
    """Copy a database to a new one; an existing one of that name is dropped."""
    with closing(psycopg.connect(os.environ[SERVER], autocommit=True)) as server:
        server.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {target} TEMPLATE {source}".encode())


class DatabaseSlot(Slot):
    """A slot with a database of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._database = folder.name.replace("-", "_")
        os.environ[LEDGER] = database(self._database)

    def restore(self, scenario: Scenario, keep_trace: bool = False) -> None:
        """Restore project and ledger from a scenario's images."""
        super().restore(scenario, keep_trace)
        copy_database(scenario.name, self._database)


def scenarios(folder: Path) -> list[Scenario]:
    """Scenarios that together take every path of the write path, with ledgers in PostgreSQL."""
    copy_database("template1", _WORK)
    os.environ[LEDGER] = database(_WORK)
    first = Paths.make(folder / "first")
    first.first()
    copy_database(_WORK, "first")
    append = Paths(copy_project(first.root, folder / "append"))
    operate(append.root)
    append.second()
    copy_database(_WORK, "append")
    later = Paths(copy_project(append.root, folder / "later"))
    operate(later.root)
    later.declare(165)
    for name in ("replay", "refresh"):
        copy_database(_WORK, name)
    return [
        Scenario("first", first.root, Operation.RUN, sockets=True),
        Scenario("append", append.root, Operation.RUN, sockets=True),
        Scenario("replay", later.root, Operation.REPLAY, sockets=True),
        Scenario("refresh", later.root, Operation.REFRESH, sockets=True),
    ]


if __name__ == "__main__":
    # A short limit for idle sessions, as attempts have short leases.
    postgresql.IDLE_SECONDS = 1.0
    serve(DatabaseSlot(Path(sys.argv[1])))
