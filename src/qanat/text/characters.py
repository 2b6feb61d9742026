"""Text from data made safe for a terminal, and how wide it is there.

A value of a row may hold escape sequences that move the cursor, change the title or hide what
follows, and characters that reverse the direction of writing. They are shown, never sent.
"""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1 controls, ESC and CSI among them
    "\u00ad\u061c\u180e\u200b\u200e\u200f"  # invisible, or changes direction
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"  # lone surrogates; tags
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(text: str) -> str:
    r"""One line of text in which no character does anything but show itself.

    >>> print(printable("a\x1b[2Jb\n"))
    a\x1b[2Jb\n
    """
    return _UNSAFE.sub(_escape, text)


def printable_lines(text: str) -> list[str]:
    """The same for text of several lines; at least one."""
    return [printable(line) for line in text.split("\n")]


def cells(text: str) -> int:
    """Columns that a text takes on a terminal: two for a wide character, none for an accent.

    >>> cells("naïve"), cells("数据")
    (5, 4)
    """
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, width: int) -> str:
    """Text in at most `width` columns, with an ellipsis where something was cut.

    >>> clip("quarantine", 6)
    'quara…'
    """
    if cells(text) <= width:
        return text
    kept, used = [], 1
    for character in text:
        used += cells(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"
