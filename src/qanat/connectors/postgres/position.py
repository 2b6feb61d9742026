"""How far a table or query has been read by its cursor, and the SQL that reads on from there.

`exclusive`: an epoch takes the rows with `after < cursor <= upto`, and the next one goes on from
`upto`. A row that comes later with `upto` itself is never read.

`inclusive`: what may still gain rows is looked at again: the rows with `upto` itself and, with a
lookback, those somewhat below it. Which of these have been read is remembered row by row, by a
hash, so that each is read once, however late it comes. The hashes are taken when the epoch is
planned, before it reads: an epoch that must be redone reads those rows and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from qanat.frozen import Frozen
from qanat.text import literal, quote

Hashes = Mapping[str, int]
"""How often there is a row of a hash."""


class Window(Frozen):
    """The rows from a cursor value on that were there when an epoch was planned.

    Args:
        start: the lowest cursor value in it, as text.
        rows: by hash.
        columns: what the hashes are made from.
    """

    start: str
    rows: Hashes
    columns: tuple[str, ...]


class Position(Frozen):
    """One epoch's part of a relation; cursor values are texts that the server gave.

    Args:
        cursor: the column.
        after: where the epoch before ended; None for the first.
        upto: where this one ends; its rows are part of it.
        closed: whether rows with `after` itself belong to it (an initial value).
        before: what had been read of the rows up to `after`; None in exclusive mode.
        window: what has been read with this epoch of the rows up to `upto`.
    """

    cursor: str
    after: str | None
    upto: str
    closed: bool = False
    before: Window | None = None
    window: Window | None = None

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "cursor": self.cursor,
            "after": self.after,
            "upto": self.upto,
            "closed": self.closed,
            "before": _window_value(self.before),
            "window": _window_value(self.window),
        }

    @staticmethod
    def of(value: Mapping[str, Any]) -> Position:
        """Read what `value` gave.

        >>> position = Position("id", "1", "5", before=Window("1", {"ab": 2}, ("id",)))
        >>> Position.of(position.value()) == position
        True
        """
        return Position(
            value["cursor"],
            value["after"],
            value["upto"],
            value["closed"],
            _window_of(value["before"]),
            _window_of(value["window"]),
        )


def _window_value(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    # Most rows are there once: their hashes are listed without a count.
    once = sorted(h for h, n in window.rows.items() if n == 1)
    more = {h: n for h, n in sorted(window.rows.items()) if n != 1}
    return {"start": window.start, "once": once, "more": more, "columns": list(window.columns)}


def _window_of(value: Mapping[str, Any] | None) -> Window | None:
    if value is None:
        return None
    rows = {**dict.fromkeys(value["once"], 1), **value["more"]}
    return Window(value["start"], rows, tuple(value["columns"]))


class Ruler(Frozen):
    """Conditions on a cursor, as SQL.

    Args:
        relation: what stands in FROM.
        cursor: the column.
        type: of the cursor, as SQL.
    """

    relation: str
    cursor: str
    type: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"q.{quote(self.cursor)}")

    def at(self, value: str) -> str:
        """A cursor value as SQL."""
        return f"{literal(value)}::{self.type}"

    def beyond(self, after: str | None, closed: bool = False) -> str:
        """The rows that come after a value (or from it on); all that have a cursor for None."""
        if after is None:
            return f"{self.name} IS NOT NULL"
        return f"{self.name} {'>=' if closed else '>'} {self.at(after)}"

    def count(self, where: str) -> str:
        """How many rows there are."""
        return f"SELECT count(*) FROM {self.relation} AS q WHERE {where}"

    def greatest(self, where: str) -> str:
        """The greatest cursor value; not every type has a max()."""
        return (
            f"SELECT {self.name}::text FROM {self.relation} AS q WHERE {where}"
            f" ORDER BY {self.name} DESC LIMIT 1"
        )

    def nth(self, where: str, number: int) -> str:
        """The cursor value of the n-th row, from the lowest."""
        return (
            f"SELECT {self.name}::text FROM {self.relation} AS q WHERE {where}"
            f" ORDER BY {self.name} OFFSET {number - 1} LIMIT 1"
        )

    def below(self, value: str, lookback: str, unit: str, least: str | None) -> str:
        """The value that lies a lookback below another one, but not below the least.

        Args:
            unit: the type of the lookback.
        """
        found = f"({self.at(value)} - {literal(lookback)}::{unit})::{self.type}"
        if least is not None:
            found = f"greatest({found}, {self.at(least)})"
        return f"SELECT ({found})::text"

    def hashes(self, start: str, upto: str, columns: Sequence[str], most: int) -> str:
        """The rows of a window by hash, at most one more than `most`."""
        return (
            f"SELECT {digest(columns)} AS h, count(*) FROM {self.relation} AS q"
            f" WHERE {self.name} >= {self.at(start)} AND {self.name} <= {self.at(upto)}"
            f" GROUP BY 1 LIMIT {most + 1}"
        )

    def late(self, window: Window, after: str) -> str:
        """How many rows of a window have come since it was looked at."""
        rows = (
            f"SELECT {digest(window.columns)} AS h, count(*) AS n FROM {self.relation} AS q"
            f" WHERE {self.name} >= {self.at(window.start)} AND {self.name} <= {self.at(after)}"
            " GROUP BY 1"
        )
        return (
            "SELECT coalesce(sum(greatest(r.n - coalesce(s.n, 0), 0)), 0)::int8"
            f" FROM ({rows}) AS r LEFT JOIN {_listed(window.rows)} AS s (h, n) USING (h)"
        )

    def rows(self, position: Position, select: str) -> str:
        """Exactly the rows of one epoch.

        Args:
            select: the columns, as SQL.
        """
        begin = self.beyond(position.after, position.closed)
        end = f"{self.name} <= {self.at(position.upto)}"
        source = f"FROM {self.relation} AS q"
        window = position.window
        if window is None:
            return f"SELECT {select} {source} WHERE {begin} AND {end}"
        start = self.at(window.start)
        parts = [f"SELECT {select} {source} WHERE {begin} AND {self.name} < {start}"]
        seen = position.before
        if seen is not None and position.after is not None:
            # Rows that came late, below what is looked at from now on.
            where = (
                f"{self.name} >= {self.at(seen.start)} AND {self.name} < {start}"
                f" AND {self.name} <= {self.at(position.after)}"
            )
            parts.append(self._unseen(select, where, seen, None))
            begin = f"{self.name} >= {self.at(seen.start)}"
        parts.append(
            self._unseen(select, f"{begin} AND {self.name} >= {start} AND {end}", seen, window)
        )
        return "\nUNION ALL\n".join(parts)

    def _unseen(self, select: str, where: str, seen: Window | None, taken: Window | None) -> str:
        """Rows that had not been seen, and that were there when the epoch was planned."""
        numbered, joined, chosen = [], [], []
        for alias, window, condition in (
            ("s", seen, "q.qanat_s > coalesce(s.n, 0)"),
            ("t", taken, "q.qanat_t <= coalesce(t.n, 0)"),
        ):
            if window is None:
                continue
            hash_ = digest(window.columns)
            numbered += [
                f"{hash_} AS qanat_{alias}_h",
                f"row_number() OVER (PARTITION BY {hash_}) AS qanat_{alias}",
            ]
            joined.append(
                f" LEFT JOIN {_listed(window.rows)} AS {alias} (h, n)"
                f" ON {alias}.h = q.qanat_{alias}_h"
            )
            chosen.append(condition)
        inner = f"SELECT q.*, {', '.join(numbered)} FROM {self.relation} AS q WHERE {where}"
        return f"SELECT {select} FROM ({inner}) AS q{''.join(joined)} WHERE {' AND '.join(chosen)}"


def digest(columns: Sequence[str]) -> str:
    """The hash of a row, as SQL: of some columns, as text.

    >>> digest(["id"])
    'md5(ROW(q."id")::text)'
    """
    return f"md5(ROW({', '.join('q.' + quote(c) for c in columns)})::text)"


def _listed(rows: Hashes) -> str:
    """Hashes with their counts as a relation of (h, n)."""
    return (
        f"(SELECT k, v::int8 FROM json_each_text({literal(json.dumps(dict(rows)))}) AS e (k, v))"
    )
