"""Which datasets a group of checks is for, and the expectations that they get of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase

from qanat.declare.check.making import expectation_of
from qanat.declare.check.reading import Place
from qanat.declare.check.value import Check
from qanat.declare.registry import Registry
from qanat.errors import (
    DatasetNotFoundError,
    DuplicateNameError,
    Location,
    OptionError,
    Problems,
    QanatError,
    nearest,
)
from qanat.frozen import Frozen
from qanat.model.expectation import Expectation
from qanat.model.name import Names, fold, same
from qanat.model.pipeline import Dataset

_WILD = frozenset("*?[")


class Selector(Frozen):
    """The datasets that a group of checks is for: all that a name matches and that have a tag.

    Args:
        names: names or globs, each with its place; empty: any name.
        tagged: tags, each with its place, one of which the dataset has; empty: with any or none.
    """

    names: tuple[tuple[str, Location], ...] = ()
    tagged: tuple[tuple[str, Location], ...] = ()


class Written(Frozen):
    """A check where it is written.

    Args:
        parts, values: as `Place` has them.
    """

    check: Check
    at: Location
    parts: Mapping[str, Location] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


class Group(Frozen):
    """Checks for the same datasets.

    Args:
        origin: see `Expectation`; default: the file.
    """

    selector: Selector
    checks: tuple[Written, ...]
    at: Location
    origin: str | None = None


def with_checks(
    datasets: Sequence[Dataset],
    groups: Sequence[Group],
    registry: Registry,
    problems: Problems,
    unread: bool = False,
) -> dict[str, list[Expectation]]:
    """By name of a dataset, the expectations that groups of checks give it.

    Args:
        registry: for the dialect, and the prefixes of names.
        problems: gains what is wrong with the checks.
        unread: some dataset could not be read, so that a name may be one of these.
    """
    found: dict[str, list[Expectation]] = {}
    for group in groups:
        for dataset in _selected(group, datasets, problems, unread):
            mine = found.setdefault(dataset.name, [])
            for written in group.checks:
                with problems.collecting():
                    mine.append(_made(written, dataset, registry, group))
    return found


def _made(written: Written, dataset: Dataset, registry: Registry, group: Group) -> Expectation:
    values = {**written.values, "dataset": dataset.name}
    origin = group.origin or written.at.file
    place = Place(registry, written.at, written.parts, values, origin)
    return expectation_of(written.check, place)


def _selected(
    group: Group, datasets: Sequence[Dataset], problems: Problems, unread: bool
) -> Iterator[Dataset]:
    """The datasets of a group, in their order."""
    selector = group.selector
    names = [name for name, _ in selector.names]
    before = len(problems)
    for name, at in selector.names:
        if not unread and not any(_matches(name, each) for each in datasets):
            problems.append(_unknown(name, at, datasets))
    tags = Names(tag for each in datasets for tag in each.tags)
    for tag, at in selector.tagged:
        if not unread and tag not in tags:
            problems.append(
                OptionError(
                    f"no dataset has the tag {tag!r}",
                    location=at,
                    nearest=nearest(tag, tags),
                    hint="TBLPROPERTIES ('qanat.tags' = 'gold, pii') gives a dataset tags",
                )
            )
    chosen = [
        each
        for each in datasets
        if (not names or any(_matches(name, each) for name in names))
        and (not selector.tagged or any(t in each.tags for t in _words(selector.tagged)))
    ]
    if not chosen and len(problems) == before and not unread:
        problems.append(OptionError("the group of checks is for no dataset", location=group.at))
    yield from chosen


def _words(tagged: Sequence[tuple[str, Location]]) -> list[str]:
    return [tag for tag, _ in tagged]


def _matches(pattern: str, dataset: Dataset) -> bool:
    if _WILD.isdisjoint(pattern):
        return same(pattern, dataset.name)
    return fnmatchcase(fold(dataset.name), fold(pattern))


def _unknown(name: str, at: Location, datasets: Sequence[Dataset]) -> QanatError:
    what = "no dataset" if _WILD.isdisjoint(name) else "no dataset matches"
    return DatasetNotFoundError(
        f"{what} {name!r}", location=at, nearest=nearest(name, [d.name for d in datasets])
    )


def doubled(
    dataset: Dataset, added: Sequence[Expectation], problems: list[QanatError]
) -> list[Expectation]:
    """The added expectations whose names a dataset has not yet; the others become problems."""
    names = {fold(each.name): each for each in dataset.expectations}
    kept = []
    for each in added:
        other = names.setdefault(fold(each.name), each)
        if other is each:
            kept.append(each)
            continue
        problems.append(
            DuplicateNameError(
                f"two expectations of {dataset.name!r} are named {each.name!r}",
                location=each.location,
                hint=f"the first is at {other.location}; rename one of them",
            )
        )
    return kept
