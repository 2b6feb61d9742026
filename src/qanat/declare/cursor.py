"""A piece of SQL with the location of every character, and a cursor that moves over its words."""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import TokenError

from qanat.declare.slips import is_template, template, unended
from qanat.errors import Location, OptionError, QanatError, SqlSyntaxError, nearest
from qanat.frozen import Frozen
from qanat.text import KEY

# sqlglot logs a warning for each statement that it does not know. Python prints the warnings of a
# logger without a handler; what they are about, Qanat's own errors say.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

_OPENING = re.compile(r"'|\"|`|--|/\*")
_CLOSED = re.compile(
    r"""'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|\\.)*" | `[^`]*` | --[^\n]* | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)


class SqlText(Frozen):
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
        for match in KEY.finditer(self.text):
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
                opening = match.group()
                key = None if opening == "/*" else self._key_with(opening, match.start())
                if key is not None:
                    return SqlSyntaxError(
                        f"the value of {self._written(key)} has the quote {opening}, so that a"
                        " quote behind it is never closed",
                        location=self.at(key),
                        hint=f"write {opening}{opening} for it in the configuration",
                    )
                return SqlSyntaxError(
                    "what begins here is never closed",
                    location=self.at(match.start()),
                    wanted={"/*": "*/"}.get(match.group(), match.group()),
                )
            offset = closed.end()
        return SqlSyntaxError(
            "cannot read the SQL", location=self.at(0), got=" ".join(str(error).split())[-60:]
        )

    def _key_with(self, quote: str, before: int) -> int | None:
        """The offset of the last value of a `${key}` that has an odd number of some quote.

        Args:
            before: only values that begin before this offset.
        """
        ends = [*(start for start, _, _ in self.pieces[1:]), len(self.text)]
        pieces = zip(self.pieces, ends, strict=True)
        found = [
            start
            for (start, _, replaced), end in pieces
            if replaced and start <= before and self.text.count(quote, start, end) % 2
        ]
        return found[-1] if found else None

    def _written(self, offset: int) -> str:
        """The `${key}` whose value begins at an offset."""
        origin = next(o for start, o, replaced in self.pieces if replaced and start == offset)
        match = KEY.match(self.whole, origin)
        return match.group() if match else "a key"

    def missing_key(
        self, tokens: list[Token], configuration: Mapping[str, str]
    ) -> QanatError | None:
        """An error for the first `${key}` outside comments that the configuration lacks."""
        for match in KEY.finditer(self.text):
            if any(t.start < match.end() and match.start() <= t.end for t in tokens):
                return OptionError(
                    f"no configuration {match[1]!r}",
                    location=self.at(match.start()),
                    nearest=nearest(match[1], configuration),
                    hint=f"add it to the spec: configuration: {{{match[1]}: …}}",
                )
        return None


_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Word:
    """One word or sign of a statement.

    Args:
        text: the word; of a quoted name or string, its value.
        start, end: the offsets of its first and last character.
        token: the index of the token that it is, or is a part of.
        type: the type of that token.
    """

    text: str
    start: int
    end: int
    token: int
    type: TokenType

    @property
    def upper(self) -> str:
        """The word in upper case, to compare with keywords; empty for quoted text."""
        return "" if self.quoted else self.text.upper()

    @property
    def quoted(self) -> bool:
        """True if the author wrote it in quotes."""
        return self.type in (TokenType.IDENTIFIER, TokenType.STRING)


class Cursor:
    """The words of a statement, and a position among them.

    sqlglot's tokens differ by dialect: `CLUSTER BY` is one token, a misspelt `PARTITIONED BY` is
    two. Words are the same for every dialect.
    """

    def __init__(self, sql: SqlText, tokens: list[Token]) -> None:
        self.sql = sql
        self.tokens = tokens
        self.words = [w for i, t in enumerate(tokens) for w in _words(sql.text, i, t)]
        self.index = 0

    @property
    def word(self) -> Word | None:
        """The next word; None at the end."""
        return self.words[self.index] if self.index < len(self.words) else None

    @property
    def text(self) -> str:
        """The statement, as it is written."""
        return self.sql.text[self.words[0].start : self.end] if self.words else ""

    @property
    def end(self) -> int:
        """The offset behind the last word."""
        return self.words[-1].end + 1 if self.words else 0

    @property
    def here(self) -> Location:
        """The location of the next word, or of the end."""
        word = self.word
        return self.sql.at(word.start if word else self.end)

    def sees(self, phrase: str) -> bool:
        """True if the next words are those of `phrase`."""
        wanted = phrase.split()
        return [w.upper for w in self.words[self.index : self.index + len(wanted)]] == wanted

    def take(self, phrase: str) -> bool:
        """Move behind the words of `phrase` if they are next; returns True if they were."""
        found = self.sees(phrase)
        if found:
            self.index += len(phrase.split())
        return found

    def expect(self, *phrases: str) -> str:
        """Move behind the first of some phrases that is next; returns it.

        Raises:
            SqlSyntaxError: none of them is next.
        """
        for phrase in phrases:
            if self.take(phrase):
                return phrase
        raise self.unexpected(*phrases)

    def unexpected(self, *wanted: str, nearby: Iterable[str] | None = None) -> QanatError:
        """The error for a next word that is none of those wanted.

        If the beginning of a wanted phrase is next, the error points at its first wrong word.

        Args:
            wanted: the phrases that may stand here.
            nearby: the words among which to look for the nearest; default: those of `wanted`.
        """
        best = max(wanted, key=self._matching)
        ahead = self._matching(best)
        rest = [p.split()[ahead] for p in wanted if self._matching(p) == ahead]
        start, self.index = self.index, self.index + ahead
        word, location = self.word, self.here
        self.index = start
        if word is not None and is_template(self.sql.text, word.start):
            return template(location)
        if word is not None and word.upper == "CREATE" and self.index:
            return unended(location)
        return SqlSyntaxError(
            f"unexpected {word.text!r}" if word else "the statement ends too early",
            location=location,
            wanted=" or ".join(wanted),
            nearest=nearest(word.text, nearby or rest) if word and not word.quoted else None,
        )

    def _matching(self, phrase: str) -> int:
        parts = phrase.split()
        return next((n for n in range(len(parts) - 1, 0, -1) if self.sees(" ".join(parts[:n]))), 0)

    def name(self, what: str) -> Word:
        """Move behind one plain or quoted name; returns it.

        Args:
            what: what the name is of, for the message.

        Raises:
            SqlSyntaxError: no name is next.
        """
        word = self.word
        good = word is not None and (
            word.type is TokenType.IDENTIFIER
            or (word.type is not TokenType.STRING and _NAME.fullmatch(word.text))
        )
        if word is None or not good:
            raise self.unexpected(what)
        self.index += 1
        return word

    def dotted(self, what: str) -> tuple[str, ...]:
        """Move behind a name with dots in it; returns its parts."""
        parts = [self.name(what).text]
        while self.take("."):
            parts.append(self.name(what).text)
        return tuple(parts)

    def string(self, what: str) -> str:
        """Move behind a string literal; returns its value."""
        word = self.word
        if word is None or word.type is not TokenType.STRING:
            raise self.unexpected(what)
        self.index += 1
        return word.text

    def names(self, what: str) -> tuple[str, ...]:
        """Move behind `(name, …)`; returns the names."""
        self.expect("(")
        found = [self.name(what).text]
        while self.take(","):
            found.append(self.name(what).text)
        self.expect(")")
        return tuple(found)

    def inside(self) -> tuple[int, int]:
        """Move behind `( … )`; returns the offsets of the text inside.

        Raises:
            SqlSyntaxError: no `(` is next, or it is never closed.
        """
        opened = self.word
        self.expect("(")
        depth = 1
        while self.word is not None:
            word = self.word
            depth += {"(": 1, ")": -1}.get(word.upper, 0)
            self.index += 1
            if depth == 0:
                assert opened is not None  # noqa: S101 - expect() has seen it
                return opened.end + 1, word.start
        raise SqlSyntaxError(
            "'(' is not closed", location=self.sql.at(opened.start if opened else 0)
        )

    def skip_to(self, *ends: str, angles: bool = False) -> int:
        """Move to the first of some words that stands outside brackets; returns its offset.

        Args:
            ends: the words; at the end of the statement the search ends, too.
            angles: True if `<` and `>` are brackets, as in types.
        """
        depth = 0
        opening, closing = ("([<", ")]>") if angles else ("([", ")]")
        while self.word is not None:
            word = self.word
            if depth == 0 and word.upper in ends:
                return word.start
            if word.upper:
                depth += (word.upper in opening) - (word.upper in closing)
            self.index += 1
        return self.end


def _words(text: str, index: int, token: Token) -> list[Word]:
    written = text[token.start : token.end + 1]
    if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
        return [Word(token.text, token.start, token.end, index, token.token_type)]
    kind, start = token.token_type, token.start
    return [
        Word(found.group(), start + found.start(), start + found.end() - 1, index, kind)
        for found in re.finditer(r"\S+", written)
    ]
