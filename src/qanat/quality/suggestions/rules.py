"""All rules, and the candidates that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from qanat.model.profile import ColumnProfile
from qanat.quality.suggestions.complete import complete
from qanat.quality.suggestions.evidence import Evidence, Ladder
from qanat.quality.suggestions.history import freshness, volume
from qanat.quality.suggestions.keys import keys
from qanat.quality.suggestions.moments import moments
from qanat.quality.suggestions.numbers import numbers
from qanat.quality.suggestions.order import order
from qanat.quality.suggestions.references import references
from qanat.quality.suggestions.said import unsaid
from qanat.quality.suggestions.texts import texts

COLUMN_RULES: Sequence[Callable[[Evidence, ColumnProfile], Iterator[Ladder]]] = (
    complete,
    numbers,
    moments,
    texts,
    references,
)
TABLE_RULES: Sequence[Callable[[Evidence], Iterator[Ladder]]] = (order, volume, freshness)


def ladders(evidence: Evidence) -> list[Ladder]:
    """Candidates for what the declared checks do not say: keys, then by column, then the rest."""
    found = [*keys(evidence)]
    for column in evidence.columns:
        found += [ladder for rule in COLUMN_RULES for ladder in rule(evidence, column)]
    found += [ladder for rule in TABLE_RULES for ladder in rule(evidence)]
    kept = (tuple(c for step in ladder if (c := unsaid(evidence, step))) for ladder in found)
    return [ladder for ladder in kept if ladder]
