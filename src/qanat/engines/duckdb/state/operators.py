"""The operator for each kind of what keeps a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.state.distinct import Distinct
from qanat.engines.duckdb.state.grouped import Grouped
from qanat.engines.duckdb.state.joined import Joined
from qanat.engines.duckdb.state.kind import Keeping
from qanat.engines.duckdb.state.sessions import Sessions
from qanat.model.stateful import Deduplication, Grouping, Joining, Stateful


def keeping(
    con: DuckDBPyConnection,
    stateful: Stateful,
    new: Mapping[str, str],
    names: Sequence[str] = (),
) -> Keeping[Any]:
    """The operator of an epoch (see `Keeping`)."""
    return _KINDS[type(stateful)](con, stateful, new, names)


def _grouping(
    con: DuckDBPyConnection, stateful: Grouping, new: Mapping[str, str], names: Sequence[str]
) -> Grouped:
    sessions = any(k.window is not None and k.window.session for k in stateful.keys)
    return (Sessions if sessions else Grouped)(con, stateful, new, names)


_KINDS: Mapping[type[Stateful], Callable[..., Keeping[Any]]] = {
    Grouping: _grouping,
    Deduplication: Distinct,
    Joining: Joined,
}
