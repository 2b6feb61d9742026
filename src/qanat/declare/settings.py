"""The keys of a spec and the values that they allow, read from YAML with their locations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, TypeAlias

import yaml

from qanat.declare.files import DEFAULT_LIBRARIES
from qanat.errors import Location, OptionError, QanatError, SpecError
from qanat.frozen import Frozen
from qanat.model.adapter import Option, OptionTable, ValueType
from qanat.model.pipeline import Drift, ProjectSpec

Content: TypeAlias = "str | int | float | bool | dict[str, Entry] | list[Entry] | None"

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Entry(Frozen):
    """One YAML value with its location.

    Args:
        value: the value; nested values are entries, too.
        at: the location of the value.
        key_at: the location of its key; for a list item, its own.
        written: what the author wrote, for a number or a truth value.
    """

    value: Content
    at: Location
    key_at: Location
    written: str | None = None

    @property
    def text(self) -> Any:
        """The value where text is wanted: YAML would make 8 of 010, and 45000 of 12:30:00."""
        return self.plain if self.written is None else self.written

    @property
    def plain(self) -> Any:
        """The value without locations, as nested dicts and lists."""
        if isinstance(self.value, dict):
            return {key: entry.plain for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain for entry in self.value]
        return self.value


def read(text: str, file: str, environ: Mapping[str, str], problems: list[QanatError]) -> Entry:
    """Parse one YAML document and expand `${VAR}` and `${VAR:-default}` in its strings.

    Args:
        text: the document.
        file: the file's name in messages.
        environ: the environment variables.
        problems: gains errors for duplicate keys, keys that are no text, and missing variables.

    Raises:
        SpecError: the text is not YAML.
    """
    loader, node = _parse(text, file)
    start = Location(file, 1, 1)
    if node is None:
        return Entry(None, start, start)
    try:
        return _Reader(loader, file, environ, problems).entry(node, start)
    except RecursionError as error:
        raise _too_deep(start) from error


def _too_deep(at: Location) -> SpecError:
    return SpecError("the spec is nested too deeply", location=at)


def _parse(text: str, file: str) -> tuple[yaml.SafeLoader, yaml.Node | None]:
    try:
        loader = yaml.SafeLoader(text)
        return loader, loader.get_single_node()
    except RecursionError as error:
        raise _too_deep(Location(file)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        tab = "found character '\\t'" in (error.problem or "")
        raise SpecError(
            f"not YAML: {error.problem}",
            location=at,
            hint="indent with spaces; YAML does not allow tabs" if tab else None,
        ) from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"not YAML: {reason}", location=Location(file)) from error


class _Reader:
    """Makes entries of the nodes of one document; the arguments are those of `read`."""

    def __init__(
        self,
        loader: yaml.SafeLoader,
        file: str,
        environ: Mapping[str, str],
        problems: list[QanatError],
    ) -> None:
        self._loader = loader
        self._file = file
        self._environ = environ
        self._problems = problems
        self._open: list[yaml.Node] = []

    def entry(self, node: yaml.Node, key_at: Location) -> Entry:
        """The entry of a node under the key at a location."""
        if any(node is outer for outer in self._open):
            problem = SpecError("an alias refers to what it is part of", location=key_at)
            self._problems.append(problem)
            return Entry("", self._place(node), key_at)
        self._open.append(node)
        try:
            value = self._value(node)
            written = str(node.value) if isinstance(value, bool | int | float) else None
            return Entry(value, self._place(node), key_at, written)
        finally:
            self._open.pop()

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.entry(item, self._place(item)) for item in node.value]
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            # Such as 2026-13-45, which YAML tags as a date and then cannot make one of.
            value = str(node.value)
        if isinstance(value, str):
            self._check(value, node)
            return expand(value, self._environ, self._place(node), self._problems.append)
        # Dates and other YAML types stay text, and so do whole numbers of more than 64 bits:
        # Python refuses to print very long ones.
        known = value is None or isinstance(value, bool | float) or _is_short(value)
        return value if known else node.value

    def _check(self, text: str, node: yaml.Node) -> None:
        """Add a problem for text that neither a file nor a database can have."""
        try:
            text.encode()
        except UnicodeEncodeError:
            odd = "half of a surrogate pair"
        else:
            odd = "the character NUL" if "\0" in text else ""
        if odd:
            self._problems.append(
                SpecError(f"a value contains {odd}", location=self._place(node), got=ascii(text))
            )

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Entry]:
        self._problems += self._doubled(node)
        # Expand `<<: *anchor` only now: it may repeat keys, which is allowed.
        try:
            self._loader.flatten_mapping(node)
        except yaml.YAMLError:
            wanted = "<<: *anchor, where the anchor is of a mapping"
            self._problems.append(
                SpecError("`<<` does not fit", location=self._place(node), wanted=wanted)
            )
            return {}
        entries: dict[str, Entry] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                entries[key.value] = self.entry(value, self._place(key))
            else:
                self._problems.append(SpecError("a key must be text", location=self._place(key)))
        return entries

    def _doubled(self, node: yaml.MappingNode) -> Iterator[QanatError]:
        seen: dict[str, Location] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                yield SpecError(
                    f"key {name!r} is given twice",
                    location=self._place(key),
                    hint=f"the first is at {seen[name]}; keep one of them",
                )
            seen.setdefault(name, self._place(key))

    def _place(self, node: yaml.Node) -> Location:
        return Location(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _is_short(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() <= 64


def expand(
    value: str,
    environ: Mapping[str, str],
    at: Location,
    report: Callable[[QanatError], None],
) -> str:
    """Replace `${VAR}` by the environment variable, and `${VAR:-default}` by it or the default.

    Args:
        value: the text.
        environ: the environment variables.
        at: the text's location, for errors.
        report: called with an error for each variable that is neither set nor has a default.

    >>> expand("s-${STAGE:-dev}", {}, Location("qanat.yml"), print)
    's-dev'
    """

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in environ:
            return environ[name]
        if default is not None:
            return default
        report(
            SpecError(
                f"environment variable {name} is not set",
                location=at,
                hint=f"set it, or give a default: ${{{name}:-…}}",
            )
        )
        return match.group()

    return _VARIABLE.sub(replace, value)


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
    ),
)
"""All keys that an author may write."""

KEYS = SETTINGS.names
MAPPINGS = ("configuration", "storage_options")
"""The keys whose values are mappings."""


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
    for key, entry in entries.items():
        if entry.value is None:
            continue
        if key == "libraries":
            found[key] = _globs(entry, problems)
        elif key in MAPPINGS:
            found[key] = _texts(key, entry, problems)
        else:
            found[key] = _checked(key, entry, problems)
    for option in SETTINGS.options:
        if option.required and option.name not in found:
            text = f"{option.name!r} is missing"
            problems.append(SpecError(text, location=Location(file), wanted=f"{option.name}: …"))
    if len(problems) > before:
        return None
    if "schema_drift" in found:
        found["schema_drift"] = Drift(found["schema_drift"])
    return Settings(**found)


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
