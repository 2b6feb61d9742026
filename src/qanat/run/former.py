"""Whether a flow has fed a dataset that may have another name by now."""

from __future__ import annotations

import shlex

from qanat.errors import HistoryMismatchError, full_refresh
from qanat.model.name import same
from qanat.model.record import LastEpoch
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


def former_target(
    session: Session, compiled: CompiledFlow, last: LastEpoch | None
) -> HistoryMismatchError | None:
    """What to tell of a flow that has fed a dataset which is no longer declared; None if nothing.

    Args:
        last: its newest committed epoch.
    """
    name = compiled.dataset.name
    if last is None or same(last.dataset, name) or session.pipeline.get(last.dataset) is not None:
        return None
    rename = f"qanat rename {shlex.quote(last.dataset)} {shlex.quote(name)}"
    return HistoryMismatchError(
        f"flow {compiled.flow.name} has fed {last.dataset}, which is no longer declared, and would"
        f" go on in {name}",
        location=compiled.flow.location,
        hint=f"if only a name has changed: {rename}; or start over: {full_refresh(name)}",
    )
