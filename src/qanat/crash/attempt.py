"""What runs in a process of its own: an operation that may die, and the look at what it left."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qanat.crash.accounts import Accounts
from qanat.crash.case import Operation, Scenario
from qanat.crash.deliveries import sinks
from qanat.crash.disk import Disk
from qanat.crash.injector import Fault, Injector
from qanat.crash.judge import acknowledgement, complaints, forgotten, torn, witness_of
from qanat.crash.picture import picture
from qanat.errors import QanatError
from qanat.ledgers.sql import sqlite
from qanat.model.event import EpochCommitted, Event
from qanat.run import lease
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update

_WARM = sys.stdlib_module_names.union(
    [
        "annotated_types",
        "deltalake",
        "duckdb",
        "numpy",
        "pyarrow",
        "pydantic",
        "pydantic_core",
        "pyiceberg",
        "pytz",
        "qanat",
        "sqlglot",
        "typing_inspection",
        "yaml",
    ]
)
"""Packages whose modules are told, so that the next attempts find them imported."""


@dataclass(frozen=True, slots=True)
class Arming:
    """How the injector is armed before an operation; see `Injector.arm`."""

    fault: Fault = Fault.NONE
    at: int = 0
    trace: Path | None = None
    content: bool = False


class Process:
    """An operation on the project in a folder.

    Args:
        report: file that the outcome is written to, as JSON.
        again: something has gone wrong before: an attempt is one to recover from that.
    """

    def __init__(
        self, project: Path, scenario: Scenario, report: Path, again: bool = False
    ) -> None:
        self._project = project
        self._scenario = scenario
        self._operation = scenario.recovery[0] if again else scenario.operation
        self._report = report

    def attempt(self, arming: Arming, impatient: bool) -> None:
        """Do it, with a fault on the way.

        Args:
            impatient: hold a lease of a moment, and wait for others no longer than that.
        """
        self._settle_in()
        if impatient:
            lease.SECONDS = 0.2
            sqlite.BUSY_SECONDS = 0.5
        injector = Injector()
        sockets = self._scenario.sockets
        injector.arm(self._project, arming.fault, arming.at, arming.trace, arming.content, sockets)
        errors = self._operate(self._operation, injector)
        self._write({"errors": errors, "calls": injector.calls(), "modules": _modules()})

    def recover(self, disk: Disk | None = None, acknowledged: Sequence[str] = ()) -> None:
        """Do undisturbed what is done afterwards, and look at everything each time.

        Args:
            disk: what programs had seen before the power went, if it did.
            acknowledged: epochs that must be there before anything is done.
        """
        self._settle_in()
        wrong: list[str] = []
        if disk is not None:
            with self._workspace() as session:
                witness = witness_of(session)
            wrong += torn(self._project, disk, witness)
        if acknowledged:
            with self._workspace() as session:
                wrong += forgotten(session, acknowledged)
        started = time.monotonic()
        seen: dict[str, Any] = {}
        for operation in self._scenario.recovery:
            errors = self._operate(operation)
            wrong += (f"{operation} again: {e['code']} {e['message']}" for e in errors)
            with self._workspace() as session:
                accounts = Accounts(session)
                seen = {"picture": picture(session, accounts), "books": accounts.books()}
                wrong += complaints(session, accounts, self._scenario.image)
        seconds = time.monotonic() - started
        self._write({"complaints": wrong, **seen, "seconds": seconds, "modules": _modules()})

    def _settle_in(self) -> None:
        os.chdir(self._project)
        os.environ["QANAT__THREADS"] = str(self._scenario.threads)
        os.environ["QANAT__STORAGE"] = str(self._project / self._scenario.storage)
        # What is remembered between runs can be torn like anything else.
        os.environ["XDG_CACHE_HOME"] = str(self._project / ".cache")

    def _workspace(self) -> Session:
        return Session.open(self._project, self._scenario.environment)

    def _operate(
        self, operation: Operation, injector: Injector | None = None
    ) -> list[dict[str, Any]]:
        """The errors that it ended with."""
        try:
            with self._workspace() as session:
                if operation is Operation.REPLAY:
                    replay(session)
                    return []
                everything = operation is Operation.REFRESH
                again = tuple(name for name, _ in sinks(session)) if everything else ()
                selection = Selection(full_refresh=again, full_refresh_all=everything)
                observers = [_Notary(session, injector)] if injector else []
                result = update(session, selection, observers)
        except QanatError as error:
            return [_facts(error)]
        return [_facts(d.error) for d in result.failed if d.error is not None]

    def _write(self, outcome: dict[str, Any]) -> None:
        self._report.write_text(json.dumps(outcome), encoding="utf-8")


class _Notary:
    """Puts on record which epochs were acknowledged, and when."""

    def __init__(self, session: Session, injector: Injector) -> None:
        self._session = session
        self._injector = injector

    def on(self, event: Event) -> None:
        if isinstance(event, EpochCommitted):
            self._injector.say(acknowledgement(self._session, event))


def _modules() -> list[str]:
    return sorted(m for m in sys.modules if m.partition(".")[0] in _WARM)


def _facts(error: QanatError) -> dict[str, Any]:
    return {"code": error.code, "message": str(error)}
