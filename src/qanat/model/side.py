"""The tables beside that of a dataset, to which its epochs commit first: quarantine and states.

Each is known by its name. A flow whose query keeps rows from one epoch to the next has a state:
`<dataset>__state`, or `<dataset>__state__<flow>` for one that has another name than its target.
"""

from __future__ import annotations

import re

from qanat.model.name import fold, same
from qanat.model.pipeline import QUARANTINE

STATE = "__state"
"""How the names of states begin behind the name of their dataset."""

_SIDE = re.compile(rf"(?:{QUARANTINE}|{STATE}(?:__.*)?)$", re.IGNORECASE | re.DOTALL)


def state_name(dataset: str, flow: str) -> str:
    """The name of the table with the state of a flow.

    >>> state_name("totals", "totals"), state_name("totals", "backfill")
    ('totals__state', 'totals__state__backfill')
    """
    own = dataset + STATE
    return own if same(dataset, flow) else f"{own}__{flow}"


def is_side(name: str) -> bool:
    """True if a table of that name stands beside that of a dataset.

    >>> is_side("totals__quarantine"), is_side("totals__state__backfill"), is_side("totals")
    (True, True, False)
    """
    return _SIDE.search(name) is not None


def is_state(name: str) -> bool:
    """True if a table of that name has the state of a flow."""
    return is_side(name) and not fold(name).endswith(QUARANTINE)


def dataset_of(name: str) -> str:
    """The dataset that a table of that name belongs to.

    >>> dataset_of("totals__state__backfill"), dataset_of("totals")
    ('totals', 'totals')
    """
    return _SIDE.sub("", name)
