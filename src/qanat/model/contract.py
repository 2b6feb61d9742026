"""Data contracts: what a project promises to those who read its datasets."""

from __future__ import annotations

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.schema import DataType


class PromisedColumn(Frozen):
    """A column that readers may count on.

    Args:
        type: that it has, if the contract names one that Qanat knows.
        logical: the standard's word for its type: `string`, `integer`, `date`, …
        at: where the contract says so.
    """

    name: str
    at: Location
    type: DataType | None = None
    logical: str | None = None
    required: bool = False


class Promise(Frozen):
    """What a contract says of one dataset; its checks are expectations of the dataset.

    Args:
        dataset: its name.
        contract: the contract's name and version.
        keys: the columns of the primary key, in order.
        parts: of structs and lists, which are compared with other versions of the contract only:
            `address.city`, `lines[].price`.
    """

    dataset: str
    contract: str
    at: Location
    columns: tuple[PromisedColumn, ...] = ()
    keys: tuple[str, ...] = ()
    parts: tuple[PromisedColumn, ...] = ()


class Change(Frozen):
    """Something that is otherwise in a newer version of a contract.

    Args:
        what: half a sentence.
        breaking: whether those who rely on the older version cannot do so any more.
    """

    dataset: str
    what: str
    breaking: bool


class ContractDiff(Frozen):
    """Two versions of a contract.

    Args:
        old, new: name and version of each.
        changes: those that break first.

    >>> gone = Change("orders", "column x is gone", True)
    >>> found = ContractDiff("orders 1.2.0", "orders 1.3.0", (gone,))
    >>> found.breaks, found.raised
    (True, False)
    """

    old: str
    new: str
    changes: tuple[Change, ...] = ()

    @property
    def breaks(self) -> bool:
        """True if those who rely on the older version cannot do so any more."""
        return any(each.breaking for each in self.changes)

    @property
    def raised(self) -> bool:
        """True if the first number of the version has grown."""
        before, after = (
            text.rpartition(" ")[2].partition(".")[0].removeprefix("v")
            for text in (self.old, self.new)
        )
        return before.isdigit() and after.isdigit() and int(after) > int(before)


class Note(Frozen):
    """Something in a file that is not carried over into a check, and why."""

    what: str
    why: str
    at: Location

    def __str__(self) -> str:
        return f"{self.at}: {self.what}: {self.why}"
