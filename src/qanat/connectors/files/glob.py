"""Where files are, and which of them a path with wildcards means.

`*` and `?` match within one name, `**` matches any number of folders (at the end: any files
below), `[a-z]` and `[!a-z]` one character, `{a,b}` either text. Names that start with `.` or `_`
are hidden, as for Spark, unless the pattern itself starts so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from qanat.errors import OptionError
from qanat.frozen import Frozen
from qanat.model.record import FileRef
from qanat.model.work import LocalFile


class Place(Protocol):
    """Somewhere that files lie."""

    def find(self, path: str, recursive: bool) -> list[FileRef]:
        """The files that a path, folder or pattern means, sorted by path.

        Raises:
            SourceNotFoundError: a file, folder or bucket that is named does not exist.
            FileUnreadableError: a folder may not be listed.
        """
        ...

    def same(self, before: FileRef, now: FileRef) -> bool:
        """True if two versions of a file have the same content."""
        ...

    def fetch(self, files: Sequence[FileRef], scratch: Path) -> list[LocalFile]:
        """The files, in order, where this machine can open them.

        Raises:
            FileVanishedError: one is gone or is not what it was when it was found.
            FileUnreadableError: one may not be read.
        """
        ...

    def verify(self, files: Sequence[FileRef]) -> list[FileRef]:
        """The files, in order, with digests.

        Raises:
            FileChangedError: one changed while it was read.
            FileVanishedError: one is gone.
        """
        ...


def described(file: FileRef) -> str:
    """Size and time of a file, for messages.

    >>> described(FileRef("a.csv", 1_234, 0))
    '1,234 bytes, modified 1970-01-01T00:00:00+00:00'
    """
    moment = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
    return f"{file.size:,} bytes, modified {moment.isoformat()}"


_MAGIC = re.compile(r"[*?\[{]")
_MOST_ALTERNATIVES = 1000


def has_wildcard(path: str) -> bool:
    """True if a path is a pattern rather than a name."""
    return _MAGIC.search(path) is not None


def hidden(name: str) -> bool:
    """True if readers leave a file or folder of that name alone.

    >>> [hidden(n) for n in ("_SUCCESS", ".part.crc", "_year=2026", "a.csv")]
    [True, True, False, False]
    """
    if name[:1] == "_":
        return "=" not in name  # a partition folder of a column whose name starts so
    return name[:1] == "." or name.endswith("._COPYING_")


class Glob(Frozen):
    """A pattern: a fixed folder, then one part for each level below it.

    While a tree is walked, a place in it is a set of numbers: the parts that the next name may
    match. So each folder is read once, however many `**` a pattern has.

    Args:
        base: the leading folders without wildcards, `""` if there are none.
        parts: texts of the levels, `**` for any number of folders.
    """

    base: str
    parts: tuple[str, ...]
    _regexes: tuple[re.Pattern[str] | None, ...]

    @staticmethod
    def of(base: str, *parts: str) -> Glob:
        """A pattern from its parts."""
        regexes = tuple(None if p == "**" else name_regex(p) for p in parts)
        return Glob(base, parts, regexes)

    @staticmethod
    def parse(path: str) -> Glob:
        """A pattern from its text, which has no `{}` around a `/` (see `alternatives`).

        >>> Glob.parse("in/2026/*/**/a.csv").base
        'in/2026'
        """
        names = path.split("/")
        fixed = next((i for i, n in enumerate(names) if has_wildcard(n)), len(names) - 1)
        base = "/".join(names[:fixed]) or ("/" if path.startswith("/") else "")
        return Glob.of(base, *(n or "*" for n in names[fixed:]))

    def start(self) -> frozenset[int]:
        """The place at `base`."""
        return self._closed({0})

    def descend(self, at: frozenset[int], name: str) -> frozenset[int]:
        """The place in the folder `name`; empty when nothing below can match."""
        last = len(self.parts) - 1
        found = set()
        for i in at:
            if self._regexes[i] is None:
                if not hidden(name):
                    found.add(i)
            elif i < last and self._matches(i, name):
                found.add(i + 1)
        return self._closed(found)

    def accepts(self, at: frozenset[int], name: str) -> bool:
        """True if the pattern means the file `name` here."""
        last = len(self.parts) - 1
        return last in at and self._matches(last, name)

    def accepts_path(self, relative: str) -> bool:
        """True if the pattern means the file at a path below `base`."""
        *folders, name = relative.split("/")
        at = self.start()
        for folder in folders:
            at = self.descend(at, folder)
            if not at:
                return False
        return self.accepts(at, name)

    def _matches(self, i: int, name: str) -> bool:
        if hidden(name) and self.parts[i][:1] != name[:1]:
            return False
        regex = self._regexes[i]
        return regex is None or regex.fullmatch(name) is not None

    def _closed(self, at: set[int]) -> frozenset[int]:
        """With what follows a `**`, which may stand for no folder at all."""
        last = len(self.parts) - 1
        todo = list(at)
        while todo:
            i = todo.pop()
            if i < last and self._regexes[i] is None and i + 1 not in at:
                at.add(i + 1)
                todo.append(i + 1)
        return frozenset(at)


def alternatives(path: str) -> list[str]:
    """Expand the `{}` that span folders; the others stay.

    Raises:
        OptionError: there are more than 1,000.

    >>> alternatives("in/{2025/12,2026/0[1-3]}/{a,b}.csv")
    ['in/2025/12/{a,b}.csv', 'in/2026/0[1-3]/{a,b}.csv']
    """
    for start in (i for i, c in enumerate(path) if c == "{"):
        group = _group(path, start)
        if group is None:
            continue
        end, choices = group
        if any("/" in choice for choice in choices):
            found = [
                rest
                for choice in choices
                for rest in alternatives(path[:start] + choice + path[end:])
            ]
            if len(found) > _MOST_ALTERNATIVES:
                raise OptionError(f"the pattern {path!r} has more than 1,000 alternatives")
            return found
    return [path]


def name_regex(pattern: str) -> re.Pattern[str]:
    """A regular expression for a pattern of one name (`pathGlobFilter`).

    Raises:
        OptionError: a `[]` holds a range from high to low.
    """
    try:
        return re.compile(_regex(pattern), re.DOTALL)
    except re.error as error:
        raise OptionError(f"the pattern {pattern!r} is wrong: {error.msg}") from error


def _group(text: str, start: int) -> tuple[int, list[str]] | None:
    """The alternatives of the `{` at `start`, and where they end; None if it never closes."""
    choices: list[str] = []
    depth, begin = 0, start + 1
    for i in range(start, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return i + 1, [*choices, text[begin:i]]
        elif text[i] == "," and depth == 1:
            choices.append(text[begin:i])
            begin = i + 1
    return None


def _regex(text: str) -> str:
    result, i = [], 0
    while i < len(text):
        char = text[i]
        if char == "*":
            result.append("[^/]*")
            while text[i + 1 : i + 2] == "*":  # two in a row would backtrack without end
                i += 1
        elif char == "?":
            result.append("[^/]")
        elif char == "[" and (end := text.find("]", i + 2)) != -1:
            result.append(_character_class(text[i + 1 : end]))
            i = end
        elif char == "{" and (group := _group(text, i)) is not None:
            i, choices = group
            result.append("(?:" + "|".join(_regex(c) for c in choices) + ")")
            continue
        else:
            result.append(re.escape(char))
        i += 1
    return "".join(result)


def _character_class(inner: str) -> str:
    negated = inner[0] in "!^"
    members = re.sub(r"([\\\[\]&~|^])", r"\\\1", inner[1:] if negated else inner)
    if not members:
        return re.escape(f"[{inner}]")
    return f"[{'^/' if negated else ''}{members}]"
