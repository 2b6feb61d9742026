"""Java's patterns for times and regular expressions, in DuckDB's words."""

from __future__ import annotations

import re

from qanat.dialect.spark.refused import Refused

_SHOWN = {
    "y": "%Y", "yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B",
    "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M",
    "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p", "E": "%a",
    "EE": "%a", "EEE": "%a", "EEEE": "%A", "DDD": "%j", "D": "%-j",
}  # fmt: skip
_READ = {
    "yyyy": ("%Y", r"[0-9]{4}"), "MM": ("%m", r"(0[1-9]|1[0-2])"),
    "M": ("%m", r"(0?[1-9]|1[0-2])"), "dd": ("%d", r"(0[1-9]|[12][0-9]|3[01])"),
    "d": ("%d", r"(0?[1-9]|[12][0-9]|3[01])"), "HH": ("%H", r"([01][0-9]|2[0-3])"),
    "H": ("%H", r"([01]?[0-9]|2[0-3])"), "mm": ("%M", r"[0-5][0-9]"), "ss": ("%S", r"[0-5][0-9]"),
    "SSSSSS": ("%f", r"[0-9]{6}"), "SSS": ("%g", r"[0-9]{3}"),
}  # fmt: skip
_PIECES = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|(.)", re.DOTALL)
_WAY_OUT = "letters that are carried over: yyyy yy MM M dd d HH H mm ss SSS SSSSSS"


def shown(pattern: str) -> str:
    """The strftime pattern that writes what a Spark pattern writes.

    >>> shown("yyyy-MM-dd'T'HH:mm")
    '%Y-%m-%dT%H:%M'
    """
    out = []
    for match in _PIECES.finditer(pattern):
        whole = match.group(0)
        if match.group(1) is not None:
            out.append((match.group(1).replace("''", "'") or "'").replace("%", "%%"))
        elif match.group(2):
            if whole not in _SHOWN:
                raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
            out.append(_SHOWN[whole])
        elif whole in "[]{}#'":
            raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
        else:
            out.append(whole.replace("%", "%%"))
    return "".join(out)


def read(pattern: str) -> tuple[str, str]:
    """The strptime pattern for a Spark pattern, and what a text must look like to fit it.

    >>> read("yyyy-MM")
    ('%Y-%m', '[0-9]{4}-(0[1-9]|1[0-2])')
    """
    out, look = [], []
    for match in _PIECES.finditer(pattern):
        whole = match.group(0)
        if match.group(1) is not None:
            plain = match.group(1).replace("''", "'") or "'"
        elif match.group(2):
            if whole not in _READ:
                raise Refused(f"{whole!r} in a date pattern", _WAY_OUT)
            out.append(_READ[whole][0])
            look.append(_READ[whole][1])
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
    """A Java regular expression for RE2; whether it has a `.`, and whether it has a `$`.

    Raises:
        Refused: something in it means another thing to RE2, or nothing.
    """
    out: list[str] = []
    dot = dollar = False
    position, klass = 0, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            following = pattern[position + 1 : position + 2]
            if following not in _ESCAPES or not following or (klass and following in "bB"):
                raise Refused(f"'\\{following}' in a regular expression", _REGEX)
            # In Java \s has the vertical tab too.
            spaces = {"s": r"[\t-\r ]", "S": r"[^\t-\r ]"} if not klass else {"s": r"\t-\r "}
            if following == "S" and klass:
                raise Refused(r"'\S' in a character class", _REGEX)
            out.append(spaces.get(following, "\\" + following))
            position += 2
            continue
        if klass:
            if char == "[" or pattern.startswith("&&", position):
                raise Refused("a character class inside another", _REGEX)
            klass = char != "]"
        elif char == "[":
            klass = True
            if pattern[position + 1 : position + 2] == "]" or pattern.startswith("[^]", position):
                raise Refused("a ']' at the start of a character class", _REGEX)
        elif char == "(" and pattern.startswith("(?", position):
            if not pattern.startswith("(?:", position):
                raise Refused("'(?' in a regular expression", _REGEX)
        elif char in "*+?}" and pattern[position + 1 : position + 2] == "+":
            raise Refused("a possessive quantifier", _REGEX)
        elif char == ".":
            dot = True
        elif char == "$":
            dollar = True
            out.append(r"\z")
            position += 1
            continue
        out.append(char)
        position += 1
    return "".join(out), dot, dollar


def replacement(text: str) -> str:
    """A Java replacement text for RE2."""
    if "\\" in text:
        raise Refused("a backslash in the text of regexp_replace", "use $1 for groups")
    found = re.sub(r"\$([0-9])", r"\\\1", text)
    if "$" in found:
        raise Refused("a '$' without a number in the text of regexp_replace", "use $1 for groups")
    return found


def groups(pattern: str) -> int:
    """How many groups a pattern has."""
    return len(re.findall(r"(?<!\\)\((?!\?)", re.sub(r"\\\\|\[[^]]*\]", "", pattern)))


def could_be_empty(pattern: str) -> bool:
    """Whether a pattern matches the empty text."""
    try:
        return re.compile(pattern).match("") is not None
    except re.error as error:
        raise Refused("a regular expression that does not parse", str(error)) from error
