"""How much of an epoch may go to quarantine, and what is said of files not read as they are."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import QuarantineLimitError
from qanat.model.expectation import Tolerance
from qanat.model.limit import (
    QUARANTINE_LIMIT,
    QUARANTINE_WINDOW,
    parse_limit,
)
from qanat.model.pipeline import Dataset
from qanat.model.staged import Counts, RuleCount, Staged
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.text import count


def limit_of(session: Session, dataset: Dataset) -> Tolerance | None:
    """How many rows of an epoch of a dataset may go to quarantine; None for all of them."""
    default = session.project.configuration.get(QUARANTINE_LIMIT)
    written = dataset.table_property(QUARANTINE_LIMIT) or default
    return None if written is None else parse_limit(written)


def window_of(session: Session, dataset: Dataset) -> str | None:
    """The time whose rows that limit is about, as its author wrote it; None: about one epoch."""
    default = session.project.configuration.get(QUARANTINE_WINDOW)
    return dataset.table_property(QUARANTINE_WINDOW) or default


def check_limit(session: Session, compiled: CompiledFlow, staged: Staged) -> None:
    """Stop an epoch that would put more rows into quarantine than its dataset allows.

    Rows that a temporary view of the flow puts aside are held against the dataset's limit, too,
    as a share of the view's own rows. A replay has no limit: its rows are there already. Where the
    limit is about the rows of some time, `pausing` looks at them once the epoch is done.

    Raises:
        QuarantineLimitError: there are too many.
    """
    limit = limit_of(session, compiled.dataset)
    if limit is None or not compiled.brings_rows or window_of(session, compiled.dataset):
        return
    for name, counts in _counted(compiled.dataset.name, staged):
        total = counts.out + counts.malformed
        if not limit.allows(counts.set_aside, total):
            raise QuarantineLimitError(
                f"{count(counts.set_aside, 'row')} of {total:,} of {name} would go to quarantine",
                location=compiled.dataset.location,
                wanted=f"at most {limit} ({QUARANTINE_LIMIT})",
                got="; ".join(_reasons(name, staged.rules)),
                hint="nothing was published; mend the source or the rules and run again, or raise"
                f" the limit and look at these rows in {compiled.dataset.quarantine}",
            )


def _counted(dataset: str, staged: Staged) -> Iterator[tuple[str, Counts]]:
    yield dataset, staged.counts
    yield from staged.view_counts.items()


def _reasons(dataset: str, rules: tuple[RuleCount, ...]) -> Iterator[str]:
    for rule in rules:
        if rule.dataset == dataset and rule.action == "quarantine" and rule.violations:
            yield f"{rule.rule}: {count(rule.violations, 'row')}"


def warnings_of(compiled: CompiledFlow, staged: Staged) -> Iterator[str]:
    """What is said where all of a file, or all that came, is in quarantine."""
    for path, rows in staged.unparsed.items():
        yield _unparsed(path, rows)
    counts = staged.counts
    aside = counts.set_aside - sum(staged.unparsed.values())
    if aside > 1 and not (counts.written or counts.dropped or compiled.readmits):
        yield f"none of the {aside:,} rows that came was written: all are in quarantine"


def _unparsed(path: str, rows: int) -> str:
    if rows == 1:
        return f"the only row of {path} could not be parsed: it is in quarantine"
    return f"none of the {rows:,} rows of {path} could be parsed: all are in quarantine"
