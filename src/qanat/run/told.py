"""What a decision tells of columns that are given no more, and of input that is split."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.errors import full_refresh
from qanat.run.facts import Facts
from qanat.text import listed


def warnings(facts: Facts) -> tuple[str, ...]:
    """What an author has to know of an update before it is carried out."""
    return (*_lacks(facts), *_splits(facts))


def _lacks(facts: Facts) -> Iterator[str]:
    """What becomes of columns that the query gives no more."""
    if not facts.lacks:
        return
    one = len(facts.lacks) == 1
    text = f"{'column' if one else 'columns'} {listed(facts.lacks)} {'is' if one else 'are'} given"
    text += f" no more and {'stays' if one else 'stay'}, NULL in new rows"
    if facts.dataset.may_reset:
        text += f" ({full_refresh(facts.dataset.name)} takes {'it' if one else 'them'} away)"
    yield text


def _splits(facts: Facts) -> Iterator[str]:
    """Why it matters that a limit of a source splits what is unread into several epochs."""
    for flow in facts.flows:
        why = flow.changes.epochs_matter if flow.changes else ""
        if flow.more and why:
            yield (
                f"a limit of {listed([w.source for w in flow.waiting])} splits its unread input"
                f" into several epochs, and {why}; without the limit it is one epoch"
            )
