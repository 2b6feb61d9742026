"""How tables are maintained: by which policy, what could be done, and what was done.

A table that grows by small commits has small files, old versions and a long log. Maintenance
writes small files again as larger ones (no row changes), and deletes files and log entries that
nothing needs any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from qanat.frozen import Frozen
from qanat.model.name import Named, same
from qanat.model.schema import Schema

AUTO = "delta.autoOptimize.autoCompact"
TARGET = "delta.targetFileSize"
KEPT_FILES = "delta.deletedFileRetentionDuration"
KEPT_LOG = "delta.logRetentionDuration"
CLEANS_LOG = "delta.enableExpiredLogCleanup"

MANY = 50
"""Small files for which a table is compacted after an update; Spark's default, too."""

_TARGET = 128 * 1024 * 1024
_DAY = 24 * 3600.0
_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": _DAY, "week": 7 * _DAY}
_DURATION = re.compile(r"(?:interval\s+)?(\d+)\s+([a-z]+?)s?", re.IGNORECASE)
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

DURATION, SIZE = "interval 7 days", "128mb"
"""Values that fit, for messages."""


def parse_duration(text: str) -> float:
    """A duration in seconds, as Delta's properties have it.

    Raises:
        ValueError: it is none.

    >>> parse_duration("interval 1 week") == parse_duration("7 days")
    True
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2].lower()]


def parse_size(text: str) -> int:
    """A size in bytes, as Delta's properties have it.

    Raises:
        ValueError: it is none.

    >>> parse_size("128mb"), parse_size("1000")
    (134217728, 1000)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(text)
    return int(int(found[1]) * 1024 ** _POWERS[found[2].lower()])


def parse_flag(text: str) -> bool:
    """True or false, as a property has it.

    Raises:
        ValueError: it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


READ: Mapping[str, tuple[Callable[[str], object], str]] = Named(
    {
        AUTO: (parse_flag, "true or false"),
        TARGET: (parse_size, f"a size, as in {SIZE}"),
        KEPT_FILES: (parse_duration, f"a duration, as in {DURATION}"),
        KEPT_LOG: (parse_duration, f"a duration, as in {DURATION}"),
        CLEANS_LOG: (parse_flag, "true or false"),
    }
)
"""By property: what reads its value, and what a value is."""


class Policy(Frozen):
    """How one table is maintained.

    Args:
        automatic: whether that is also done after an update.
        target: bytes that a file should have.
        kept_files: seconds for which files stay that the table has lost.
        kept_log: seconds for which entries of the log stay.
        cleans_log: whether older ones go at all.
        cluster_by: columns by which rows are sorted.
    """

    automatic: bool = True
    target: int = _TARGET
    kept_files: float = 7 * _DAY
    kept_log: float = 30 * _DAY
    cleans_log: bool = True
    cluster_by: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, properties: Mapping[str, str], cluster_by: tuple[str, ...], default: Policy | None
    ) -> Policy:
        """The policy that the properties of a table make.

        A value that does not fit is passed over: another tool may have written it.

        >>> Policy.of({"delta.targetFileSize": "1mb"}, (), None).target
        1048576
        """
        base = default or cls()

        def value(name: str, otherwise: float) -> float:
            text = next((v for k, v in properties.items() if same(k, name)), None)
            try:
                return otherwise if text is None else READ[name][0](text)  # type: ignore[return-value]
            except ValueError:
                return otherwise

        return cls(
            automatic=bool(value(AUTO, base.automatic)),
            target=int(value(TARGET, base.target)),
            kept_files=value(KEPT_FILES, base.kept_files),
            kept_log=value(KEPT_LOG, base.kept_log),
            cleans_log=bool(value(CLEANS_LOG, base.cleans_log)),
            cluster_by=cluster_by,
        )


class Bin(Frozen):
    """Files of a table, of one partition, that are written again together.

    Args:
        files: their absolute paths on this machine, in order.
        schema: the columns of the table without those that the partition has.
        fetch: brings the files there if they lie elsewhere; None if they are there.
        folder: of the partition, below the table's; empty for the table's own.
        partition_values: of the partition, as text; None for NULL.
        since_ms: the moment, in milliseconds since 1970, by which the new file has the place of
            these in the order of the table's files.
        bytes: of the files.
        name: part of the name of each new file, which tells later what is in it.
        parts: how many files are to be made of them.
        deleted: see `TableBatch.deleted`.
        moments: see `TableBatch.moments`.
    """

    files: tuple[str, ...]
    schema: Schema
    fetch: Callable[[], None] | None
    folder: str
    partition_values: Mapping[str, str | None]
    since_ms: int
    bytes: int
    name: str = ""
    parts: int = 1
    deleted: Callable[[], Mapping[str, Sequence[int]]] | None = None
    moments: Mapping[str, int] = field(default_factory=dict)


class Layout(Frozen):
    """The files of a table at a version, and which of them could be written again.

    Args:
        clustered: the columns by which rows are sorted; none: they keep their order.
        why_not: why none of them can be; empty if they can.
    """

    version: int
    files: int
    bytes: int
    bins: tuple[Bin, ...] = ()
    clustered: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def gone(self) -> int:
        """How many files would be replaced."""
        return sum(len(b.files) for b in self.bins)

    @property
    def new(self) -> int:
        """How many files would take their place, at most."""
        return sum(b.parts for b in self.bins)


class Needed(Frozen):
    """What of a table's past is still wanted, whatever the retention says.

    Args:
        after: the version up to which the stream that has read least of it has read; None if no
            stream has read any of it.
        versions: those that epochs read which have begun and not ended.
        settled: the newest version up to which no commit can be taken back any more.
        by: who needs that, for people to look at.
    """

    after: int | None = None
    versions: tuple[int, ...] = ()
    settled: int | None = None
    by: tuple[str, ...] = ()


class Cleaned(Frozen):
    """What was deleted of a table's past, or would be.

    Args:
        files, bytes: data files of old versions.
        entries: of the log: commits and checkpoints.
        oldest: the oldest version that can be read afterwards.
        checkpoint: the version of a checkpoint that was written; None if none was.
    """

    files: int = 0
    bytes: int = 0
    entries: int = 0
    oldest: int = 0
    checkpoint: int | None = None

    @property
    def idle(self) -> bool:
        """True if there was nothing to delete, and no checkpoint to write."""
        return not (self.files or self.entries) and self.checkpoint is None


class TableUpkeep(Frozen):
    """What maintenance did for one table, or would do.

    Args:
        table: the dataset, or `<dataset>__quarantine`.
        files_before, files_after: live files; `bytes_before` and `bytes_after` are of those.
        compacted: files that were replaced by larger ones.
        kept_for: who still needs old files or versions.
        note: why something was not done; empty if nothing is to be said.
    """

    table: str
    version: int | None
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    compacted: int = 0
    cleaned: Cleaned = field(default_factory=Cleaned)
    kept_for: tuple[str, ...] = ()
    note: str = ""

    @property
    def idle(self) -> bool:
        """True if there was nothing to do."""
        return not self.compacted and self.cleaned.idle


class Upkeep(Frozen):
    """What maintenance did, or would do.

    Args:
        id: of the update; empty if nothing was written.
        dry_run: whether it was only looked at.
    """

    id: str
    environment: str
    dry_run: bool
    tables: tuple[TableUpkeep, ...]
