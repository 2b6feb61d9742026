"""The tasks of a project: one for each dataset, for each group of datasets, or one for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from graphlib import CycleError as Circle, TopologicalSorter
from itertools import count

from qanat.errors import CycleError, OptionError, nearest
from qanat.frozen import Frozen
from qanat.orchestrate.manifest import DatasetEntry, Manifest


class Granularity(StrEnum):
    """How many datasets a task updates."""

    DATASET = "dataset"
    GROUP = "group"
    PROJECT = "project"


class Task(Frozen):
    """What an orchestrator starts, watches and tries again as one.

    Args:
        name: of the dataset, the group or the project.
        identifier: the same as a word of letters, digits and underscores, unique in the project.
        datasets: that it updates, each after what it reads.
        after: identifiers of the tasks that have to succeed before it.
    """

    name: str
    identifier: str
    datasets: tuple[DatasetEntry, ...]
    after: tuple[str, ...]

    @property
    def select(self) -> tuple[str, ...]:
        """The names of its datasets."""
        return tuple(d.dataset for d in self.datasets)


def tasks(manifest: Manifest, granularity: str = Granularity.DATASET) -> tuple[Task, ...]:
    """The tasks of a project, each after those that it waits for.

    Args:
        granularity: `dataset`, `group` or `project`.

    Raises:
        OptionError: the granularity is none of these.
        CycleError: groups wait for one another in a circle.
    """
    key = _key(manifest, granularity)
    together: dict[str, list[DatasetEntry]] = {}
    for each in manifest.datasets:
        together.setdefault(key[each.dataset], []).append(each)
    waits = {
        name: [
            other
            for other in dict.fromkeys(
                key[read] for each in datasets for read in each.reads if read in key
            )
            if other != name
        ]
        for name, datasets in together.items()
    }
    words = identifiers(together)
    return tuple(
        Task(
            name, words[name], tuple(together[name]), tuple(words[other] for other in waits[name])
        )
        for name in _ordered(waits)
    )


def _key(manifest: Manifest, granularity: str) -> Mapping[str, str]:
    known = tuple(each.value for each in Granularity)
    if granularity not in known:
        raise OptionError(
            f"no granularity {granularity!r}",
            wanted=", ".join(known),
            nearest=nearest(granularity, known),
        )
    names: dict[Granularity, Callable[[DatasetEntry], str]] = {
        Granularity.DATASET: lambda each: each.dataset,
        Granularity.GROUP: lambda each: each.group,
        Granularity.PROJECT: lambda _: manifest.project,
    }
    name = names[Granularity(granularity)]
    return {each.dataset: name(each) for each in manifest.datasets}


def _ordered(waits: Mapping[str, Sequence[str]]) -> Iterable[str]:
    try:
        return tuple(TopologicalSorter(waits).static_order())
    except Circle as error:
        circle = " → ".join(error.args[1])
        raise CycleError(
            f"groups wait for one another in a circle: {circle}",
            hint="give the datasets other groups: TBLPROPERTIES ('qanat.group' = 'NAME')",
        ) from error


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """By name, a word of ASCII letters, digits and underscores, each another one.

    >>> identifiers(["gold", "Top 10", "top_10", "1st"])
    {'gold': 'gold', 'Top 10': 'Top_10', 'top_10': 'top_10_2', '1st': '_1st'}
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        word = re.sub(r"\W", "_", name, flags=re.ASCII)
        word = f"_{word}" if word[:1].isdigit() or not word else word
        variants = (word if n == 1 else f"{word}_{n}" for n in count(1))
        # Some orchestrators keep names where case does not count.
        made[name] = next(v for v in variants if v.lower() not in taken)
        taken.add(made[name].lower())
    return made
