"""Which columns a read gives, when the relation has other columns than those known."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.connectors.postgres.types import Column, null
from qanat.errors import SchemaDriftError
from qanat.model.name import Named, Names, same
from qanat.model.pipeline import Drift
from qanat.model.quarantine import RESCUED
from qanat.model.schema import STRING, Schema
from qanat.text import literal, quote


def drifted(
    columns: Sequence[Column], known: Schema, drift: Drift, place: str
) -> tuple[Column, ...]:
    """The columns as the drift policy has them: the known ones first, NULL where they have gone.

    Args:
        columns: of the relation as it is now.
        known: those of earlier epochs; empty in the first.

    Raises:
        SchemaDriftError: `freeze`, and there is one that was not there before.
    """
    there = Named((c.name, c) for c in columns)
    names = Names(known.names)
    new = [c for c in columns if known.fields and c.name not in names]
    if new and drift is Drift.FREEZE:
        raise SchemaDriftError(
            f"{place} has columns that it did not have: {', '.join(repr(c.name) for c in new)}",
            wanted=", ".join(str(f) for f in known.fields),
            got=", ".join(f"{c.name} {c.type}" for c in new),
            hint="let them in: TBLPROPERTIES ('qanat.schema_drift' = 'evolve'), or read a query"
            " that leaves them out",
        )
    old = [
        there.get(f.name) or Column(f.name, null(f.type), f.type)
        for f in known.fields
        if not same(f.name, RESCUED) or RESCUED in there
    ] or list(columns)
    if drift is Drift.RESCUE:
        return (*old, _rescued(new))
    return (*old, *new)


def _rescued(columns: Sequence[Column]) -> Column:
    """The values of unexpected columns as JSON; NULL for rows that have none."""
    pairs = ", ".join(f"{literal(c.name)}, q.{quote(c.name)}" for c in columns)
    select = f"nullif(jsonb_strip_nulls(jsonb_build_object({pairs})), '{{}}')::text"
    return Column(RESCUED, select if columns else null(STRING), STRING)
