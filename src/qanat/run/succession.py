"""Whether the order of a table's rows matters, and how rows tell it."""

from __future__ import annotations

import time

from qanat.model.rule import ORDERED
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


def ordered(session: Session, compiled: CompiledFlow) -> bool:
    """True if of several rows with one key it matters which comes first: here or downstream."""
    if compiled.changes is not None and compiled.changes.ordered:
        return True
    below = session.graph.downstream(compiled.dataset.name)
    rules = (e.rule for n in below for e in session.analysis.rules[n])
    if any(isinstance(rule, ORDERED) for rule in rules):
        return True
    flows = (f.changes for n in below for f in session.pipeline.flows_into(n))
    return any(changes is not None and changes.ordered for changes in flows)


def placed_ms(session: Session, compiled: CompiledFlow, newest_ms: int = 0) -> int | None:
    """The moment from which rows of an epoch are numbered; None if their files tell their order.

    It is later than those of all files that the table has, whatever the clock says.

    Args:
        newest_ms: of the table; 0 if it is none, or its rows are replaced.
    """
    scattered = compiled.dataset.partition_by and session.store.extends
    if not scattered or not ordered(session, compiled):
        return None
    return max(time.time_ns() // 1_000_000, newest_ms + 1)
