"""Result rows of groups that replace those of earlier epochs: running aggregates and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qanat.model.changes import Changes, Expression


class Results(Changes):
    """How the rows of a flow whose query keeps a state change its target.

    A row of the table belongs to a group, which no column tells; the rows that an epoch gives of a
    group take the place of all that the table has of it.

    Args:
        what: the operator, in messages.
        flow: whose rows these are.
    """

    what: str
    flow: str

    @property
    def label(self) -> str:
        """What authors call it, in messages."""
        return self.what

    @property
    def joining(self) -> str:
        """What to write instead of a flow that adds rows to the same table, for a hint."""
        return "let each feed a table of its own"

    def parts(self, others: Results) -> Iterator[tuple[str, str, str]]:
        """Groups of two flows are never the same."""
        if self.flow != others.flow:
            yield "", f"the {self.what} of {self.flow}", f"the {others.what} of {others.flow}"

    def lines(self, text: Callable[[Expression], str], function: bool) -> Iterator[str]:
        """What it says as lines of a definition."""
        del text, function
        yield "rows by result of their group"
