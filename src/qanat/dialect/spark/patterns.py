"""Java's patterns for dates and regular expressions as DuckDB's strftime and RE2 patterns."""

from __future__ import annotations

import re

from qanat.dialect.spark.refused import Refused

_STRFTIME = {
    "y": "%Y", "yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B",
    "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M",
    "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p", "E": "%a",
    "EE": "%a", "EEE": "%a", "EEEE": "%A", "DDD": "%j", "D": "%-j",
}  # fmt: skip
_STRPTIME = {
    "yyyy": ("%Y", r"[0-9]{4}"), "MM": ("%m", r"(0[1-9]|1[0-2])"),
    "M": ("%m", r"(0?[1-9]|1[0-2])"), "dd": ("%d", r"(0[1-9]|[12][0-9]|3[01])"),
    "d": ("%d", r"(0?[1-9]|[12][0-9]|3[01])"), "HH": ("%H", r"([01][0-9]|2[0-3])"),
    "H": ("%H", r"([01]?[0-9]|2[0-3])"), "mm": ("%M", r"[0-5][0-9]"), "ss": ("%S", r"[0-5][0-9]"),
    "SSSSSS": ("%f", r"[0-9]{6}"), "SSS": ("%g", r"[0-9]{3}"),
}  # fmt: skip
_PIECES = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|(.)", re.DOTALL)
_WAY_OUT = "letters that are carried over: yyyy yy MM M dd d HH H mm ss SSS SSSSSS"


def strftime_pattern(pattern: str) -> str:
    """The strftime pattern that writes dates as a Spark pattern does.

    >>> strftime_pattern("yyyy-MM-dd'T'HH:mm")
    '%Y-%m-%dT%H:%M'
    """
    out = []
    for match in _PIECES.finditer(pattern):
        whole = match.group(0)
        if match.group(1) is not None:
            out.append((match.group(1).replace("''", "'") or "'").replace("%", "%%"))
        elif match.group(2):
            if whole not in _STRFTIME:
                raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
            out.append(_STRFTIME[whole])
        elif whole in "[]{}#'":
            raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
        else:
            out.append(whole.replace("%", "%%"))
    return "".join(out)


def strptime_pattern(pattern: str) -> tuple[str, str]:
    """The strptime pattern of a Spark pattern, and a regular expression of the texts that fit.

    The regular expression is needed because strptime accepts more texts than Spark does.

    >>> strptime_pattern("yyyy-MM")
    ('%Y-%m', '[0-9]{4}-(0[1-9]|1[0-2])')
    """
    out, look = [], []
    for match in _PIECES.finditer(pattern):
        whole = match.group(0)
        if match.group(1) is not None:
            plain = match.group(1).replace("''", "'") or "'"
        elif match.group(2):
            if whole not in _STRPTIME:
                raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
            out.append(_STRPTIME[whole][0])
            look.append(_STRPTIME[whole][1])
            continue
        elif whole in "[]{}#'":
            raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
        else:
            plain = whole
        out.append(plain.replace("%", "%%"))
        look.append(re.sub(r"([^\w\s-])", r"\\\1", plain))
    if "%Y" not in out:
        raise Refused("a date pattern without a year", _WAY_OUT)
    return "".join(out), "".join(look)


_ESCAPES = frozenset("dDwWsSbBtnrf.\\/+*?()[]{}|^$-\"'_,:;#@!%&=<>~` ")
_REGEX = "Java and RE2 read it differently; use a simpler pattern, or a function like split_part"


def regex(pattern: str) -> tuple[str, bool, bool]:
    """A Java regular expression as one of RE2.

    Returns:
        The RE2 pattern, True if the pattern has a `.`, and True if it has a `$`.

    Raises:
        Refused: a part of the pattern has another meaning in RE2, or none.
    """
    out: list[str] = []
    dot = dollar = in_class = False
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            out.append(_escape(pattern[position + 1 : position + 2], in_class))
            position += 2
            continue
        if in_class:
            _check_in_class(pattern, position)
            in_class = char != "]"
        else:
            _check_outside_class(pattern, position)
            in_class = char == "["
            dot |= char == "."
            dollar |= char == "$"
        out.append(r"\z" if char == "$" and not in_class else char)
        position += 1
    return "".join(out), dot, dollar


def _escape(following: str, in_class: bool) -> str:
    r"""RE2's form of a backslash and the character that follows it."""
    if following not in _ESCAPES or not following or (in_class and following in "bB"):
        raise Refused(f"'\\{following}' in a regular expression", _REGEX)
    if following == "S" and in_class:
        raise Refused(r"'\S' in a character class", _REGEX)
    # Java's \s has the vertical tab, RE2's has not.
    spaces = {"s": r"\t-\r "} if in_class else {"s": r"[\t-\r ]", "S": r"[^\t-\r ]"}
    return spaces.get(following, "\\" + following)


def _check_in_class(pattern: str, position: int) -> None:
    if pattern[position] == "[" or pattern.startswith("&&", position):
        raise Refused("a character class inside another", _REGEX)


def _check_outside_class(pattern: str, position: int) -> None:
    rest = pattern[position:]
    if rest.startswith(("[]", "[^]")):
        raise Refused("a ']' at the start of a character class", _REGEX)
    if rest.startswith("(?") and not rest.startswith("(?:"):
        raise Refused("'(?' in a regular expression", _REGEX)
    if rest[0] in "*+?}" and rest[1:2] == "+":
        raise Refused("a possessive quantifier", _REGEX)


def replacement(text: str) -> str:
    """A Java replacement text as one of RE2: groups are `\\1`, not `$1`.

    Raises:
        Refused: the text has a backslash, or a `$` that names no group.
    """
    if "\\" in text:
        raise Refused("a backslash in the text of regexp_replace", "use $1 for groups")
    found = re.sub(r"\$([0-9])", r"\\\1", text)
    if "$" in found:
        raise Refused("a '$' without a number in the text of regexp_replace", "use $1 for groups")
    return found


def groups(pattern: str) -> int:
    """The number of capturing groups of a pattern."""
    return len(re.findall(r"(?<!\\)\((?!\?)", re.sub(r"\\\\|\[[^]]*\]", "", pattern)))


def could_be_empty(pattern: str) -> bool:
    """True if a pattern matches the empty text.

    Raises:
        Refused: the pattern does not parse.
    """
    try:
        return re.compile(pattern).match("") is not None
    except re.error as error:
        raise Refused("a regular expression that does not parse", str(error)) from error
