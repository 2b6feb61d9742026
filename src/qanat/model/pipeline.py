"""A pipeline: everything a project declares, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qanat.model.dataset import Dataset
from qanat.model.flow import Flow
from qanat.model.project import Project


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The datasets and flows of a project, in the order they were declared."""

    project: Project
    datasets: tuple[Dataset, ...]
    flows: tuple[Flow, ...]
    _by_name: dict[str, Dataset] = field(init=False, repr=False, compare=False)
    _by_target: dict[str, list[Flow]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {d.name.casefold(): d for d in reversed(self.datasets)}
        flows: dict[str, list[Flow]] = {}
        for flow in self.flows:
            flows.setdefault(flow.target.casefold(), []).append(flow)
        object.__setattr__(self, "_by_name", names)
        object.__setattr__(self, "_by_target", flows)

    def get(self, name: str) -> Dataset | None:
        """The dataset of that name, compared without case; None if there is none."""
        return self._by_name.get(name.casefold())

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name.casefold()]

    def flows_into(self, dataset: str) -> Iterator[Flow]:
        """The flows that feed a dataset."""
        return iter(self._by_target.get(dataset.casefold(), ()))
