"""The operator for each kind of what keeps a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.state.grouped import Grouped
from qanat.engines.duckdb.state.kind import Keeping
from qanat.model.stateful import Grouping, Stateful

_KINDS: Mapping[type[Stateful], type[Keeping[Any]]] = {Grouping: Grouped}


def keeping(
    con: DuckDBPyConnection,
    stateful: Stateful,
    new: Mapping[str, str],
    names: Sequence[str] = (),
) -> Keeping[Any]:
    """The operator of an epoch (see `Keeping`)."""
    return _KINDS[type(stateful)](con, stateful, new, names)
