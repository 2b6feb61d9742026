"""The calls of decorators in one Python file, stored before declarations are made of them.

The decorators store their arguments here and return the user's function unchanged. If no capture
is active, as in a test that imports the file, they store nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from qanat.errors import Location, QanatError
from qanat.frozen import Frozen
from qanat.model.expectation import Action
from qanat.model.pipeline import DatasetKind

Function = Callable[..., Any]


class DatasetCall(Frozen):
    """A call of a function that declares a dataset, such as `@table` or `create_sink`.

    The arguments are unchecked, as the user gave them.
    """

    kind: DatasetKind
    name: Any
    location: Location
    function: Function | None = None
    comment: Any = None
    table_properties: Any = None
    partition_cols: Any = None
    cluster_by: Any = None
    schema: Any = None
    spark_conf: Any = None
    format: Any = None
    options: Any = None
    stream: Any = None
    rules: tuple[RuleCall, ...] = ()
    keys: Any = None
    incremental_strategy: Any = None


class FlowCall(Frozen):
    """A call of `@append_flow`, with its unchecked arguments."""

    name: Any
    target: Any
    function: Function
    location: Location
    spark_conf: Any = None
    once: Any = False
    stream: Any = None


class ChangesCall(Frozen):
    """A call of `create_auto_cdc_flow`, with its unchecked arguments.

    Args:
        arguments: those that say what the changes do, by name.
    """

    name: Any
    target: Any
    source: Any
    location: Location
    arguments: Mapping[str, Any]
    once: Any = False
    function: None = None


class SnapshotsCall(Frozen):
    """A call of `create_auto_cdc_from_snapshot_flow`, with its unchecked arguments.

    Args:
        arguments: those that say what becomes of rows, by name.
        function: the source, if that is a function.
    """

    target: Any
    source: Any
    location: Location
    arguments: Mapping[str, Any]
    once: Any = False
    function: Function | None = None


class UdfCall(Frozen):
    """A call of `@udf`, with its unchecked arguments."""

    name: Any
    location: Location
    function: Function
    parameters: Any = None
    return_type: Any = None


class RuleCall(Frozen):
    """A call of `@expect` or one of its variants: rules by name, with one action."""

    action: Action
    rules: Any
    location: Location
    function: Function | None = None


Call: TypeAlias = DatasetCall | FlowCall | ChangesCall | SnapshotsCall


@dataclass(slots=True)
class Capture:
    """The calls of one file, in order.

    Args:
        root: the project's folder.
        calls: declarations of datasets and flows.
        functions: those that SQL can call.
        rules: expectations.
        problems: what is already known to be wrong.
    """

    root: Path
    calls: list[Call] = field(default_factory=list)
    functions: list[UdfCall] = field(default_factory=list)
    rules: list[RuleCall] = field(default_factory=list)
    problems: list[QanatError] = field(default_factory=list)

    def place(self, file: str, line: int | None, column: int | None = None) -> Location:
        """A location; its path is relative to the project if the file is in the project."""
        path = Path(file)
        if path.is_relative_to(self.root):
            file = path.relative_to(self.root).as_posix()
        return Location(file, line, column)


active: ContextVar[Capture | None] = ContextVar("qanat_capture", default=None)


def caller(capture: Capture, library: str) -> Location:
    """The location of the user's call: the innermost frame outside the module `library`."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame without its source
    while frame.f_back is not None and frame.f_globals.get("__name__") in (__name__, library):
        frame = frame.f_back
    return capture.place(frame.f_code.co_filename, frame.f_lineno)
