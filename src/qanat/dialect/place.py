"""Back from the executable SQL to where the author wrote it."""

from __future__ import annotations

import re

from qanat.model.location import Location
from qanat.model.query import SqlQuery


def place(query: SqlQuery, offset: int | None, word: str | None) -> Location:
    """Where in the author's file something of the executable SQL stands.

    Args:
        offset: in `query.sql`, or None when not known.
        word: what stands there; it is looked for in `query.text` where the offset does not help.
    """
    found = None
    if offset is not None:
        found = _aligned(query, offset)
        if found is not None and word and not _stands(query.text, found, word):
            found = None
    if found is None and word:
        match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", query.text, re.IGNORECASE)
        found = match.start() if match else None
    return query.location if found is None else query.at(found)


def _aligned(query: SqlQuery, offset: int) -> int | None:
    """The offset in `text`: both are equal from the end of an input to the start of the next."""
    mine, theirs = len(query.sql), len(query.text)
    for read in query.reads:
        starts = [query.sql.find(f"{q}{read.name}{q}") for q in ("`", '"')]
        start = max(starts)
        if start >= offset and start < mine:
            written = _offset(query, read.location)
            if written is None:
                return None
            mine, theirs = start, written
            break
    found = theirs - (mine - offset)
    return found if 0 <= found < len(query.text) else None


def _stands(text: str, offset: int, word: str) -> bool:
    return text[offset : offset + len(word)].casefold() == word.casefold()


def _offset(query: SqlQuery, where: Location) -> int | None:
    """The offset in `text` of a place in the author's file."""
    first = query.location
    line, column, start = where.line, where.column, first.column
    if first.line is None or start is None or line is None or column is None:
        return None
    if first.file != where.file:
        return None
    lines = query.text.split("\n")
    down = line - first.line
    if not 0 <= down < len(lines):
        return None
    across = column - (start if down == 0 else 1)
    return sum(len(line) + 1 for line in lines[:down]) + across
