"""Which versions of a table a read of its changes takes, and how reads meet rewritten rows.

The range of a stream of changes is `{"after": …, "upto": …}`, as that of a stream of rows. As they
are now, it is `{"kind": "changes", "upto": …}`, with the table's newest version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qanat.connectors.tables.options import CHANGES, END, SKIPS, START
from qanat.errors import OptionError, TableNotFoundError
from qanat.model.query import SourceRef
from qanat.model.table import Added
from qanat.ports.source import Readable


def reads_changes(ref: SourceRef) -> bool:
    """True if a reference is to the changes of a table, not to its rows."""
    return bool(ref.option(CHANGES))


def begin(ref: SourceRef, reached: int) -> int:
    """The version after which a stream goes on.

    Args:
        reached: up to which it has read; -1 if it has read nothing.
    """
    return reached if reached >= 0 else int(ref.option(START, 0)) - 1


def end(ref: SourceRef, version: int) -> int:
    """The last version that is read of a table with this newest one."""
    last = ref.option(END) if reads_changes(ref) else None
    return version if last is None else min(version, int(last))


def check_versions(ref: SourceRef, newest: int) -> None:
    """Refuse to read changes of versions that are not there.

    Raises:
        OptionError: the last version comes before the first.
        TableNotFoundError: the table has no such version.
    """
    first, last = int(ref.option(START, 0)), ref.option(END)
    if last is not None and first > int(last):
        raise OptionError(
            f"the {ref.label} end before they begin",
            wanted=f"{END} from {first} on",
            got=str(last),
        )
    most = max(first, int(last or 0))
    if most > newest:
        raise TableNotFoundError(
            f"{ref.place} has no version {most}", got=f"newest version {newest}"
        )


def taken(ref: SourceRef, read: Readable, range: Mapping[str, Any]) -> Added:
    """The rows of a range that is not of a whole table.

    Reads of the changes of one table have one range, as they are now: each takes its part.
    """
    if "after" in range:
        return gained(ref, read, range["after"], range["upto"])
    return gained(ref, read, begin(ref, -1), end(ref, range["upto"]), stream=False)


def gained(ref: SourceRef, read: Readable, after: int, upto: int, *, stream: bool = True) -> Added:
    """What a read takes of the versions after one, up to and with another.

    Args:
        stream: whether it goes on where it ended before. One that begins without naming a version
            takes the rows that are there where the table no longer tells how they came.

    Raises:
        NotAppendOnlyError: rows were removed or rewritten, and the read is not made for that.
        UnsupportedError: it is of changes, and the table does not tell them.
    """
    if reads_changes(ref):
        begins = stream and after < 0 and ref.option(START) is None
        return read.store.changed(read.table, after, upto, read.foreign, begins)
    # All rows, from the files that compaction has made of many.
    upto = upto if after >= 0 else read.store.same_rows(read.table, upto)
    return read.store.added(read.table, after, upto, bool(ref.option(SKIPS)))
