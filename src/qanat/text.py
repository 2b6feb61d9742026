"""How numbers, sizes, durations and tables are written for people, and read from them.

First counts, sizes, durations and paths, and one parser for each that every setting and option
uses. Then the quotes that SQL wants, and how a text looks, without saying where it goes. Then text
from data, made safe for a terminal: a value of a row may hold escape sequences that move the
cursor, change the title or hide what follows, and characters that reverse the direction of
writing; they are shown, never sent. Last, tables of text.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence

from qanat.frozen import Frozen


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun.

    >>> count(1, "row"), count(336776, "row"), count(2, "entry", "entries")
    ('1 row', '336,776 rows', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def neither(places: Sequence[str]) -> str:
    """Where nothing was found, to follow what was looked for; empty for no places.

    >>> "no table" + neither(("dev", "prod"))
    'no table, neither in dev nor in prod'
    """
    return f", neither in {' nor in '.join(places)}" if places else ""


def utc(seconds: float) -> str:
    """A time since 1970, to the second.

    >>> utc(0)
    '1970-01-01 00:00:00 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def work_of(update: str, host: str, pid: int, since: float, datasets: Collection[str]) -> str:
    """Who holds a lease, since when, and for what, as every message tells it.

    Args:
        since: seconds since 1970.
        datasets: what it works on; empty: all that there are.

    >>> work_of("20260101T000000-abc123", "laptop", 4711, 0, ["silver"])
    'update 20260101T000000-abc123 on laptop, process 4711, since 1970-01-01 00:00:00 UTC, which \
works on silver'
    """
    works = f", which works on {listed(list(datasets))}" if datasets else ""
    return f"update {update} on {host}, process {pid}, since {utc(since)}{works}"


def listed(names: Sequence[str]) -> str:
    """The first three names, and how many more there are.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more:,} more" if more > 0 else "")


def size(bytes: int) -> str:
    """Bytes in decimal units.

    >>> size(999), size(4_100_000)
    ('999 B', '4.1 MB')
    """
    value = float(bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float) -> str:
    """Wall time.

    >>> duration(0.0314), duration(75), duration(7384)
    ('0.03 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def percent(share: float) -> str:
    """A share from 0 to 1, with a digit more where it is small.

    >>> percent(0.125), percent(1 / 3000), percent(0.0)
    ('12.5 %', '0.03 %', '0 %')
    """
    text = f"{100 * share:.{2 if share < 0.01 else 1}f}"
    return text.rstrip("0").rstrip(".") + " %"


SIZE = "a size such as 2GB or 512MiB"
"""What an error says was wanted."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)(b?)|bytes?)", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Bytes of a size.

    `kB`, `MB`, `GB` and `TB` are powers of 1000, `KiB`, `MiB`, `GiB` and `TiB` powers of 1024. A
    letter alone (`10g`) is a power of 1024, as Spark's options have it. A number without a unit
    is bytes. Case and spaces do not matter; a fraction of a byte is cut off.

    Raises:
        ValueError: it is none; the message says what is wanted.

    >>> parse_size("512MiB"), parse_size("1.5 GB"), parse_size("10g"), parse_size("4096")
    (536870912, 1500000000, 10737418240, 4096)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(SIZE)
    number, letter, binary, byte = match.groups(default="")
    if binary and not (letter and byte):
        raise ValueError(SIZE)
    alone = bool(letter) and not byte
    power = _POWERS[letter.lower()]
    # In whole numbers, which are exact, and spare every command the import of `decimal`.
    whole, _, fraction = number.partition(".")
    unit = (1024 if binary or alone else 1000) ** power
    result: int = int(whole + fraction) * unit // 10 ** len(fraction)
    return result


Paint = Callable[[str, str], str]
"""Gives a text a style: words such as `bold`, `dim`, `red` or `bold red`."""


def expanded(path: str) -> str:
    """A path with `~` and `~NAME` as that user's home folder; as it is if there is no such user.

    >>> expanded("data/~a"), expanded("~no such user/a")
    ('data/~a', '~no such user/a')
    """
    # Not `Path.expanduser`, which raises an error for a user that does not exist.
    return os.path.expanduser(path)  # noqa: PTH111


KEY = re.compile(r"\$\{([^}\s]+)\}")
"""How a text refers to a value of the configuration."""


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with values in place of `${key}`; keys without one stay.

    >>> filled("out/${stage}/${day}", {"stage": "dev"})
    'out/dev/${day}'
    """
    return KEY.sub(lambda m: values.get(m[1], m[0]), text)


def quote(name: str) -> str:
    """An SQL identifier, quoted.

    >>> print(quote('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal, for a session in which a backslash means itself.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def plain(text: str, style: str) -> str:
    """No style at all: for files, logs, and terminals whose user asked for no colours.

    >>> plain("silver", "bold red")
    'silver'
    """
    del style
    return text


class Layout(Frozen):
    """What a text may use of the place where it is shown.

    Args:
        paint: gives colours and weights; default: none.
        width: columns to fit into; None for no limit.
    """

    paint: Paint = plain
    width: int | None = None

    def narrower(self, columns: int) -> Layout:
        """The same with some columns less, for text that is indented."""
        return Layout(self.paint, None if self.width is None else self.width - columns)


PLAIN = Layout()
"""No colours, no limit."""


_UNSAFE = (
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
    # Most text is; and what is searched for is compiled only for what is not.
    return text if text.isprintable() else re.sub(_UNSAFE, _escape, text)


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


GAP = "  "
WIDEST = 40
"""Columns of a terminal that one value may take where there is no room for all of them."""


class Cell(Frozen):
    """A value of a table.

    Args:
        text: any text; control characters are shown, not sent.
        style: where colours are shown: a colour's name, `bold` or `dim`.
        right: a number, or something that may stand among numbers; a column of nothing else
            is aligned to the right.
    """

    text: str
    style: str | None = None
    right: bool = False


Value = str | int | None | Cell


def grid(
    headers: Sequence[str],
    rows: Sequence[Sequence[Value]],
    layout: Layout = PLAIN,
    spare: Sequence[str] = (),
) -> list[str]:
    """The lines of a table.

    Args:
        spare: headers of columns to leave out first, where the width does not do for all.
        rows: whole numbers get thousands separators; None becomes a dash.
        layout: where it has a width, long values are cut, to 40 columns at least; columns that do
            not fit then are left out, and a last line names them.

    >>> print("\\n".join(grid(["Table", "Rows"], [["bronze", 1200], ["silver", 7]])))
    Table    Rows
    bronze  1,200
    silver      7
    """
    width = layout.width
    head = [_cut(Cell(h, "bold"), width) for h in headers]
    body = [[_cut(cell_of(value), width) for value in row] for row in rows]
    columns = range(len(head))
    right = [bool(body) and all(row[i].right for row in body) for i in columns]
    whole = [max(cells(row[i].text) for row in [head, *body]) for i in columns]
    sizes = whole if width is None else [min(each, width, WIDEST) for each in whole]
    kept, left_out = [*columns], list[str]()
    for header in spare:
        if _fitting([sizes[i] for i in kept], width) < len(kept):
            left_out += [headers[i] for i in kept if headers[i] == header]
            kept = [i for i in kept if headers[i] != header]
    shown = kept[: _fitting([sizes[i] for i in kept], width)]
    left_out = [*(headers[i] for i in kept[len(shown) :]), *left_out]
    wide, aligned = [sizes[i] for i in shown], [right[i] for i in shown]
    if width is not None:
        room = width - sum(wide) - len(GAP) * (len(wide) - 1)
        for place, i in enumerate(shown):
            more = min(room, whole[i] - sizes[i])
            wide[place], room = sizes[i] + more, room - more
    lines = [_line([row[i] for i in shown], wide, aligned, layout.paint) for row in [head, *body]]
    if left_out:
        more = count(len(left_out), "more column")
        lines.append(clip(f"… and {more}: {', '.join(left_out)}", width or WIDEST))
    return lines


def cell_of(value: Value) -> Cell:
    """A value as the cell that shows it.

    >>> cell_of(1200).text, cell_of(None).text
    ('1,200', '–')
    """
    match value:
        case Cell():
            return value
        case None:
            return Cell("–", "dim", right=True)
        case int():
            return Cell(f"{value:,}", right=True)
    return Cell(value)


def _cut(cell: Cell, widest: int | None) -> Cell:
    # A value may be megabytes long: what cannot be seen need not be made printable.
    text = printable(cell.text if widest is None else cell.text[: widest + 1])
    return Cell(text if widest is None else clip(text, widest), cell.style, cell.right)


def _fitting(sizes: Sequence[int], width: int | None) -> int:
    """How many columns fit, from the left; at least one."""
    if width is None:
        return len(sizes)
    used = 0
    for shown, size in enumerate(sizes):
        used += size + (len(GAP) if shown else 0)
        if used > width:
            return max(1, shown)
    return len(sizes)


def _line(row: Sequence[Cell], sizes: Sequence[int], right: Sequence[bool], paint: Paint) -> str:
    parts = []
    for cell, size, to_right in zip(row, sizes, right, strict=False):
        text = clip(cell.text, size)
        space = " " * (size - cells(text))
        text = text if cell.style is None else paint(text, cell.style)
        parts.append(space + text if to_right else text + space)
    return GAP.join(parts).rstrip()
