"""Makes a flow of a call of `create_auto_cdc_flow`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qanat.declare.arguments import names_of, text_of, with_values
from qanat.declare.capture import ChangesCall
from qanat.declare.changes import Spelling, check_changes, parse_sequence, parse_value
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, quoted, strip_prefix
from qanat.errors import Location, PythonFileError
from qanat.model.changes import AutoCdc, Expression, ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.pipeline import Flow

SPELLING = Spelling(
    "keys",
    "ignore_null_updates_column_list",
    "apply_as_truncates",
    "column_list",
    "stored_as_scd_type=",
    "track_history_column_list",
)
"""What the arguments are called."""


def flow_of_call(call: ChangesCall, registry: Registry) -> Flow:
    """The flow that a call declares.

    Args:
        call: the call.
        registry: knows the dialect and the prefixes of names.

    Raises:
        PythonFileError: an argument has a wrong type, or two of them exclude each other.
        SqlSyntaxError, UnsupportedError: an expression is wrong, or some parts do not go together.
        OptionError: the configuration lacks a value.
    """
    return _Changes(call, registry).flow()


class Arguments:
    """Reads arguments as calls of AUTO CDC have them.

    Args:
        given: by name, unchecked.
        at: the place of the call.
    """

    def __init__(self, given: Mapping[str, Any], at: Location, registry: Registry) -> None:
        self.given, self.at, self.registry = given, at, registry
        self.project = registry.project

    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row; there is at least one."""
        keys = self.names("keys")
        if not keys:
            raise PythonFileError(
                "keys is empty", location=self.at, wanted="the columns that identify a row"
            )
        return keys

    def chosen(self, prefix: str) -> Chosen | None:
        """The columns of a list, or all others; None if there is neither."""
        listed, others = f"{prefix}column_list", f"{prefix}except_column_list"
        if self.given[listed] is not None and self.given[others] is not None:
            raise PythonFileError(
                f"{listed} and {others} exclude each other",
                location=self.at,
                wanted="one of the two",
            )
        if self.given[listed] is not None:
            return Chosen(self.names(listed))
        if self.given[others] is not None:
            return Chosen(self.names(others), all_but=True)
        return None

    def scd(self) -> ScdType:
        """How rows are kept."""
        given = self.given["stored_as_scd_type"]
        # True is an int, too.
        if isinstance(given, bool) or str(given) not in tuple(ScdType):
            raise PythonFileError(
                "stored_as_scd_type does not fit",
                location=self.at,
                wanted="1 or 2",
                got=repr(given)[:80],
            )
        return ScdType(str(given))

    def cursor(self, argument: str, wanted: str) -> Cursor:
        """A cursor over an argument that is SQL text."""
        value = self.given[argument]
        if not isinstance(value, str) or not value.strip():
            raise PythonFileError(
                f"{argument} does not fit", location=self.at, wanted=wanted, got=repr(value)[:80]
            )
        text = SqlText.of_function(self.valued(value), self.at)
        return Cursor(text, text.tokens(self.project.dialect))

    def names(self, argument: str) -> tuple[str, ...]:
        """The names of a list."""
        names = names_of(argument, self.given[argument], self.at)
        return tuple(self.valued(n) for n in names)

    def dataset(self, argument: str, value: Any) -> str:
        """The name of a dataset, without the project's catalog and schema."""
        return strip_prefix(tuple(self.text(argument, value).split(".")), self.project)

    def text(self, argument: str, value: Any) -> str:
        """An argument that must be text."""
        return self.valued(text_of(argument, value, self.at))

    def valued(self, text: str) -> str:
        """A text with the values of the configuration."""
        return with_values(text, self.project.configuration, self.at)


class _Changes(Arguments):
    """Reads a call of `create_auto_cdc_flow`."""

    def __init__(self, call: ChangesCall, registry: Registry) -> None:
        super().__init__(call.arguments, call.location, registry)
        self.call = call

    def flow(self) -> Flow:
        """The flow."""
        name = self.text("name", self.call.name)
        target = self.dataset("target", self.call.target)
        source = self.dataset("source", self.call.source)
        once = bool(self.call.once)
        parts = ".".join(quoted(p, self.project.dialect) for p in source.split("."))
        # The only epoch of a flow that runs once takes all that is there, stream or not.
        text = SqlText.of_function(f"SELECT * FROM {'' if once else 'STREAM '}{parts}", self.at)
        tokens = text.tokens(self.project.dialect)
        query = parse_query(text, tokens, name, self.project, self.registry.connectors)
        changes = self._changes()
        check_changes(changes, SPELLING, {}, self.at)
        return Flow(name, target, query, self.at, once, changes)

    def _changes(self) -> AutoCdc:
        keys = self.keys()
        sequence = self.cursor("sequence_by", "a column or another expression as SQL text")
        keeps = self.chosen("ignore_null_updates_")
        return AutoCdc(
            keys,
            parse_sequence(
                sequence, (0, len(sequence.words)), self.project.dialect, "sequence_by"
            ),
            self._condition("apply_as_deletes"),
            self._condition("apply_as_truncates"),
            self.chosen("") or EVERY,
            keeps or (EVERY if self.given["ignore_null_updates"] else None),
            self.scd(),
            self.chosen("track_history_") or EVERY,
        )

    def _condition(self, argument: str) -> Expression | None:
        if self.given[argument] is None:
            return None
        cursor = self.cursor(argument, "a condition as SQL text, such as \"op = 'D'\"")
        extent = (0, len(cursor.words))
        return parse_value(cursor, extent, self.project.dialect, argument, "condition")
