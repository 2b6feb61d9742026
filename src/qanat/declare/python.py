"""The Python interface: the names and parameters of `pyspark.pipelines`, and expectations.

    from qanat import pipelines as dp


    @dp.table(partition_cols=["month"])
    @dp.expect_or_drop("known_carrier", "carrier IS NOT NULL")
    def flights() -> str:
        return "SELECT * FROM STREAM bronze_flights"


    @dp.materialized_view
    def busiest(flights: pl.DataFrame) -> pl.DataFrame:
        return flights.group_by("carrier").len()

A function without parameters returns SQL text or an Ibis expression. A function with parameters
takes the datasets of their names as Arrow, Polars or pandas, by annotation. In a streaming table
(and in a flow) the first parameter is read as a stream and the others as they are now;
`stream=("a", "b")` says otherwise, `stream=()` reads none as a stream. A materialized view reads
all of them as they are now.

Every decorator returns the function itself: it can be imported, called and tested without a
project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, overload

from qanat.declare.capture import DatasetCall, FlowCall, Function, RuleCall, active, caller
from qanat.declare.check.value import Check
from qanat.errors import Location, PythonFileError
from qanat.model.expectation import Action
from qanat.model.pipeline import DatasetKind

F = TypeVar("F", bound=Function)
Streams: TypeAlias = str | Sequence[str] | Mapping[str, Mapping[str, object]]
"""Parameters that are read as streams, or the options of their streams by their names."""

Rules: TypeAlias = Mapping[str, str | Check] | Mapping[str, str] | Sequence[Check]
"""Rules by their names, or checks."""

_DECORATORS = {
    DatasetKind.STREAMING_TABLE: "table",
    DatasetKind.MATERIALIZED_VIEW: "materialized_view",
    DatasetKind.TEMPORARY_VIEW: "temporary_view",
}


@overload
def table(query_function: F) -> F: ...
@overload
def table(
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    table_properties: Mapping[str, str] | None = None,
    partition_cols: Sequence[str] | None = None,
    cluster_by: Sequence[str] | None = None,
    schema: str | None = None,
    format: str | None = None,
    stream: Streams | None = None,
    keys: Sequence[str] | None = None,
    incremental_strategy: str | None = None,
) -> Callable[[F], F]: ...
def table(
    query_function: Any = None,
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    table_properties: Mapping[str, str] | None = None,
    partition_cols: Sequence[str] | None = None,
    cluster_by: Sequence[str] | None = None,
    schema: str | None = None,
    format: str | None = None,
    stream: Streams | None = None,
    keys: Sequence[str] | None = None,
    incremental_strategy: str | None = None,
) -> Any:
    """Declare a streaming table, and the function as the flow that feeds it.

    Args:
        name: default: the function's.
        table_properties: `qanat.schema_drift` and the like; others are kept with the table.
        partition_cols: columns that become folders.
        schema: columns as in CREATE TABLE, such as `"id BIGINT NOT NULL, at TIMESTAMP"`.
        stream: the parameters that are read as streams; default the first one. With options of
            their streams: `{"orders": {"skip_change_commits": True}}`.
        keys: columns that identify a row: a new row replaces the one with its key.
        incremental_strategy: `append`, `merge`, `delete+insert` or `insert_overwrite`; default
            `merge` with keys, else `append`.
    """
    return _dataset(
        DatasetKind.STREAMING_TABLE,
        query_function,
        name,
        comment=comment,
        spark_conf=spark_conf,
        table_properties=table_properties,
        partition_cols=partition_cols,
        cluster_by=cluster_by,
        schema=schema,
        format=format,
        stream=stream,
        keys=keys,
        incremental_strategy=incremental_strategy,
    )


@overload
def materialized_view(query_function: F) -> F: ...
@overload
def materialized_view(
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    table_properties: Mapping[str, str] | None = None,
    partition_cols: Sequence[str] | None = None,
    cluster_by: Sequence[str] | None = None,
    schema: str | None = None,
    format: str | None = None,
) -> Callable[[F], F]: ...
def materialized_view(
    query_function: Any = None,
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    table_properties: Mapping[str, str] | None = None,
    partition_cols: Sequence[str] | None = None,
    cluster_by: Sequence[str] | None = None,
    schema: str | None = None,
    format: str | None = None,
) -> Any:
    """Declare a materialized view, and the function as its query.

    The arguments are those of `table`, without `stream`.
    """
    return _dataset(
        DatasetKind.MATERIALIZED_VIEW,
        query_function,
        name,
        comment=comment,
        spark_conf=spark_conf,
        table_properties=table_properties,
        partition_cols=partition_cols,
        cluster_by=cluster_by,
        schema=schema,
        format=format,
    )


@overload
def temporary_view(query_function: F) -> F: ...
@overload
def temporary_view(
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    stream: Streams | None = None,
) -> Callable[[F], F]: ...
def temporary_view(
    query_function: Any = None,
    *,
    name: str | None = None,
    comment: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    stream: Streams | None = None,
) -> Any:
    """Declare a temporary view, which is computed where it is read and never stored.

    Args:
        name: default: the function's.
        stream: the parameters that are read as streams, as for `table`; default: none.
    """
    return _dataset(
        DatasetKind.TEMPORARY_VIEW,
        query_function,
        name,
        comment=comment,
        spark_conf=spark_conf,
        stream=stream,
    )


def append_flow(
    *,
    target: str,
    name: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
    once: bool = False,
    stream: Streams | None = None,
) -> Callable[[F], F]:
    """Declare a flow into a streaming table or sink.

    Args:
        target: the table or sink.
        name: default: the function's.
        once: run it a single time, over all that is there then, and never again.
        stream: the parameters that are read as streams; default the first one. With options of
            their streams: `{"orders": {"skip_change_commits": True}}`.
    """

    def decorate(function: F) -> F:
        capture = active.get()
        if capture is not None:
            where = caller(capture, __name__)
            if not callable(function):
                capture.problems.append(_not_a_function("append_flow", where))
            else:
                chosen = getattr(function, "__name__", "") if name is None else name
                call = FlowCall(chosen, target, function, where, spark_conf, once, stream)
                capture.calls.append(call)
        return function

    return decorate


def create_streaming_table(
    name: str,
    *,
    comment: str | None = None,
    table_properties: Mapping[str, str] | None = None,
    partition_cols: Sequence[str] | None = None,
    cluster_by: Sequence[str] | None = None,
    schema: str | None = None,
    format: str | None = None,
    expect_all: Rules | None = None,
    expect_all_or_drop: Rules | None = None,
    expect_all_or_quarantine: Rules | None = None,
    expect_all_or_fail: Rules | None = None,
    keys: Sequence[str] | None = None,
    incremental_strategy: str | None = None,
) -> None:
    """Declare a streaming table that only flows feed.

    Args:
        keys, incremental_strategy: as for `table`.
    """
    capture = active.get()
    if capture is None:
        return
    where = caller(capture, __name__)
    rules = _given(
        where, expect_all, expect_all_or_drop, expect_all_or_quarantine, expect_all_or_fail
    )
    capture.calls.append(
        DatasetCall(
            DatasetKind.STREAMING_TABLE,
            name,
            where,
            comment=comment,
            table_properties=table_properties,
            partition_cols=partition_cols,
            cluster_by=cluster_by,
            schema=schema,
            format=format,
            rules=rules,
            keys=keys,
            incremental_strategy=incremental_strategy,
        )
    )


def create_sink(
    name: str,
    format: str,
    options: Mapping[str, str] | None = None,
    *,
    expect_all: Rules | None = None,
    expect_all_or_drop: Rules | None = None,
    expect_all_or_quarantine: Rules | None = None,
    expect_all_or_fail: Rules | None = None,
) -> None:
    """Declare a sink that append flows write to.

    Args:
        format: `parquet`, `csv` or `json`.
        options: `path` is the folder to write to, relative to the project. `${key}` is a value of
            the configuration, which may differ by environment.
    """
    capture = active.get()
    if capture is None:
        return
    where = caller(capture, __name__)
    rules = _given(
        where, expect_all, expect_all_or_drop, expect_all_or_quarantine, expect_all_or_fail
    )
    capture.calls.append(
        DatasetCall(DatasetKind.SINK, name, where, format=format, options=options, rules=rules)
    )


def _given(where: Location, *expectations: Rules | None) -> tuple[RuleCall, ...]:
    """The expectations of `expect_all…` arguments, in the order warn, drop, quarantine, fail."""
    actions = (Action.WARN, Action.DROP, Action.QUARANTINE, Action.FAIL)
    pairs = zip(actions, expectations, strict=True)
    return tuple(RuleCall(action, rules, where) for action, rules in pairs if rules is not None)


def expect(name: str, inv: str | Check) -> Callable[[F], F]:
    """Count the rows that violate a rule, and keep them.

    Args:
        name: of the rule, unique in the dataset.
        inv: a condition in SQL, `UNIQUE (a, b)` or whatever EXPECT knows; or a check, such as
            `check.not_null("id")`.
    """
    return _rules(Action.WARN, {name: inv})


def expect_or_drop(name: str, inv: str | Check) -> Callable[[F], F]:
    """Leave out the rows that violate a rule."""
    return _rules(Action.DROP, {name: inv})


def expect_or_quarantine(name: str, inv: str | Check) -> Callable[[F], F]:
    """Move the rows that violate a rule to the dataset's quarantine."""
    return _rules(Action.QUARANTINE, {name: inv})


def expect_or_fail(name: str, inv: str | Check) -> Callable[[F], F]:
    """Publish nothing and fail the dataset if a row violates a rule."""
    return _rules(Action.FAIL, {name: inv})


def expect_all(expectations: Rules) -> Callable[[F], F]:
    """`expect` for several rules: by name, or checks, which have names and actions of their own.

    Example:

        @dp.expect_all([check.not_null("id").fail(), check.between("age", 0, 120)])
    """
    return _rules(Action.WARN, expectations)


def expect_all_or_drop(expectations: Rules) -> Callable[[F], F]:
    """`expect_or_drop` for several rules, by name."""
    return _rules(Action.DROP, expectations)


def expect_all_or_quarantine(expectations: Rules) -> Callable[[F], F]:
    """`expect_or_quarantine` for several rules, by name."""
    return _rules(Action.QUARANTINE, expectations)


def expect_all_or_fail(expectations: Rules) -> Callable[[F], F]:
    """`expect_or_fail` for several rules, by name."""
    return _rules(Action.FAIL, expectations)


def _dataset(kind: DatasetKind, query_function: Any, name: str | None, **arguments: Any) -> Any:
    def decorate(function: F) -> F:
        capture = active.get()
        if capture is not None:
            where = caller(capture, __name__)
            if not callable(function):
                capture.problems.append(_not_a_function(_DECORATORS[kind], where))
            else:
                chosen = getattr(function, "__name__", "") if name is None else name
                capture.calls.append(DatasetCall(kind, chosen, where, function, **arguments))
        return function

    return decorate if query_function is None else decorate(query_function)


def _rules(action: Action, rules: Rules) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        capture = active.get()
        if capture is not None:
            where = caller(capture, __name__)
            capture.rules.append(RuleCall(action, rules, where, function))
        return function

    return decorate


def _not_a_function(decorator: str, location: Any) -> PythonFileError:
    return PythonFileError(
        f"@{decorator} stands before something that is not a function",
        location=location,
        wanted=f"@{decorator} or @{decorator}(name=…), then def …",
    )
