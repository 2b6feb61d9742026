"""Rows that wait in a quarantine: by which rules, and in which columns."""

from __future__ import annotations

from qanat.model.schema import STRING, Field, MapType, Primitive, Schema, Struct

MALFORMED = "_malformed"
"""The rule name under which rows that could not even be parsed are quarantined."""

FAILED = "_failed"
"""The rule name under which rows that a query could not compute are quarantined."""

LATE = "_late"
"""The rule name under which rows that came too late to count are quarantined, if asked for."""

RESCUED = "_rescued_data"
"""The column that holds unexpected data as JSON under the `rescue` drift policy."""

_LONG = Primitive("long")
QUARANTINE_FIELDS: tuple[Field, ...] = (
    Field("_quarantine_id", STRING, comment="<flow>:<epoch>:<n>, unique in the table"),
    Field("_quarantine_rules", MapType(STRING, STRING), comment="failed rule → its text"),
    Field("_quarantine_flow", STRING),
    Field("_quarantine_update", STRING),
    Field("_quarantine_epoch", _LONG),
    Field(
        "_quarantine_source",
        Struct(
            (Field("file", STRING), Field("row", _LONG, comment="1-based line or row in the file"))
        ),
    ),
    Field(
        "_quarantine_raw",
        STRING,
        comment="the text of a row that could not be parsed, or computed",
    ),
    Field("_quarantine_at", Primitive("timestamp")),
)
"""What a quarantine table has after the dataset's own columns."""


def quarantine_fields(columns: Schema) -> tuple[Field, ...]:
    """The columns of a new quarantine, for rows with these columns; any of them may be NULL."""
    own = (Field(f.name, f.type, comment=f.comment) for f in columns.fields)
    return (*own, *QUARANTINE_FIELDS)
