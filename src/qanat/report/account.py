"""One update as an HTML page: what it did, what was wrong with its rows, and what is unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qanat.model.anomaly import ROWS, Anomaly
from qanat.model.event import DatasetEnded, UpdateEnded, Warned
from qanat.model.metrics import Metrics
from qanat.model.record import Epoch, UpdateStatus
from qanat.model.staged import Counts
from qanat.report.drawing import Box, drawing
from qanat.report.html import Inline, Mood, Part
from qanat.report.keys import elapsed
from qanat.report.lineage import nodes
from qanat.report.page import (
    contents,
    facts,
    folded,
    frame,
    head,
    paragraph,
    scrolling,
    section,
    table,
)
from qanat.report.plots import line, short, sparkline
from qanat.report.profile.page import overview
from qanat.report.quarantine import origin_of
from qanat.report.table import value_cell
from qanat.run.account import UpdateAccount
from qanat.run.results import FirstRows
from qanat.text import Cell, Value, count, duration, percent, size, utc

_MOST = 100
"""Lines of a table that are not folded, and boxes of a graph that is drawn."""
_MOODS: dict[UpdateStatus, Mood] = {UpdateStatus.SUCCEEDED: "ok", UpdateStatus.FAILED: "bad"}
_COLOURS = {"committed": "green", "failed": "red", "skipped": "yellow", "intended": "yellow"}
_EXPLAINING = "_quarantine_"


def account_page(found: UpdateAccount) -> str:
    """The page of an update: one file without scripts, which loads nothing."""
    sections = {
        "problems": ("What went wrong", _problems(found)),
        "anomalies": ("Out of the ordinary", _anomalies(found)),
        "datasets": ("Datasets", _datasets(found)),
        "rules": ("Rules", _rules(found)),
        "quarantine": ("Rows in quarantine", _quarantine(found)),
        "profiles": ("Profiles", _profiles(found)),
        "notes": ("Notes and warnings", _notes(found)),
        "lineage": ("Lineage", _lineage(found)),
    }
    built = {anchor: (title, [*parts]) for anchor, (title, parts) in sections.items()}
    shown = {anchor: title for anchor, (title, parts) in built.items() if parts}
    update = found.entry.update
    remark = f"{utc(update.started)}, environment {update.environment}, qanat {update.command}"
    return frame(
        f"Qanat: {found.project}, {update.id}",
        head(
            f"{found.project}: update {update.id}",
            f"{_verdict(found)}.",
            _MOODS.get(update.status, "plain"),
            remark,
        ),
        facts(_figures(found)),
        contents(shown),
        *(section(title, *parts, anchor=anchor) for anchor, (title, parts) in built.items()),
    )


def _verdict(found: UpdateAccount) -> str:
    update = found.entry.update
    parts = [f"Update {update.status.value}"]
    if failed := len([e for e in _ended(found) if e.status == "failed"]):
        parts.append(f"{count(failed, 'dataset')} failed")
    if aside := _total(found.entry.epochs).set_aside:
        parts.append(f"{count(aside, 'row')} in quarantine")
    if found.anomalies:
        parts.append(count(len(found.anomalies), "anomaly", "anomalies"))
    return ", ".join(parts)


def _total(epochs: Sequence[Epoch]) -> Counts:
    return sum((e.counts or Counts() for e in epochs), Counts())


def _ended(found: UpdateAccount) -> list[DatasetEnded]:
    return [r.event for r in found.told.events if isinstance(r.event, DatasetEnded)]


def _figures(found: UpdateAccount) -> dict[str, Value]:
    update, epochs = found.entry.update, found.entry.epochs
    total = _total(epochs)
    seconds = elapsed(update.started, update.ended)
    return {
        "datasets with new rows": len({e.dataset for e in epochs if e.version is not None}),
        "rows written": total.written,
        "rows in quarantine": total.set_aside,
        "rows dropped": total.dropped,
        "written": size(sum(e.bytes_written or 0 for e in epochs)),
        "time": "–" if seconds is None else duration(seconds),
    }


def _problems(found: UpdateAccount) -> Iterator[Part]:
    failed = [e for e in _ended(found) if e.failure is not None]
    if found.entry.update.error and not failed:
        yield paragraph(found.entry.update.error, "bad")
    for ended in failed:
        if ended.failure is not None:
            failure = ended.failure
            place = f"{failure.file}:{failure.line}" if failure.file else ""
            lines = [f"wanted: {failure.wanted}" if failure.wanted else "", failure.hint or ""]
            parts = [paragraph(each) for each in lines if each]
            title = f"{ended.dataset}: {failure.message}"
            remark = f"{failure.code} {place}".strip()
            yield folded(title, *parts, mood="bad", remark=remark, unfolded=True)
    for record in found.told.events:
        if isinstance(record.event, UpdateEnded) and record.event.failure is not None:
            yield paragraph(record.event.failure.message, "bad")


def _anomalies(found: UpdateAccount) -> Iterator[Part]:
    for anomaly in found.anomalies:
        said = "" if anomaly.verdict is None else f", said to be {anomaly.verdict}"
        text = f"{anomaly.found}, where {anomaly.limits} was expected{said}."
        yield section(f"{anomaly.metric} of {anomaly.dataset}", paragraph(text), level=3)
        yield _plotted(anomaly, found.trends.get(anomaly.dataset, ()))


def _plotted(anomaly: Anomaly, trend: Sequence[Metrics]) -> Part:
    """A metric on its history, with the limits that the update was held to."""
    entries = [m for m in trend if m.flow == anomaly.flow]
    values = [_value(m, anomaly.metric) for m in entries]
    place = {at for at, m in enumerate(entries) if m.update == anomaly.update}
    if not place:
        return Part("")
    limits = anomaly.low, anomaly.high
    shown = short if anomaly.metric == ROWS else percent
    return line(
        values,
        anomaly.metric,
        [utc(m.ended) for m in entries],
        # The limits of earlier updates are not kept: those of this one stand beside them all.
        [limits] * len(entries),
        place,
        shown,
        "the band is what was expected of this update",
    )


def _value(metrics: Metrics, name: str) -> float | None:
    if name == ROWS:
        return metrics.rows
    part, whole = metrics.shares.get(name, (0, 0))
    return part / whole if whole else None


def _datasets(found: UpdateAccount) -> Iterator[Part]:
    ended = {e.dataset: e for e in _ended(found)}
    headers = ("Dataset", "Status", "Written", "Quarantined", "Dropped", "Size", "Time")
    lines: list[list[Value | Inline]] = []
    for name in dict.fromkeys(e.dataset for e in found.entry.epochs):
        epochs = [e for e in found.entry.epochs if e.dataset == name]
        counts = _total(epochs)
        status = ended[name].status if name in ended else str(epochs[-1].status)
        took = sum(elapsed(e.started, e.ended) or 0.0 for e in epochs)
        colour = {"updated": "green", "failed": "red"}.get(status, _COLOURS.get(status))
        lines.append(
            [
                name,
                Cell(status, colour),
                counts.written,
                counts.set_aside,
                counts.dropped,
                Cell(size(sum(e.bytes_written or 0 for e in epochs)), right=True),
                Cell(duration(took), right=True),
                _trend(found, name),
            ]
        )
    yield from _tables((*headers, "Rows, last updates"), lines, "Datasets")
    others = [e for e in ended.values() if all(e.dataset != n for n, *_ in lines)]
    if others:
        rows: list[list[Value]] = [
            [e.dataset, Cell(e.status, _COLOURS.get(e.status)), e.reason] for e in others
        ]
        inner = table(("Dataset", "Status", "Why"), rows, "Datasets without new rows")
        yield folded(f"{count(len(others), 'dataset')} without new rows", inner)


def _trend(found: UpdateAccount, dataset: str) -> Inline:
    values = [m.rows for m in found.trends.get(dataset, ())]
    return Inline(sparkline(values, f"rows of {dataset}") if len(values) > 1 else Part("–"))


def _tables(
    headers: Sequence[str], lines: Sequence[Sequence[Value | Inline]], label: str
) -> Iterator[Part]:
    """A table; what is beyond its first hundred lines is folded."""
    if lines:
        yield table(headers, lines[:_MOST], label)
    if rest := lines[_MOST:]:
        yield folded(f"{len(rest):,} more", table(headers, rest, f"More {label.lower()}"))


def _rules(found: UpdateAccount) -> Iterator[Part]:
    """Rules with what they found, those with violations first."""
    counted: dict[tuple[str, str, str], int] = {}
    for epoch in found.entry.epochs:
        for rule in epoch.rules:
            key = rule.dataset, rule.rule, rule.action
            counted[key] = counted.get(key, 0) + rule.violations
    lines: list[list[Value | Inline]] = []
    for (dataset, name, action), violations in sorted(counted.items(), key=lambda e: -e[1]):
        past = [
            sum(r.violations for r in m.rules if (r.dataset, r.rule) == (dataset, name))
            for m in found.trends.get(dataset, ())
        ]
        drawn = sparkline(past, f"violations of {name}") if len(past) > 1 else Part("–")
        result = Cell("violated", "red") if violations else Cell("passed", "green")
        lines.append([f"{dataset}.{name}", result, violations, action, Inline(drawn)])
    headers = ("Rule", "Result", "Violations", "Action", "Last updates")
    yield from _tables(headers, lines, "Rules")


def _quarantine(found: UpdateAccount) -> Iterator[Part]:
    for sample in found.samples:
        names = sample.schema.names
        own = [n for n in names if not n.startswith(_EXPLAINING)] if found.values else []
        rows = [_row(sample, values, own) for values in sample.rows]
        # The quarantine is a table of its own; the dataset is what people know.
        title = sample.dataset
        total = len(rows) if sample.total is None else sample.total
        remark = f"{len(rows):,} of {count(total, 'row')}"
        listed = table(("Broke", "From", *own), rows, f"Rows of {title}")
        yield section(title, listed, level=3, remark=remark)
    if found.samples and not found.values:
        yield paragraph(
            "Values may be personal data, so they are left out; --values shows them.", "soft"
        )


def _row(sample: FirstRows, values: Sequence[object], own: Sequence[str]) -> list[Value]:
    row = dict(zip(sample.schema.names, values, strict=True))
    rules = row.get("_quarantine_rules")
    broke = ", ".join(map(str, rules)) if isinstance(rules, dict) else ""
    return [Cell(broke, "red"), origin_of(sample, row), *(value_cell(row[n]) for n in own)]


def _profiles(found: UpdateAccount) -> Iterator[Part]:
    """The tables that asked for it, as they were after this update."""
    for each in found.profiles:
        listed = overview(each.profiled, values=found.values)
        yield section(each.name, listed, level=3, remark=count(each.profiled.rows, "row"))


def _notes(found: UpdateAccount) -> Iterator[Part]:
    lines = [
        [r.event.dataset or "", r.event.message]
        for r in found.told.events
        if isinstance(r.event, Warned)
    ]
    yield from _tables(("Dataset", "Note"), lines, "Notes")


def _lineage(found: UpdateAccount) -> Iterator[Part]:
    lineage = found.lineage
    if lineage is None or not lineage.nodes:
        return
    if len(lineage.nodes) > _MOST:
        yield paragraph(
            f"{len(lineage.nodes):,} nodes are too many to draw: qanat lineage NAME shows a part.",
            "soft",
        )
        return
    boxes = [Box(n.name, n.label, n.expression or "") for n in nodes(lineage)]
    drawn = drawing(boxes, lineage.edges, lineage.references)
    yield scrolling(drawn, "What each dataset is made from")
