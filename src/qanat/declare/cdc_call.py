"""Makes a flow of a call of `create_auto_cdc_flow`."""

from __future__ import annotations

from typing import Any

from qanat.declare.arguments import names_of, text_of, with_values
from qanat.declare.capture import ChangesCall
from qanat.declare.changes import Spelling, check_changes, parse_sequence, parse_value
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, quoted, strip_prefix
from qanat.errors import PythonFileError
from qanat.model.changes import EVERY, AutoCdc, Chosen, Expression, ScdType
from qanat.model.pipeline import Flow

_SPELLING = Spelling(
    "keys",
    "ignore_null_updates_column_list",
    "apply_as_truncates",
    "column_list",
    "stored_as_scd_type=",
    "track_history_column_list",
)


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
    return _Reader(call, registry).flow()


class _Reader:
    """Reads the arguments of one call."""

    def __init__(self, call: ChangesCall, registry: Registry) -> None:
        self.call = call
        self.at = call.location
        self.registry = registry
        self.project = registry.project
        self.given = call.arguments

    def flow(self) -> Flow:
        """The flow."""
        name = self._text("name", self.call.name)
        target = self._dataset("target", self.call.target)
        source = self._dataset("source", self.call.source)
        once = bool(self.call.once)
        parts = ".".join(quoted(p, self.project.dialect) for p in source.split("."))
        # The only epoch of a flow that runs once takes all that is there, stream or not.
        text = SqlText.of_function(f"SELECT * FROM {'' if once else 'STREAM '}{parts}", self.at)
        tokens = text.tokens(self.project.dialect)
        query = parse_query(text, tokens, name, self.project, self.registry.connectors)
        changes = self._changes()
        check_changes(changes, _SPELLING, {}, self.at)
        return Flow(name, target, query, self.at, once, changes)

    def _changes(self) -> AutoCdc:
        keys = self._names("keys")
        if not keys:
            raise PythonFileError(
                "keys is empty", location=self.at, wanted="the columns that identify a row"
            )
        sequence = self._cursor("sequence_by", "a column or another expression as SQL text")
        keeps = self._chosen("ignore_null_updates_")
        return AutoCdc(
            keys,
            parse_sequence(
                sequence, (0, len(sequence.words)), self.project.dialect, "sequence_by"
            ),
            self._condition("apply_as_deletes"),
            self._condition("apply_as_truncates"),
            self._chosen("") or EVERY,
            keeps or (EVERY if self.given["ignore_null_updates"] else None),
            self._scd(),
            self._chosen("track_history_") or EVERY,
        )

    def _chosen(self, prefix: str) -> Chosen | None:
        listed, others = f"{prefix}column_list", f"{prefix}except_column_list"
        if self.given[listed] is not None and self.given[others] is not None:
            raise PythonFileError(
                f"{listed} and {others} exclude each other",
                location=self.at,
                wanted="one of the two",
            )
        if self.given[listed] is not None:
            return Chosen(self._names(listed))
        if self.given[others] is not None:
            return Chosen(self._names(others), all_but=True)
        return None

    def _scd(self) -> ScdType:
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

    def _condition(self, argument: str) -> Expression | None:
        if self.given[argument] is None:
            return None
        cursor = self._cursor(argument, "a condition as SQL text, such as \"op = 'D'\"")
        extent = (0, len(cursor.words))
        return parse_value(cursor, extent, self.project.dialect, argument, "condition")

    def _cursor(self, argument: str, wanted: str) -> Cursor:
        value = self.given[argument]
        if not isinstance(value, str) or not value.strip():
            raise PythonFileError(
                f"{argument} does not fit", location=self.at, wanted=wanted, got=repr(value)[:80]
            )
        text = SqlText.of_function(self._valued(value), self.at)
        return Cursor(text, text.tokens(self.project.dialect))

    def _names(self, argument: str) -> tuple[str, ...]:
        names = names_of(argument, self.given[argument], self.at)
        return tuple(self._valued(n) for n in names)

    def _dataset(self, argument: str, value: Any) -> str:
        return strip_prefix(tuple(self._text(argument, value).split(".")), self.project)

    def _text(self, argument: str, value: Any) -> str:
        return self._valued(text_of(argument, value, self.at))

    def _valued(self, text: str) -> str:
        return with_values(text, self.project.configuration, self.at)
