"""A project and its updates as documents of OpenLineage, for other people's catalogs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from qanat.model.event import UpdateEnded
from qanat.model.observer import Told
from qanat.model.record import UpdateStatus
from qanat.observe.openlineage.documents import Documents
from qanat.observe.openlineage.names import NAMESPACE
from qanat.run.courier import crash_of
from qanat.run.look import update_events
from qanat.run.portraits import Portraits
from qanat.run.session import Session


def openlineage(
    session: Session, update: str | None = None, namespace: str = NAMESPACE
) -> Iterator[dict[str, Any]]:
    """The documents of a past update, or of what the project declares.

    What a document says of a dataset beside what the update did, is as it is declared now.

    Args:
        update: its identifier, or `last`; None: all declared datasets and their jobs.
        namespace: of the jobs.

    Raises:
        ProblemsError: the declarations are wrong.
        UpdateNotFoundError: there is no such update.
    """
    session.require()
    documents = Documents(Portraits(session), namespace)
    if update is None:
        yield from documents.declared(session.graph.order, time.time())
        return
    told = update_events(session, update)
    for record in told.events:
        yield from documents.of(Told(told.update, record))
    ended = any(isinstance(record.event, UpdateEnded) for record in told.events)
    if not ended and told.update.status is not UpdateStatus.RUNNING:
        yield from documents.of(Told(told.update, crash_of(told.update)))
