"""What an adapter says of itself before its code is loaded: its names, and its options.

Each adapter's package has one such value; one line in `qanat.plugins` (or an entry point) names
it. Classes are named as `package.module:Class` and imported when first used. What an author may
write, how it is checked, and what errors and the reference say comes from one tuple of `Option`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from string import Formatter
from typing import Any

from qanat.errors import Location, OptionError, Problems, nearest
from qanat.frozen import Frozen
from qanat.model.name import fold
from qanat.model.query import SourceRef, dataset_ref
from qanat.model.schema import Field
from qanat.model.upkeep import parse_duration
from qanat.text import SIZE, parse_size


class ValueType(StrEnum):
    """What the value of an option is."""

    TEXT = "text"
    NAME = "text that is not empty"
    BOOLEAN = "true or false"
    COUNT = "a whole number"
    SIZE = SIZE
    DURATION = "a duration such as 10 seconds"


_UNBOUNDED = 2**63 - 1  # the greatest that SQL's BIGINT has


class Effect(Frozen):
    """What becomes of the rows of a source where an option is on.

    Args:
        adds: columns that they have besides.
        survives: whether a stream goes on where rows of the source are removed or rewritten.
        label: how people call what is read, around the name of the source.
    """

    adds: tuple[Field, ...] = ()
    survives: bool = False
    label: str = "{}"


class Option(Frozen):
    """One option.

    Args:
        name: the canonical name, in snake_case.
        meaning: one line for the reference.
        spellings: other names; all names are compared without case and underscores.
        least, most: the smallest and the greatest value of a number.
        type: of the value.
        choices: the values that there are, if they are few: canonical value by spelling.
        required: whether it must be given.
        identity: whether references that differ in it are two sources, each with its position.
        limits: whether it only limits how much one epoch takes, of what is there.
        effect: what it makes of the rows where it is on; None if it leaves them as they are.
        corrects: the value by which changes of a source replace what was read; empty if none does.
    """

    name: str
    meaning: str
    spellings: tuple[str, ...] = ()
    type: ValueType = ValueType.TEXT
    least: int = 0
    most: int = _UNBOUNDED
    choices: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    identity: bool = False
    limits: bool = False
    effect: Effect | None = None
    corrects: str = ""

    @property
    def is_number(self) -> bool:
        """True if its value is a number."""
        return self.type in (ValueType.COUNT, ValueType.SIZE, ValueType.DURATION)

    @property
    def wanted(self) -> str:
        """What its value is, for the reference and for errors."""
        if self.type is not ValueType.COUNT:
            return str(self.type)
        bounded = self.most < _UNBOUNDED
        return f"{self.type} from {self.least} {f'to {self.most:,}' if bounded else 'on'}"


class OptionTable(Frozen):
    """The options of one function, sink format or adapter.

    Args:
        owner: what they are options of, for messages: `read_files`, `a sink of the format 'csv'`.
        options: in the order of the reference.
        refused: options that exist elsewhere, by name, and what to do instead.

    >>> table = OptionTable("read_files", (Option("header", "…", type=ValueType.BOOLEAN),))
    >>> table.check("Header", "TRUE")
    ('header', True)
    """

    owner: str
    options: tuple[Option, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names."""
        return tuple(o.name for o in self.options)

    def has(self, name: str) -> bool:
        """True if it has an option of that name."""
        key = folded(name)
        return any(key in map(folded, (o.name, *o.spellings)) for o in self.options)

    def find(self, name: str, location: Location | None = None) -> Option:
        """The option of a name.

        Raises:
            OptionError: there is none; names the nearest, or the way out.
        """
        key = folded(name)
        way_out = next((r for n, r in self.refused.items() if folded(n) == key), None)
        if way_out is None:
            for option in self.options:
                if key in map(folded, (option.name, *option.spellings)):
                    return option
        raise OptionError(
            f"{self.owner} has no option {name!r}",
            location=location,
            nearest=None if way_out else nearest(name, self.names),
            hint=way_out,
        )

    def check(self, name: str, value: Any, location: Location | None = None) -> tuple[str, Any]:
        """The canonical name and value of an option.

        Raises:
            OptionError: there is no such option, or the value does not fit.
        """
        option = self.find(name, location)
        return option.name, self._value(option, value, location)

    def check_all(
        self, given: Iterable[tuple[str, Any]], location: Location | None = None
    ) -> dict[str, Any]:
        """Canonical values by canonical name.

        Raises:
            OptionError: one does not exist, does not fit, is given twice or is missing.
            ProblemsError: several do.
        """
        found: dict[str, Any] = {}
        problems = Problems()
        for name, value in given:
            with problems.collecting():
                canonical, checked = self.check(name, value, location)
                if canonical in found:
                    raise OptionError(
                        f"the option {canonical!r} of {self.owner} is given twice",
                        location=location,
                    )
                found[canonical] = checked
        problems.require()  # one that is missing may be one that is misspelled
        for option in self.options:
            if option.required and found.get(option.name) in (None, ""):
                raise OptionError(
                    f"{self.owner} needs the option {option.name!r}",
                    location=location,
                    wanted=f"{option.name} => …: {option.meaning}",
                )
        return found

    def identity(self, options: Iterable[tuple[str, Any]]) -> str:
        """The part of a source's key that its options make; empty if none of them matters."""
        named = {o.name for o in self.options if o.identity}
        chosen = sorted((folded(k), v) for k, v in options if k in named)
        return "&".join(f"{k}={v}" for k, v in chosen)

    def unlimited(self, options: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
        """The options without those that limit an epoch."""
        limits = {o.name for o in self.options if o.limits}
        return tuple((k, v) for k, v in options if k not in limits)

    def _value(self, option: Option, value: Any, location: Location | None) -> Any:
        text = str(value).strip()
        if option.choices:
            found = option.choices.get(text.lower())
            if found is not None:
                return found
        elif option.type is ValueType.BOOLEAN and text.lower() in ("true", "false"):
            return text.lower() == "true"
        elif option.is_number:
            number = _number(option.type, text)
            if number is not None and option.least <= number <= option.most:
                # A duration stays text: a value may be checked twice, and a number has no unit.
                return text if option.type is ValueType.DURATION else number
        elif _is_text(value) and (
            option.type is ValueType.TEXT or (option.type is ValueType.NAME and text)
        ):
            return str(value)
        choices = tuple(dict.fromkeys(option.choices.values()))
        raise OptionError(
            f"the option {option.name!r} of {self.owner} does not fit",
            location=location,
            wanted=" or ".join(choices) if choices else option.wanted,
            got=repr(value),
            nearest=nearest(text, choices) if choices else None,
        )


def _is_text(value: Any) -> bool:
    """True if a value may stand for text: YAML and SQL write some as numbers."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _number(type: ValueType, text: str) -> float | None:
    if type is ValueType.COUNT:
        return int(text) if re.fullmatch("[0-9]{1,19}", text) else None
    try:
        return parse_duration(text) if type is ValueType.DURATION else parse_size(text)
    except ValueError:
        return None


def folded(name: str) -> str:
    """A name for comparison: Databricks writes camelCase, Python and DuckDB snake_case.

    >>> folded("maxFilesPerTrigger")
    'maxfilespertrigger'
    """
    return fold(re.sub(r"[_\W]", "", name))


class TableFunction(Frozen):
    """A table function of SQL that reads from a connector.

    Args:
        options: fixed by the function: `read_csv` fixes `format` to `csv`.
        argument: what its first positional argument is called in messages.
        more: options that may come by their position, behind that.
        places: instead of that argument, options of which one tells what is read.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    argument: str = "path"
    more: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Connector(Frozen):
    """How data comes in from one technology and goes out to it.

    Args:
        name: as in `SourceRef.connector`.
        noun: what people call its sources: `files`, `PostgreSQL`.
        source: the class of its `qanat.ports.source.Source`; None if it only writes.
        sink: the class of its `qanat.ports.sink.Sink`; None if it only reads.
        functions: table functions by name, in lower case; the first is the one to advise.
        formats: what Spark's ``format.`place` `` and a plain string in FROM read, by format.
        options: of the functions.
        sinks: option tables by sink format.
        dialect: of SQL, in which its options mean what they say; in others, calls name theirs.
        replaces: table functions of other systems, in whose place its first function stands.
        hidden: columns of its sources that `SELECT *` leaves out.
        label: how a source is named to people: `{place}`, and options by name in braces.
        key: how the ledger names a source, like `label`; default: by name, place and identity.
        function: the name of the SQL function in fingerprints; default: the first of `functions`.
        own: whether its sources are the project's own datasets.
        locate: gives the `Place` of a source or sink by place, options and the project's folder.
    """

    name: str
    noun: str
    options: OptionTable
    source: str | None = None
    sink: str | None = None
    functions: Mapping[str, TableFunction] = field(default_factory=dict)
    formats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sinks: Mapping[str, OptionTable] = field(default_factory=dict)
    dialect: str | None = None
    replaces: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    label: str = "{place}"
    key: str = ""
    function: str = ""
    own: bool = False
    locate: str | None = None

    @property
    def call(self) -> str:
        """How its first function is called, for hints: `read_table('name', project => …)`."""
        function, reader = next(iter(self.functions.items()))
        needed = [f"{o.name} => …" for o in self.options.options if o.required]
        first = f"{reader.places[0]} => …" if reader.places else f"'{reader.argument}'"
        return f"{function}({', '.join((first, *needed))})"

    def refer(self, place: str, options: Mapping[str, Any]) -> SourceRef:
        """The reference to one of its sources.

        Args:
            options: canonical, as `OptionTable.check` gives them.
        """
        pairs = tuple(options.items())
        made = self._made(place, pairs)
        on = (o.effect for o in self.options.options if o.effect and made.option(o.name))
        for effect in on:
            made = replace(
                made,
                label=effect.label.format(made.label),
                adds=(*made.adds, *effect.adds),
                survives=made.survives or effect.survives,
            )
        corrects = (o for o in self.options.options if o.corrects)
        if any(made.option(o.name) == o.corrects for o in corrects):
            made = replace(made, corrects=True)
        return made

    def keys(self, place: str) -> tuple[str, ...]:
        """The keys of one of its sources, as it is and by each option that makes it another.

        The options are those that say what becomes of its rows.
        """
        chosen = (o.name for o in self.options.options if o.effect and o.identity)
        return (self.refer(place, {}).key, *(self.refer(place, {n: True}).key for n in chosen))

    def _plain(self, pairs: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        """The options without those that say what becomes of the rows: labels tell it in words."""
        telling = {o.name for o in self.options.options if o.effect}
        return tuple((k, v) for k, v in pairs if k not in telling)

    def _made(self, place: str, pairs: tuple[tuple[str, Any], ...]) -> SourceRef:
        identity = self.options.identity(pairs)
        if self.own:
            ref = dataset_ref(place)
            key = f"{ref.key}?{identity}" if identity else ref.key
            return replace(ref, options=pairs, key=key)
        named = f"{self.name}:{place}?{identity}" if identity else f"{self.name}:{place}"
        return SourceRef(
            self.name,
            place,
            pairs,
            key=self._written(self.key, place, pairs) if self.key else named,
            noun=self.noun,
            label=self._written(self.label, place, self._plain(pairs)),
            function=self.function or next(iter(self.functions), ""),
            hidden=self.hidden,
        )

    def _written(self, template: str, place: str, pairs: tuple[tuple[str, Any], ...]) -> str:
        """A name by a template, and behind it the other options that tell sources apart."""
        named = {name for _, name, _, _ in Formatter().parse(template) if name}
        text = template.format(place=place, **dict(pairs))
        more = self.options.identity((k, v) for k, v in pairs if k not in named)
        return f"{text}?{more}" if more and named - {"place"} else text


class Connectors(Frozen):
    """All connectors that a project may use, by name."""

    by_name: Mapping[str, Connector]

    @property
    def all(self) -> tuple[Connector, ...]:
        """Each once."""
        return tuple(self.by_name.values())

    def reading(self, function: str) -> Connector | None:
        """The connector whose table function this is (lower case); None if there is none."""
        return next((c for c in self.all if function in c.functions), None)

    def having(self, function: str) -> tuple[Connector, ...]:
        """All that have a table function of that name (lower case)."""
        return tuple(c for c in self.all if function in c.functions)

    def instead_of(self, function: str) -> Connector | None:
        """The connector to use in the place of a function of another system (lower case)."""
        return next((c for c in self.all if function in c.replaces), None)

    def reading_format(self, format: str) -> Connector | None:
        """The connector that reads a format by its name alone."""
        return next((c for c in self.all if format in c.formats), None)

    def writing(self, format: str) -> Connector | None:
        """The connector of a sink format."""
        return next((c for c in self.all if format in c.sinks), None)

    @property
    def sinks(self) -> tuple[str, ...]:
        """All sink formats."""
        return tuple(f for c in self.all for f in c.sinks)
