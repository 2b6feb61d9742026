"""The keys of a spec and the values that they allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Any

from qanat.declare.document import Entry
from qanat.declare.files import DEFAULT_LIBRARIES
from qanat.errors import Location, OptionError, QanatError, SpecError
from qanat.frozen import Frozen
from qanat.model.adapter import Option, OptionTable, ValueType
from qanat.model.pipeline import Drift, ProjectSpec

if TYPE_CHECKING:
    from qanat.model.schedule import Schedule


class Settings(Frozen):
    """The settings of a spec with one environment applied; `SETTINGS` says what they mean."""

    name: str
    storage: str = "storage"
    catalog: str | None = None
    schema: str | None = None
    configuration: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = DEFAULT_LIBRARIES
    dialect: str | None = None
    engine: str = ProjectSpec.engine
    table_format: str = ProjectSpec.table_format
    storage_options: Mapping[str, str] = field(default_factory=dict)
    ledger: str | None = None
    memory_limit: int | None = None
    threads: int | None = None
    retries: int = ProjectSpec.retries
    schema_drift: Drift = ProjectSpec.schema_drift
    sinks: str = "on"
    allowed_folders: tuple[str, ...] | None = None
    observers: Mapping[str, Any] = field(default_factory=dict)
    reports: str | None = None
    keep_reports: int = ProjectSpec.keep_reports
    schedules: tuple[Schedule, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)
    calendars: Mapping[str, tuple[date, ...]] = field(default_factory=dict)


SETTINGS = OptionTable(
    "the spec",
    (
        Option("name", "of the project", type=ValueType.NAME, required=True),
        Option(
            "storage", "folder of tables and ledger, or `s3://…` of tables", type=ValueType.NAME
        ),
        Option(
            "catalog", "may stand before names in queries; otherwise unused", type=ValueType.NAME
        ),
        Option(
            "schema",
            "may stand before names in queries; also `database`",
            ("database",),
            ValueType.NAME,
        ),
        Option("configuration", "values for `${name}` in SQL, as in SDP, and in options of sinks"),
        Option("libraries", "globs of `.sql` and `.py` files, also as SDP's `glob: {include: …}`"),
        Option(
            "dialect",
            "of all SQL: the engine's own (for `duckdb` that is `duckdb`), or one that is"
            " translated to it: `spark`, which is the default in a `spark-pipeline.yml`",
            type=ValueType.NAME,
        ),
        Option("engine", "what computes", type=ValueType.NAME),
        Option("table_format", "what tables are stored as", type=ValueType.NAME),
        Option("storage_options", "of the table format, such as its catalog"),
        Option("ledger", "`postgresql://…`; without it a file of SQLite", type=ValueType.NAME),
        Option(
            "memory_limit",
            "such as `4GB`, then spill to disk; default: 60 % of the memory",
            type=ValueType.SIZE,
            least=1,
        ),
        Option(
            "threads",
            "default: every core the process may use",
            type=ValueType.COUNT,
            least=1,
            most=1024,
        ),
        Option(
            "retries",
            "of what can be retried, such as a store that times out; 100 take about 90 minutes",
            type=ValueType.COUNT,
            most=100,
        ),
        Option(
            "schema_drift",
            "of datasets without the property `qanat.schema_drift`",
            choices={str(drift): str(drift) for drift in Drift},
        ),
        Option("sinks", "`off`: nothing is sent to them", choices={"on": "on", "off": "off"}),
        Option(
            "allowed_folders",
            "the only ones, beside the storage, whose files the project's SQL may read or write;"
            " default: any file that the process may read",
        ),
        Option("observers", "who else is told of what updates do, by name"),
        Option(
            "reports",
            "folder into which every update that did something writes an HTML page, as"
            " `qanat report` does; default: none",
            type=ValueType.NAME,
        ),
        Option(
            "keep_reports",
            "how many of these pages stay: the newest",
            type=ValueType.COUNT,
            least=1,
        ),
        Option("schedules", "when which datasets are updated by `qanat serve`"),
        Option("pools", "how many runs of schedules may work at a time, by name of a pool"),
        Option("calendars", "lists of days, by name, for `skip_dates` of schedules"),
    ),
)
"""All keys that an author may write."""

KEYS = SETTINGS.names
MAPPINGS = ("configuration", "storage_options")
"""The keys whose values are mappings of texts."""
SECTIONS = ("observers",)
"""The keys whose values are mappings that a module of their own reads."""
_SCHEDULING = ("schedules", "pools", "calendars")
NESTED = (*MAPPINGS, *SECTIONS, *_SCHEDULING)
"""The keys whose values do not fit into one text."""


def validated(
    entries: Mapping[str, Entry], file: str, problems: list[QanatError]
) -> Settings | None:
    """The settings of a spec.

    Args:
        entries: its keys, which are all known; those without a value have the default.
        file: the spec's name in messages.
        problems: gains an error for every value that does not fit, and for a missing name.

    Returns:
        None if a value does not fit, or the name is missing.
    """
    found: dict[str, Any] = {}
    before = len(problems)
    given = {key: entry for key, entry in entries.items() if entry.value is not None}
    for key, entry in given.items():
        if key not in (*SECTIONS, *_SCHEDULING):
            found[key] = _value(key, entry, problems)
    if any(key in given for key in _SCHEDULING):
        # Imported only here: few projects have schedules, and most commands do without.
        scheduling = import_module("qanat.declare.schedules").scheduling
        found |= scheduling(given, problems)
    for option in SETTINGS.options:
        if option.required and option.name not in found:
            text = f"{option.name!r} is missing"
            problems.append(SpecError(text, location=Location(file), wanted=f"{option.name}: …"))
    if len(problems) > before:
        return None
    if "schema_drift" in found:
        found["schema_drift"] = Drift(found["schema_drift"])
    return Settings(**found)


def _value(key: str, entry: Entry, problems: list[QanatError]) -> Any:
    if key == "libraries":
        return _globs(entry, problems)
    if key == "allowed_folders":
        return _folders(entry, problems)
    if key in MAPPINGS:
        return _texts(key, entry, problems)
    return _checked(key, entry, problems)


def _checked(key: str, entry: Entry, problems: list[QanatError]) -> Any:
    given = entry.text
    if SETTINGS.find(key).is_number and type(entry.value) in (int, float):
        given = str(entry.value)  # `threads: 0x4` is a number as YAML reads it
    try:
        return SETTINGS.check(key, given)[1]
    except OptionError as error:
        problems.append(_fault(key, entry, error.wanted, error.nearest))
        return None


def _texts(key: str, entry: Entry, problems: list[QanatError]) -> dict[str, str]:
    if not isinstance(entry.value, dict):
        problems.append(_fault(key, entry, "lines of `key: value`"))
        return {}
    found = {}
    for name, each in entry.value.items():
        value = each.text
        if isinstance(value, str):
            found[name] = value
        else:
            problems.append(_fault(f"{key}.{name}", each, "text"))
    return found


def _folders(entry: Entry, problems: list[QanatError]) -> tuple[str, ...]:
    given = entry.plain if isinstance(entry.value, list) else [entry.plain]
    if not all(isinstance(each, str) and each for each in given):
        problems.append(_fault("allowed_folders", entry, "a list of folders, such as [data]"))
        return ()
    return tuple(given)


def _globs(entry: Entry, problems: list[QanatError]) -> tuple[str, ...]:
    """Globs from plain ones or SDP's `glob: {include: …}`."""
    given = entry.plain
    found = []
    for item in given if isinstance(given, list) else [given]:
        include = item
        if isinstance(item, dict) and set(item) == {"glob"}:
            include = item["glob"]
            if isinstance(include, dict) and set(include) == {"include"}:
                include = include["include"]
        if not isinstance(include, str) or not include:
            wanted = "a glob such as transformations/**, or glob: {include: …}"
            problems.append(_fault("libraries", entry, wanted))
            break
        found.append(include)
    return tuple(found)


def _fault(name: str, entry: Entry, wanted: str | None, near: str | None = None) -> SpecError:
    got = entry.written or repr(entry.plain)  # as it is written: YAML makes False of `no`
    return SpecError(
        f"{name} does not fit", location=entry.at, wanted=wanted, got=got, nearest=near
    )
