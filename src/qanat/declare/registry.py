"""Collects the declarations of a project's files, and their problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from qanat.declare.names import check_name
from qanat.errors import DuplicateNameError, ProblemsError, QanatError
from qanat.model.adapter import Connectors
from qanat.model.dataset import Dataset
from qanat.model.expectation import Expectation
from qanat.model.flow import Flow
from qanat.model.project import Project


class Registry:
    """Datasets and flows in the order they were declared, and the problems found so far."""

    def __init__(self, project: Project, connectors: Connectors) -> None:
        self.project = project
        self.connectors = connectors
        self.problems: list[QanatError] = []
        self._datasets: dict[str, Dataset] = {}
        self._flows: dict[str, Flow] = {}

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """All datasets so far."""
        return tuple(self._datasets.values())

    @property
    def flows(self) -> tuple[Flow, ...]:
        """All flows so far."""
        return tuple(self._flows.values())

    def add(self, dataset: Dataset) -> None:
        """Add a dataset; if another one has its name, add a problem instead."""
        with self.collecting():
            check_name(dataset.name, dataset.location)
        other = self._datasets.setdefault(dataset.name.casefold(), dataset)
        if other is not dataset:
            self.problems.append(_duplicate("datasets", dataset, other))
        self.problems += duplicate_rules(dataset.name, dataset.expectations)

    def add_flow(self, flow: Flow) -> None:
        """Add a flow; if another one has its name, add a problem instead."""
        if flow.name != flow.target:
            with self.collecting():
                check_name(flow.name, flow.location)
        other = self._flows.setdefault(flow.name.casefold(), flow)
        # Two datasets with the same name also have flows with the same name: report that once.
        if other is not flow and not (flow.name == flow.target and other.name == other.target):
            self.problems.append(_duplicate("flows", flow, other))

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add an error of the block to the problems instead of raising it."""
        try:
            yield
        except ProblemsError as error:
            self.problems += error.problems
        except QanatError as error:
            self.problems.append(error)


def duplicate_rules(dataset: str, expectations: Iterable[Expectation]) -> Iterator[QanatError]:
    """An error for each expectation with a name that an earlier one of the dataset has."""
    seen: dict[str, Expectation] = {}
    for rule in expectations:
        other = seen.setdefault(rule.name.casefold(), rule)
        if other is not rule:
            yield _duplicate(f"expectations of {dataset!r}", rule, other)


def _duplicate(
    what: str, new: Dataset | Flow | Expectation, old: Dataset | Flow | Expectation
) -> DuplicateNameError:
    return DuplicateNameError(
        f"two {what} are named {new.name!r}",
        location=new.location,
        hint=f"the first is at {old.location}; rename one of them",
    )
