"""One update as an HTML page: what it did, what was wrong with its rows, and what is unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from qanat.frozen import Frozen
from qanat.model.anomaly import NOTE, ROWS, Anomaly
from qanat.model.event import DatasetEnded, Failure, UpdateEnded, Warned
from qanat.model.metrics import Metrics
from qanat.model.record import Epoch, UpdateStatus
from qanat.model.side import dataset_of
from qanat.model.staged import Counts, RuleCount
from qanat.report.drawing import Box, drawing
from qanat.report.html import Inline, Mood, Part
from qanat.report.keys import SECONDS_KEY, VERSION_KEY, elapsed
from qanat.report.lineage import nodes
from qanat.report.page import (
    contents,
    facts,
    folded,
    frame,
    head,
    name,
    paragraph,
    scrolling,
    section,
    table,
)
from qanat.report.plots import line, sparkline
from qanat.report.profile.page import overview
from qanat.report.quarantine import origin_of
from qanat.report.severity import severity_cell, worst_first
from qanat.report.shape import Key, Shape
from qanat.report.table import value_cell
from qanat.run.account import UpdateAccount
from qanat.text import Cell, Value, count, duration, percent, size, utc


class QuarantinedSample(Frozen):
    """The first rows that an update put into the quarantine of a dataset.

    Args:
        total: how many it put there.
        rows: of each the rules that it broke, where it came from, and its values if they were
            asked for.
    """

    dataset: str
    total: int
    rows: list[dict[str, Any]]


FAILURE = Shape(
    "DatasetFailure",
    Failure,
    tuple(f.name for f in fields(Failure)),
    "Why a dataset failed.",
)
ENDED = Shape(
    "ReportedDataset",
    DatasetEnded,
    ("dataset", "status", "reason", SECONDS_KEY, "failure"),
    "How a dataset ended. `status`: `updated`, `unchanged`, `failed` or `skipped`.",
)
SAMPLE = Shape(
    "QuarantinedSample",
    QuarantinedSample,
    ("dataset", "total", "rows"),
    "The first rows that an update put into the quarantine of a dataset, of `total`: `broke` has\n"
    "the rules, `source` where it came from, and `values` are there if they were asked for.",
)
REPORT = Shape(
    "ReportDocument",
    UpdateAccount,
    (
        *(VERSION_KEY, "project", Key("update", "entry"), Key("datasets", "ended")),
        *("rules", "anomalies"),
        Key("quarantined", of=list[QuarantinedSample], make=lambda found: [*_sampled(found)]),
        Key("warnings", of=list[str], make=lambda found: [e.message for e in _warned(found)]),
    ),
    "What `qanat report` tells of an update. `rules` are summed over its epochs, those of epochs\n"
    "that failed too.",
)
PARTS = (ENDED, FAILURE, SAMPLE)

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
    if failed := len([e for e in found.ended if e.status == "failed"]):
        parts.append(f"{count(failed, 'dataset')} failed")
    if aside := _total(found.entry.epochs).set_aside:
        parts.append(f"{count(aside, 'row')} in quarantine")
    if found.anomalies:
        parts.append(count(len(found.anomalies), "anomaly", "anomalies"))
    return ", ".join(parts)


def _total(epochs: Sequence[Epoch]) -> Counts:
    return sum((e.counts or Counts() for e in epochs), Counts())


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
    failed = [e for e in found.ended if e.failure is not None]
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
    shown = _whole if anomaly.metric == ROWS else percent
    return line(
        values,
        anomaly.metric,
        [_minute(m.ended) for m in entries],
        # The limits of earlier updates are not kept: those of this one stand beside them all.
        [limits] * len(entries),
        place,
        shown,
        "the band is what was expected of this update",
    )


def _minute(seconds: float) -> str:
    """A time below a plot: two of them must fit on the screen of a phone."""
    return utc(seconds)[: len("2026-01-01 00:00")]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _value(metrics: Metrics, name: str) -> float | None:
    if name == ROWS:
        return metrics.rows
    part, whole = metrics.shares.get(name, (0, 0))
    return part / whole if whole else None


def _datasets(found: UpdateAccount) -> Iterator[Part]:
    ended = {e.dataset: e for e in found.ended}
    headers = ("Dataset", "Status", "Written", "Quarantined", "Dropped", "Size", "Time")
    lines: list[list[Value | Inline]] = []
    for dataset in dict.fromkeys(e.dataset for e in found.entry.epochs):
        epochs = [e for e in found.entry.epochs if e.dataset == dataset]
        counts = _total(epochs)
        status = ended[dataset].status if dataset in ended else str(epochs[-1].status)
        took = sum(elapsed(e.started, e.ended) or 0.0 for e in epochs)
        colour = {"updated": "green", "failed": "red"}.get(status, _COLOURS.get(status))
        lines.append(
            [
                name(dataset),
                Cell(status, colour),
                counts.written,
                counts.set_aside,
                counts.dropped,
                Cell(size(sum(e.bytes_written or 0 for e in epochs)), right=True),
                Cell(duration(took), right=True),
                _trend(found, dataset),
            ]
        )
    yield from _tables((*headers, "Rows, last updates"), lines, "Datasets")
    brought = {e.dataset for e in found.entry.epochs}
    others = [e for e in ended.values() if e.dataset not in brought]
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
    """Rules with what they found: those with violations first, the worst of them at the top."""
    rules = worst_first(found.rules)
    measured = any(not rule.of_rows for rule in rules)
    headers = ["Rule", "Result", "Violations", "Severity", "Action"]
    headers += ["Measured", "Last updates"] if measured else ["Last updates"]
    lines: list[list[Value | Inline]] = []
    for rule in rules:
        violations = rule.violations if rule.of_rows else None
        line: list[Value | Inline] = [name(f"{rule.dataset}.{rule.rule}"), _result(rule)]
        line += [violations, severity_cell(rule)]
        line += [rule.action, rule.value or ""] if measured else [rule.action]
        lines.append([*line, _past(found, rule)])
    yield from _tables(headers, lines, "Rules")


def _result(rule: RuleCount) -> Cell:
    if rule.broken:
        return Cell("violated", "red")
    return Cell("tolerated", "yellow") if rule.violations else Cell("passed", "green")


def _past(found: UpdateAccount, rule: RuleCount) -> Inline:
    """How often a rule was violated in the last updates."""
    past = [
        sum(r.violations for r in m.rules if (r.dataset, r.rule) == (rule.dataset, rule.rule))
        for m in found.trends.get(rule.dataset, ())
    ]
    if all(m.update != found.entry.update.id for m in found.trends.get(rule.dataset, ())):
        # An epoch that failed is no part of the history of metrics.
        past.append(rule.violations)
    drawn = sparkline(past, f"violations of {rule.rule}") if len(past) > 1 else Part("–")
    return Inline(drawn)


def _quarantine(found: UpdateAccount) -> Iterator[Part]:
    for sample in _sampled(found):
        own = [*sample.rows[0].get("values", ())]
        rows = [
            [
                Cell(", ".join(row["broke"]), "red"),
                row["source"],
                *(value_cell(row["values"][n]) for n in own),
            ]
            for row in sample.rows
        ]
        remark = f"{len(rows):,} of {count(sample.total, 'row')}"
        listed = table(("Broke", "From", *own), rows, f"Rows of {sample.dataset}")
        yield section(sample.dataset, listed, level=3, remark=remark)
    if found.samples and not found.values:
        shown = f"qanat report {found.entry.update.id} --values"
        yield paragraph(
            f"Values may be personal data, so they are left out: {shown} writes a page with them.",
            "soft",
        )


def _sampled(found: UpdateAccount) -> Iterator[QuarantinedSample]:
    for sample in found.samples:
        rows = []
        for values in sample.rows:
            row = dict(zip(sample.schema.names, values, strict=True))
            rules = row.get("_quarantine_rules")
            broke = [*map(str, rules)] if isinstance(rules, dict) else []
            told: dict[str, Any] = {"broke": broke, "source": origin_of(sample, row)}
            if found.values:
                told["values"] = {n: v for n, v in row.items() if not n.startswith(_EXPLAINING)}
            rows.append(told)
        # The quarantine is a table of its own; the dataset is what people know.
        total = len(rows) if sample.total is None else sample.total
        yield QuarantinedSample(dataset_of(sample.dataset), total, rows)


def _warned(found: UpdateAccount) -> Iterator[Warned]:
    """Warnings but those of anomalies, which have a part of their own."""
    for record in found.told.events:
        if isinstance(record.event, Warned) and not record.event.message.startswith(NOTE):
            yield record.event


def _profiles(found: UpdateAccount) -> Iterator[Part]:
    """The tables that asked for it, as they were after this update."""
    for each in found.profiles:
        listed = overview(each.profiled, values=found.values)
        yield section(each.name, listed, level=3, remark=count(each.profiled.rows, "row"))


def _notes(found: UpdateAccount) -> Iterator[Part]:
    lines = [[each.dataset or "", each.message] for each in _warned(found)]
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
