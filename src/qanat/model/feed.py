"""How readers of changes are told what commits did to the rows of a table, as Delta has it."""

from __future__ import annotations

from qanat.model.schema import STRING, Field, Primitive

CHANGE_TYPE = "_change_type"
COMMIT_VERSION, COMMIT_TIME = "_commit_version", "_commit_timestamp"
CHANGE_FIELDS = (
    Field(CHANGE_TYPE, STRING),
    Field(COMMIT_VERSION, Primitive("long")),
    Field(COMMIT_TIME, Primitive("timestamp")),
)
"""What a row of a table's changes has after the columns of the table."""
INSERT, DELETE = "insert", "delete"
UPDATE_BEFORE, UPDATE_AFTER = "update_preimage", "update_postimage"
"""What became of a row, as `_change_type` says it: of one that was updated, before and after."""

CHANGE_FEED = "delta.enableChangeDataFeed"
"""The table property that says whether readers of changes are told what merges did."""
