"""Which rules a row breaks, as bits of numbers, and what that means for it."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation

MASK = "__qanat_mask"

# Bits of one BIGINT mask column; rules beyond these go to further columns.
_BITS = 62


class Masks(Frozen):
    """The mask columns of the rows that break rules."""

    expectations: Sequence[Expectation]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names; at least one."""
        return tuple(f"{MASK}_{i}" for i in range(max(1, -(-len(self.expectations) // _BITS))))

    @staticmethod
    def bit(index: int) -> int:
        """The bit of a rule in its column."""
        return int(1 << (index % _BITS))

    @staticmethod
    def column(index: int) -> int:
        """The number of the column that has the bit of a rule."""
        return index // _BITS

    def has(self, index: int, alias: str) -> str:
        """SQL: a row of `alias` breaks a rule."""
        return f"({alias}.{MASK}_{self.column(index)} & {self.bit(index)}) <> 0"

    def any(self, action: Action, alias: str) -> str:
        """SQL: a row of `alias` breaks a rule with an action."""
        chosen = [0] * len(self.names)
        for index, expectation in enumerate(self.expectations):
            if expectation.action is action:
                chosen[self.column(index)] |= self.bit(index)
        tests = [f"({alias}.{MASK}_{i} & {bits}) <> 0" for i, bits in enumerate(chosen) if bits]
        return f"({' OR '.join(tests)})" if tests else "false"

    def removed(self, alias: str) -> str:
        """SQL: a row of `alias` does not go into the table."""
        drop, quarantine = self.any(Action.DROP, alias), self.any(Action.QUARANTINE, alias)
        return f"coalesce({drop} OR {quarantine}, false)"
