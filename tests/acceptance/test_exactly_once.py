"""Whatever kills an update, and whenever: the next one ends with the same rows, each once.

Every test dies at steps drawn by a seed that it prints when it fails; `QANAT_CRASH_STEPS=all`
takes every step instead, `QANAT_CRASH_SEED` repeats a draw.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.conftest import Paths
from tests.acceptance.crashing import Operation, copy, count_steps, die_at, operate
from tests.acceptance.ledgered import Picture, check, picture

SEED = int(os.environ.get("QANAT_CRASH_SEED", random.SystemRandom().randrange(10**6)))
STEPS = os.environ.get("QANAT_CRASH_STEPS", "3")


class Case:
    """An operation on a project in a certain state, and what it leads to undisturbed."""

    def __init__(self, folder: Path, operation: Operation) -> None:
        self.folder = folder
        self.operation = operation
        self.before = folder / "before"
        paths = Paths.make(self.before)
        paths.first()
        if operation != "run-first":
            operate(self.before, "run")
            paths.second()
        if operation in ("replay", "refresh"):
            operate(self.before, "run")
            paths.declare(165)
        self.does = operation.partition("-")[0]
        self.steps, self.wanted = self._undisturbed()
        self._made = 0

    def _undisturbed(self) -> tuple[int, Picture]:
        project = copy(self.before, self.folder / "undisturbed")
        steps = count_steps(project, self.does)
        operate(project, self.does)
        check(project)
        return steps, self._picture(project)

    def drawn(self) -> Iterator[int]:
        """The steps to die at, in order."""
        every = range(1, self.steps + 1)
        if STEPS == "all":
            return iter(every)
        draw = random.Random(f"{SEED} {self.operation}")  # noqa: S311
        return iter(sorted(draw.sample(every, min(int(STEPS), self.steps))))

    def project(self) -> Path:
        """A copy to work on."""
        self._made += 1
        return copy(self.before, self.folder / f"case-{self._made}")

    def again(self, project: Path) -> None:
        """Do it again, and compare everything with what it leads to undisturbed."""
        operate(project, self.does)
        assert self._picture(project) == self.wanted
        check(project)

    def _picture(self, project: Path) -> Picture:
        found = picture(project)
        if self.does == "refresh":
            # A sink that starts over twice sends its rows twice: that is what was asked for.
            del found["out/export"]
        return found


@pytest.fixture(scope="module", params=["run-first", "run", "replay", "refresh"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp(request.param), request.param)


def test_dying_at_any_step(case: Case) -> None:
    for step in case.drawn():
        project = case.project()
        try:
            die_at(project, case.does, step)
            case.again(project)
        except BaseException as error:
            error.add_note(f"seed {SEED}: {case.operation} died at step {step} of {case.steps}")
            raise


def test_dying_again_while_recovering(case: Case) -> None:
    """Up to five deep, each time at another step."""
    draw = random.Random(f"{SEED} again {case.operation}")  # noqa: S311
    for _ in range(case.steps if STEPS == "all" else int(STEPS) // 3):
        project = case.project()
        steps = [draw.randint(1, case.steps) for _ in range(draw.randint(2, 5))]
        try:
            for step in steps:
                die_at(project, case.does, step)
            case.again(project)
        except BaseException as error:
            error.add_note(f"seed {SEED}: {case.operation} died at steps {steps}")
            raise
