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
dp.create_streaming_table("prices")
dp.create_auto_cdc_from_snapshot_flow("prices", "read_files('prices.csv')", keys=["article"])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qanat.declare.capture import ChangesCall, SnapshotsCall, active, caller


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


def create_auto_cdc_from_snapshot_flow(
    target: str,
    source: str | Callable[[Any], Any],
    keys: Sequence[str],
    stored_as_scd_type: int | str = 1,
    track_history_column_list: Sequence[str] | None = None,
    track_history_except_column_list: Sequence[str] | None = None,
    *,
    once: bool = False,
) -> None:
    """Declare a flow that compares snapshots with a streaming table: AUTO CDC FROM SNAPSHOT.

    Keys that the table lacks are inserted, rows that differ are updated, and keys that the
    snapshot lacks are deleted. The flow is called like the target.

    Args:
        target: the streaming table.
        source: the name of a dataset, or SQL that reads something (`read_files('crm/*.csv')`, or
            a SELECT): each update for which it has moved takes it as it is then. Or a function
            that is given the version of the last snapshot (None at first), and gives the next one
            and its version, `(frame, version)`, or None if there is no other. It is called again
            until it gives None. A frame is an Arrow table, a Polars or pandas data frame or a list
            of dictionaries; a version is a number, text, a date or a datetime, and only grows.
        keys: the columns that say which row of the table a row of a snapshot is.
        stored_as_scd_type: 1 keeps a row for each key; 2 one for each version of it, with
            `__START_AT` and `__END_AT`: versions of snapshots, or when they were taken.
        track_history_column_list: the columns whose change makes a new version (type 2); default:
            all.
        track_history_except_column_list: all others instead.
        once: take a single snapshot, and never another.

    >>> create_auto_cdc_from_snapshot_flow("customers", "read_files('crm/*.csv')", keys=["id"])
    """
    capture = active.get()
    if capture is None:
        return
    arguments = {
        "keys": keys,
        "stored_as_scd_type": stored_as_scd_type,
        "track_history_column_list": track_history_column_list,
        "track_history_except_column_list": track_history_except_column_list,
    }
    where = caller(capture, __name__)
    function = source if callable(source) else None
    capture.calls.append(SnapshotsCall(target, source, where, arguments, once, function))


apply_changes_from_snapshot = create_auto_cdc_from_snapshot_flow
"""The older name of `create_auto_cdc_from_snapshot_flow`."""
