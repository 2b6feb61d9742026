"""What an update did."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from qanat.model.anomaly import NOTE
from qanat.model.event import Recovered
from qanat.model.expectation import Action
from qanat.model.pipeline import DatasetKind
from qanat.model.staged import RuleCount
from qanat.report.html import Part, heading, page, table
from qanat.report.keys import PROBLEMS_KEY, SECONDS_KEY, VERSION_KEY
from qanat.report.severity import severity_cell, tells, worst_first
from qanat.report.shape import Key, Shape
from qanat.run.decide import HAS_RUN, NOTHING_NEW, UNCHANGED
from qanat.run.results import DatasetResult, UpdateResult
from qanat.text import PLAIN, Cell, Layout, Value, count, duration, grid, listed, printable

RULE = Shape(
    "Rule",
    RuleCount,
    (
        *("dataset", "rule", "action", "violations", "rows", "value"),
        *("tolerance", "tolerated", "severity"),
    ),
    "How many rows violated one expectation; `action` is what happened to them. `rows` is how\n"
    "many it was about, null if nobody knows. Of a rule about the table or its columns, `value`\n"
    "is what was measured, and `violations` 1 if it is violated. `tolerated`: that many\n"
    "violations are within `tolerance`.",
)
COUNTS = tuple(
    Key(name, f"counts.{name}")
    for name in (
        *("out", "written", "dropped", "quarantined", "malformed"),
        *("inserted", "updated", "deleted", "late"),
    )
)
DATASET = Shape(
    "UpdatedDataset",
    DatasetResult,
    (
        *("dataset", "kind", "status", "reason", "read", "files"),
        *COUNTS,
        *(SECONDS_KEY, "version", "rules", "notes", "paused", "error"),
        PROBLEMS_KEY,
    ),
    "One dataset of an update.\n\n"
    "`status`: `updated`, `unchanged`, `failed` or `skipped`; `reason` says why. `read` is null\n"
    "where the engine does not know it. `out` is what the query made of the rows read: a WHERE\n"
    "makes it less, a join may make it more. It always equals\n"
    "`written + dropped + quarantined`; `malformed` rows could not be parsed and were\n"
    "quarantined before the query. Of changes that were merged into a table, `written` counts\n"
    "those that were taken, `inserted`, `updated` and `deleted` the rows that they changed, and\n"
    "`late` those that came after a later one of their key. `version` is the table's after the\n"
    "update. `notes` tells of columns that are new, have wider types, or have no value in the\n"
    "new files any more, and why a dataset that was updated is paused from now on.\n"
    "`paused`: no update works on it until `qanat resume`.\n"
    "`error` is why it failed, `problems` has all its errors.",
)
UPDATE = Shape(
    "UpdateDocument",
    UpdateResult,
    (
        VERSION_KEY,
        Key("update", of=str | None, make=lambda result: result.id or None),
        *("status", SECONDS_KEY, "datasets", "recovered"),
    ),
    "`status`: `succeeded` or `failed`; `update` is null when nothing had to be written.",
)
RECOVERY = Shape(
    "Recovery",
    Recovered,
    ("dataset", "flow", "epoch", "how"),
    "What became of an epoch that a crash had left open; `how` is `settled`, `redone` or\n"
    "`given up`.",
)
PARTS = (DATASET, RULE, RECOVERY)

MOST = 60
"""Datasets listed one by one before unchanged ones are only counted."""

_CURRENT = ("", HAS_RUN, NOTHING_NEW, UNCHANGED)
"""The reasons of unchanged datasets that are up to date; all others have something to wait for."""

_COLOURS = {"updated": "green", "failed": "red", "skipped": "yellow", "unchanged": "dim"}
_FATES = {
    "warn": "kept",
    "drop": "dropped",
    "quarantine": "quarantined",
    "fail": "nothing published",
}
_SPARE = ("Kind", "Time", "Files", "Read")
"""What a narrow terminal can do without; what became of the rows is not among it."""
_HEADERS = (
    "Dataset",
    "Status",
    "Files",
    "Read",
    "Written",
    "Quarantined",
    "Dropped",
    "Time",
    "Kind",
)
RULE_HEADERS = ("Expectation", "Violations", "Rows were")
_SEVERITY = "Severity"
"""A further column, where rules have severities of their own."""


def update_text(
    result: UpdateResult, options: str = "", layout: Layout = PLAIN, selected: str = ""
) -> str:
    """The text after an update: tables, violations and what to type next.

    Args:
        options: to be repeated in the commands to type next, such as ` -C shop`.
        selected: options that choose the same datasets once more, such as ` --select gold`.
    """
    if _idle(result):
        return _nothing_new(result, options)
    shown = _listed(result)
    lines = grid(_HEADERS, [_row(d) for d in shown], layout, _SPARE)
    if len(shown) < len(result.datasets):
        lines.append(f"… and {len(result.datasets) - len(shown):,} unchanged")
    if changed := [text for d in shown for text in (_by_query(d), _merged(d)) if text]:
        lines += ["", *changed]
    if notes := [f"{d.dataset}: {note}" for d in result.datasets for note in d.notes]:
        lines += ["", *map(printable, notes)]
    headers, rules = _violated(result)
    if rules:
        lines += ["", *grid(headers, rules, layout)]
    if result.recovered:
        lines += ["", *_recovered(result)]
    if silent := _silent(result):
        lines += ["", silent]
    standing = [d for d in result.datasets if d.paused and d.status == "unchanged"]
    if standing:
        lines += ["", *(printable(f"{d.dataset}: {d.reason}") for d in standing)]
    colour = "bold red" if result.status == "failed" or result.failed else "bold green"
    lines += ["", layout.paint(_verdict(result), colour)]
    return "\n".join([*lines, *_to_type(_next(result, options, selected))])


def update_html(result: UpdateResult) -> str:
    """An update for a notebook."""
    if _idle(result):
        return page(heading(_nothing_new(result), "ok"))
    failed = result.status == "failed" or bool(result.failed)
    parts: list[Part] = [heading(_verdict(result), "bad" if failed else "ok")]
    if silent := _silent(result):
        parts.append(heading(silent, "ok"))
    parts.append(table(_HEADERS, [_row(d) for d in _listed(result)]))
    notes = (f"{d.dataset}: {note}" for d in result.datasets for note in d.notes)
    parts += (heading(note, "plain") for note in notes)
    headers, rules = _violated(result)
    if rules:
        parts.append(table(headers, rules))
    for dataset in result.failed:
        error = dataset.error
        text = str(error) if error is not None else dataset.reason
        parts.append(heading(f"{dataset.dataset}: {text}", "bad"))
    return page(*parts)


def _idle(result: UpdateResult) -> bool:
    told = (d.notes or any(r.broken for r in d.rules) for d in result.datasets)
    quiet = all(d.status == "unchanged" for d in result.datasets) and not any(told)
    return quiet and result.status != "failed"


def _nothing_new(result: UpdateResult, options: str = "") -> str:
    waiting = [d for d in result.datasets if not d.off and d.reason not in _CURRENT]
    text = "Nothing new: read 0 rows, wrote 0 rows."
    off = sum(d.off for d in result.datasets)
    if current := len(result.datasets) - off - len(waiting):
        text += f" {count(current, 'dataset is', 'datasets are')} up to date."
    if silent := _silent(result):
        text += f" {silent}"
    told = [f"  {d.dataset}: {d.reason}" for d in waiting[:MOST]]
    return "\n".join([text, *told, *_recovered(result), *_to_type(_resume(result, options))])


def _merged(result: DatasetResult) -> str:
    """What changes did to the rows of a table, and what came too late; empty if nothing did."""
    counts = result.counts
    if [*counts.effects] == ["late"]:
        late, of = f"{counts.late:,}", "" if result.read is None else f" of {result.read:,}"
        rows = count(counts.late, "row") if result.read is None else f"{late}{of} rows"
        return f"{printable(result.dataset)}: {rows} came too late"
    effects = ", ".join(f"{number:,} {name}" for name, number in counts.effects.items())
    taken = count(result.counts.written, "change")
    if result.snapshots:
        taken = f"{count(result.epochs, 'snapshot')} of {count(result.counts.written, 'row')}"
    return f"{printable(result.dataset)}: {taken}: {effects}" if effects else ""


def _by_query(result: DatasetResult) -> str:
    """How many rows a query left out, or made more, before any rule saw them; empty if none.

    Not of views: most of them group or join.
    """
    counts, read = result.counts, result.read
    if read is None or result.status != "updated" or counts.out == read - counts.malformed:
        return ""
    if result.kind == DatasetKind.MATERIALIZED_VIEW:
        return ""
    parsed = count(read - counts.malformed, "row")
    return f"{printable(result.dataset)}: the query made {counts.out:,} of {parsed}"


def _recovered(result: UpdateResult) -> list[str]:
    """What was done with the epochs that a crash had left open."""
    if not result.recovered:
        return []
    each = [
        f"  {printable(r.dataset)}: epoch {r.epoch} of {printable(r.flow)} {r.how}"
        for r in result.recovered[:MOST]
    ]
    return ["After an update that did not come to its end:", *each]


def _silent(result: UpdateResult) -> str:
    """Which sinks send nothing, and why: they may be behind, although nothing is to be done."""
    off = [d for d in result.datasets if d.off and d.status == "unchanged"]
    return f"{listed([d.dataset for d in off])}: {off[0].reason}." if off else ""


def _listed(result: UpdateResult) -> list[DatasetResult]:
    if len(result.datasets) <= MOST:
        return list(result.datasets)
    return [d for d in result.datasets if d.status != "unchanged"]


def _violated(result: UpdateResult) -> tuple[Sequence[str], list[list[Value]]]:
    """The rules that were violated, the worst first, as lines of a table, behind its headers.

    Rules without a severity of their own need no column for it.
    """
    rules = worst_first(r for d in result.datasets for r in d.rules if _told(r))
    lines = [_rule(r) for r in rules]
    if not tells(rules):
        return RULE_HEADERS, lines
    name, *others = RULE_HEADERS
    with_severity = zip(rules, lines, strict=True)
    return (name, _SEVERITY, *others), [[n, severity_cell(r), *o] for r, (n, *o) in with_severity]


def rules_of(rules: Sequence[RuleCount]) -> list[list[Value]]:
    """The rules that were violated, each as a line of a table below `RULE_HEADERS`."""
    return [_rule(r) for r in rules if _told(r)]


def _told(rule: RuleCount) -> bool:
    """True of violations that people hear of: rows that stay, within a tolerance, are none."""
    moves = rule.action in (Action.DROP, Action.QUARANTINE)
    return rule.broken or (rule.violations > 0 and moves)


def _rule(rule: RuleCount) -> list[Value]:
    name = f"{rule.dataset}.{rule.rule}"
    if not rule.of_rows:
        return [name, None, rule.value]
    return [name, rule.violations, _FATES.get(rule.action, rule.action)]


def _row(result: DatasetResult) -> list[Value]:
    status = Cell(result.status, _COLOURS.get(result.status))
    if result.status != "updated":
        return [result.dataset, status, None, None, None, None, None, None, result.kind]
    counts = result.counts
    return [
        result.dataset,
        status,
        result.files or None,
        result.read,
        counts.written,
        counts.set_aside,
        counts.dropped,
        Cell(duration(result.seconds), right=True),
        result.kind,
    ]


def _verdict(result: UpdateResult) -> str:
    failed = len(result.failed)
    took = duration(result.seconds)
    if result.status != "failed" and not failed:
        return f"Update succeeded in {took}."
    skipped = sum(d.status == "skipped" for d in result.datasets)
    text = f"Update failed after {took}: {count(failed, 'dataset')} failed"
    if skipped:
        depend = "depends" if skipped == 1 else "depend"
        text += f", {skipped:,} that {depend} on {'it' if failed == 1 else 'them'} skipped"
    return text + "."


def _next(result: UpdateResult, options: str, selected: str) -> list[tuple[str, str]]:
    """Commands that make sense now, each with what it does."""
    hints = []
    updated = [d for d in result.datasets if d.status == "updated"]
    full = [d for d in updated if d.counts.written and d.kind != DatasetKind.SINK]
    views = [d for d in full if d.kind == DatasetKind.MATERIALIZED_VIEW]
    if written := views or full:
        shown = f"qanat show {shlex.quote(written[-1].dataset)}{options}"
        hints.append((shown, "look at the result"))
    if with_quarantined := [d for d in updated if d.counts.set_aside]:
        worst = max(with_quarantined, key=lambda d: d.counts.set_aside)
        typed = f"qanat quarantine show {shlex.quote(worst.dataset)}{options}"
        hints.append((typed, "see the rows in quarantine and why they are there"))
    if any(note.startswith(NOTE) for d in result.datasets for note in d.notes):
        typed = f"qanat anomalies list{options}"
        hints.append((typed, "see what is out of the ordinary, and since when"))
    hints += _resume(result, options)
    if not result.failed:
        hints.append((f"qanat run{options}{selected}", "run again: only what is new is read"))
    return hints


def _resume(result: UpdateResult, options: str) -> list[tuple[str, str]]:
    """The command that lets go on what is paused, if anything is."""
    standing = [shlex.quote(d.dataset) for d in result.datasets if d.paused]
    typed = f"qanat resume{options} {' '.join(standing)}"
    return [(typed, "let what is paused go on")] if standing else []


def _to_type(hints: Sequence[tuple[str, str]]) -> list[str]:
    """Commands and what each does, in columns; no line if there is none."""
    widest = max((len(typed) for typed, _ in hints), default=0)
    heads = ["", "What to type next:"] if hints else []
    return [*heads, *(f"  {typed:{widest}}  {why}" for typed, why in hints)]
