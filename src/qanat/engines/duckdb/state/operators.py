"""Which operator computes which kind of state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.state.grouped import Grouped
from qanat.engines.duckdb.state.kind import Keeping
from qanat.model.stateful import Grouping, Stateful

OPERATORS: Mapping[type[Stateful], Callable[..., Keeping[Any]]] = {Grouping: Grouped}
"""By kind of state."""


def keeping_of(
    con: DuckDBPyConnection, stateful: Stateful, new: Mapping[str, str], names: Sequence[str]
) -> Keeping[Any]:
    """The operator of one epoch.

    Args:
        new: by input, SELECT text of the epoch's new rows.
        names: of the result columns, see `Stateful.named`.
    """
    kind = next(OPERATORS[each] for each in type(stateful).__mro__ if each in OPERATORS)
    return kind(con, stateful, new, names)
