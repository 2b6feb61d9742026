"""What the arguments of a project's functions select."""

from __future__ import annotations

from collections.abc import Iterable

from qanat.run.results import Selection

Names = str | Iterable[str]


def selection(
    select: Names = (),
    refresh: Names = (),
    full_refresh: Names | bool = False,
    read_again: Names = (),
    only: bool = False,
    accept_loss: bool = False,
    replace: Names = (),
) -> Selection:
    """The selection of `plan` and `run`, whose arguments these are."""
    everything = full_refresh is True
    full = () if isinstance(full_refresh, bool) else full_refresh
    return Selection(
        _names(select),
        _names(refresh),
        _names(full),
        everything,
        _names(read_again),
        only,
        accept_loss,
        _names(replace),
    )


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
