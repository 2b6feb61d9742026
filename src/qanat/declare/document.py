"""Reads YAML with the location of each value, and the environment's variables in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import yaml

from qanat.errors import Location, QanatError, SpecError
from qanat.frozen import Frozen
from qanat.secret import remember

Content: TypeAlias = "str | int | float | bool | dict[str, Entry] | list[Entry] | None"

_MOST_VALUES = 100_000
"""What no author has written: a few lines of aliases to lists of aliases make billions."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# Without its end, or with a name that no variable has. (SDP's `${a.b}` is not for this file.)
_BROKEN = re.compile(r"\$\{(?:[^}]*$|\}|[^A-Za-z_}][^}]*\})")


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


def read(
    text: str, file: str, environ: Mapping[str, str] | None, problems: list[QanatError]
) -> Entry:
    """Parse one YAML document and expand `${VAR}` and `${VAR:-default}` in its strings.

    Args:
        text: the document.
        file: the file's name in messages.
        environ: the environment variables; None: strings stay as they are written.
        problems: gains errors for duplicate keys, keys that are no text, and missing variables.

    Raises:
        SpecError: the text is not YAML.
    """
    loader, node = _parse(text, file)
    start = Location(file, 1, 1)
    if node is None:
        return Entry(None, start, start)
    try:
        if _size(node, {}) > _MOST_VALUES:
            raise SpecError(
                f"the spec has more than {_MOST_VALUES:,} values: its aliases multiply each other",
                location=start,
            )
        return _Reader(loader, file, environ, problems).entry(node, start)
    except RecursionError as error:
        raise _too_deep(start) from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has, each as often as aliases repeat it."""
    if id(node) not in known:
        known[id(node)] = 1  # if the node is a part of itself: `entry` tells
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = (n for part in parts for n in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(node)]


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
        environ: Mapping[str, str] | None,
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
            if self._environ is None:
                return value
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
            remember(name, environ[name])
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

    expanded = _VARIABLE.sub(replace, value)
    if "${" in value and (broken := _BROKEN.search(value)):
        report(
            SpecError(
                "`${` begins the name of an environment variable",
                location=at,
                wanted="${NAME} or ${NAME:-default}",
                got=repr(broken.group()[:20]),
            )
        )
    return expanded
