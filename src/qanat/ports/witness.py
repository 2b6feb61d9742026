"""What finds out about stored tables without the store: a crash test's second opinion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol


class TableLog(Protocol):
    """What the files of one table say of it."""

    def rows(self, application: str, number: int) -> int | None:
        """How many rows the commit of that number added; None if there is none.

        Of one that changes rows (`Change.MERGE`), how many more there are, or fewer.
        """
        ...

    def knows(self, path: str) -> bool:
        """True if a file (relative to the table's folder) is part of the table, now or once."""
        ...


class Witness(Protocol):
    """Reads the tables of one format with the standard library or a reader that is not Qanat's.

    It shares no code with the format's `TableStore`, so that it errs elsewhere. It is made
    without arguments, from the class that `TableFormat.witness` names.
    """

    @property
    def own(self) -> frozenset[str]:
        """The names of the format's files in a project's private folder."""
        ...

    def log(self, table: Path) -> TableLog:
        """What the files of the table in a folder say."""
        ...

    def live(self, table: Path) -> Sequence[Path]:
        """The files that another reader opens to read a table as it is now; none if there is none.

        They need not be there.
        """
        ...

    def needed(self, root: Path) -> Iterator[tuple[Path, Sequence[Path]]]:
        """All tables anywhere below a folder, each with the files that readers need whole."""
        ...
