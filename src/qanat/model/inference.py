"""Which types columns get that nobody declared: what a dialect's users expect of them.

A type never changes a value. So a set of rules only chooses among types that keep every value;
where none of its own does, all dialects get the same.
"""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.model.schema import Decimal, Primitive


class Inference(Frozen):
    """Rules by which types are chosen for values of text.

    Args:
        whole: types for whole numbers as text files have them, the narrowest first. Those of 64
            bits are among them: whoever has only these gets another type less often.
        digits: of a DECIMAL for whole numbers that none of `whole` holds; None for as many as the
            longest of them has.
        local: the type of times without an offset. With `timestamp` they are times of UTC.
    """

    whole: tuple[Primitive, ...] = (Primitive("long"),)
    digits: int | None = 38
    local: Primitive = Primitive("timestamp_ntz")

    def decimal(self, digits: int) -> Decimal:
        """The type for whole numbers of so many digits, at most 38.

        >>> str(Inference().decimal(20)), str(Inference(digits=None).decimal(20))
        ('decimal(38,0)', 'decimal(20,0)')
        """
        return Decimal(self.digits or digits, 0)


OWN = Inference()
"""Few types, with room, so that the next file seldom makes another one."""

SPARK = Inference((Primitive("integer"), Primitive("long")), None, Primitive("timestamp"))
"""As Spark 4.2 with `inferSchema`."""
