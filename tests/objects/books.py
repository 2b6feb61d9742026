"""What the ledger says of a project at rest, asked in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

from qanat.model.pipeline import DatasetKind
from qanat.model.record import UpdateStatus
from qanat.run.session import Session
from tests.acceptance.ledgered import _check_counts
from tests.forked import FORKED, POLLING
from tests.objects.site import Site


def misbooked(site: Site, report: Path) -> list[str]:
    """A sentence for everything that the ledger of a site's project has wrong."""
    report.unlink(missing_ok=True)
    args = (str(site.project), site.environment, str(report))
    child = FORKED.Process(target=_look, args=args, daemon=True)
    with POLLING:
        child.start()
    wait([child.sentinel])
    if not report.exists():
        return ["the ledger cannot be asked"]
    found: list[str] = json.loads(report.read_text(encoding="utf-8"))
    return found


def _look(project: str, environment: dict[str, str], report: str) -> None:
    os.environ.update(environment)
    os.chdir(project)
    Path(report).write_text(json.dumps(list(_complaints(Path(project)))), encoding="utf-8")


def _complaints(project: Path) -> Iterator[str]:
    with Session.open(project) as session:
        ledger = session.ledger
        for epoch in ledger.open_epochs():
            yield f"epoch {epoch.number} of {epoch.flow} is not settled"
        for lease in ledger.held():
            yield f"update {lease.holder} still holds its lease"
        for update in ledger.updates(1000):
            if update.status is UpdateStatus.RUNNING:
                yield f"update {update.id} is said to run"
        for dataset in session.pipeline.datasets:
            if dataset.kind is DatasetKind.STREAMING_TABLE:
                try:
                    _check_counts(session, dataset.name)
                except AssertionError as error:
                    yield f"the ledger's counts of {dataset.name} are not its table's: {error}"
