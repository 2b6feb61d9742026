"""Compares two versions of a contract: what breaks those who rely on the old one, and what not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from qanat.declare.check.breaking import loosened
from qanat.declare.check.contracts import Contracts, read_contract
from qanat.declare.check.making import expectation_of
from qanat.declare.check.reading import Place
from qanat.declare.registry import Registry
from qanat.model.contract import Change, ContractDiff, Promise, PromisedColumn
from qanat.model.expectation import Expectation
from qanat.model.name import Name, Named, fold

_Key = tuple[Name, Name]
_Made = Mapping[_Key, tuple[str, Expectation]]
_COLUMNS = "contract_columns"
"""The check of columns, which are compared one by one."""


def compare_contracts(old: Path, new: Path, registry: Registry) -> ContractDiff:
    """What has changed from one version of a contract to the next.

    Args:
        registry: of a project, for its dialect.

    Raises:
        ProblemsError: one of them is not as the standard has it.
        SpecError: one of them cannot be read.
    """
    before, after = read_contract(old, registry), read_contract(new, registry)
    changes = [*_columns(before, after), *_rules(before, after, registry)]
    return ContractDiff(
        before.version,
        after.version,
        tuple(sorted(changes, key=lambda c: (not c.breaking, c.dataset))),
    )


def _columns(before: Contracts, after: Contracts) -> Iterator[Change]:
    old = Named((p.dataset, p) for p in before.promises)
    new = Named((p.dataset, p) for p in after.promises)
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            yield Change(was.dataset, "the dataset is gone", True)
            continue
        yield from _of_promise(was, now)
    for name, promise in new.items():
        if name not in old:
            yield Change(promise.dataset, "the dataset is new", False)


def _of_promise(was: Promise, now: Promise) -> Iterator[Change]:
    old = Named((c.name, c) for c in (*was.columns, *was.parts))
    new = Named((c.name, c) for c in (*now.columns, *now.parts))
    for name, column in old.items():
        other = new.get(name)
        if other is None:
            yield Change(was.dataset, f"column {column.name} is gone", True)
        elif _type(column) != _type(other):
            what = f"the type of {column.name} is {_type(other)}, and was {_type(column)}"
            yield Change(was.dataset, what, True)
    for name, column in new.items():
        if name not in old:
            yield Change(was.dataset, f"column {column.name} is new", False)
    if [*map(fold, was.keys)] != [*map(fold, now.keys)]:
        keys = [", ".join(each.keys) or "none" for each in (now, was)]
        yield Change(was.dataset, "the key is {}, and was {}".format(*keys), True)


def _type(column: PromisedColumn) -> str:
    return str(column.type or column.logical or "any")


def _rules(before: Contracts, after: Contracts, registry: Registry) -> Iterator[Change]:
    old, new = _made(before, registry), _made(after, registry)
    renamed = _renamed(old, new)
    for key, (dataset, was) in old.items():
        if key[0] not in {k for k, _ in new} and not _kept(dataset, after):
            continue  # it is gone with its dataset
        if key in renamed:
            now = new[renamed[key]][1]
            yield Change(dataset, f"{was.name} is called {now.name}: {now.text}", False)
            continue
        if key not in new:
            yield Change(dataset, f"{was.name} is gone: {was.text}", True)
            continue
        _, now = new[key]
        looser, stricter = loosened(now, was), loosened(was, now)
        if looser is None and stricter is None:
            continue
        how = "is another rule" if looser and stricter else "lets more pass"
        how = how if looser else "is stricter"
        told = f"{now.name} {how}: {now.text} {now.action}, and was {was.text} {was.action}"
        yield Change(dataset, told, looser is not None)
    for key, (dataset, now) in new.items():
        if key not in old and key not in renamed.values():
            yield Change(dataset, f"{now.name} is new: {now.text}", False)


def _renamed(old: _Made, new: _Made) -> Mapping[_Key, _Key]:
    """Rules that have another name and let no more pass, by their old names."""
    found: dict[_Key, _Key] = {}
    for key, (_, was) in old.items():
        others = (k for k in new if k[0] == key[0] and k not in old and k not in found.values())
        if key not in new:
            other = next((k for k in others if loosened(new[k][1], was) is None), None)
            found |= {} if other is None else {key: other}
    return found


def _kept(dataset: str, contracts: Contracts) -> bool:
    return any(fold(p.dataset) == fold(dataset) for p in contracts.promises)


def _made(contracts: Contracts, registry: Registry) -> _Made:
    """The expectations that a contract makes, by dataset and name."""
    found = {}
    for group in contracts.groups:
        for dataset, _ in group.selector.names:
            for each in group.checks:
                values = {**each.values, "dataset": dataset}
                place = Place(registry, each.at, each.parts, values, group.origin)
                made = expectation_of(each.check, place)
                if made.name != _COLUMNS:
                    found[fold(dataset), fold(made.name)] = dataset, made
    return found
