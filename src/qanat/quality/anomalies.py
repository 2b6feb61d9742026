"""Which metrics of an update are out of the ordinary, by the history of all of them.

All metrics of an update share a budget of false alarms: the more there are, the farther out of the
ordinary each has to be. A metric whose history is too short is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from qanat.frozen import Frozen
from qanat.model.anomaly import (
    BUDGET,
    ENOUGH,
    FRESHNESS,
    HOUR,
    REPEAT,
    ROWS,
    SHORTEST,
    Anomaly,
    Verdict,
)
from qanat.model.metrics import Metrics, Volume
from qanat.quality.limits import Count, Limits, Norm, Parts, Share, norm

_SOON = 10
"""Seconds: that nothing comes for a shorter time is worth nobody's time."""
_MANY_ROWS, _TELLING = 20, 2
"""Rows, and columns with two different bounds, of which it is no chance if they come again."""
_NEW_LEVEL = 3
"""Alarms in a row, on one side, of which nobody has said anything: so it is from now on."""


class Baseline(Frozen):
    """What the history of one flow lets expect of its next update.

    Args:
        norms: by metric; those whose history is too short are missing.
        gap: of the seconds between two updates that brought something.
        excused: values that somebody has called expected, of updates that are not in the history
            because they failed.
        before: the newest update, if no two that followed on one another were alike so far.
    """

    norms: Mapping[str, Norm]
    gap: Norm | None
    excused: Sequence[Anomaly] = ()
    before: Metrics | None = None

    def judge(self, found: Metrics, complete: bool) -> Iterator[Anomaly]:
        """The anomalies among the metrics of an update.

        Args:
            found: what its epochs have brought so far.
            complete: whether that is all; else it is too early to call it too little.
        """
        yield from self.judge_rows(found, found.rows, complete)
        for metric, (part, whole) in found.shares.items():
            if whole:
                yield from self._judged(found, metric, part / whole, whole, complete=True)
        excused = any(a.metric == REPEAT for a in self.excused)
        if complete and not excused and self.before and _alike(found, self.before):
            told = found.dataset, found.flow, REPEAT, found.update, found.ended
            yield Anomaly(*told, 1.0, 0.0, 0.0, 0.0)

    def judge_rows(self, found: Metrics, rows: float, complete: bool = True) -> Iterator[Anomaly]:
        """The anomaly of the number of rows, if it is one.

        Args:
            rows: that came; of a continuous update that has ended, in an hour.
        """
        yield from self._judged(found, ROWS, rows, 0, complete)

    def due(self, ended: float) -> float | None:
        """When the next update should have brought something (seconds since 1970, UTC)."""
        return None if self.gap is None else ended + self.gap.limits(0).highest

    def _judged(
        self, found: Metrics, metric: str, value: float, whole: int, complete: bool
    ) -> Iterator[Anomaly]:
        known = self.norms.get(metric)
        if known is None:
            return
        limits = self._excusing(metric, known.limits(whole))
        if limits.allow(value) or (value < limits.low and not complete):
            return
        yield Anomaly(
            found.dataset,
            found.flow,
            metric,
            found.update,
            found.ended,
            value,
            limits.expected,
            limits.low,
            limits.high,
        )

    def _excusing(self, metric: str, limits: Limits) -> Limits:
        values = [a.value for a in self.excused if a.metric == metric]
        return Limits(
            min([limits.low, *(value * 0.95 for value in values)]),
            max([limits.high, *(value * 1.05 for value in values)]),
            limits.expected,
            limits.accepted,
        )


def baseline(
    volumes: Sequence[Volume],
    entries: Sequence[Metrics],
    anomalies: Sequence[Anomaly],
    watched: int,
    goes_on: bool = False,
) -> Baseline:
    """What a flow's history lets expect.

    Rows of continuous updates are compared with those of others by the hour; with the rows of
    updates that end by themselves they have nothing in common.

    Args:
        volumes: rows of past updates, oldest first.
        entries: all metrics of the newest of these, oldest first.
        anomalies: that were found in them, and what was said of them.
        watched: how many metrics an update has, over all flows.
        goes_on: whether it is for a continuous update.
    """
    alpha = BUDGET / max(1, watched)
    out = _Flagged(volumes, anomalies)
    # The first update of a generation takes all rows that there are.
    first = {v.generation: v.update for v in reversed(volumes)}
    rows = [None if v.update == first[v.generation] else _rows_of(v, goes_on) for v in volumes]
    counts = [None if n is None else (n, 0) for n in rows]
    updates = [v.update for v in volumes]
    norms = {ROWS: _norm(out, ROWS, updates, counts, alpha)}
    shares = [entry.shares for entry in entries]
    # Not only those of the newest update: one without rows has no columns.
    for name in dict.fromkeys(name for of in shares for name in of):
        history = [_parts(of, name) for of in shares]
        norms[name] = _norm(out, name, [e.update for e in entries], history, alpha)
    gaps = _gaps_of_epochs(volumes, entries) if goes_on else _gaps(volumes)
    gap = _norm(out, FRESHNESS, [u for u, _ in gaps], [(g, 0) for _, g in gaps], alpha)
    newest = volumes[-1].ended if volumes else 0.0
    excused = [a for a in anomalies if a.verdict is Verdict.EXPECTED and a.at > newest]
    known = {name: n for name, n in norms.items() if n is not None}
    return Baseline(known, gap, excused, _newest_if_changing(entries, out))


def _rows_of(volume: Volume, goes_on: bool) -> int | None:
    """The rows of an update that count for others of its kind: of a continuous one, in an hour."""
    if not goes_on:
        return volume.rows if volume.lasted is None else None
    if volume.lasted is None or volume.lasted < SHORTEST:
        return None
    return round(volume.rows * HOUR / volume.lasted)


def _gaps(volumes: Sequence[Volume]) -> list[tuple[str, int]]:
    """By update, the seconds since the one before."""
    some = [v for v in volumes if v.lasted is None]
    return [(b.update, round(max(0.0, b.ended - a.ended))) for a, b in pairwise(some)]


def _gaps_of_epochs(
    volumes: Sequence[Volume], entries: Sequence[Metrics]
) -> list[tuple[str, int]]:
    """By continuous update, the longest that nothing came, in seconds."""
    continuous = {v.update for v in volumes if v.lasted is not None}
    some = [e for e in entries if e.update in continuous and e.epochs]
    return [
        (b.update, max(_SOON, round(max(b.gap, b.started - a.ended)))) for a, b in pairwise(some)
    ]


def _norm(
    out: _Flagged,
    metric: str,
    updates: Sequence[str],
    history: Sequence[Parts | None],
    alpha: float,
) -> Norm | None:
    """What the history of one metric lets expect, by what was said of its anomalies."""
    wrong, expected = out.wrong.get(metric, set()), out.expected.get(metric, set())
    flagged, count = wrong | expected, metric in (ROWS, FRESHNESS)
    kept = [None if u in flagged else p for u, p in zip(updates, history, strict=True)]
    parts = zip(updates, history, strict=True)
    accepted = [p for update, p in parts if p is not None and update in expected]
    places = {update: place for place, update in enumerate(updates)}
    rows = ({places[u]: e for u, e in row.items() if u in places} for row in out.levels(metric))
    levels = sorted(filter(None, rows), key=min)
    return norm(kept, Count() if count else Share.among(kept), alpha, accepted, levels)


def _alike(one: Metrics, other: Metrics) -> bool:
    """True if two updates have brought as many rows, with the same bounds and NULLs everywhere.

    A source that is stuck gives its last rows again. Few rows, or columns whose bounds tell
    little, may be alike by chance.
    """
    told = [c for c in one.columns.values() if c.low is not None and c.low != c.high]
    enough = one.rows >= _MANY_ROWS and len(told) >= _TELLING
    return enough and one.counts == other.counts and one.columns == other.columns


def _newest_if_changing(entries: Sequence[Metrics], out: _Flagged) -> Metrics | None:
    """The newest update, if it is known that rows of this flow change with every update."""
    # In an hour of a stream, nothing may come at all.
    entries = [e for e in entries if e.rows or e.columns]
    pairs = [p for p in pairwise(entries) if p[1].update not in out.repeated]
    if len(pairs) < 2 * ENOUGH or any(_alike(*p) or not p[0].columns for p in pairs):
        return None
    return entries[-1]


def _parts(shares: Mapping[str, Parts], name: str) -> Parts | None:
    found = shares.get(name)
    return found if found is not None and found[1] else None


class _Flagged:
    """Updates whose metrics were out of the ordinary.

    Attributes:
        wrong: by metric, the updates whose values do not belong to the history: those that
            somebody has called an anomaly, and those of which nobody has said anything yet.
        expected: by metric, those that somebody has called expected.
        repeated: those that were the same as the one before, and were not called expected.
    """

    def __init__(self, volumes: Sequence[Volume], anomalies: Sequence[Anomaly]) -> None:
        self.wrong: dict[str, set[str]] = {}
        self.expected: dict[str, set[str]] = {}
        self._levels: dict[str, list[dict[str, float]]] = {}
        expected = Verdict.EXPECTED
        found = (a for a in anomalies if a.metric == REPEAT and a.verdict is not expected)
        self.repeated = {a.update for a in found}
        places = {v.update: place for place, v in enumerate(volumes)}
        expectations = {(a.metric, a.update): a.expected for a in anomalies}
        accepted: dict[tuple[str, bool], dict[int, dict[str, set[str]]]] = {}
        for anomaly in anomalies:
            if anomaly.verdict is Verdict.ANOMALY:
                self.wrong.setdefault(anomaly.metric, set()).add(anomaly.update)
            elif anomaly.update in places:
                group = self.expected if anomaly.verdict is Verdict.EXPECTED else self.wrong
                key = anomaly.metric, anomaly.above
                accepted.setdefault(key, {})[places[anomaly.update]] = group
        for (metric, _), some in accepted.items():
            for row in _rows(sorted(some)):
                # What goes on like that is how it is from now on.
                if len(row) >= _NEW_LEVEL:
                    level = {u: expectations[metric, u] for u in (volumes[p].update for p in row)}
                    self._levels.setdefault(metric, []).append(level)
                    continue
                for place in row:
                    some[place].setdefault(metric, set()).add(volumes[place].update)

    def levels(self, metric: str) -> Sequence[Mapping[str, float]]:
        """Of each time that a new level began: by its first updates, what had been expected."""
        return self._levels.get(metric, ())


def _rows(places: Sequence[int]) -> Iterator[list[int]]:
    """Places that follow on one another.

    >>> list(_rows([1, 2, 4, 7, 8, 9]))
    [[1, 2], [4], [7, 8, 9]]
    """
    row: list[int] = []
    for place in places:
        if row and place != row[-1] + 1:
            yield row
            row = []
        row.append(place)
    if row:
        yield row
