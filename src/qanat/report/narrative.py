"""Each kind of event as lines of a log; the terminal's own report leaves some kinds out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qanat.errors import Location
from qanat.model.event import (
    DatasetEnded,
    DatasetStarted,
    EpochCommitted,
    Event,
    Failure,
    UnknownEvent,
    UpdateEnded,
    UpdateStarted,
    facts_of,
    kind_of,
)
from qanat.model.staged import Counts, RuleCount
from qanat.observe.terminal.lines import remark
from qanat.text import count, duration, printable


def narrate(event: Event | UnknownEvent) -> Sequence[str]:
    """What an event tells; lines behind the first are its details.

    >>> narrate(DatasetStarted("silver", "streaming table"))
    ['silver: began (streaming table)']
    """
    return [printable(line) for line in _lines(event)]


def _lines(event: Event | UnknownEvent) -> list[str]:
    match event:
        case UpdateStarted():
            datasets = count(len(event.datasets), "dataset")
            return [f"update began in environment {event.environment}: {datasets}"]
        case DatasetStarted():
            return [f"{event.dataset}: began ({event.kind})"]
        case EpochCommitted():
            return _epoch(event)
        case DatasetEnded():
            because = f": {event.reason}" if event.reason else ""
            took = f" after {duration(event.seconds)}"
            return [f"{event.dataset}: {event.status}{took}{because}", *_details(event.failure)]
        case UpdateEnded():
            because = f": {event.failure.message}" if event.failure else ""
            took = f" after {duration(event.seconds)}"
            return [f"update {event.status}{took}{because}", *_details(event.failure)]
        case UnknownEvent():
            return [f"{kind_of(event)}: {json.dumps(facts_of(event), ensure_ascii=False)}"]
    line = remark(event)
    return [line if line is not None else f"{kind_of(event)}: {json.dumps(facts_of(event))}"]


def _epoch(event: EpochCommitted) -> list[str]:
    flow = "" if event.flow == event.dataset else f" of {event.flow}"
    version = "" if event.version is None else f" as version {event.version}"
    read = [count(event.files_read, "file") + " read"] if event.files_read else []
    rows = ", ".join([*read, *_rows(event.counts)])
    head = f"{event.dataset}: epoch {event.epoch}{flow} committed{version}: {rows}"
    return [head, *(_rule(r, event.dataset) for r in event.rules if r.broken)]


def _rows(counts: Counts) -> list[str]:
    quarantined = counts.set_aside
    rows = [count(counts.written, "row") + " written"]
    rows += [f"{quarantined:,} quarantined"] if quarantined else []
    rows += [f"{counts.dropped:,} dropped"] if counts.dropped else []
    rows += [f"{number:,} {name}" for name, number in counts.effects.items()]
    return rows


def _rule(rule: RuleCount, dataset: str) -> str:
    name = rule.rule if rule.dataset == dataset else f"{rule.dataset}.{rule.rule}"
    found = count(rule.violations, "row") if rule.value is None else rule.value
    return f"{name} ({rule.action}): {found}"


def _details(failure: Failure | None) -> list[str]:
    """The code and place of an error, what was wanted and found, and the way out."""
    if failure is None:
        return []
    place = ""
    if failure.file is not None:
        place = f" at {Location(failure.file, failure.line, failure.column)}"
    known = {"wanted": failure.wanted, "got": failure.got, "hint": failure.hint}
    lines = [f"{name}: {text}" for name, text in known.items() if text]
    return [f"error[{failure.code}]{place}", *lines]
