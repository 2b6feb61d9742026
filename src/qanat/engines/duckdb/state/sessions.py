"""GROUP BY over a stream with windows that grow by the rows that they have.

A row makes a session that lasts as long as the gap; sessions of equal keys that overlap or touch
are one. A new row may so join several that there were before.
"""

from __future__ import annotations

from qanat.engines.duckdb.merge.pieces import columns_in, make
from qanat.engines.duckdb.state.grouped import BEFORE, CLOSES, ONE, ROWS, Grouped
from qanat.model.stateful import Window
from qanat.text import quote

_SPANS, _ASSIGNED = "__qanat_state_spans", "__qanat_state_assigned"
"""Names of temporary tables: where all sessions begin and end, those of single rows too, and in
which one each is; rows of the state, with the start of the session that they are in afterwards."""


class Sessions(Grouped):
    """Groups of rows, of which one key is a session."""

    _joined_to = _ASSIGNED

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row of the state."""
        return (*self.found_by, self._start)

    @property
    def found_by(self) -> tuple[str, ...]:
        """The first of the keys, by which rows are looked up: all but the session."""
        others = tuple(name for name, key in self._by_name() if key.window is None)
        return others or (ONE,)

    @property
    def closes(self) -> str | None:
        """The column that says at which watermark a row is needed although no key asks."""
        return CLOSES if self.stateful.watermarks else None

    @property
    def _timed(self) -> bool:
        return True

    @property
    def _session(self) -> tuple[str, Window]:
        found = ((name, key.window) for name, key in self._by_name())
        return next((name, window) for name, window in found if window is not None)

    @property
    def _start(self) -> str:
        return self._session[0]

    def _key_values(self) -> list[str]:
        name, _ = self._session
        values = []
        for each, key in self._by_name():
            start = f"epoch_us({quote(key.column)}::TIMESTAMP) AS {name}"
            values.append(start if each == name else self._value(each, key))
        return values if len(values) > 1 else [f"0::BIGINT AS {ONE}", *values]

    def _closes_at(self) -> str:
        # A row that comes at the very end of a session is still one of it.
        return f"{self._start} + {self._session[1].width + 1}"

    def _close_of_group(self) -> str:
        return f"max({CLOSES})"

    def _assign(self) -> None:
        """Have new rows and rows of the state of one session the start of that."""
        others, start = columns_in(self.found_by), quote(self._start)
        ends = f"{CLOSES} - 1"
        spans = " UNION ".join(
            f"SELECT {others}, {start} AS s, {ends} AS e FROM {each}" for each in (ROWS, BEFORE)
        )
        before = f"PARTITION BY {others} ORDER BY s, e"
        latest = f"max(e) OVER ({before} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        apart = f"SELECT *, coalesce(s > {latest}, true) AS opens FROM ({spans})"
        number = f"count_if(opens) OVER ({before} ROWS UNBOUNDED PRECEDING)"
        numbered = f"SELECT *, {number} AS n FROM ({apart})"
        whole = f"SELECT *, min(s) OVER (PARTITION BY {others}, n) AS first FROM ({numbered})"
        make(self.con, _SPANS, f"SELECT DISTINCT {others}, s, first FROM ({whole})")
        for relation, name in ((ROWS, ROWS), (BEFORE, _ASSIGNED)):
            same = " AND ".join(
                f"r.{quote(k)} IS NOT DISTINCT FROM t.{quote(k)}" for k in self.found_by
            )
            moved = (
                f"SELECT r.* REPLACE (t.first AS {start}) FROM {relation} AS r "
                f"JOIN {_SPANS} AS t ON {same} AND r.{start} = t.s"
            )
            make(self.con, name, moved)

    def _end(self, name: str, window: Window) -> str:
        del name, window
        return f"{CLOSES} - 1"
