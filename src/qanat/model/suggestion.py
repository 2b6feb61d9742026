"""Checks that data suggest: what a profile makes one think of, and what became of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from qanat.frozen import Frozen
from qanat.model.backtest import CheckTrials
from qanat.model.expectation import Expectation, Tolerance


class Candidate(Frozen):
    """A check that a profile makes one think of, before it is tried.

    Args:
        kind: as `checks/*.yml` call it: `not_null`, `between`, …
        arguments: by name, in the order of the kind; a condition in SQL may have `{column}`, and
            `column` beside it, as a name is quoted otherwise in other dialects.
        reason: the figures that speak for it, half a sentence.
        tolerance: how many rows may violate it; None: none.
        passes: whether a row passes where the rule is NULL. Declared checks say it; candidates
            about values let NULL pass, as another one is about that.
        name: under which it is declared, where its columns and its kind do not give one.
    """

    kind: str
    arguments: tuple[tuple[str, Any], ...]
    reason: str = ""
    tolerance: Tolerance | None = None
    passes: bool = False
    name: str | None = None

    @property
    def given(self) -> Mapping[str, Any]:
        """The arguments by name."""
        return dict(self.arguments)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is about.

        >>> Candidate("between", (("column", "price"), ("min", 0))).columns
        ('price',)
        """
        given = self.given
        found = given.get("columns") or given.get("column") or ()
        return (found,) if isinstance(found, str) else tuple(found)


class Suggestion(Frozen):
    """A check that is offered, or not.

    Args:
        expectation: as it would be declared.
        reason: the figures that speak for it.
        tried: what it did on the epochs, or rows, that were held out.
        refused: why it is not offered; None if it is.
    """

    expectation: Expectation
    reason: str
    tried: CheckTrials
    refused: str | None = None


class FileEdit(Frozen):
    """How a file of the project would change.

    Args:
        path: relative to the project, with slashes.
        before: its text; empty if it is not there.
        after: its new text.
    """

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """As a unified diff, which `git apply` and `patch -p1` understand.

        >>> print(FileEdit("checks/a.yml", "", "checks: []\\n").diff, end="")
        --- /dev/null
        +++ b/checks/a.yml
        @@ -0,0 +1 @@
        +checks: []
        """
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"a/{self.path}" if self.before else "/dev/null",
            f"b/{self.path}",
        )
        ended = (s if s.endswith("\n") else f"{s}\n\\ No newline at end of file\n" for s in lines)
        return "".join(ended)


class DatasetSuggestions(Frozen):
    """What is suggested for one dataset.

    Args:
        rows: that were profiled.
        epochs: whose rows these are, at most; 1 where the rows of one were split.
        held_out: epochs that candidates were tried on; 0 where the rows of one were split.
        offered: what held.
        refused: what did not, each with the reason.
        edit: what would be written; None if nothing is offered.
        note: what else is to be known, such as why there is nothing to go by.
        applied: whether it was written.
    """

    dataset: str
    rows: int = 0
    epochs: int = 0
    held_out: int = 0
    offered: tuple[Suggestion, ...] = ()
    refused: tuple[Suggestion, ...] = ()
    edit: FileEdit | None = None
    note: str | None = None
    applied: bool = False
