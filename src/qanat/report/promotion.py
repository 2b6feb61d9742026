"""What one environment took over of another, or would."""

from __future__ import annotations

from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.report.update import RULE_HEADERS, rules_of
from qanat.run.results import PromotedDataset, PromotionResult
from qanat.text import PLAIN, Layout, Value, count, grid, printable

DATASET = Shape(
    "PromotedDataset",
    PromotedDataset,
    (
        *("dataset", "kind", "origin_version", "rows", "replaces", "outdated"),
        Key("written", of=int | None, make=lambda d: d.counts and d.counts.written),
        Key("dropped", of=int | None, make=lambda d: d.counts and d.counts.dropped),
        Key("quarantined", of=int | None, make=lambda d: d.counts and d.counts.set_aside),
        *("version", "rules"),
    ),
    "One dataset of a promotion.\n\n"
    "`origin_version` and `rows` are of the table that it comes from, `replaces` is how many\n"
    "rows were here, `version` is that of the table here afterwards. `outdated`: its inputs have\n"
    "moved on here, so that the next update computes it again. What has not happened is null.",
)
PROMOTION = Shape(
    "PromotionDocument",
    PromotionResult,
    (
        VERSION_KEY,
        Key("update", of=str | None, make=lambda result: result.id or None),
        *("environment", "origin", "dry_run", "datasets"),
    ),
    "What `environment` took over of what `origin` has computed; with `dry_run`, what it would.",
)

_HEADERS = ("Dataset", "From", "Rows", "Replaces", "Written", "Quarantined", "Dropped", "Kind")


def promotion_text(result: PromotionResult, layout: Layout = PLAIN) -> str:
    """The datasets as a table, broken rules, and what to know of them."""
    lines = grid(_HEADERS, [_row(result, d) for d in result.datasets], layout)
    rules = [row for d in result.datasets for row in rules_of(d.rules)]
    if rules:
        lines += ["", *grid(RULE_HEADERS, rules, layout)]
    lines += ["", layout.paint(_verdict(result), "bold" if result.dry_run else "bold green")]
    lines += [_outdated(result, d) for d in result.datasets if d.outdated]
    return "\n".join(lines)


def promotion_html(result: PromotionResult) -> str:
    """The same for a notebook."""
    rows = table(_HEADERS, [_row(result, d) for d in result.datasets])
    outdated = [heading(_outdated(result, d), "ok") for d in result.datasets if d.outdated]
    return page(heading(_verdict(result), "ok"), rows, *outdated)


def _row(result: PromotionResult, dataset: PromotedDataset) -> list[Value]:
    counts = dataset.counts
    return [
        dataset.dataset,
        f"{result.origin}, version {dataset.origin_version}",
        dataset.rows,
        dataset.replaces,
        None if counts is None else counts.written,
        None if counts is None else counts.set_aside,
        None if counts is None else counts.dropped,
        dataset.kind,
    ]


def _verdict(result: PromotionResult) -> str:
    what = count(len(result.datasets), "dataset")
    here, there = printable(result.environment), printable(result.origin)
    if result.dry_run:
        return (
            f"{here} would take over {what} from {there} once the rules pass; nothing is written."
        )
    return f"{here} took over {what} from {there}."


def _outdated(result: PromotionResult, dataset: PromotedDataset) -> str:
    return (
        f"What {printable(dataset.dataset)} was computed from has moved on in"
        f" {printable(result.environment)}: the next update computes it again."
    )
