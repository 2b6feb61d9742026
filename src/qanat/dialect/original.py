"""The way back from the executable SQL to the author's original text."""

from __future__ import annotations

import re

from qanat.errors import Location
from qanat.model.name import same
from qanat.model.query import SqlQuery


def original_location(query: SqlQuery, offset: int | None, word: str | None) -> Location:
    """The location in the author's file of a part of the executable SQL.

    Args:
        query: the query that contains the part.
        offset: the part's offset in `query.sql`, or None if it is not known.
        word: the part's first word; `query.text` is searched for it if the offset does not help.

    Returns:
        The location of the part, or that of the whole query if the part is not found.
    """
    found = None
    if offset is not None:
        found = _aligned(query, offset)
        if found is not None and word and not _has_word(query.text, found, word):
            found = None
    if found is None and word:
        match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", query.text, re.IGNORECASE)
        found = match.start() if match else None
    return query.location if found is None else query.at(found)


def _aligned(query: SqlQuery, offset: int) -> int | None:
    """The offset in `query.text` of an offset in `query.sql`; None if it is not known.

    Only the names of inputs differ, so the offset keeps its distance to the next input.
    """
    next_sql, next_text = len(query.sql), len(query.text)
    for read in query.reads:
        starts = [query.sql.find(f"{q}{read.name}{q}") for q in ("`", '"')]
        start = max(starts)
        if start >= offset and start < next_sql:
            written = _offset(query, read.location)
            if written is None:
                return None
            next_sql, next_text = start, written
            break
    found = next_text - (next_sql - offset)
    return found if 0 <= found < len(query.text) else None


def _has_word(text: str, offset: int, word: str) -> bool:
    return same(text[offset : offset + len(word)], word)


def _offset(query: SqlQuery, where: Location) -> int | None:
    """The offset in `query.text` of a location in the author's file; None if it is outside."""
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
