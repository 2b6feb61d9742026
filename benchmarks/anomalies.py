"""How many false alarms anomaly detection raises, and how many faults it finds.

    python benchmarks/anomalies.py FOLDER [--series a,b] [--figures]

FOLDER has real series (`timestamp,value`) and `windows.json`, the times of labelled anomalies in
them, as the Numenta Anomaly Benchmark does. Counts become rows per hour and per day; points within
a window are neither normal nor faults. At each point only earlier points are known. Faults are put
at every normal point in turn. Beside Qanat's detection: z-score over the last 14 points, the same
by phase of the season, rate of change, and Holt-Winters on the logarithm. Each of them is tried
with its usual threshold, and with the one by which it finds as many faults as Qanat does.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from qanat.model.anomaly import BUDGET, LONG, REPEAT, SHORT
from qanat.model.metrics import Metrics, Volume
from qanat.model.staged import ColumnMetrics, Counts
from qanat.quality.anomalies import baseline
from qanat.quality.limits import Count, Share, norm

DEVELOPED_ON = ("Twitter_volume_AAPL", "Twitter_volume_AMZN", "Twitter_volume_CRM",
                "elb_request_count_8c0756")  # fmt: skip
METRICS = 20
"""Metrics that the budget of an update is shared by: a table of some fifteen columns."""
STUCK = 250
"""Updates of each series that are tried with the rows of the one before."""
WARM = 21
"""Points before the first one that counts, for all methods alike."""
FACTORS = {"-30 %": 0.7, "-50 %": 0.5, "-90 %": 0.1, "zero": 0.0, "+30 %": 1.3, "doubled": 2.0}
JUMPS = {"share x2": 2.0, "share x5": 5.0, "share +10 points": None}

Bounds = tuple[float, float]
Method = Callable[[Sequence[tuple[int, int]], int, float], Bounds | None]
"""The limits after some points (part, whole), for a whole, given how strict to be."""


@dataclass
class Series:
    """A metric: parts (and wholes, of a share), and which points are normal."""

    name: str
    kind: str
    hours: float
    points: list[tuple[int, int]]
    normal: list[bool]

    @property
    def share(self) -> bool:
        return self.kind == "share"

    def value(self, place: int) -> float:
        part, whole = self.points[place]
        return part / max(1, whole) if self.share else part


# -- the methods ------------------------------------------------------------------------------


def qanat(points: Sequence[tuple[int, int]], whole: int, budget: float) -> Bounds | None:
    kept = points[-(SHORT if whole else LONG) :]
    scale = Share.among(kept) if whole else Count()
    found = norm(kept, scale, budget / METRICS)
    if found is None:
        return None
    limits = found.limits(whole)
    return limits.low, limits.high


def z_score(points: Sequence[tuple[int, int]], whole: int, z: float) -> Bounds | None:
    return _z(points[-14:], z)


def z_by_phase(points: Sequence[tuple[int, int]], whole: int, z: float) -> Bounds | None:
    period = _phase[0]
    same = list(points[-period::-period][:14]) if period <= len(points) else []
    return _z(same, z) if len(same) >= 3 else None


def _z(points: Sequence[tuple[int, int]], z: float) -> Bounds | None:
    values = [p / w if w else p for p, w in points]
    if len(values) < 3:
        return None
    mean, spread = fmean(values), z * pstdev(values)
    return mean - spread, mean + spread


def change(points: Sequence[tuple[int, int]], whole: int, factor: float) -> Bounds | None:
    part, of = points[-1]
    last = part / of if of else part
    return last / factor, last * factor


def holt_winters(points: Sequence[tuple[int, int]], whole: int, z: float) -> Bounds | None:
    """Additive, with the usual smoothing; the state is kept from call to call."""
    state = _states.setdefault((_phase[1], bool(whole)), _HoltWinters(_phase[0]))
    state.feed(points, bool(whole))
    return state.bounds(z, bool(whole))


@dataclass
class _HoltWinters:
    period: int
    fed: int = 0
    level: float = 0.0
    trend: float = 0.0
    seasons: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def feed(self, points: Sequence[tuple[int, int]], share: bool) -> None:
        for part, whole in points[self.fed :]:
            value = _logit(part, whole) if share else math.log1p(part)
            self.values.append(value)
            if len(self.values) == 2 * self.period:
                first, second = self.values[: self.period], self.values[self.period :]
                self.level, self.trend = (
                    fmean(second),
                    (fmean(second) - fmean(first)) / self.period,
                )
                self.seasons = [
                    (a - fmean(first) + b - fmean(second)) / 2
                    for a, b in zip(first, second, strict=True)
                ]
            elif len(self.values) > 2 * self.period:
                place = (len(self.values) - 1) % self.period
                expected = self.level + self.trend + self.seasons[place]
                self.errors.append(value - expected)
                before = self.level
                self.level = 0.3 * (value - self.seasons[place]) + 0.7 * (before + self.trend)
                self.trend = 0.05 * (self.level - before) + 0.95 * self.trend
                self.seasons[place] = 0.2 * (value - self.level) + 0.8 * self.seasons[place]
        self.fed = len(points)

    def bounds(self, z: float, share: bool) -> Bounds | None:
        if len(self.errors) < 5:
            return None
        expected = self.level + self.trend + self.seasons[len(self.values) % self.period]
        spread = z * math.sqrt(fmean(e * e for e in self.errors[-100:]))
        back = _share if share else math.expm1
        return back(expected - spread), back(expected + spread)


def _logit(part: int, whole: int) -> float:
    return math.log((part + 0.5) / (whole - part + 0.5))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(logit, 60.0))))


_phase: list[Any] = [7, ""]
_states: dict[tuple[str, bool], _HoltWinters] = {}

METHODS: dict[str, tuple[Method, float, Sequence[float]]] = {
    "Qanat": (qanat, BUDGET, (BUDGET,)),
    "z-score, 14 points": (z_score, 3.0, [n / 4 for n in range(1, 80)]),
    "z-score by phase": (z_by_phase, 3.0, [n / 4 for n in range(1, 80)]),
    "rate of change": (change, 2.0, [1 + n / 20 for n in range(1, 200)]),
    "Holt-Winters, log": (holt_winters, 3.0, [n / 4 for n in range(1, 80)]),
}


# -- the series --------------------------------------------------------------------------------


def load(folder: Path, wanted: Sequence[str]) -> Iterator[Series]:
    windows = json.loads((folder / "windows.json").read_text())
    for file in sorted(folder.glob("*.csv")):
        if wanted and file.stem not in wanted:
            continue
        with file.open() as lines:
            rows = [(datetime.fromisoformat(r["timestamp"]), float(r["value"]))
                    for r in csv.DictReader(lines)]  # fmt: skip
        bad = [tuple(map(datetime.fromisoformat, w)) for w in windows[file.name]]
        mean = "occupancy" in file.stem
        for label, step in (("hourly", timedelta(hours=1)), ("daily", timedelta(days=1))):
            made = _resampled(rows, bad, step, mean)
            hours = step.total_seconds() / 3600
            if len(made) < 2 * WARM:
                continue
            counts = [(round(v), 0) for v, _ in made]
            normal = [n for _, n in made]
            yield Series(f"{file.stem} {label}", "count", hours, counts, normal)
            if not mean:
                yield Series(
                    f"{file.stem} {label}, NULLs",
                    "share",
                    hours,
                    _nulls(file.stem, counts),
                    normal,
                )


def _resampled(
    rows: Sequence[tuple[datetime, float]], bad: Sequence[Any], step: timedelta, mean: bool
) -> list[tuple[float, bool]]:
    start = rows[0][0].replace(minute=0, second=0, microsecond=0)
    if step.days:
        start = start.replace(hour=0)
    found: dict[int, list[float]] = {}
    for at, value in rows:
        found.setdefault((at - start) // step, []).append(value)
    made = []
    for place in range(1, max(found)):  # the first and the last may be cut off
        begin = start + place * step
        normal = not any(low < begin + step and begin <= high for low, high in bad)
        values = found.get(place, [])
        made.append(((fmean(values) if mean and values else sum(values)), normal and bool(values)))
    return made


def _nulls(seed: str, counts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A share of NULLs of so many rows that drifts a little, as real ones do."""
    chance, made = random.Random(seed), []  # noqa: S311
    for rows, _ in counts:
        share = 0.01 * math.exp(chance.gauss(0, 0.25))
        nulls = round(max(0.0, chance.gauss(rows * share, math.sqrt(rows * share) + 1e-9)))
        made.append((min(rows, nulls), max(1, rows)))
    return made


def faults(series: Series, place: int) -> Iterator[tuple[str, tuple[int, int]]]:
    part, whole = series.points[place]
    if series.share:
        for name, factor in JUMPS.items():
            more = part + whole // 10 if factor is None else round(part * factor)
            if part or factor is None:
                yield name, (min(more, whole), whole)
        return
    for name, factor in FACTORS.items():
        if round(part * factor) != part:
            yield name, (round(part * factor), whole)
    if series.points[place - 1] != series.points[place]:
        yield "repeat of the last", series.points[place - 1]


# -- the trial ---------------------------------------------------------------------------------


@dataclass
class Score:
    alarms: int = 0
    points: int = 0
    months: float = 0.0
    metrics: int = 0
    found: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.alarms / self.months if self.months else 0.0

    @property
    def recall(self) -> float:
        """The mean over kinds of faults, but for repeats, which no limits tell."""
        kinds = [k for k in self.tried if not k.startswith("repeat")]
        return fmean(self.found.get(k, 0) / self.tried[k] for k in kinds) if kinds else 0.0


def trial(all_: Sequence[Series], method: Method, strict: float) -> Score:
    score = Score()
    for series in all_:
        _phase[:] = [7 if series.hours > 1 else 24, series.name]
        _states.clear()
        judged = 0
        for place in range(WARM, len(series.points)):
            _, whole = series.points[place]
            bounds = method(series.points[:place], whole if series.share else 0, strict)
            if not series.normal[place]:
                continue
            judged += 1
            low, high = bounds or (-math.inf, math.inf)
            score.alarms += not low <= series.value(place) <= high
            for kind, (p, w) in faults(series, place):
                value = p / max(1, w) if series.share else p
                score.tried[kind] = score.tried.get(kind, 0) + 1
                score.found[kind] = score.found.get(kind, 0) + (not low <= value <= high)
        score.points += judged
        score.months += judged * series.hours / (24 * 30)
        score.metrics += 1
    return score


def report(title: str, all_: Sequence[Series]) -> None:
    print(f"\n## {title}: {len(all_)} metrics")
    kinds = [*JUMPS] if all_[0].share else [*FACTORS, "repeat of the last"]
    print("| method | false alarms per metric and month |", " | ".join(kinds), "| mean recall |")
    print("|---" * (len(kinds) + 3) + "|")
    goal = 0.0
    for name, (method, usual, sweep) in METHODS.items():
        score = trial(all_, method, usual)
        _row(name, score, kinds)
        if name == "Qanat":
            goal = score.recall
            continue
        tried = [s for strict in sweep if (s := trial(all_, method, strict)).recall >= goal]
        if tried:
            _row(f"{name}, as many found", min(tried, key=lambda s: s.alarms), kinds)
        else:
            print(f"| {name}, as many found | never |")


# -- a source that is stuck --------------------------------------------------------------------

COLUMNS: Mapping[str, Callable[[random.Random, int, int], dict[str, ColumnMetrics]]] = {
    "a key and an amount": lambda chance, rows, before: {
        "id": ColumnMetrics(rows, 0, before, before + rows),
        "amount": ColumnMetrics(rows, 0, 1, round(chance.paretovariate(2) * rows)),
    },
    "two readings from 0 to 40": lambda chance, rows, before: {
        name: ColumnMetrics(rows, 0, chance.randint(0, 3), chance.randint(37, 40))
        for name in ("inside", "outside")
    },
}
"""By what rows have, the bounds of their columns."""


def stuck(all_: Sequence[Series]) -> None:
    """Whether it is told that an update brings the rows of the one before again."""
    print("\n## a source that gives the same rows again")
    print("| rows have | updates | false alarms | told again |\n|---|---|---|---|")
    for label, bounds in COLUMNS.items():
        updates, alarms, found = 0, 0, 0
        for series in all_:
            chance = random.Random(series.name)  # noqa: S311
            entries, before = list[Metrics](), 0
            for place, (rows, _) in enumerate(series.points[:STUCK]):
                made = bounds(chance, rows, before) if rows else {}
                before += rows
                counts = Counts(out=rows, written=rows)
                at = float(place)
                now = Metrics("f", "d", f"u{place}", at, at, 1, counts, (), 0, made)
                if place >= WARM and series.normal[place] and rows:
                    volumes = [Volume(e.update, e.ended, e.rows) for e in entries]
                    judge = baseline(volumes, entries[-SHORT:], (), METRICS).judge
                    again = replace(entries[-1], update=now.update)
                    updates += 1
                    alarms += any(a.metric == REPEAT for a in judge(now, True))
                    found += any(a.metric == REPEAT for a in judge(again, True))
                entries.append(now)
        print(f"| {label} | {updates:,} | {alarms} | {100 * found / updates:.0f} % |")


def _row(name: str, score: Score, kinds: Sequence[str]) -> None:
    cells = (
        f"{100 * score.found.get(k, 0) / score.tried[k]:.0f} %" if score.tried.get(k) else "–"
        for k in kinds
    )
    print(f"| {name} | {score.rate:.2f} |", " | ".join(cells), f"| {100 * score.recall:.0f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--series", default="", help="only these files, without .csv")
    given = parser.parse_args()
    wanted = given.series.split(",") if given.series else []
    found = list(load(given.folder, wanted))
    developed = [s for s in found if s.name.split()[0] in DEVELOPED_ON]
    rest = [s for s in found if s.name.split()[0] not in DEVELOPED_ON]
    for stage, some in (("developed on", developed), ("held out", rest)):
        for kind in ("count", "share"):
            for hours, label in ((1, "hourly"), (24, "daily")):
                chosen = [s for s in some if s.kind == kind and s.hours == hours]
                if chosen:
                    report(f"{stage}, {label} {kind}s", chosen)
    stuck([s for s in rest if s.kind == "count"])


if __name__ == "__main__":
    main()
