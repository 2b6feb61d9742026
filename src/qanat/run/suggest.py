"""Suggests checks that the older rows of a dataset keep, each tried on the newest rows first.

Everything is deterministic: the same tables give the same suggestions. Those that are offered
come as a change to a file of checks, which can be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qanat import plugins
from qanat.declare.check.adding import with_added
from qanat.declare.check.making import default_name, expectation_of
from qanat.declare.check.reading import Place
from qanat.declare.check.value import Check
from qanat.declare.files import CHECKS
from qanat.declare.registry import Registry
from qanat.disk import explained, whole_file
from qanat.errors import Location, TableNotFoundError
from qanat.frozen import Frozen
from qanat.model.backtest import CheckTrials
from qanat.model.expectation import Action, Expectation, misfit
from qanat.model.name import Names
from qanat.model.pipeline import Dataset
from qanat.model.suggestion import Candidate, DatasetSuggestions, FileEdit, Suggestion
from qanat.quality.suggestions.evidence import LEAST_VALUES, Ladder
from qanat.quality.suggestions.rules import ladders
from qanat.quality.suggestions.said import without_implied
from qanat.run.evidence import Gatherer
from qanat.run.held_out import Parted, holding, parted, tried
from qanat.run.results import Selection, choose_datasets
from qanat.run.session import Session
from qanat.text import count

_PARAMETER = "${"
"""In a file of checks this begins the name of a parameter: values that have it are left out."""


def suggest(
    session: Session,
    selection: Selection | None = None,
    action: Action = Action.WARN,
    held_out: int | None = None,
    apply: bool = False,
) -> tuple[DatasetSuggestions, ...]:
    """Checks that the tables of the chosen datasets suggest.

    Args:
        action: of the checks; those that tolerate some rows, or are about no single row, keep to
            `warn` where rows would be dropped or quarantined.
        held_out: newest epochs to try candidates on; default: a quarter of those known.
        apply: write what is offered into the project's files of checks.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: a pattern matches nothing.
    """
    session.require()
    gatherer = Gatherer(session)
    found = []
    for name in choose_datasets(session, selection or Selection()).datasets:
        dataset = session.pipeline.dataset(name)
        if dataset.stored:
            found.append(_suggested(gatherer, session, dataset, action, held_out))
    if not apply:
        return tuple(found)
    return tuple(_applied(session, each) for each in found)


class _Made(Frozen):
    """A candidate as it would be declared."""

    candidate: Candidate
    check: Check
    expectation: Expectation


def _suggested(
    gatherer: Gatherer, session: Session, dataset: Dataset, action: Action, held_out: int | None
) -> DatasetSuggestions:
    try:
        parts = parted(session, dataset, held_out)
    except TableNotFoundError as error:
        return DatasetSuggestions(dataset.name, note=error.message)
    evidence = gatherer.evidence(dataset, parts)
    rows, epochs = evidence.profiled.rows, len(parts.older_epochs)
    result = DatasetSuggestions(dataset.name, rows, epochs, len(parts.held_out))
    if rows < LEAST_VALUES:
        there = rows if parts.total is None else parts.total
        few = f"{count(there, 'row')}, and it takes {parts.least(LEAST_VALUES)}"
        return replace(result, note=few)
    making = _Making(session, dataset, action)
    made = [making.steps(ladder) for ladder in ladders(evidence)]
    flat = [m for ladder in made for m in ladder]
    held = holding(session, dataset, parts, [m.expectation for m in flat])
    numbers = iter(range(len(flat)))
    kept = [[m for m in ladder if next(numbers) in held] for ladder in made]
    asked = [m for ladder in kept for m in ladder]
    trials = tried(session, dataset, parts, [m.expectation for m in asked]) if asked else ()
    outcome = dict(zip(map(id, asked), trials, strict=True))
    offered, refused = list[_Made](), list[Suggestion]()
    for ladder in kept:
        for each in ladder:
            why = _refused(outcome[id(each)], parts)
            if why is None:
                offered.append(each)
                break
            refused.append(_suggestion(each, outcome[id(each)], why))
    known = without_implied([m.candidate for m in offered], evidence)
    offered = [m for m in offered if m.candidate in known]
    gatherer.refers[dataset.name] = [n for m in offered for n in m.expectation.rule.datasets]
    return replace(
        result,
        offered=tuple(_suggestion(m, outcome[id(m)]) for m in offered),
        refused=tuple(refused),
        edit=_edit(session, dataset.name, [m.check for m in offered]) if offered else None,
    )


def _suggestion(made: _Made, trials: CheckTrials, refused: str | None = None) -> Suggestion:
    return Suggestion(made.expectation, made.candidate.reason, trials, refused)


def _refused(trials: CheckTrials, parts: Parted) -> str | None:
    """Why a candidate is not offered; None if it is."""
    if not trials.trials:
        return f"it could not be tried: {trials.problem or 'no rows were held out'}"
    failed = [
        t for t in trials.trials if not trials.expectation.allows(t.violations, max(t.rows, 1))
    ]
    if not failed:
        return None
    many = len(trials.trials)
    where = f"{len(failed)} of {many} epochs held out" if many > 1 else "the epoch held out"
    if parts.newer is not None:
        where = "the rows held out"
    if not trials.expectation.rule.level.of_rows:
        value = next((t.value for t in failed if t.value), None)
        return f"violated in {where}" + (f", the last time with {value}" if value else "")
    rows, of = sum(t.violations for t in failed), sum(t.rows for t in failed)
    return f"{rows:,} of {count(of, 'row')} {'violates' if rows == 1 else 'violate'} it in {where}"


class _Making:
    """Makes expectations of candidates, with names that the dataset has not yet."""

    def __init__(self, session: Session, dataset: Dataset, action: Action) -> None:
        self._registry = Registry(session.project, plugins.connectors())
        self._place = Place(self._registry, Location(f"{CHECKS}/{dataset.name}.yml"))
        self._action = action
        self._taken = Names(e.name for e in dataset.expectations)

    def steps(self, ladder: Ladder) -> list[_Made]:
        """The candidates of a ladder as they would be declared: one of them will be."""
        made = [self._made(c) for c in ladder if _PARAMETER not in repr(c.arguments)]
        self._taken = Names([*self._taken, *(m.expectation.name for m in made)])
        return made

    def _made(self, candidate: Candidate) -> _Made:
        said = {
            "nulls": "pass" if candidate.passes else None,
            "tolerate": str(candidate.tolerance) if candidate.tolerance else None,
        }
        check = Check(candidate.kind, self._arguments(candidate)).having(**said)
        usual = candidate.name or default_name(check, self._place)
        name, number = usual, 1
        while name in self._taken:
            number += 1
            name = f"{usual}_{number}"
        if candidate.name or name != usual:
            check = Check(check.kind, check.arguments, (("name", name), *check.said))
        made = expectation_of(check, self._place)
        if self._action is not Action.WARN and self._fits(made):
            check = check.having(action=str(self._action))
            made = replace(made, action=self._action)
        return _Made(candidate, check, made)

    def _arguments(self, candidate: Candidate) -> tuple[tuple[str, Any], ...]:
        given = candidate.given
        condition = given.get("condition")
        if condition is None:
            return candidate.arguments
        column = self._place.column(given["column"])
        return (("condition", condition.replace("{column}", column)),)

    def _fits(self, made: Expectation) -> bool:
        # With a tolerance, rows would still go, and the dataset would fail beyond it.
        tolerant = made.tolerance is not None
        return misfit(made.rule, self._action) is None and not (self._action.moves and tolerant)


# -- files --------------------------------------------------------------------------------------


def _edit(session: Session, dataset: str, checks: Sequence[Check]) -> FileEdit:
    """How the dataset's file of checks would change, or another one beside it."""
    for path in _files(dataset):
        before = _text(session.root / path)
        after = with_added(before, dataset, checks)
        if after is not None:
            return FileEdit(path, before, after)
    raise AssertionError("a file that is not there can always be written")


def _files(dataset: str) -> Iterable[str]:
    yield f"{CHECKS}/{dataset}.yml"
    # What is written in an unusual way stays as it is.
    yield f"{CHECKS}/{dataset}_suggested.yml"
    number = 2
    while True:
        yield f"{CHECKS}/{dataset}_suggested_{number}.yml"
        number += 1


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig") if path.is_file() else ""


def _applied(session: Session, found: DatasetSuggestions) -> DatasetSuggestions:
    edit = found.edit
    if edit is None:
        return found
    target = session.root / edit.path
    with explained("make", target.parent):
        target.parent.mkdir(exist_ok=True)
    with whole_file(target) as part:
        part.write_bytes(edit.after.encode())
    return replace(found, applied=True)
