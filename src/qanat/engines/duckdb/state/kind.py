"""What an epoch asks of each operator that has a state.

The operator computes; who stores the state is not its affair. In each epoch it is asked which rows
of the state it needs (`touched`, and those that are due, see `closes`), is given at least these,
and says which rows the state has afterwards: only what is another row than before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from duckdb import DuckDBPyConnection
from duckdb.sqltypes import DuckDBPyType

from qanat.frozen import Frozen
from qanat.model.schema import Schema
from qanat.model.stateful import Stateful

S = TypeVar("S", bound=Stateful)

GONE = "_gone"
"""The column of changed rows of a state that is true if the row of these keys is removed."""


class Moment(Frozen):
    """When an epoch is, in event time.

    Args:
        epoch: its number; rows of a state are numbered by it.
        before, after: the watermark before the epoch and after it, microseconds since 1970 (UTC);
            None as long as it is not known. It never goes back.
    """

    epoch: int
    before: int | None = None
    after: int | None = None


class Advance(Frozen):
    """What one epoch of an operator comes to. The SELECTs hold until the next epoch begins.

    Args:
        output: SELECT text of the result rows, in the columns of the author's query; of an
            operator that publishes changes (`Stateful.changes`) also `GROUP` and `LEAVES`. The
            reads that `Stateful.result` names besides must be there.
        state: SELECT text of the rows of the state that are new or other ones, in the columns of
            `Keeping.columns`, and `GONE`.
        late: by input, SELECT text of its rows that came too late and do not count.
    """

    output: str
    state: str
    late: Mapping[str, str]


class Keeping(ABC, Generic[S]):
    """One operator with a state, in one epoch.

    Args:
        new: by input (`StatefulInput.name`), SELECT text of the epoch's new rows in their order.
            It can be read several times.
        names: the columns of `Stateful.named`, in the places of which `Stateful.result` has them.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        stateful: S,
        new: Mapping[str, str],
        names: Sequence[str] = (),
    ) -> None:
        self.con, self.stateful, self.new, self.names = con, stateful, new, names

    @property
    @abstractmethod
    def columns(self) -> Schema:
        """The columns of a row of the state."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row of the state; a later row replaces the earlier one.

        Values may be NULL, and NULL is equal to NULL.
        """

    @property
    @abstractmethod
    def found_by(self) -> tuple[str, ...]:
        """The first of the keys, at least one: by these, rows are looked up (see `touched`)."""

    @property
    @abstractmethod
    def closes(self) -> str | None:
        """The BIGINT column that says at which watermark a row is needed although no key asks.

        A row is due if its value there is at most `Moment.after`; NULL: never. None if the
        operator has no such column.
        """

    @abstractmethod
    def touched(self, moment: Moment) -> str:
        """SELECT text of the keys that new rows touch, in the columns of `found_by`, each once."""

    @abstractmethod
    def advance(self, state: str | None, moment: Moment) -> Advance:
        """Compute an epoch.

        Args:
            state: SELECT text of rows of the state before the epoch, in the columns of `columns`:
                at least all those that `touched` or `closes` ask for; None if it has none.
        """


class OneInput(Keeping[S]):
    """An operator into which the rows of one query go: `select`, whose columns have `types`."""

    def __init__(
        self,
        con: DuckDBPyConnection,
        stateful: S,
        new: Mapping[str, str],
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(con, stateful, new, names)
        (self.select,) = new.values()
        relation = con.sql(f"SELECT * FROM ({self.select}) LIMIT 0")
        self.types: dict[str, DuckDBPyType] = dict(
            zip(relation.columns, relation.types, strict=True)
        )
