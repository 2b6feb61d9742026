"""Loads the spec, applies an environment, and makes a `ProjectSpec` of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from qanat.declare.document import Entry, read
from qanat.declare.environments import (
    ALIASES,
    DEV,
    Entries,
    check_keys,
    environments_of,
    origins_of,
    renamed,
)
from qanat.declare.files import SDP_SPECS
from qanat.declare.observers import observers_of
from qanat.declare.settings import KEYS, NESTED, SECTIONS, Settings, validated
from qanat.declare.storages import check_apart, check_storage, check_storages, location
from qanat.errors import Location, OptionError, ProblemsError, QanatError, SpecError, nearest
from qanat.model.anomaly import ANOMALIES, OnAnomaly
from qanat.model.dialect import SPARK
from qanat.model.kind import EngineKind, ObserverKind, TableFormat
from qanat.model.limit import (
    LIMIT,
    QUARANTINE_LIMIT,
    QUARANTINE_WINDOW,
    TOLERANCE_WINDOW,
    parse_limit,
)
from qanat.model.location import is_url
from qanat.model.metrics import METRICS_RETENTION
from qanat.model.name import Names, fold
from qanat.model.pipeline import ON_ROW_ERROR, TRIGGER_INTERVAL, OnRowError, ProjectSpec
from qanat.model.profile import PROFILED
from qanat.model.record import HISTORY_RETENTION
from qanat.model.upkeep import parse_duration

_OVERRIDE = "QANAT__"
_READ: Mapping[str, tuple[Callable[[str], object], str]] = {
    QUARANTINE_LIMIT: (parse_limit, LIMIT),
    QUARANTINE_WINDOW: (parse_duration, "a duration, as in 10 minutes"),
    TOLERANCE_WINDOW: (parse_duration, "a duration, as in 10 minutes"),
    TRIGGER_INTERVAL: (parse_duration, "a duration, as in 10 seconds"),
    METRICS_RETENTION: (parse_duration, "a duration, as in 90 days"),
    HISTORY_RETENTION: (parse_duration, "a duration, as in 90 days"),
}
"""By table property that is read: what reads its value, and what a value is."""
_CHOICES: Mapping[str, tuple[str, ...]] = {
    ON_ROW_ERROR: tuple(e.value for e in OnRowError),
    ANOMALIES: tuple(e.value for e in OnAnomaly),
    PROFILED: ("true", "false"),
}
"""By table property that has few values: those."""
_DEFAULTS = (
    *_CHOICES,
    *(QUARANTINE_LIMIT, QUARANTINE_WINDOW, TOLERANCE_WINDOW),
    *(METRICS_RETENTION, HISTORY_RETENTION),
)
"""What the configuration may have: table properties for all tables, and what is the project's."""
_TOP = (*KEYS, *ALIASES, "environments")


def load_project(
    spec: Path,
    engines: Callable[[str], EngineKind],
    formats: Callable[[str], TableFormat],
    observers: Callable[[str], ObserverKind],
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> ProjectSpec:
    """Load a spec and apply one environment.

    Later settings override earlier ones: defaults, the spec's own keys,
    `environments.<environment>`, the variables `QANAT__KEY` and `QANAT__CONFIGURATION__name`. An
    environment other than `dev` without a storage of its own gets a folder with its name in the
    spec's storage, so that two environments never share tables. What `from` names is loaded
    without the variables `QANAT__…`, which are meant for the environment that runs.

    Args:
        spec: the spec's file.
        engines: what is known of an engine, by its name; raises `OptionError` if there is none.
        formats: the same of a table format.
        observers: the same of a kind of observer.
        environment: the environment; default: `dev`, which need not be declared.
        environ: the environment variables; default: `os.environ`.

    Raises:
        ProblemsError: the spec has errors; it contains all of them.
    """
    environ = os.environ if environ is None else environ
    spec = spec.absolute()
    problems: list[QanatError] = []
    try:
        text = spec.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProblemsError(
            [SpecError(f"cannot read the spec: {reason}", location=Location(spec.name))]
        ) from error
    try:
        top = _mapping(read(text, spec.name, environ, problems), spec.name)
    except SpecError as error:
        raise ProblemsError([error]) from error
    check_keys(top, _TOP, "key", problems)
    environments = environments_of(top, problems)
    name = environment or DEV
    if name not in environments and name != DEV:
        known = [*dict.fromkeys((DEV, *environments))]
        problems.append(
            SpecError(
                f"no environment {name!r}",
                location=Location(spec.name),
                wanted=" or ".join(known),
                nearest=nearest(name, known),
            )
        )
    origins = origins_of(environments, problems)
    base = {k: v for k, v in renamed(top, problems).items() if k in KEYS}
    check_storages(spec.parent, base, environments, problems)
    own = {k: v for k, v in environments.get(name, {}).items() if k in KEYS}
    merged = _merge(base, own)
    overrides = _overrides(environ, merged, problems)
    merged = _merge(merged, overrides)
    chosen = _validate(merged, spec, problems)
    dialect = None if chosen is None else _dialect(chosen, engines, merged, spec, problems)
    _check_configuration(merged.get("configuration"), problems)
    told = observers_of(merged.get("observers"), observers, problems)
    if chosen is not None:
        _check_format(chosen, formats, merged, spec, problems)
    if chosen is None or dialect is None or problems:
        raise ProblemsError(sorted(problems, key=_line))
    storage = location(spec.parent, chosen.storage)
    if name != DEV and "storage" not in own and "storage" not in overrides:
        storage = f"{storage}/{name}"
    reads_from = None
    if name in origins:
        settings = {k: v for k, v in environ.items() if not k.startswith(_OVERRIDE)}
        reads_from = load_project(spec, engines, formats, observers, origins[name], settings)
        check_apart(storage, name, reads_from, merged.get("storage"))
    return ProjectSpec(
        name=chosen.name,
        root=spec.parent,
        spec=spec,
        storage=storage,
        libraries=chosen.libraries,
        dialect=dialect,
        environment=name,
        catalog=chosen.catalog,
        schema=chosen.schema,
        configuration=chosen.configuration,
        ledger=chosen.ledger,
        engine=chosen.engine,
        table_format=chosen.table_format,
        storage_options=chosen.storage_options,
        memory_limit=chosen.memory_limit,
        threads=chosen.threads,
        retries=chosen.retries,
        schema_drift=chosen.schema_drift,
        reads_from=reads_from,
        sinks=chosen.sinks == "on",
        allowed_folders=_allowed(spec.parent, chosen.allowed_folders),
        environments=tuple(dict.fromkeys((DEV, *environments))),
        senders=dict(_senders(name, base, environments, spec)),
        observers=told,
        reports=None if chosen.reports is None else spec.parent / chosen.reports,
        keep_reports=chosen.keep_reports,
        schedules=chosen.schedules,
        pools=chosen.pools,
    )


def _allowed(root: Path, folders: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if folders is None else tuple(str((root / f).resolve()) for f in folders)


def _senders(
    name: str, base: Entries, environments: Mapping[str, Entries], spec: Path
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The other environments that send to sinks, each with its configuration.

    As the spec has them: variables `QANAT__…` are for the environment that runs.
    """
    for other in dict.fromkeys((DEV, *environments)):
        own = {k: v for k, v in environments.get(other, {}).items() if k in KEYS}
        # What is wrong with one that does not run is told when it does.
        settings = validated(_merge(base, own), spec.name, [])
        if other != name and settings is not None and settings.sinks == "on":
            yield other, settings.configuration


def _line(problem: QanatError) -> tuple[int, int]:
    at = problem.location
    return ((at.line or 0), (at.column or 0)) if at else (0, 0)


def _mapping(top: Entry, file: str) -> Entries:
    if top.value is None:
        raise SpecError(
            "the spec is empty", location=Location(file), wanted="at least `name: my_project`"
        )
    if not isinstance(top.value, dict):
        raise SpecError(
            "the spec is not a mapping", location=top.at, wanted="lines of `key: value`"
        )
    return top.value


def _merge(weak: Entries, strong: Entries) -> Entries:
    """Two sets of settings as one: strong values win; `configuration` is merged key by key.

    So are sections, by the names of what they declare.
    """
    merged = {**weak, **strong}
    for key in ("configuration", *SECTIONS):
        mine, theirs = weak.get(key), strong.get(key)
        if mine and theirs and isinstance(mine.value, dict) and isinstance(theirs.value, dict):
            both = {**mine.value, **theirs.value}
            merged[key] = Entry(both, theirs.at, theirs.key_at)
    return merged


def _overrides(environ: Mapping[str, str], merged: Entries, problems: list[QanatError]) -> Entries:
    found: Entries = {}
    configuration: Entries = {}
    for variable in sorted(environ):
        if not variable.startswith(_OVERRIDE):
            continue
        at = Location(f"environment variable {variable}")
        key, _, rest = variable.removeprefix(_OVERRIDE).partition("__")
        entry = Entry(environ[variable], at, at)
        key = ALIASES.get(key.lower(), key.lower())
        if key == "configuration" and rest:
            # Some systems have only upper-case variables, so a key that exists in another case
            # is meant.
            present = merged.get("configuration")
            names = present.value if present and isinstance(present.value, dict) else {}
            spelled = rest if rest in names else Names(names).find(rest) or rest
            configuration[spelled] = entry
        elif key in KEYS and key not in NESTED and not rest:
            found[key] = entry
        else:
            known = [f"{_OVERRIDE}{k.upper()}" for k in KEYS if k not in NESTED]
            known.append(f"{_OVERRIDE}CONFIGURATION__NAME")
            problems.append(
                SpecError(
                    f"{variable} overrides no setting",
                    location=at,
                    nearest=nearest(variable, known),
                )
            )
    if configuration:
        at = next(iter(configuration.values())).at
        found["configuration"] = Entry(configuration, at, at)
    return found


def _validate(merged: Entries, spec: Path, problems: list[QanatError]) -> Settings | None:
    check_storage(merged.get("storage"), problems)
    found = validated(merged, spec.name, problems)
    if found is not None and found.dialect is None and spec.name in SDP_SPECS:
        return replace(found, dialect=SPARK.name)
    return found


def _check_configuration(configuration: Entry | None, problems: list[QanatError]) -> None:
    """Add a problem for each default of a table property that no table could have."""
    given = configuration.value if configuration else None
    entries = given if isinstance(given, dict) else {}
    for key, given_at in ((k, e.key_at) for k, e in entries.items()):
        # A protection that is misspelled would protect nothing.
        if key not in _DEFAULTS and fold(key).startswith("qanat."):
            problems.append(
                SpecError(
                    f"no configuration {key!r}",
                    location=given_at,
                    wanted=" or ".join(_DEFAULTS),
                    nearest=nearest(key, _DEFAULTS),
                )
            )
    for key, allowed in _CHOICES.items():
        if (entry := entries.get(key)) is not None and fold(str(entry.text)) not in allowed:
            near = nearest(str(entry.text), allowed)
            problems.append(_unfit(key, entry, " or ".join(allowed), near))
    for key, (parse, wanted) in _READ.items():
        if (entry := entries.get(key)) is not None:
            try:
                parse(str(entry.text))
            except ValueError:
                problems.append(_unfit(key, entry, wanted))


def _unfit(key: str, entry: Entry, wanted: str, near: str | None = None) -> SpecError:
    return SpecError(
        f"configuration {key!r} does not fit",
        location=entry.at,
        wanted=wanted,
        got=repr(entry.text),
        nearest=near,
    )


def _check_format(
    settings: Settings,
    formats: Callable[[str], TableFormat],
    merged: Entries,
    spec: Path,
    problems: list[QanatError],
) -> None:
    """Add a problem for a table format that there is not, or each option that it does not have."""
    whole = Entry({}, Location(spec.name), Location(spec.name))
    at = merged.get("table_format", whole).at
    given = merged.get("storage_options", whole)
    entries = given.value if isinstance(given.value, dict) else {}
    before = len(problems)
    try:
        known = formats(settings.table_format)
        options = known.options
        if is_url(settings.storage) and not known.object_stores:
            problems.append(
                SpecError(
                    f"{settings.table_format} tables cannot be kept in an object store yet",
                    location=merged["storage"].at,
                    got=settings.storage,
                    hint="use `table_format: delta`, or a folder",
                )
            )
        for name, value in settings.storage_options.items():
            try:
                options.check(name, value, entries[name].key_at)
            except OptionError as error:
                problems.append(error)
        if len(problems) == before:
            options.check_all(settings.storage_options.items(), given.key_at)
    except OptionError as error:
        error.location = error.location or at
        problems.append(error)


def _dialect(
    settings: Settings,
    engines: Callable[[str], EngineKind],
    merged: Entries,
    spec: Path,
    problems: list[QanatError],
) -> str | None:
    """The dialect of the project's SQL; None, and a problem, if its engine does not know it."""

    def at(key: str) -> Location:
        entry = merged.get(key)
        return Location(spec.name) if entry is None else entry.at

    try:
        engine = engines(settings.engine)
    except OptionError as error:
        problems.append(
            SpecError(
                error.message, location=at("engine"), wanted=error.wanted, nearest=error.nearest
            )
        )
        return None
    dialect = settings.dialect or engine.dialect
    if dialect not in engine.dialects:
        problems.append(
            SpecError(
                "dialect does not fit",
                location=at("dialect"),
                wanted=" or ".join(engine.dialects),
                got=repr(dialect),
                nearest=nearest(dialect, engine.dialects),
            )
        )
        return None
    return dialect
