"""One trial in a process of its own: an operation with a fault, or a recovery and its check."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from qanat.crash.accounts import Accounts
from qanat.crash.case import Operation, Scenario
from qanat.crash.deliveries import sinks
from qanat.crash.disk_model import Disk
from qanat.crash.injector import Fault, Injector
from qanat.crash.judge import (
    acknowledgement,
    complaints,
    lost_epochs,
    unreadable_files,
    witness_of,
)
from qanat.crash.picture import picture
from qanat.errors import DatasetNotFoundError, QanatError
from qanat.frozen import Frozen
from qanat.model.event import EpochCommitted, Event
from qanat.ports import ledger
from qanat.run import lease
from qanat.run.discard import discard
from qanat.run.drop import drop
from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.run.upkeep import maintain

_OWN = {"qanat", *sys.stdlib_module_names}


class Arming(Frozen):
    """How the injector is armed before an operation: arguments of `Injector.arm`."""

    fault: Fault = Fault.NONE
    at: int = 0
    trace: Path | None = None
    content: bool = False


class Trial:
    """An operation on the project in a folder.

    Args:
        project: the project's folder.
        scenario: what is done to the project.
        report: the file that the outcome is written to, as JSON.
        again: True after a fault: the operation is the scenario's first one of recovery.
    """

    def __init__(
        self, project: Path, scenario: Scenario, report: Path, again: bool = False
    ) -> None:
        self._project = project
        self._scenario = scenario
        self._operation = scenario.recovery[0] if again else scenario.operation
        self._report = report

    def carry_out(self, arming: Arming, impatient: bool) -> None:
        """Do the operation with the injector armed.

        Args:
            arming: the fault, and whether to record the calls.
            impatient: True where two updates meet: shorten the lease to 0.2 s and the wait for
                the ledger to 0.5 s.
        """
        self._settle_in()
        if impatient:
            lease.SECONDS = 0.2
            ledger.BUSY_SECONDS = 0.5
        injector = Injector()
        sockets = self._scenario.sockets
        injector.arm(self._project, arming.fault, arming.at, arming.trace, arming.content, sockets)
        errors = self._operate(self._operation, injector)
        self._write({"errors": errors, "calls": injector.calls(), "modules": _modules()})

    def recover(self, disk: Disk | None = None, acknowledged: Sequence[str] = ()) -> None:
        """Do the operations of recovery without a fault, and check everything after each.

        Args:
            disk: what programs saw before the power loss; None if there was none.
            acknowledged: the epochs that were acknowledged before the power loss; they must exist
                before anything is repaired.
        """
        self._settle_in()
        wrong: list[str] = []
        if disk is not None:
            with self._workspace() as session:
                witness = witness_of(session)
            wrong += unreadable_files(self._project, disk, witness)
        if acknowledged:
            with self._workspace() as session:
                wrong += lost_epochs(session, acknowledged)
        started = time.monotonic()
        seen: dict[str, Any] = {}
        for operation in self._scenario.recovery:
            errors = self._operate(operation)
            wrong += (f"{operation} again: {e['code']} {e['message']}" for e in errors)
            with self._workspace() as session:
                accounts, image = Accounts(session), self._scenario.image
                seen = {"picture": picture(session, accounts, image), "books": accounts.books()}
                wrong += complaints(session, accounts, image)
        seconds = time.monotonic() - started
        self._write({"complaints": wrong, **seen, "seconds": seconds, "modules": _modules()})

    def _settle_in(self) -> None:
        os.chdir(self._project)
        os.environ["QANAT__THREADS"] = str(self._scenario.threads)
        os.environ["QANAT__STORAGE"] = str(self._project / self._scenario.storage)
        # The cache between runs is written to the copy, so that faults hit it, too.
        os.environ["XDG_CACHE_HOME"] = str(self._project / ".cache")

    def _workspace(self) -> Session:
        return Session.open(self._project, self._scenario.environment)

    def _operate(
        self, operation: Operation, injector: Injector | None = None
    ) -> list[dict[str, Any]]:
        """Do an operation; returns the errors that it ended with."""
        try:
            with self._workspace() as session:
                if operation is Operation.REPLAY:
                    replay(session)
                    return []
                if operation is Operation.MAINTAIN:
                    maintain(session)
                    return []
                if operation is Operation.DISCARD:
                    discard(session, self._scenario.names[0])
                    return []
                if operation in (Operation.RENAME, Operation.DROP):
                    self._move(session, operation)
                    return []
                anew = operation is Operation.REFRESH
                everything = anew and not self._scenario.anew
                again = self._scenario.anew if anew else ()
                if everything:
                    again = tuple(name for name, _ in sinks(session))
                selection = Selection(full_refresh=again, full_refresh_all=everything)
                observers = [_AcknowledgementObserver(session, injector)] if injector else []
                result = update(session, selection, observers)
        except QanatError as error:
            return [_facts(error)]
        return [_facts(d.error) for d in result.failed if d.error is not None]

    def _move(self, session: Session, operation: Operation) -> None:
        with suppress(DatasetNotFoundError):  # it was done before
            old, *new = self._scenario.names
            if operation is Operation.DROP:
                drop(session, old)
            else:
                rename(session, old, new[0])

    def _write(self, outcome: dict[str, Any]) -> None:
        self._report.write_text(json.dumps(outcome), encoding="utf-8")


class _AcknowledgementObserver:
    """An observer that notes in the record of calls which epochs were acknowledged, and when."""

    def __init__(self, session: Session, injector: Injector) -> None:
        self._session = session
        self._injector = injector

    def on(self, event: Event) -> None:
        if isinstance(event, EpochCommitted):
            self._injector.note(acknowledgement(self._session, event))


def _modules() -> list[str]:
    """The modules that are not the project's: the worker imports them for later attempts."""
    return sorted(name for name, module in sys.modules.items() if _is_installed(name, module))


def _is_installed(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] in _OWN:
        return True
    spec = getattr(module, "__spec__", None)
    # Some packages put modules under names by which nothing can import them.
    if spec is None or spec.name != name or spec.origin is None:
        return False
    return "site-packages" in Path(spec.origin).parts


def _facts(error: QanatError) -> dict[str, Any]:
    return {"code": error.code, "message": str(error)}
