"""Which versions of a table a read of its changes takes, and how reads meet rewritten rows.

The range of changes is `{"after": …, "upto": …}`, as that of a stream of rows. As they are now,
they have it with the key `kind`: the same versions may have to be computed again.
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


def changes_now(ref: SourceRef, read: Readable, newest: int) -> Mapping[str, Any]:
    """The value of the range of all changes that are asked for, as they are now.

    Args:
        newest: the table's newest version.

    Raises:
        TableNotFoundError: the table has no such version.
        OptionError: the last version comes before the first.
    """
    first, last = int(ref.option(START, 0)), int(ref.option(END, newest))
    if first > last and ref.option(END) is not None:
        raise OptionError(
            f"the {ref.label} end before they begin",
            wanted=f"{END} from {first} on",
            got=str(last),
        )
    if max(first, last) > newest:
        raise TableNotFoundError(
            f"{ref.place} has no version {max(first, last)}", got=f"newest version {newest}"
        )
    return {"kind": "changes", "after": first - 1, "upto": last, **read.mark}


def gained(ref: SourceRef, read: Readable, after: int, upto: int) -> Added:
    """What a read takes of the versions after one, up to and with another.

    Raises:
        NotAppendOnlyError: rows were removed or rewritten, and the read is not made for that.
        UnsupportedError: it is of changes, and the table does not tell them.
    """
    if reads_changes(ref):
        return read.store.changed(read.table, after, upto, read.foreign)
    return read.store.added(read.table, after, upto, bool(ref.option(SKIPS)))
