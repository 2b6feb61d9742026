"""Where a check is read, and its arguments: each is checked when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from sqlglot import exp

from qanat.declare.arguments import with_values
from qanat.declare.registry import Registry, quoted
from qanat.errors import Location, OptionError, nearest
from qanat.frozen import Frozen

T = TypeVar("T")


class Place(Frozen):
    """Where a check stands, and what its texts refer to.

    Args:
        registry: for the dialect, the prefixes of names, and what queries may read.
        at: the location of the check.
        parts: by argument or key, its own location, if it has one.
        values: what `${name}` stands for; else it is a name of the configuration.
        origin: see `Expectation`.
    """

    registry: Registry
    at: Location
    parts: Mapping[str, Location] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None

    @property
    def dialect(self) -> str:
        """Of all SQL in the project."""
        return self.registry.project.dialect

    def of(self, part: str) -> Location:
        """The location of an argument or key."""
        return self.parts.get(part, self.at)

    def filled(self, text: str, part: str) -> str:
        """A text with values in place of `${name}`.

        Raises:
            OptionError: there is no such value; names the nearest.
        """
        known = {**self.registry.project.configuration, **self.values}
        return with_values(text, known, self.of(part))

    def column(self, name: str) -> str:
        """A column's name as SQL has it, in quotes only where it needs them."""
        return column_text(name, self.dialect)

    def literal(self, value: object) -> str:
        """A value as SQL has it."""
        return literal_text(value, self.dialect)


def column_text(name: str, dialect: str) -> str:
    """A column's name as SQL has it, in quotes only where it needs them."""
    if name.isidentifier() and name.isascii() and name.islower():
        return name
    return quoted(name, dialect)


def literal_text(value: object, dialect: str) -> str:
    """A value as SQL has it."""
    return str(exp.convert(value).sql(dialect=dialect))


def match_text(column: str, pattern: str, dialect: str) -> str:
    """The condition that a regular expression matches somewhere in a text."""
    bare = column_text(column, dialect) == column
    match = exp.RegexpLike(
        this=exp.column(column, quoted=not bare), expression=exp.Literal.string(pattern)
    )
    return str(match.sql(dialect=dialect))


class Arguments:
    """The arguments of a check; each is checked and filled when it is asked for.

    Args:
        kind: of the check, for messages.
        given: by name.
        place: where the check stands.
    """

    def __init__(self, kind: str, given: Mapping[str, Any], place: Place) -> None:
        self.kind = kind
        self.place = place
        self._given = given

    def text(self, name: str) -> str:
        """A text that must be there.

        Raises:
            OptionError: it is missing, or is no text.
        """
        return self._required(name, "text", _text)

    def pattern(self, name: str = "pattern") -> str:
        """A regular expression, which may be of blanks alone.

        Raises:
            OptionError: it is missing, or is no text.
        """
        return self._required(name, "a pattern", _pattern)

    def optional(self, name: str) -> str | None:
        """A text that may be left out."""
        return self._asked(name, "text", _text)

    def column(self, name: str = "column") -> str:
        """A column's name."""
        return self._required(name, "a column's name", _text)

    def names(self, name: str = "columns") -> tuple[str, ...]:
        """Names, one or a list of them."""
        return self._required(name, "one or more names", _names)

    def optional_names(self, name: str) -> tuple[str, ...] | None:
        """Names that may be left out."""
        return self._asked(name, "one or more names", _names)

    def values(self, name: str = "values") -> tuple[Any, ...]:
        """A list of values."""
        return self._required(name, "a list of values", _values)

    def flag(self, name: str) -> bool:
        """True or false; false if it is left out."""
        return bool(self._asked(name, "true or false", _flag))

    def number(self, name: str) -> float:
        """A number that must be there."""
        return self._required(name, "a number", _number)

    def bounds(self, kind: Callable[[Any], Any] | None = None) -> tuple[Any, Any]:
        """`min` and `max`, one of which may be left out.

        Raises:
            OptionError: both are.
        """
        read = kind or _value
        wanted = _WANTED.get(read, "a value")
        low, high = self._asked("min", wanted, read), self._asked("max", wanted, read)
        if low is None and high is None:
            raise OptionError(
                f"{self.kind} has no bounds", location=self.place.at, wanted="min, max or both"
            )
        return low, high

    def mapping(self, name: str) -> Mapping[str, str | None]:
        """Names with texts, or names alone."""
        return self._required(name, "columns, or a mapping of columns to types", _mapping)

    def chosen(self, name: str, known: tuple[str, ...]) -> str:
        """One of a few words; the first one if it is left out.

        Raises:
            OptionError: it is another one; names the nearest.
        """
        given = self._asked(name, " or ".join(known), _text) or known[0]
        if given not in known:
            raise OptionError(
                f"{name} of {self.kind} does not fit",
                location=self.place.of(name),
                wanted=", ".join(known),
                got=repr(given),
                nearest=nearest(given, known),
            )
        return given

    def _required(self, name: str, wanted: str, read: Callable[[Any], T | None]) -> T:
        found = self._asked(name, wanted, read)
        if found is None:
            raise OptionError(
                f"{self.kind} lacks {name}", location=self.place.at, wanted=f"{name}: {wanted}"
            )
        return found

    def _asked(self, name: str, wanted: str, read: Callable[[Any], T | None]) -> T | None:
        given = self._given.get(name)
        if given is None:
            return None
        found = read(self._filled(given, name))
        if found is None:
            raise OptionError(
                f"{name} of {self.kind} does not fit",
                location=self.place.of(name),
                wanted=wanted,
                got=repr(given)[:80],
            )
        return found

    def _filled(self, value: Any, name: str) -> Any:
        if isinstance(value, str):
            return self.place.filled(value, name)
        if isinstance(value, list | tuple):
            return tuple(self._filled(each, name) for each in value)
        return value


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _names(value: Any) -> tuple[str, ...] | None:
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not listed:
        return None
    return tuple(listed) if all(_text(each) for each in listed) else None


def _value(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else None


def _values(value: Any) -> tuple[Any, ...] | None:
    if not isinstance(value, list | tuple) or not value:
        return None
    return tuple(value) if all(_value(each) is not None for each in value) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, str | None] | None:
    if isinstance(value, Mapping):
        fits = all(_text(k) and (v is None or _text(v)) for k, v in value.items())
        return value if fits and value else None
    names = _names(value)
    return dict.fromkeys(names) if names else None


WHOLE, NUMBER = _whole, _number
"""What reads the bounds of a count, and those of a number."""
_WANTED: Mapping[Callable[[Any], Any], str] = {WHOLE: "a whole number", NUMBER: "a number"}
