"""The contents of a project's tables, quarantines and sinks, as counts and digests to compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.crash.accounts import Accounts
from qanat.crash.deliveries import deliveries, lines, sinks
from qanat.crash.question import ask
from qanat.errors import QanatError
from qanat.run.session import Session

# These columns name the update or its time, and so differ from run to run.
_VARIES = frozenset(
    {"_quarantine_id", "_quarantine_update", "_quarantine_at", "_quarantine_epoch"}
)
_STAGED = r"(epoch|replay)-\d+-[0-9a-f]+"
_TABLE = "t"
EARLIER = " before it was sent anew"
"""The suffix of a sink's name for the rows that it got before its last full refresh."""

Picture = dict[str, tuple[int, str]]
"""By table or sink: its number of rows, and a digest that does not depend on their order."""


def picture(session: Session, accounts: Accounts) -> Picture:
    """Count and digest the rows of all tables, quarantines and sinks.

    Args:
        session: the opened project.
        accounts: the ledger's epochs, to tell the deliveries of a sink's generations apart.

    Raises:
        QanatError: a table cannot be read, or a quarantine holds a row twice.
    """
    found: Picture = {}
    for table in session.store.tables(str(session.project.tables)):
        if session.store.version(table) is None:
            continue
        snapshot = session.store.snapshot(table)
        names = [n for n in snapshot.schema.names if n not in _VARIES]
        columns = ", ".join('"' + n.replace('"', '""') + '"' for n in names)
        inputs = {_TABLE: snapshot.batch}
        text = f"CAST(row({columns}) AS VARCHAR)"
        _add(found, table.name, session, f"SELECT {text} AS line FROM {_TABLE}", inputs)
        if "_quarantine_id" in snapshot.schema.names:
            query = f"SELECT count(*) - count(DISTINCT _quarantine_id) FROM {_TABLE}"
            if twice := ask(session, query, inputs)[0][0]:
                raise QanatError(f"{table.name} holds {twice} rows twice")
    for name, target in sinks(session):
        generation = session.ledger.generation(name)
        old = [e for e in accounts.of(name) if e.generation < generation]
        now: list[Path] = []
        before: list[Path] = []
        for each in deliveries(session, target):
            (before if any(each.is_of(e.flow, e.number) for e in old) else now).extend(each.files)
        for label, files in ((f"sink {name}", now), (f"sink {name}{EARLIER}", before)):
            if files:
                _add(found, label, session, lines(target, files), {})
    return found


def differences(
    wanted: Mapping[str, tuple[int, str]],
    found: Mapping[str, tuple[int, str]],
    unstable: frozenset[str],
) -> tuple[list[str], int, int]:
    """Compare two pictures.

    Args:
        wanted: the picture without a fault.
        found: the picture after a fault and its recovery.
        unstable: tables whose rows differ from run to run anyway; only their counts must agree.

    Returns:
        A sentence for each difference, the number of rows lost, and of rows too many.
    """
    complaints, lost, doubled = [], 0, 0
    for name in sorted({*wanted, *found}):
        rows, digest = wanted.get(name, (0, ""))
        there, other = found.get(name, (0, ""))
        lost += max(rows - there, 0)
        doubled += max(there - rows, 0)
        if rows != there:
            complaints.append(f"{name} has {there:,} rows instead of {rows:,}")
        elif digest != other and name not in unstable:
            complaints.append(f"{name} has other rows")
    return complaints, lost, doubled


def _add(
    found: Picture, name: str, session: Session, lines: str, inputs: Mapping[str, Any]
) -> None:
    root = f"{session.project.root}/".replace("'", "''")
    plain = f"regexp_replace(replace(line, '{root}', ''), '{_STAGED}', '', 'g')"
    query = (
        "SELECT count(*), sum(h), bit_xor(h) FROM"
        f" (SELECT hash({plain}) AS h FROM ({lines}) AS lines)"
    )
    ((rows, total, mixed),) = ask(session, query, inputs)
    # A table without rows counts as none: whether it already exists is not compared.
    if rows:
        found[name] = (int(rows), f"{total}-{mixed}")
