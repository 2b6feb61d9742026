"""Which of the columns that a query gives an author means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qanat.frozen import Frozen
from qanat.model.name import Names, fold


class Chosen(Frozen):
    """Some of the columns that a query gives.

    Args:
        names: the columns.
        all_but: True for all others instead (`* EXCEPT (…)`).
        hidden: columns that a star does not mean, whether they are there or not; a name that ends
            in `*` stands for all that begin so.

    >>> Chosen(("op", "ts"), all_but=True).among(["id", "Op", "name", "ts"])
    ['id', 'name']
    >>> Chosen(("ID",)).among(["id", "name"])
    ['id']
    >>> Chosen((), all_but=True, hidden=("__op", "__source_*")).among(["id", "__source_lsn"])
    ['id']
    >>> str(Chosen(("op", "ts"), all_but=True)), str(Chosen(("id",))), str(EVERY)
    ('* EXCEPT (op, ts)', '(id)', '*')
    """

    names: tuple[str, ...]
    all_but: bool = False
    hidden: tuple[str, ...] = ()

    def __str__(self) -> str:
        listed = f"({', '.join(self.names)})"
        if self.all_but:
            return f"* EXCEPT {listed}" if self.names else "*"
        return listed

    def among(self, columns: Sequence[str]) -> list[str]:
        """Those of some columns that are chosen, in their order."""
        named = {fold(n) for n in self.names}
        chosen = [c for c in columns if (fold(c) in named) is not self.all_but]
        return [c for c in chosen if not self._hides(fold(c))] if self.hidden else chosen

    def _hides(self, column: str) -> bool:
        exact = {n for n in self.hidden if not n.endswith("*")}
        return column in exact or any(column.startswith(n[:-1]) for n in {*self.hidden} - exact)

    def same(self, other: Chosen) -> bool:
        """True if the same columns are chosen, in whatever order and case."""
        return self.all_but is other.all_but and Names(self.names) == Names(other.names)

    @property
    def in_order(self) -> Chosen:
        """The same columns in an order that does not depend on how they were written."""
        return replace(self, names=tuple(sorted(map(fold, self.names))))


EVERY = Chosen((), all_but=True)
"""All columns."""
