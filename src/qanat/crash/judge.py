"""Whether ledger, tables and disk agree, and whether anything lies about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from qanat import plugins
from qanat.crash.accounts import Accounts
from qanat.crash.deliveries import sent, sink_folder, sinks
from qanat.crash.disk import Disk, File
from qanat.crash.inventory import Inventory
from qanat.errors import UnsupportedError
from qanat.model.event import EpochCommitted
from qanat.model.record import UpdateStatus
from qanat.ports.witness import Witness
from qanat.run.session import Session

_ALL = 1_000_000


def complaints(session: Session, accounts: Accounts, image: Path) -> Iterator[str]:
    """Everything that is not as it must be after an update that went well.

    Args:
        image: the project as it was before.
    """
    ledger = session.ledger
    for epoch in ledger.open_epochs():
        yield f"epoch {epoch.number} of {epoch.flow} is still open"
    if ledger.held() is not None:
        yield "the lease is still held"
    for update in ledger.updates(_ALL):
        if update.status is UpdateStatus.RUNNING:
            yield f"update {update.id} is said to run"
    witness = witness_of(session)
    inventory = Inventory(session.project.storage, session.scratch, witness)
    yield from accounts.errors(inventory, image)
    for table in session.store.tables(str(session.project.tables)):
        # As that sees it which sweeps; below, without it.
        if left := session.store.orphans(table):
            yield f"{left} files in {table.name} are in no version"
        yield from _lost(table.folder, witness)
    for path in inventory.strangers():
        where = path.relative_to(session.project.root)
        if not (image / where).exists():
            yield f"{where} belongs to nothing"
    private = session.project.private
    own = session.scratches.glob("*")
    left_over = [p for p in own if p.with_suffix("") != session.scratch.with_suffix("")]
    left_over += private.glob("commits/*")
    for _, target in sinks(session):
        left_over += sink_folder(session, target).glob(".qanat/*")
    for path in left_over:
        yield f"{path.relative_to(session.project.root)} was left over"


def witness_of(session: Session) -> Witness:
    """Who reads the tables of a project's format without the code that is being tested.

    Raises:
        UnsupportedError: nobody does.
    """
    name = session.project.table_format
    target = plugins.table_format(name).witness
    if target is None:
        raise UnsupportedError(f"a crash test cannot judge tables of the format {name!r}")
    return cast("Witness", plugins.imported(target)())


def _lost(table: Path, witness: Witness) -> Iterator[str]:
    """What another reader says: every file that it would read is there."""
    for path in witness.live(table):
        if not path.exists():
            yield f"{table.name} has lost {path.name}"


# -- after a power loss, before anything has been repaired ----------------------------------------


def torn(root: Path, disk: Disk, witness: Witness) -> Iterator[str]:
    """What a reader cannot read: each table has to be as it was at one of its versions.

    Args:
        root: the folder that `disk` is about.
        disk: what programs had seen before the power went.
    """
    for table, needed in witness.needed(root):
        for path in needed:
            name = str(path.relative_to(root))
            seen = disk.find(name)
            if not path.exists():
                yield f"{name} is gone"
            elif not isinstance(seen, File) or seen.content != path.read_bytes():
                yield f"{name} is torn"
        yield from _lost(table, witness)


def forgotten(session: Session, acknowledged: Sequence[str]) -> Iterator[str]:
    """Epochs that were said to be committed, and are not there."""
    for text in acknowledged:
        epoch = json.loads(text)
        dataset = session.pipeline.dataset(epoch["dataset"])
        name = f"epoch {epoch['number']} of {epoch['flow']}"
        known = session.ledger.last_epoch(epoch["flow"])
        if known is None or known.number < epoch["number"]:
            yield f"the ledger has forgotten {name}, which was acknowledged"
        if dataset.sink is not None:
            if not set(epoch["sent"]) <= {p.name for p in sent(session, dataset.sink)}:
                yield f"the sink has lost {name}, which was acknowledged"
            continue
        there = session.store.version(session.table(dataset.name))
        if there is None or there < epoch["version"]:
            yield f"the table has lost {name}, which was acknowledged"


def acknowledgement(session: Session, event: EpochCommitted) -> str:
    """What `forgotten` needs to know of an epoch that has just been committed."""
    dataset = session.pipeline.dataset(event.dataset)
    files = [] if dataset.sink is None else [p.name for p in sent(session, dataset.sink)]
    facts = {
        "dataset": dataset.name,
        "flow": event.flow,
        "number": event.epoch,
        "version": event.version,
        "sent": files,
    }
    return json.dumps(facts)
