"""A piece of SQL as the author wrote it, with the location of every character in the file."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import Dialect, Token
from sqlglot.errors import TokenError

from qanat.errors import OptionError, QanatError, SqlSyntaxError, nearest
from qanat.model.location import Location

_REFERENCE = re.compile(r"\$\{([^}\s]+)\}")
_OPENING = re.compile(r"'|\"|`|--|/\*")
_CLOSED = re.compile(
    r"""'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|\\.)*" | `[^`]*` | --[^\n]* | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class SqlText:
    """SQL text and its place in a file.

    Args:
        text: the text to parse, with `${key}` already replaced.
        file: the file's name in locations.
        whole: the text of the whole file, to count lines.
        pieces: (offset in `text`, offset in `whole`, True for a replaced `${key}`), in order.
        fixed: the location of the whole text if it is SQL from Python; None if it is in a file.
    """

    text: str
    file: str
    whole: str
    pieces: tuple[tuple[int, int, bool], ...] = ((0, 0, False),)
    fixed: Location | None = None

    @staticmethod
    def of_file(text: str, file: str) -> SqlText:
        """The text of a whole file."""
        return SqlText(text, file, text)

    @staticmethod
    def of_function(text: str, location: Location) -> SqlText:
        """SQL from Python, with one location for all of it: the function's `def`, or the call."""
        return SqlText(text, location.file, text, fixed=location)

    def at(self, offset: int) -> Location:
        """The location in the file of the character at an offset of `text`."""
        if self.fixed is not None:
            return self.fixed
        index = bisect_right(self.pieces, offset, key=lambda piece: piece[0]) - 1
        start, origin, replaced = self.pieces[max(index, 0)]
        origin = origin if replaced else origin + offset - start
        line_start = self.whole.rfind("\n", 0, origin) + 1
        return Location(self.file, self.whole.count("\n", 0, origin) + 1, origin - line_start + 1)

    def slice(self, start: int, end: int) -> SqlText:
        """A part of the text; only before `expand` has replaced anything."""
        pieces = ((0, start, False),)
        return SqlText(self.text[start:end], self.file, self.whole, pieces, self.fixed)

    def expand(self, configuration: Mapping[str, str]) -> SqlText:
        """The text with configuration values in place of `${key}`; unknown keys stay."""
        parts: list[str] = []
        pieces: list[tuple[int, int, bool]] = []
        length, last, origin = 0, 0, self.pieces[0][1]
        for match in _REFERENCE.finditer(self.text):
            value = configuration.get(match[1])
            if value is None:
                continue
            before = self.text[last : match.start()]
            pieces += [
                (length, origin + last, False),
                (length + len(before), origin + match.start(), True),
            ]
            parts += [before, value]
            length += len(before) + len(value)
            last = match.end()
        pieces.append((length, origin + last, False))
        text = "".join([*parts, self.text[last:]])
        return SqlText(text, self.file, self.whole, tuple(pieces), self.fixed)

    def tokens(self, dialect: str) -> list[Token]:
        """The tokens of the text, without comments.

        Raises:
            SqlSyntaxError: a quote or comment is not closed, or a character is not allowed.
        """
        try:
            return Dialect.get_or_raise(dialect).tokenize(self.text)
        except TokenError as error:
            raise self._unclosed(error) from error

    def _unclosed(self, error: TokenError) -> QanatError:
        """The error for an unclosed quote or comment, where it begins; sqlglot does not say."""
        offset = 0
        while (match := _OPENING.search(self.text, offset)) is not None:
            closed = _CLOSED.match(self.text, match.start())
            if closed is None:
                return SqlSyntaxError(
                    "what begins here is never closed",
                    location=self.at(match.start()),
                    wanted={"/*": "*/"}.get(match.group(), match.group()),
                )
            offset = closed.end()
        return SqlSyntaxError(
            "cannot read the SQL", location=self.at(0), got=" ".join(str(error).split())[-60:]
        )

    def missing_key(
        self, tokens: list[Token], configuration: Mapping[str, str]
    ) -> QanatError | None:
        """An error for the first `${key}` outside comments that the configuration lacks."""
        for match in _REFERENCE.finditer(self.text):
            if any(t.start < match.end() and match.start() <= t.end for t in tokens):
                return OptionError(
                    f"no configuration {match[1]!r}",
                    location=self.at(match.start()),
                    nearest=nearest(match[1], configuration),
                    hint=f"add it to the spec: configuration: {{{match[1]}: …}}",
                )
        return None
