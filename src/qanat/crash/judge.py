"""Checks that ledger, tables and disk agree, and that nothing is left over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from qanat import plugins
from qanat.crash.accounts import Accounts
from qanat.crash.deliveries import sent, sink_folder, sinks
from qanat.crash.disk_model import Disk, File
from qanat.crash.inventory import Inventory
from qanat.errors import UnsupportedError
from qanat.model.event import EpochCommitted
from qanat.model.record import UpdateStatus
from qanat.ports.witness import Witness
from qanat.run.session import Session

_ALL = 1_000_000


def complaints(session: Session, accounts: Accounts, image: Path) -> Iterator[str]:
    """A sentence for everything that is wrong after an update that succeeded.

    Args:
        session: the opened project.
        accounts: the ledger's counts.
        image: the folder with the project before the crash test.
    """
    inventory = Inventory(Path(session.project.storage), session.scratch, witness_of(session))
    yield from _unfinished(session)
    yield from accounts.errors(inventory, image)
    yield from _broken_tables(session)
    yield from _strangers(session, inventory, image)
    yield from _left_over(session)


def _unfinished(session: Session) -> Iterator[str]:
    """What the ledger still holds open."""
    ledger = session.ledger
    for epoch in ledger.open_epochs():
        yield f"epoch {epoch.number} of {epoch.flow} is still open"
    if ledger.held():
        yield "the lease is still held"
    for update in ledger.updates(_ALL):
        if update.status is UpdateStatus.RUNNING:
            yield f"update {update.id} is still recorded as running"


def _broken_tables(session: Session) -> Iterator[str]:
    """Tables with orphans by Qanat's own search, or that another Delta reader cannot read."""
    for table in session.store.tables(session.project.tables):
        if left := session.store.orphans(table):
            yield f"{left} files in {table.name} are in no version"
        yield from _missing_files(table.folder, witness_of(session))


def _strangers(session: Session, inventory: Inventory, image: Path) -> Iterator[str]:
    """Files that belong to nothing, found without Qanat's own search; old ones are ignored."""
    for path in inventory.strangers():
        where = path.relative_to(session.project.root)
        if not (image / where).exists():
            yield f"{where} belongs to nothing"


def _left_over(session: Session) -> Iterator[str]:
    """Temporary files of updates that have ended."""
    private = session.project.private
    own = session.scratches.glob("*")
    left_over = [p for p in own if p.with_suffix("") != session.scratch.with_suffix("")]
    left_over += private.glob("commits/*/*")
    for _, target in sinks(session):
        if (folder := sink_folder(session, target)) is not None:
            left_over += folder.glob(".qanat/*")
    for path in left_over:
        yield f"{path.relative_to(session.project.root)} was left over"


def witness_of(session: Session) -> Witness:
    """What reads the tables of the project's format without the code under test.

    Raises:
        UnsupportedError: the format has no witness.
    """
    name = session.project.table_format
    target = plugins.table_format(name).witness
    if target is None:
        raise UnsupportedError(f"a crash test cannot judge tables of the format {name!r}")
    return cast("Witness", plugins.imported(target)())


def _missing_files(table: Path, witness: Witness) -> Iterator[str]:
    """The files that another reader would read of a table, and that do not exist."""
    for path in witness.live(table):
        if not path.exists():
            yield f"{table.name} has lost {path.name}"


# -- after a power loss, before anything has been repaired ----------------------------------------


def unreadable_files(root: Path, disk: Disk, witness: Witness) -> Iterator[str]:
    """The files of tables that are missing or incomplete after a power loss.

    Before anything is repaired, each table must be readable at one of its versions.

    Args:
        root: the folder with the project, as the power loss left it.
        disk: the same folder as programs saw it before the power loss.
        witness: reads the tables.
    """
    for table, needed in witness.needed(root):
        for path in needed:
            name = str(path.relative_to(root))
            seen = disk.find(name)
            known = seen.content if isinstance(seen, File) else _before(disk, name)
            if not path.exists():
                # What an update has deleted may be gone, also where an old entry of the log names
                # it: the changes that a vacuum found old enough. Of live files `live` tells.
                if seen is not None:
                    yield f"{name} is gone"
            elif path.read_bytes() != known:
                yield f"{name} is torn"
        yield from _missing_files(table, witness)


def _before(disk: Disk, name: str) -> bytes | None:
    """What a file had at the beginning that has another name by now, or none.

    The power loss may have undone that.
    """
    path = disk.image / name
    return path.read_bytes() if path.is_file() else None


def lost_epochs(session: Session, acknowledged: Sequence[str]) -> Iterator[str]:
    """The acknowledged epochs that ledger, table or sink no longer have.

    Args:
        session: the opened project, as the power loss left it.
        acknowledged: what `acknowledgement` gave for each epoch.
    """
    for text in acknowledged:
        epoch = json.loads(text)
        dataset = session.pipeline.dataset(epoch["dataset"])
        name = f"epoch {epoch['number']} of {epoch['flow']}"
        known = session.ledger.last_epoch(epoch["flow"], dataset.name)
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
    """The facts about a committed epoch that `lost_epochs` checks, as JSON text."""
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
