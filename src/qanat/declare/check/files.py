"""Reads `checks/*.yml`: checks for datasets that are told by name, by pattern or by tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qanat.declare.check.kinds import KINDS
from qanat.declare.check.making import SAID
from qanat.declare.check.rules import DATASET, rules_of_file
from qanat.declare.check.selected import Group, Selector, Written
from qanat.declare.check.value import Check
from qanat.declare.document import Entry, read
from qanat.declare.environments import check_keys
from qanat.declare.files import CHECKS
from qanat.errors import Location, OptionError, QanatError, SpecError, nearest
from qanat.model.pipeline import ProjectSpec

_TOP = ("version", "parameters", "checks")
_DEFAULTS = ("action", "nulls", "severity", "dimension", "owner")
_GROUP = (DATASET, "datasets", "tagged", "parameters", *_DEFAULTS, "checks", "rules")


def load_checks(project: ProjectSpec, problems: list[QanatError]) -> list[Group]:
    """The groups of checks in all files of a project, in the order of files and lines.

    Args:
        problems: gains what is wrong with the files.
    """
    groups: list[Group] = []
    for path in check_files(project.root):
        shown = path.relative_to(project.root).as_posix()
        try:
            document = read(path.read_text("utf-8-sig"), shown, None, problems)
        except SpecError as error:
            problems.append(error)
        except (OSError, UnicodeDecodeError) as error:
            problems.append(SpecError(f"cannot read {shown}: {error}", location=Location(shown)))
        else:
            groups += _Reader(project, shown, problems).groups(document)
    return groups


def check_files(root: Path) -> list[Path]:
    """The files of checks in a project's folder, sorted by path."""
    folder = root / CHECKS
    return sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")])


class _Reader:
    """Turns the entries of one file into groups; what is wrong goes to `problems`."""

    def __init__(self, project: ProjectSpec, file: str, problems: list[QanatError]) -> None:
        self._project = project
        self._file = file
        self._problems = problems

    def groups(self, document: Entry) -> Iterator[Group]:
        fields = self._fields(document, _TOP, "a file of checks")
        if not fields:
            return
        if "checks" not in fields:
            self._problem("the file has no checks", document.at, "checks: […]")
            return
        values = self._parameters(fields)
        for entry in self._list(fields["checks"], "a list of groups: [{dataset: …, checks: […]}]"):
            yield from self._group(entry, values)

    def _group(self, entry: Entry, values: Mapping[str, str]) -> Iterator[Group]:
        fields = self._fields(entry, _GROUP, "a group of checks")
        if not fields:
            return
        names = [n for key in (DATASET, "datasets") for n in self._names(fields.get(key))]
        selector = Selector(tuple(names), tuple(self._names(fields.get("tagged"))))
        own = {**values, **self._parameters(fields)}
        defaults = {key: fields[key] for key in _DEFAULTS if key in fields}
        checks = self._checks(fields["checks"], own, defaults) if "checks" in fields else []
        rules = fields.get("rules")
        if checks or rules is None:
            if not names and not selector.tagged:
                self._problem("the group is for no dataset", entry.at, "dataset: name")
                return
            if not checks and "checks" not in fields:
                self._problem("the group has no checks", entry.at, "checks: […]")
                return
            yield Group(selector, tuple(checks), entry.at)
        if rules is not None:
            said = {key: each.plain for key, each in defaults.items()}
            yield from rules_of_file(
                self._project, rules, self._file, selector, own, said, self._problems
            )

    def _parameters(self, fields: Mapping[str, Entry]) -> dict[str, str]:
        entry = fields.get("parameters")
        if entry is None:
            return {}
        if not isinstance(entry.value, dict):
            self._problem("parameters are a mapping", entry.at, "name: value")
            return {}
        return {name: str(each.text) for name, each in entry.value.items()}

    def _checks(
        self, entry: Entry, values: Mapping[str, str], defaults: Mapping[str, Entry]
    ) -> list[Written]:
        found = []
        for each in self._list(entry, "a list of checks: [{not_null: id}]"):
            try:
                found.append(self._check(each, values, defaults))
            except QanatError as error:
                self._problems.append(error)
        return found

    def _check(
        self, entry: Entry, values: Mapping[str, str], defaults: Mapping[str, Entry]
    ) -> Written:
        if not isinstance(entry.value, dict):
            raise SpecError(
                "a check is a mapping", location=entry.at, wanted="not_null: id", got=entry.written
            )
        kinds = [key for key in entry.value if key not in SAID]
        known = [key for key in kinds if key in KINDS]
        if len(kinds) != 1:
            raise _which(entry, kinds, known)
        kind, written = kinds[0], entry.value[kinds[0]]
        if not known:
            raise _which(entry, kinds, known)
        arguments, parts = arguments_of(kind, written)
        said = {**defaults, **{k: v for k, v in entry.value.items() if k in SAID}}
        parts |= {key: each.at for key, each in said.items()}
        given = tuple((key, said[key].plain) for key in SAID if key in said)
        check = Check(kind, tuple(arguments.items()), given)
        return Written(check, written.key_at, parts, values)

    def _names(self, entry: Entry | None) -> Iterator[tuple[str, Location]]:
        if entry is None:
            return
        for each in entry.value if isinstance(entry.value, list) else [entry]:
            if isinstance(each.text, str) and each.text.strip():
                yield each.text.strip(), each.at
            else:
                self._problem("this is no name", each.at, "a name, or a pattern such as silver_*")

    def _fields(self, entry: Entry, known: tuple[str, ...], what: str) -> Mapping[str, Entry]:
        if not isinstance(entry.value, dict):
            if entry.value is not None:
                self._problem(f"{what} is a mapping", entry.at, ", ".join(known))
            return {}
        check_keys(entry.value, known, "key", self._problems)
        # A misspelt key counts as the nearest one: then that is not told to be missing, too.
        return {k if k in known else nearest(k, known) or k: e for k, e in entry.value.items()}

    def _list(self, entry: Entry, wanted: str) -> list[Entry]:
        if isinstance(entry.value, list):
            return entry.value
        self._problem("this is no list", entry.at, wanted)
        return []

    def _problem(self, message: str, at: Location, wanted: str | None = None) -> None:
        self._problems.append(SpecError(message, location=at, wanted=wanted))


def arguments_of(kind: str, entry: Entry) -> tuple[dict[str, Any], dict[str, Location]]:
    """The arguments of a check and their places; one alone may stand for itself."""
    known = KINDS[kind]
    if isinstance(entry.value, dict) and (
        kind != "columns" or set(entry.value) & set(known.parameters)
    ):
        given = {key: each.plain for key, each in entry.value.items()}
        return given, {key: each.key_at for key, each in entry.value.items()}
    if known.short is None:
        raise OptionError(
            f"{kind} does not fit",
            location=entry.at,
            wanted=f"{kind}: {{{', '.join(f'{each}: …' for each in known.parameters)}}}",
            got=str(entry.plain),
        )
    return {known.short: entry.plain}, {known.short: entry.at}


def _which(entry: Entry, kinds: list[str], known: list[str]) -> QanatError:
    """What is wrong with a check of which it is not clear of what kind it is."""
    assert isinstance(entry.value, dict)  # noqa: S101 - the caller has looked
    other = next((key for key in kinds if key not in KINDS), None)
    if len(known) > 1 or other is None:
        names = " and ".join(known)
        message = f"one check has several kinds: {names}" if known else "a check has no kind"
        return OptionError(message, location=entry.at, wanted="one kind, such as not_null: id")
    every = (*SAID, *KINDS) if known else (*KINDS, *SAID)
    near = nearest(other, every)
    return OptionError(
        f"no check or key {other!r}" if known else f"no check {other!r}",
        location=entry.value[other].key_at,
        nearest=near,
        wanted=None if near else ", ".join(SAID if known else KINDS),
    )
