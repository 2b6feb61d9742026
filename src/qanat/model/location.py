"""Where in the author's files something was declared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file, for error messages.

    Args:
        file: path as shown to the user, relative to the project root where possible.
        line: 1-based line, or None when only the file is known.
        column: 1-based column, or None when only the line is known.

    >>> str(Location("silver.sql", 3, 14))
    'silver.sql:3:14'
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)
