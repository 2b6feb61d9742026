"""Reads data contracts (`contracts/*.yaml`, the Open Data Contract Standard, version 3).

Each object of a contract's schema is a dataset of the project. What the contract says of it
becomes expectations of the dataset; its columns and keys are kept as a `Promise`, which `breaking`
compares with what the project declares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qanat.declare.check.files import arguments_of
from qanat.declare.check.kinds import FORMATS, KINDS
from qanat.declare.check.making import SAID
from qanat.declare.check.metrics import About, check_of_quality
from qanat.declare.check.schema import check_contract, field, items
from qanat.declare.check.selected import Group, Selector, Written
from qanat.declare.check.value import Check
from qanat.declare.document import Entry, read
from qanat.declare.files import CONTRACTS
from qanat.declare.registry import Registry, strip_prefix
from qanat.declare.types import parse_type
from qanat.errors import Location, Problems, QanatError, SpecError, TypeNameError, UnsupportedError
from qanat.frozen import Frozen
from qanat.model.contract import Note, Promise, PromisedColumn
from qanat.model.schema import DataType

_OURS = "qanat."
_SEVERITIES = {"info": "low", "warning": "medium", "warn": "medium", "error": "high"}
_SOFT = ("info", "warning", "warn", "low")
_BOUNDS = (
    ("minimum", "min", False),
    ("maximum", "max", False),
    ("exclusiveMinimum", "min", True),
    ("exclusiveMaximum", "max", True),
)
"""Options of numbers and dates: the end of a range, and whether it does not belong to it."""
_UNITS = {
    **dict.fromkeys(("d", "day", "days"), "DAYS"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "HOURS"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "MINUTES"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "SECONDS"),
    **dict.fromkeys(("w", "week", "weeks"), "WEEKS"),
}


class Contracts(Frozen):
    """All that the contracts of a project say, or one of them.

    Args:
        version: of a single one, its name and version.
    """

    groups: tuple[Group, ...] = ()
    promises: tuple[Promise, ...] = ()
    notes: tuple[Note, ...] = ()
    version: str = ""


def load_contracts(registry: Registry) -> Contracts:
    """Read all contracts of a project; what is wrong with them goes to the registry's problems."""
    folder = registry.project.root / CONTRACTS
    groups: list[Group] = []
    promises: list[Promise] = []
    notes: list[Note] = []
    for path in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
        shown = path.relative_to(registry.project.root).as_posix()
        before = len(registry.problems)
        with registry.problems.collecting():
            document = _read(path.read_bytes(), shown, registry.problems)
            registry.problems.extend(check_contract(document))
            if len(registry.problems) == before:
                found = contract_of(document, registry)
                groups += found.groups
                promises += found.promises
                notes += found.notes
    return Contracts(tuple(groups), tuple(promises), tuple(notes))


def _read(content: bytes, shown: str, problems: list[QanatError]) -> Entry:
    try:
        return read(content.decode("utf-8-sig"), shown, None, problems)
    except UnicodeDecodeError as error:
        raise SpecError(
            f"cannot read {shown}: it is not UTF-8", location=Location(shown)
        ) from error


def contract_of(document: Entry, registry: Registry) -> Contracts:
    """What one contract says, which is as the standard has it."""
    reader = _Reader(document, registry)
    pairs = [reader.dataset(each) for each in items(document, "schema")]
    groups, promises = [p[0] for p in pairs], [p[1] for p in pairs]
    groups += reader.sla()
    return Contracts(tuple(groups), tuple(promises), tuple(reader.notes), reader.version)


def read_contract(path: Path, registry: Registry) -> Contracts:
    """What one file says, wherever it lies.

    Raises:
        ProblemsError: it is not as the standard has it.
        SpecError: it cannot be read.
    """
    problems = Problems()
    with problems.collecting():
        document = _read(path.read_bytes(), path.as_posix(), problems)
        problems.extend(check_contract(document))
    problems.require()
    return contract_of(document, registry)


class _Reader:
    """Reads one contract."""

    def __init__(self, document: Entry, registry: Registry) -> None:
        self.notes: list[Note] = []
        self._document = document
        self._registry = registry
        self._dialect = registry.project.dialect
        name = _text(document, "name") or _text(document, "id") or "contract"
        self.version = f"{name} {_text(document, 'version') or ''}".strip()
        self._owner = _owner(document)
        self._said = _custom(document)
        self._names = {_text(o, "name") or "": self._named(o) for o in items(document, "schema")}

    def _named(self, entry: Entry) -> str:
        name = (
            _custom(entry).get("dataset") or _text(entry, "physicalName") or _text(entry, "name")
        )
        return strip_prefix(tuple(str(name).split(".")), self._registry.project)

    def dataset(self, entry: Entry) -> tuple[Group, Promise]:
        """The checks of one object of the schema, and what is promised of it."""
        name = self._named(entry)
        said = {**self._said, **_custom(entry)}
        written: list[Written] = []
        columns: list[PromisedColumn] = []
        parts: list[PromisedColumn] = []
        keyed: list[tuple[int, str, Location, Mapping[str, Any]]] = []
        for each in items(entry, "properties"):
            column = _text(each, "physicalName") or _text(each, "name") or ""
            columns.append(self._column(each, column))
            parts += self._parts(each, column)
            own = {**said, **_custom(each)}
            if _true(each, "primaryKey"):
                at = field(each, "primaryKey")
                position = field(each, "primaryKeyPosition")
                number = position.value if position and isinstance(position.value, int) else 0
                keyed.append((number, column, at.key_at if at else each.at, own))
            for check, place in self._of_column(each, column):
                written.append(self._written(check, place, own))
            written += self._quality(each, name, column, own)
        keys = tuple(column for _, column, *_ in sorted(keyed, key=lambda k: k[0]))
        if keys:
            unique = Check("unique", (("columns", keys),))
            written.append(self._written(unique, *keyed[0][2:]))
        if columns:
            given = {c.name: str(c.type) if c.type else None for c in columns}
            has = Check("columns", (("columns", given),)).named("contract_columns")
            at = field(entry, "properties")
            written.append(self._written(has, at.key_at if at else entry.at, {"action": "fail"}))
        written += self._quality(entry, name, None, said)
        name_at = field(entry, "physicalName") or field(entry, "name") or entry
        selector = Selector(((name, name_at.at),))
        promise = Promise(name, self.version, name_at.at, tuple(columns), keys, tuple(parts))
        return Group(selector, _apart(written), entry.at, f"contract {self.version}"), promise

    def _column(self, entry: Entry, name: str) -> PromisedColumn:
        at = (field(entry, "physicalName") or field(entry, "name") or entry).at
        kind: DataType | None = None
        physical = field(entry, "physicalType")
        if physical is not None:
            try:
                kind = parse_type(str(physical.text), self._dialect, physical.at)
            except TypeNameError:
                self._note(f"type {physical.text}", "it is no type of this project", physical.at)
        required = _true(entry, "required") or _true(entry, "primaryKey")
        return PromisedColumn(name, at, kind, _text(entry, "logicalType"), required)

    def _parts(self, entry: Entry, name: str) -> Iterator[PromisedColumn]:
        """What a column consists of, at any depth."""
        inner = field(entry, "items")
        found = [(each, f"{name}.{_text(each, 'name')}") for each in items(entry, "properties")]
        for each, called in [*found, *([] if inner is None else [(inner, f"{name}[]")])]:
            yield self._column(each, called)
            yield from self._parts(each, called)

    def _of_column(self, entry: Entry, column: str) -> Iterator[tuple[Check, Location]]:
        """The checks that the keys of a property make."""
        for key in ("required", "primaryKey"):
            given = field(entry, key)
            if given is not None and given.value is True:
                yield Check("not_null", (("columns", (column,)),)), given.key_at
                break
        if (unique := field(entry, "unique")) is not None and unique.value is True:
            yield Check("unique", (("columns", (column,)),)), unique.key_at
        values = [field(each, "value") for each in items(entry, "enum")]
        if values and (enum := field(entry, "enum")) is not None:
            known = tuple(each.plain for each in values if each is not None)
            yield _nullable("one_of", column, enum.key_at, values=known)
        for each in items(entry, "relationships"):
            target = _text(each, "to") or ""
            dataset, _, name = target.rpartition(".")
            found = self._names.get(dataset, dataset)
            arguments = (("columns", (column,)), ("dataset", found), ("target", (name,)))
            yield Check("references", arguments), each.at
        yield from self._options(entry, column)
        if items(entry, "properties"):
            self._note(f"properties of {column}", "only columns are checked", entry.at)

    def _options(self, entry: Entry, column: str) -> Iterator[tuple[Check, Location]]:
        options = field(entry, "logicalTypeOptions")
        given = options.value if options and isinstance(options.value, dict) else {}
        plain = {key: each.plain for key, each in given.items()}
        at = options.key_at if options else entry.at
        if "minLength" in plain or "maxLength" in plain:
            low, high = plain.get("minLength"), plain.get("maxLength")
            yield _nullable("length", column, at, min=low, max=high)
        if "pattern" in plain:
            yield _nullable("matches", column, given["pattern"].key_at, pattern=plain["pattern"])
        ranges = [*_bounds(plain)]
        for each in ranges:
            check, _ = _nullable("between", column, at, **each)
            end = "min" if "min" in each else "max"
            # Two checks of one column and kind would have one name.
            yield (check if len(ranges) < 2 else check.named(f"{column}_{end}")), at
        text = str(plain.get("format", ""))
        if text in FORMATS and _text(entry, "logicalType") == "string":
            yield _nullable("format", column, given["format"].key_at, name=text)
        elif text:
            self._note(f"format {text} of {column}", "no check is of it", given["format"].at)
        known = ("minLength", "maxLength", "pattern", "format", *(name for name, _, _ in _BOUNDS))
        for key in given:
            if key not in known:
                self._note(f"{key} of {column}", "no check is of it", given[key].key_at)

    def _quality(
        self, entry: Entry, dataset: str, column: str | None, said: Mapping[str, Any]
    ) -> Iterator[Written]:
        for each in items(entry, "quality"):
            own = {**said, **_custom(each)}
            try:
                check = self._ours(each)
                if check is None:
                    names = (dataset, _text(entry, "name") or dataset)
                    check = check_of_quality(each, About(names, column, self._dialect))
            except UnsupportedError as error:
                named = _text(each, "name") or _text(each, "description") or "a quality rule"
                self._note(f"{named} (of {column or dataset})", error.message, each.at)
                continue
            yield self._written(self._described(check, each, own, column), each.at, own)

    def _ours(self, quality: Entry) -> Check | None:
        """A check that Qanat has written down itself, where the standard has no word for it."""
        if _text(quality, "engine") != "qanat":
            return None
        written = field(quality, "implementation")
        fields = written.value if written and isinstance(written.value, dict) else {}
        kind = next((key for key in fields if key in KINDS), None)
        if kind is None:
            raise UnsupportedError("its implementation is no check of Qanat")
        given, _ = arguments_of(kind, fields[kind])
        said = tuple((key, fields[key].plain) for key in SAID if key in fields)
        return Check(kind, tuple(given.items()), said)

    def _described(
        self, check: Check, quality: Entry, said: Mapping[str, Any], column: str | None
    ) -> Check:
        name, description = _text(quality, "name"), _text(quality, "description")
        slug = re.sub(r"\W+", "_", name or "").strip("_").lower()
        if not slug and check.kind in ("sql", "aggregate"):
            metric = _text(quality, "metric") or _text(quality, "rule") or "rule"
            slug = "_".join(filter(None, (column, re.sub(r"(?<!^)([A-Z])", r"_\1", metric))))
        level = str(said.get("severity") or _text(quality, "severity") or "").lower()
        severity = _SEVERITIES.get(level, level)
        action = said.get("action") or ("warn" if level in _SOFT else None)
        known = {
            "name": slug.lower() or None,
            "comment": description or (name if name and name != slug else None),
            "severity": severity if severity in ("low", "medium", "high", "critical") else None,
            "dimension": _text(quality, "dimension"),
            "tags": tuple(str(tag.text) for tag in items(quality, "tags")) or None,
            "action": action,
        }
        return check.having(**{k: v for k, v in known.items() if check.get(k) is None})

    def _written(self, check: Check, at: Location, said: Mapping[str, Any]) -> Written:
        kept = {k: v for k, v in said.items() if k in SAID and check.get(k) is None}
        found = {"owner": self._owner, "action": "fail", **kept}
        more = {k: v for k, v in found.items() if check.get(k) is None}
        return Written(check.having(**more), at)

    def sla(self) -> list[Group]:
        """The checks of the contract's service levels."""
        found = []
        for each in items(self._document, "slaProperties"):
            word, element = _text(each, "property") or "", _text(each, "element") or ""
            name, _, column = element.rpartition(".")
            unit = _UNITS.get((_text(each, "unit") or "").lower())
            value = field(each, "value")
            if word.lower() not in ("freshness", "fr") or not name or unit is None or not value:
                self._note(f"service level {word}", "no check is of it", each.at)
                continue
            within = f"{value.text} {unit}"
            check = Check("fresh", (("column", column), ("within", within)))
            selector = Selector(((self._names.get(name, name), each.at),))
            written = self._written(check, each.at, self._said)
            found.append(Group(selector, (written,), each.at, f"contract {self.version}"))
        return found

    def _note(self, what: str, why: str, at: Location) -> None:
        self.notes.append(Note(what, why, at))


def _bounds(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The ranges that options ask for: two if one of two ends belongs to it and the other not."""
    found: dict[bool, dict[str, Any]] = {}
    for name, end, strict in _BOUNDS:
        if name in options:
            found.setdefault(strict, {"strict": strict or None})[end] = options[name]
    yield from found.values()


def _nullable(kind: str, column: str, at: Location, **more: Any) -> tuple[Check, Location]:
    given = {"column": column, **{k: v for k, v in more.items() if v is not None}}
    return Check(kind, tuple(given.items())).nulls_pass(), at


def _apart(written: Sequence[Written]) -> tuple[Written, ...]:
    """Checks without those that another one of the contract says, too."""
    seen: dict[object, Written] = {}
    for each in written:
        seen.setdefault(
            repr((each.check.kind, each.check.arguments, each.check.get("nulls"))), each
        )
    return tuple(seen.values())


def _text(entry: Entry, key: str) -> str | None:
    found = field(entry, key)
    return None if found is None else str(found.text)


def _true(entry: Entry, key: str) -> bool:
    found = field(entry, key)
    return found is not None and found.value is True


def _custom(entry: Entry) -> dict[str, Any]:
    """What `customProperties` say for Qanat, by names without their `qanat.`."""
    found = {}
    for each in items(entry, "customProperties"):
        name, value = _text(each, "property") or "", field(each, "value")
        if name.startswith(_OURS) and value is not None:
            found[name.removeprefix(_OURS)] = value.plain
    return found


def _owner(document: Entry) -> str | None:
    """Who answers for the data: the team's owner, its first member, or its name."""
    team = field(document, "team")
    if team is None:
        return None
    members = team.value if isinstance(team.value, list) else items(team, "members")
    owners = [m for m in members if (_text(m, "role") or "").lower() in ("owner", "data owner")]
    for member in (*owners, *members):
        if named := _text(member, "username") or _text(member, "name"):
            return named
    return _text(team, "name")
