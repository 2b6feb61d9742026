"""What AUTO CDC need not be told where its source has messages in an envelope.

They say by themselves what was deleted and when a table was emptied, and have columns that are not
the row's own. A flow takes that over from the files that it reads, also through tables and views,
as long as each query on the way is `FROM source` or begins with `SELECT * FROM source`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from qanat.model.envelope import Envelope, envelope_of
from qanat.model.name import Named, Names
from qanat.model.pipeline import Flow
from qanat.model.query import SqlQuery

_WHOLE = re.compile(r"\s*(SELECT\s+\*\s+)?FROM\b", re.IGNORECASE)


def with_envelopes(flows: Sequence[Flow]) -> tuple[Flow, ...]:
    """The flows, with what envelopes say of those whose rows are changes."""
    feeding: Named[list[Flow]] = Named()
    for flow in flows:
        feeding.setdefault(flow.target, []).append(flow)
    return tuple(_told(flow, feeding) if flow.changes else flow for flow in flows)


def _told(flow: Flow, feeding: Mapping[str, Sequence[Flow]]) -> Flow:
    envelope = _envelope(flow, feeding, Names())
    if flow.changes is None or envelope is None:
        return flow
    return replace(flow, changes=flow.changes.enveloped(envelope))


def _envelope(flow: Flow, feeding: Mapping[str, Sequence[Flow]], seen: Names) -> Envelope | None:
    """The envelope of the rows that a flow gives, if its query leaves them whole."""
    query = flow.query
    if not isinstance(query, SqlQuery) or len(query.reads) != 1 or not _WHOLE.match(query.sql):
        return None
    source = query.reads[0].source
    if source.dataset is None or source.dataset in seen:
        return envelope_of(source)
    above = feeding.get(source.dataset, ())
    found = {_envelope(f, feeding, Names((*seen, source.dataset))) for f in above}
    return found.pop() if len(found) == 1 else None
