"""The options that all reads of tables have: what becomes of rows that are changed or removed."""

from __future__ import annotations

from qanat.model.adapter import Effect, Option, ValueType
from qanat.model.feed import CHANGE_FIELDS

SKIPS, CHANGES = "skip_change_commits", "read_change_feed"
START, END = "starting_version", "ending_version"

OPTIONS = (
    Option(
        SKIPS,
        "under STREAM, take only the commits that add rows, and pass over those that remove or"
        " rewrite any",
        type=ValueType.BOOLEAN,
        effect=Effect(survives=True),
    ),
    Option(
        CHANGES,
        "read the changes of the table in the place of its rows, with `_change_type`,"
        " `_commit_version` and `_commit_timestamp`",
        spellings=("read_change_data",),
        type=ValueType.BOOLEAN,
        identity=True,
        effect=Effect(CHANGE_FIELDS, survives=True, label="changes of {}"),
    ),
    Option(START, "the first version whose changes are read; default: 0", type=ValueType.COUNT),
    Option(
        END, "the last version whose changes are read; default: the newest", type=ValueType.COUNT
    ),
)
