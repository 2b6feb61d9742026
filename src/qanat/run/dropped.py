"""Tables that were dropped, and those that are declared by their names later.

The versions of a new table begin anew, so that how far a stream has read the old one is no
position in it; but the reader still has the old one's rows. What it had read stays in the ledger,
by a key that no source has. As long as the reader has read nothing else by that name, its author
is asked what is to become of these rows, as where any other source takes another one's place
(`identity`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from qanat.errors import RereadError, full_refresh
from qanat.model.amount import Amount
from qanat.model.query import Read
from qanat.run.decide import Decision
from qanat.run.inputs import Intake, will_change
from qanat.run.memo import CompiledFlow
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session
from qanat.text import count, size

DROPPED = f"{SNAPSHOT}dropped|"
"""What keys begin with under which the ledger keeps how far a table was read that was dropped."""


def check_dropped(
    session: Session,
    compiled: CompiledFlow,
    generation: int,
    streams: Sequence[Read],
    intake: Intake,
    decided: Mapping[str, Decision],
) -> None:
    """Refuse to read another table of that name beside one that was dropped.

    Args:
        streams: what the flow would read from its start.

    Raises:
        RereadError: there is such a table.
    """
    flow, name = compiled.flow.name, compiled.dataset.name
    for read in streams:
        key, source = read.source.key, read.source.label
        if session.recorded.position(flow, name, generation, DROPPED + key) is None:
            continue
        if intake.ranges.get(key) is None and not will_change(session, read, decided):
            continue
        raise RereadError(
            f"{name} has read a table {source} that was dropped, and would read another one"
            f" ({waiting_of(intake, source)}) beside it",
            location=read.location,
            hint=f"start over: {full_refresh(name)}; if these are other rows:"
            f" qanat run --read-again {shlex.quote(name)}",
        )


def waiting_of(intake: Intake, source: str) -> str:
    """How much of a source would be read, as far as is known."""
    return next((_told(w.amount) for w in intake.waiting if w.source == source), "all of it")


def _told(amount: Amount) -> str:
    if amount.rows is not None:
        return count(amount.rows, "row")
    return f"{count(amount.files, 'file')}, {size(amount.bytes)}"
