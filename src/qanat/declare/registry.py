"""Collects the declarations of a project's files, and their problems; which names are allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from sqlglot import exp

from qanat.errors import DuplicateNameError, Location, OptionError, Problems, QanatError
from qanat.model.adapter import Connectors
from qanat.model.expectation import Expectation
from qanat.model.function import UserFunction
from qanat.model.name import Named, Names, fold
from qanat.model.pipeline import QUARANTINE, Dataset, Flow, ProjectSpec
from qanat.model.side import STATE, is_state

_MAX_BYTES = 200
_FORBIDDEN = frozenset('/\\:*?"<>|')
_Declared: TypeAlias = Dataset | Flow | Expectation | UserFunction


def strip_prefix(parts: tuple[str, ...], project: ProjectSpec) -> str:
    """A dataset's name without the project's own catalog and schema, or DLT's prefix `live`.

    A name in another schema keeps its prefix, with dots.
    """
    folded = tuple(fold(p) for p in parts)
    own: list[tuple[str, ...]] = [("live",)]
    if project.schema:
        own.append((fold(project.schema),))
        if project.catalog:
            own.append((fold(project.catalog), fold(project.schema)))
    return parts[-1] if folded[:-1] in own else ".".join(parts)


def quoted(name: str, dialect: str) -> str:
    """An identifier in the dialect's quotes.

    >>> quoted("a b", "spark")
    '`a b`'
    """
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect)


def check_name(name: str, location: Location) -> None:
    """Refuse a name that cannot be used for a folder or file, or that a table beside another has.

    A dataset's folder has its name, and files of a sink begin with the name of their flow.

    Raises:
        OptionError: the name cannot be used.
    """
    if fold(name).endswith(QUARANTINE):
        raise OptionError(
            f"the name {name!r} belongs to a quarantine table",
            location=location,
            hint=f"choose a name that does not end in {QUARANTINE}",
        )
    if is_state(name):
        raise OptionError(
            f"the name {name!r} belongs to the state of a flow",
            location=location,
            hint=f"choose a name that neither ends in {STATE} nor has {STATE}__ in it",
        )
    bad = next((c for c in name if c in _FORBIDDEN or not c.isprintable()), None)
    if bad is not None:
        raise OptionError(
            f"the name {name!r} cannot be a folder's name",
            location=location,
            got=f"character {bad!r}",
        )
    if not name.strip(". ") or name != name.strip() or len(name.encode()) > _MAX_BYTES:
        raise OptionError(
            f"the name {name[:40]!r} cannot be a folder's name",
            location=location,
            wanted=f"1 to {_MAX_BYTES} bytes, no space at either end, not only dots",
        )


class Registry:
    """Datasets and flows in the order they were declared, and the problems found so far.

    Args:
        project: that they are declared in.
        connectors: what its queries may read from, and its sinks write to.
        formats: the names of all table formats.

    Attributes:
        unread: statements and files that could not be read so far that it is known what they
            declare; None for one whose text does not tell the names either.
    """

    def __init__(
        self, project: ProjectSpec, connectors: Connectors, formats: Sequence[str] = ()
    ) -> None:
        self.project = project
        self.connectors = connectors
        self.formats = formats
        self.problems = Problems()
        self.unread: list[str | None] = []
        self._datasets: Named[Dataset] = Named()
        self._flows: Named[Flow] = Named()
        self._functions: Named[UserFunction] = Named()
        self._twice = Names()

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """All datasets so far."""
        return tuple(self._datasets.values())

    @property
    def flows(self) -> tuple[Flow, ...]:
        """All flows so far."""
        return tuple(self._flows.values())

    @property
    def functions(self) -> tuple[UserFunction, ...]:
        """All functions of SQL so far."""
        return tuple(self._functions.values())

    def add(self, dataset: Dataset) -> None:
        """Add a dataset; if another one has its name, add a problem instead."""
        with self.problems.collecting():
            check_name(dataset.name, dataset.location)
        other = self._datasets.setdefault(dataset.name, dataset)
        if other is not dataset:
            self._twice.add(dataset.name)
            self.problems.append(_duplicate("datasets", dataset, other))
        self.problems += duplicate_rules(dataset.name, dataset.expectations)

    def expect(self, name: str, more: Sequence[Expectation]) -> None:
        """Give a dataset more expectations than it has declared itself."""
        dataset = self._datasets[name]
        given = (*dataset.expectations, *more)
        self._datasets[name] = replace(dataset, expectations=given)

    def add_flow(self, flow: Flow) -> None:
        """Add a flow; if another one has its name, add a problem instead."""
        if flow.name != flow.target:
            with self.problems.collecting():
                check_name(flow.name, flow.location)
        other = self._flows.setdefault(flow.name, flow)
        # Two datasets with the same name also have flows with the same name: report that once.
        if other is not flow and not (flow.name == flow.target and flow.name in self._twice):
            self.problems.append(_duplicate("flows", flow, other))

    def add_function(self, function: UserFunction) -> None:
        """Add a function; if another one has its name, add a problem instead."""
        other = self._functions.setdefault(function.name, function)
        if other is not function:
            self.problems.append(_duplicate("functions", function, other))

    @contextmanager
    def nameless(self, text: str | None) -> Iterator[None]:
        """Keep the text if the block raises, which reads from it what a declaration is called."""
        try:
            yield
        except QanatError:
            self.unread.append(None if text is not None and "${" in text else text)
            raise

    @contextmanager
    def named(self, bare: Dataset) -> Iterator[None]:
        """Add the dataset without what is said of it if the block raises.

        Else everything that reads it would be a second problem.
        """
        try:
            yield
        except QanatError:
            self.add(bare)
            raise


def duplicate_rules(dataset: str, expectations: Iterable[Expectation]) -> Iterator[QanatError]:
    """An error for each expectation with a name that an earlier one of the dataset has."""
    seen: Named[Expectation] = Named()
    for rule in expectations:
        other = seen.setdefault(rule.name, rule)
        if other is not rule:
            yield _duplicate(f"expectations of {dataset!r}", rule, other)


def _duplicate(what: str, new: _Declared, old: _Declared) -> DuplicateNameError:
    hint = f"the first is at {old.location}; rename one of them"
    if isinstance(new, Flow) and new.name == new.target:
        # It has no name of its own: it is APPLY CHANGES INTO, or the table's own query.
        hint = f"the first is at {old.location}; write this one as CREATE FLOW name AS …"
    return DuplicateNameError(
        f"two {what} are named {new.name!r}", location=new.location, hint=hint
    )
