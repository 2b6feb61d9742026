"""Parses the clauses between a dataset's columns and its query, which may be in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qanat.declare.cursor import Cursor
from qanat.declare.registry import Registry
from qanat.errors import (
    Location,
    OptionError,
    Problems,
    SqlSyntaxError,
    UnsupportedError,
    nearest,
)
from qanat.model.anomaly import ANOMALIES, OnAnomaly
from qanat.model.changes import RETENTION, parse_retention
from qanat.model.keyed import STRATEGY, Strategy
from qanat.model.lateness import IDLE_TIMEOUT, LATE_ROWS, LateRows, parse_idle_timeout
from qanat.model.limit import (
    LIMIT,
    QUARANTINE_LIMIT,
    QUARANTINE_WINDOW,
    TOLERANCE_WINDOW,
    parse_limit,
)
from qanat.model.name import Named, Names, fold, same
from qanat.model.pipeline import (
    GROUP,
    ON_ROW_ERROR,
    RESET_ALLOWED,
    TAGS,
    TRIGGER_INTERVAL,
    DatasetKind,
    Drift,
    OnRowError,
)
from qanat.model.profile import PROFILED
from qanat.model.stateful import OUTPUT_MODE, OutputMode
from qanat.model.upkeep import READ, parse_duration

_KEYS = "KEYS"
_CLAUSES = ("USING", _KEYS, "PARTITIONED BY", "CLUSTER BY", "COMMENT", "TBLPROPERTIES")
REFUSED = {
    "LOCATION": "tables live below the spec's storage",
    "PATH": "tables live below the spec's storage",
    "OPTIONS": "give options to read_files(…)",
    "SCHEDULE": "let cron, or an orchestrator, start `qanat run`",
    "TRIGGER": "let cron, or an orchestrator, start `qanat run`",
    "REFRESH": "let cron, or an orchestrator, start `qanat run`",
    "DEFAULT": "text is compared byte by byte",
    "COLLATE": "text is compared byte by byte",
}
"""Clauses of other systems that are not supported, each with a hint."""

DRIFT = "qanat.schema_drift"


def _words(text: str) -> list[str]:
    """The words of a list with commas in between.

    Raises:
        ValueError: there is an empty one.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise ValueError(text)
    return words


def _word(text: str) -> str:
    """A text that is not empty.

    Raises:
        ValueError: it is.
    """
    if not text.strip():
        raise ValueError(text)
    return text


_OURS: Mapping[str, tuple[str, ...]] = Named(
    {
        DRIFT: tuple(d.value for d in Drift),
        ANOMALIES: tuple(e.value for e in OnAnomaly),
        ON_ROW_ERROR: tuple(e.value for e in OnRowError),
        PROFILED: ("true", "false"),
        RESET_ALLOWED: ("true", "false"),
        STRATEGY: tuple(each.value for each in Strategy),
        LATE_ROWS: tuple(each.value for each in LateRows),
        OUTPUT_MODE: tuple(each.value for each in OutputMode),
    }
)
_READ: Mapping[str, tuple[Callable[[str], object], str]] = Named(
    {
        **READ,
        QUARANTINE_LIMIT: (parse_limit, LIMIT),
        QUARANTINE_WINDOW: (parse_duration, "a duration, as in 10 minutes"),
        GROUP: (_word, "a word"),
        TAGS: (_words, "words with commas in between"),
        TOLERANCE_WINDOW: (parse_duration, "a duration, as in 10 minutes"),
        TRIGGER_INTERVAL: (parse_duration, "a duration, as in 10 seconds"),
        IDLE_TIMEOUT: (parse_idle_timeout, "a duration, as in 10 minutes, or never"),
        RETENTION: (parse_retention, "a number of seconds, such as 172800"),
    }
)
"""By property: what reads its value, and what a value is."""


@dataclass(slots=True)
class Properties:
    """The contents of the clauses."""

    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    comment: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()


def parse_properties(cursor: Cursor, kind: DatasetKind, registry: Registry) -> Properties:
    """Parse clauses up to AS, FLOW or the end of the statement.

    Args:
        cursor: stands before the first clause.
        kind: the dataset's kind; a temporary view allows fewer clauses.
        registry: knows the project's table format, and which ones there are.

    A property or format that does not fit is added to the registry's problems, and parsing
    continues.

    Raises:
        SqlSyntaxError: a clause is unknown, or is given twice.
        UnsupportedError: Qanat does not support a clause.
    """
    found = Properties()
    seen: set[str] = set()
    streaming = kind is DatasetKind.STREAMING_TABLE
    ends = ("AS", "FLOW") if streaming else ("AS",)
    clauses = _CLAUSES if streaming else tuple(c for c in _CLAUSES if c != _KEYS)
    while cursor.word is not None and not any(cursor.sees(end) for end in ends):
        at = cursor.here
        word = cursor.word
        if word.upper in REFUSED:
            raise UnsupportedError(
                f"{word.upper} is not supported", location=at, hint=REFUSED[word.upper]
            )
        if cursor.sees("WITH ROW FILTER") or cursor.sees("ROW FILTER"):
            raise UnsupportedError(
                "ROW FILTER is not supported", location=at, hint="filter in the query"
            )
        if cursor.sees(_KEYS) and not streaming:
            raise UnsupportedError(
                f"{_KEYS} on a {kind} is not supported",
                location=at,
                hint="only a STREAMING TABLE takes rows epoch by epoch: leave it out",
            )
        clause = cursor.expect(*clauses, *ends)
        if clause in seen:
            raise SqlSyntaxError(f"{clause} is given twice", location=at)
        seen.add(clause)
        _clause(cursor, clause, at, found, registry)
        if kind is DatasetKind.TEMPORARY_VIEW and clause not in ("COMMENT", "TBLPROPERTIES"):
            registry.problems.append(
                UnsupportedError(
                    f"{clause} on a temporary view is not supported",
                    location=at,
                    hint="a temporary view is not stored",
                )
            )
    return found


def _clause(
    cursor: Cursor, clause: str, at: Location, found: Properties, registry: Registry
) -> None:
    if clause == "USING":
        where = cursor.here
        written = cursor.name(registry.project.table_format.upper()).text
        with registry.problems.collecting():
            check_table_format(written, registry, where)
    elif clause == _KEYS:
        found.keys = cursor.names("a key column")
    elif clause == "PARTITIONED BY":
        found.partition_by = cursor.names("a column")
    elif clause == "CLUSTER BY":
        if cursor.sees("AUTO"):
            raise UnsupportedError(
                "CLUSTER BY AUTO is not supported", location=at, hint="name the columns"
            )
        found.cluster_by = () if cursor.take("NONE") else cursor.names("a column")
    elif clause == "COMMENT":
        found.comment = cursor.string("the comment in quotes")
    else:
        found.properties = _table_properties(cursor, registry.problems)


def _table_properties(cursor: Cursor, problems: Problems) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    cursor.expect("(")
    while True:
        at = cursor.here
        key = _key(cursor)
        if not cursor.take("="):
            cursor.expect("=", ",", ")")
        word = cursor.word
        if word is None or word.text in ("(", ")", ","):
            raise cursor.unexpected("a value")
        cursor.index += 1
        with problems.collecting():
            if key in found:
                raise OptionError(f"table property {key!r} is given twice", location=at)
            found[key] = word.text
            check_property(key, word.text, at)
        if not cursor.take(","):
            break
    cursor.expect(")", ",")
    return tuple(found.items())


def _key(cursor: Cursor) -> str:
    word = cursor.word
    if word is not None and word.quoted:
        cursor.index += 1
        return word.text
    return ".".join(cursor.dotted("'key' = 'value'"))


def check_property(key: str, value: str, location: Location) -> None:
    """Check a table property that means something here; others are only stored with the table.

    Raises:
        OptionError: Qanat has no such property, or it cannot have that value.
    """
    values = _OURS.get(key)
    if (read := _READ.get(key)) is not None:
        try:
            read[0](value)
        except ValueError:
            raise OptionError(
                f"table property {key!r} does not fit",
                location=location,
                wanted=read[1],
                got=repr(value),
            ) from None
        return
    if values is None:
        # A protection that is misspelled would protect nothing.
        if not fold(key).startswith(("qanat.", "pipelines.reset", "pipelines.trigger")):
            return
        raise OptionError(
            f"no table property {key!r}", location=location, nearest=nearest(key, (*_OURS, *_READ))
        )
    if fold(value) not in values:
        raise OptionError(
            f"table property {key!r} does not fit",
            location=location,
            wanted=" or ".join(values),
            got=repr(value),
            nearest=nearest(value, values),
        )


def check_table_format(name: str, registry: Registry, location: Location) -> None:
    """Refuse any table format but the project's own: all its tables are stored alike.

    Raises:
        UnsupportedError: the format is another one, or there is none of that name.
    """
    own, spec = registry.project.table_format, registry.project.spec.name
    if same(name, own):
        return
    known = Names(registry.formats).find(name)
    if known is None:
        raise UnsupportedError(
            f"there is no table format {name!r}",
            location=location,
            wanted=own,
            nearest=nearest(name, registry.formats),
            hint="create_sink() writes files in other formats",
        )
    raise UnsupportedError(
        f"all tables of this project have the format {own}",
        location=location,
        got=name,
        hint=f"leave it out, or set `table_format: {known}` in {spec} for all of them",
    )
