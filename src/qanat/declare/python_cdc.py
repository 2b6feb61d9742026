"""The part of the Python interface that keeps a table by changes: AUTO CDC.

from qanat import pipelines as dp

dp.create_streaming_table("customers")
dp.create_auto_cdc_flow(
    target="customers",
    source="customer_changes",
    keys=["id"],
    sequence_by="changed_at",
    apply_as_deletes="op = 'delete'",
    except_column_list=["op", "changed_at"],
)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qanat.declare.capture import ChangesCall, active, caller
from qanat.errors import UnsupportedError


def create_auto_cdc_flow(
    target: str,
    source: str,
    keys: Sequence[str],
    sequence_by: str,
    *,
    ignore_null_updates: bool = False,
    apply_as_deletes: str | None = None,
    apply_as_truncates: str | None = None,
    column_list: Sequence[str] | None = None,
    except_column_list: Sequence[str] | None = None,
    stored_as_scd_type: int | str = 1,
    track_history_column_list: Sequence[str] | None = None,
    track_history_except_column_list: Sequence[str] | None = None,
    name: str | None = None,
    once: bool = False,
    ignore_null_updates_column_list: Sequence[str] | None = None,
    ignore_null_updates_except_column_list: Sequence[str] | None = None,
) -> None:
    """Declare a flow whose rows are changes of a streaming table: AUTO CDC.

    Expressions are SQL text in the project's dialect, where Databricks takes Spark columns, too.

    Args:
        target: the streaming table.
        source: the dataset that has the changes; it is read as a stream.
        keys: the columns that say which row a change is about.
        sequence_by: which of two changes of a row came later: a column or another expression, or
            several as `struct(a, b)`.
        ignore_null_updates: NULL in a change leaves the value as it was.
        apply_as_deletes: a change for which this condition holds deletes the row.
        apply_as_truncates: a change for which this condition holds empties the table (type 1).
        column_list: the columns that the table has; default: all of the source's.
        except_column_list: all others instead.
        stored_as_scd_type: 1 keeps a row for each key; 2 one for each version of it, with
            `__START_AT` and `__END_AT`.
        track_history_column_list: the columns whose change makes a new version (type 2); default:
            all.
        track_history_except_column_list: all others instead.
        name: of the flow; default: the target's.
        once: run it a single time, over all that is there then, and never again.
        ignore_null_updates_column_list: the columns in which NULL leaves the value as it was.
        ignore_null_updates_except_column_list: all others instead.

    >>> create_auto_cdc_flow(
    ...     target="customers", source="changes", keys=["id"], sequence_by="changed_at"
    ... )
    """
    capture = active.get()
    if capture is None:
        return
    arguments = {
        "keys": keys,
        "sequence_by": sequence_by,
        "ignore_null_updates": ignore_null_updates,
        "apply_as_deletes": apply_as_deletes,
        "apply_as_truncates": apply_as_truncates,
        "column_list": column_list,
        "except_column_list": except_column_list,
        "stored_as_scd_type": stored_as_scd_type,
        "track_history_column_list": track_history_column_list,
        "track_history_except_column_list": track_history_except_column_list,
        "ignore_null_updates_column_list": ignore_null_updates_column_list,
        "ignore_null_updates_except_column_list": ignore_null_updates_except_column_list,
    }
    where = caller(capture, __name__)
    capture.calls.append(
        ChangesCall(target if name is None else name, target, source, where, arguments, once)
    )


apply_changes = create_auto_cdc_flow
"""The older name of `create_auto_cdc_flow`."""


def create_auto_cdc_from_snapshot_flow(*arguments: Any, **named: Any) -> None:
    """Refuse AUTO CDC from snapshots, which a later release will support."""
    capture = active.get()
    if capture is not None:
        error = UnsupportedError(
            "AUTO CDC from snapshots is not supported yet",
            location=caller(capture, __name__),
            hint="it comes in a later release; create_auto_cdc_flow() takes changes, and a"
            " materialized view has the newest snapshot",
        )
        capture.problems.append(error)


apply_changes_from_snapshot = create_auto_cdc_from_snapshot_flow
"""The older name of `create_auto_cdc_from_snapshot_flow`."""
