"""The contents of a project's tables, quarantines and sinks, as counts and digests to compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qanat.crash.accounts import Accounts
from qanat.crash.deliveries import deliveries, lines, sinks
from qanat.crash.question import ask
from qanat.errors import QanatError
from qanat.model.side import is_state
from qanat.model.work import Batch
from qanat.run.session import Session
from qanat.text import literal, quote

# These columns name the update or its time, and so differ from run to run.
_VARIES = frozenset(
    {"_quarantine_id", "_quarantine_update", "_quarantine_at", "_quarantine_epoch"}
)
_STAGED = r"(epoch|replay)-\d+(-[0-9a-f]+)+"
EARLIER = " before it was sent anew"
"""The suffix of a sink's name for the rows that it got before its last full refresh."""

Picture = dict[str, tuple[int, str]]
"""By table or sink: its number of rows, and a digest that does not depend on their order."""


def picture(session: Session, accounts: Accounts, image: Path) -> Picture:
    """Count and digest the rows of all tables, quarantines and sinks.

    Args:
        session: the opened project.
        accounts: the ledger's epochs, to tell the deliveries of a sink's generations apart.
        image: the folder that the project was copied from. Quarantined rows that were there then
            name files of it.

    Raises:
        QanatError: a table cannot be read, or a quarantine holds a row twice.
    """
    views: dict[str, str] = {}
    inputs: dict[str, Batch] = {}
    for table in session.store.tables(str(session.project.tables)):
        # A state has the rows of each epoch, which may be others after a crash; what they come to
        # shows in the results of later ones.
        if session.store.version(table) is None or is_state(table.name):
            continue
        snapshot = session.store.snapshot(table)
        names = [n for n in snapshot.schema.names if n not in _VARIES]
        columns = ", ".join(map(quote, names))
        name = f"t{len(inputs)}"
        inputs[name] = snapshot.batch
        identity = "_quarantine_id" if "_quarantine_id" in snapshot.schema.names else "NULL"
        views[table.name] = (
            f"SELECT CAST(row({columns}) AS VARCHAR) AS line, {identity} AS id FROM {name}"
        )
    for name, target in sinks(session):
        generation = session.ledger.generation(name)
        old = [e for e in accounts.of(name) if e.generation < generation]
        now: list[Path] = []
        before: list[Path] = []
        for each in deliveries(session, target):
            (before if any(each.is_of(e.flow, e.number) for e in old) else now).extend(each.files)
        for label, files in ((f"sink {name}", now), (f"sink {name}{EARLIER}", before)):
            if files:
                views[label] = f"SELECT line, NULL AS id FROM ({lines(target, files)})"
    return _counted(session, views, inputs, image)


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


def _counted(
    session: Session, views: Mapping[str, str], inputs: Mapping[str, Batch], image: Path
) -> Picture:
    """Count and digest the lines of all views by one query: most of its time is spent to begin."""
    root, old = (literal(f"{folder}/") for folder in (session.project.root, image))
    plain = f"replace(replace(line, {root}, ''), {old}, '')"
    plain = f"regexp_replace({plain}, '{_STAGED}', '', 'g')"
    queries = [
        f"SELECT {n}, count(*), sum(h), bit_xor(h), count(id) - count(DISTINCT id) FROM"
        f" (SELECT hash({plain}) AS h, id FROM ({view}) AS lines)"
        for n, view in enumerate(views.values())
    ]
    found: Picture = {}
    names = list(views)
    answers = ask(session, " UNION ALL ".join(queries), inputs) if queries else ()
    for number, rows, total, mixed, twice in sorted(answers):
        if twice:
            raise QanatError(f"{names[number]} holds {twice} rows twice")
        # A table without rows counts as none: whether it already exists is not compared.
        if rows:
            found[names[number]] = (int(rows), f"{total}-{mixed}")
    return found
