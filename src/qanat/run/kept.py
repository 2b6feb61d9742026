"""Tables whose rows were kept in another way than is declared now."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

from qanat.errors import FlowError, QanatError, full_refresh
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.run.session import Session
from qanat.run.sides import has_state
from qanat.text import listed

_KEPT_BY = re.compile(
    "(changes by keys|rows by|sequence by|stored as SCD type|track history on|state of) "
)

_STATE = "state of "


def keeps_otherwise(before: str, now: str) -> bool:
    """True if two definitions of a table say otherwise which events make which rows."""
    return _kept_by(before) != _kept_by(now)


def other_changes(kept: Sequence[tuple[Dataset, str, str]]) -> FlowError:
    """The error for tables that cannot go on with the rows that they have.

    Args:
        kept: each with its definition as it was last run, and as it is.
    """
    names = [dataset.name for dataset, _, _ in kept]
    parts = [(d.name, *_differing(before, now)) for d, before, now in kept]
    one = len(kept) == 1
    return FlowError(
        f"the rows of {listed(names)} were kept in another way than is declared now",
        location=kept[0][0].location,
        wanted="; ".join(_told(name, was, one) for name, was, _ in parts),
        got="; ".join(_told(name, is_, one) for name, _, is_ in parts),
        hint=f"start over: {full_refresh(*names)}",
    )


def _told(name: str, lines: Sequence[str], one: bool) -> str:
    text = "; ".join(lines) or "rows that are added, and none that change"
    return text if one else f"{name}: {text}"


def _differing(before: str, now: str) -> tuple[list[str], list[str]]:
    """These lines of two definitions; of a state, which may have many, those that differ."""
    was, is_ = _kept_by(before), _kept_by(now)
    same = {line for line in {*was} & {*is_} if line.startswith(_STATE)}
    return [line for line in was if line not in same], [line for line in is_ if line not in same]


def _kept_by(text: str) -> list[str]:
    """The lines of a definition that tell which events make which rows."""
    return sorted({line for line in text.splitlines() if _KEPT_BY.match(line)})


def problems_of_kept_rows(session: Session, wrong: Container[str]) -> Iterator[QanatError]:
    """One error that names all tables which have to start over, as an update would refuse each.

    Args:
        wrong: datasets with another problem. A key that is misspelt is another key, too; to start
            over would be the wrong advice.
    """
    if session.problems:
        return
    before, found = session.recorded.definitions(), []
    for dataset in session.pipeline.datasets:
        known = before.get(dataset.name)
        if dataset.name in wrong or known is None:
            continue
        if dataset.kind is not DatasetKind.STREAMING_TABLE:
            continue
        now = session.analysis.definitions[dataset.name][1]
        table = session.table(dataset.name)
        if not keeps_otherwise(known.text, now) or session.store.version(table) is None:
            continue
        if session.store.snapshot(table).rows != 0 or has_state(session, dataset):
            found.append((dataset, known.text, now))
    if found:
        yield other_changes(found)
